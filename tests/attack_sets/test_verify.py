"""What was damaged or altered after an attack is found, and named."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.attacked import clean_file, run, spoil_json

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attack_sets.manifest import ANSWERS, LEDGER, MANIFEST
from robustbench_char.attack_sets.show import shown_examples
from robustbench_char.attack_sets.verify import verify
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import mini_path


def test_no_damaged_byte_passes_or_ends_in_a_traceback(mini: Path, tmp_path: Path) -> None:
    run(mini, "squad_v2", "drop", tmp_path / "out", fields=["context"])
    source = open_native(get_task("squad_v2"), clean_file(mini, "squad_v2"))
    draws = random.Random(3)
    for name in (LEDGER, ANSWERS, mini_path("squad_v2", "test").name):
        path = tmp_path / "out" / name
        whole = path.read_bytes()
        for _ in range(15):
            at = draws.randrange(len(whole))
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 + draws.randrange(255)]) + whole[at + 1 :])
            with pytest.raises(InputError, match=name):
                verify(tmp_path / "out", source)
        path.unlink()
        with pytest.raises(InputError, match=f"{name}: found no such file"):
            verify(tmp_path / "out", source)
        path.write_bytes(whole)
    verify(tmp_path / "out", source)


@pytest.mark.parametrize(
    ("key", "value"), [("seed", None), ("suite_sha256", "0"), ("no_op_share", 0.5), ("task", "mrpc"), ("fields", None)]
)
def test_a_manifest_that_contradicts_itself(mini: Path, tmp_path: Path, key: str, value: object) -> None:
    run(mini, "cola", "drop", tmp_path / "out")
    spoil_json(tmp_path / "out" / MANIFEST, {key: value})
    with pytest.raises(InputError, match=rf"manifest\.json(: {key}|: found {key})"):
        verify(tmp_path / "out", open_native(get_task("cola"), clean_file(mini, "cola")))


@pytest.mark.parametrize("name", ["../dev.tsv", "/dev/stdin", "a/../dev.tsv", "..", "", "a\\b.tsv", "a\0.tsv"])
def test_a_manifest_names_files_of_its_folder(mini: Path, tmp_path: Path, name: str) -> None:
    run(mini, "cola", "drop", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    spoil_json(tmp_path / "out" / MANIFEST, {"output": manifest["output"] | {"name": name}})
    with pytest.raises(InputError, match=r"manifest\.json: output\.name: found .*the name of a file, no path"):
        verify(tmp_path / "out", open_native(get_task("cola"), clean_file(mini, "cola")))


def test_show_says_that_a_file_was_altered(mini: Path, tmp_path: Path) -> None:
    run(mini, "cola", "drop", tmp_path / "out")
    path = tmp_path / "out" / mini_path("cola", "test").name
    path.write_bytes(path.read_bytes().replace(b"e", b""))
    with pytest.raises(InputError, match="a text that is not that of the ledger"):
        shown_examples(tmp_path / "out")


def test_verify_names_what_was_altered(mini: Path, tmp_path: Path) -> None:
    source = open_native(get_task("cola"), clean_file(mini, "cola"))
    name = mini_path("cola", "test").name
    for case in ("file", "ledger", "gone", "input", "manifest", "count"):
        run(mini, "cola", "drop", tmp_path / case)
    with (tmp_path / "file" / name).open("ab") as file:
        file.write(b"x\t1\t\tmore\n")
    table = pq.read_table(tmp_path / "ledger" / LEDGER)
    pq.write_table(table.slice(1), tmp_path / "ledger" / LEDGER)
    (tmp_path / "gone" / LEDGER).unlink()
    other = tmp_path / name
    other.write_bytes(clean_file(mini, "cola").read_bytes().replace(b"a", b"b", 1))
    (tmp_path / "manifest" / MANIFEST).write_text("{")
    spoil_json(tmp_path / "count" / MANIFEST, {"schema": 2})
    for case, match in (
        ("file", rf"{name}: found content SHA-256"),
        ("ledger", r"edits\.parquet: found content SHA-256"),
        ("gone", r"edits\.parquet: found no such file"),
        ("manifest", r"manifest\.json:1: found malformed JSON"),
        ("count", r"manifest\.json: schema: found 2, of a newer version"),
    ):
        with pytest.raises(InputError, match=match):
            verify(tmp_path / case, source)
    with pytest.raises(InputError, match=rf"{name}: found content SHA-256"):
        verify(tmp_path / "input", open_native(get_task("cola"), other))
    with pytest.raises(InputError, match=r"no manifest\.json.*a folder that `attack` wrote"):
        verify(tmp_path, source)


def test_verify_finds_a_ledger_that_tells_another_story(mini: Path, tmp_path: Path) -> None:
    """A ledger with a matching hash but a wrong row is found by replaying it."""
    run(mini, "conll2003", "drop", tmp_path / "out")
    path = tmp_path / "out" / LEDGER
    rows = pq.read_table(path).to_pylist()
    rows[10]["start_clean"] += 1
    schema = pq.read_schema(path)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    manifest["ledger"]["sha256"] = sha256_file(path)
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(
        InputError, match=rf"example {rows[10]['row']} \(id .*, tokens: found an edit that does not fit"
    ):
        verify(tmp_path / "out", open_native(get_task("conll2003"), clean_file(mini, "conll2003")))


@pytest.mark.parametrize("more", [True, False])
def test_verify_finds_examples_too_many_and_too_few(mini: Path, tmp_path: Path, more: bool) -> None:
    run(mini, "cola", "drop", tmp_path / "out")
    path = tmp_path / "out" / mini_path("cola", "test").name
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1]] if more else lines[:-1]), encoding="utf-8")
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    spoil_json(tmp_path / "out" / MANIFEST, {"output": manifest["output"] | {"sha256": sha256_file(path)}})
    found = "more than in the clean file" if more else rf"{len(lines) - 1}"
    with pytest.raises(InputError, match=rf"{path.name}: found examples: {found}; expected .*as many as in the clean"):
        verify(tmp_path / "out", open_native(get_task("cola"), clean_file(mini, "cola")))


def test_verify_finds_answers_that_tell_another_story(mini: Path, tmp_path: Path) -> None:
    run(mini, "squad_v2", "drop", tmp_path / "out", fields=["context"])
    path, source = tmp_path / "out" / ANSWERS, open_native(get_task("squad_v2"), clean_file(mini, "squad_v2"))
    table = pq.read_table(path)
    pq.write_table(table.set_column(5, "text_clean", pa.array(["no"] * len(table))), path)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    spoil_json(tmp_path / "out" / MANIFEST, {"answers": manifest["answers"] | {"sha256": sha256_file(path)}})
    with pytest.raises(InputError, match=r"answers\.parquet, row 0: found answer .*'no'"):
        verify(tmp_path / "out", source)
    run(mini, "squad_v2", "drop", tmp_path / "question", fields=["question"])
    verify(tmp_path / "question", source)  # which keeps no answers


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("row", None, r"row: found an empty cell \(row 10\); expected a number"),
        ("field", None, r"field: found an empty cell \(row 10\); expected a text"),
        ("removed", b"e", "removed: found cells of the type binary; expected a text in each"),
        ("word", 0.5, "word: found cells of the type double; expected a number in each"),
    ],
)
def test_cells_of_a_ledger_are_numbers_and_texts(
    mini: Path, tmp_path: Path, column: str, value: Any, told: str
) -> None:
    run(mini, "cola", "drop", tmp_path / "out")
    path = tmp_path / "out" / LEDGER
    rows = pq.read_table(path).to_pylist()
    cells = [row[column] for row in rows]
    cells[10] = value
    if isinstance(value, bytes | float):
        cells = [value] * len(cells)
    table = pq.read_table(path)
    table = table.set_column(table.column_names.index(column), column, pa.array(cells))
    pq.write_table(table, path)
    with pytest.raises(InputError, match=rf"edits\.parquet: {told}\. Run the attack again"):
        shown_examples(tmp_path / "out")


def test_the_character_error_rate_is_that_of_the_ledger(tmp_path: Path) -> None:
    """Characters of the clean text that edits insert, delete or substitute; a swap is two. Older manifests lack it."""
    clean = tmp_path / "clean.tsv"
    clean.write_text("x\t1\t\tTheir letter, crossed.\n")
    made = {suite: attack_file("cola", clean, suite=suite, output=tmp_path / suite) for suite in ("drop", "swap")}
    assert [made[suite].counts.character_edits for suite in made] == [3, 6]
    assert made["swap"].counts.characters == 22
    assert made["swap"].strength.character_error_rate == 6 / 22
    assert "3 of 3 words (100.0% of the eligible words, character error rate 27.27%)" in repr(made["swap"])
    path = tmp_path / "swap" / MANIFEST
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"counts": value["counts"] | {"character_edits": 5}}))
    with pytest.raises(InputError, match=r"counts.character_edits 5; expected 6"):
        verify(tmp_path / "swap", clean)
    for part, name in (("counts", "character_edits"), ("counts", "characters"), ("strength", "character_error_rate")):
        del value[part][name]
    path.write_text(json.dumps(value))
    assert "character" not in repr(verify(tmp_path / "swap", clean))


@pytest.mark.parametrize("suite", ["insert_space", "join_words"])
def test_white_space_is_that_of_the_operators_that_move_it(tmp_path: Path, suite: str) -> None:
    clean = tmp_path / "clean.tsv"
    clean.write_text("x\t1\t\tTheir letter crossed.\n")
    attack_file("cola", clean, suite=f"{suite}@1.0", output=tmp_path / "set")
    verify(tmp_path / "set", clean)
    table = pq.read_table(tmp_path / "set" / LEDGER)
    column = table.schema.get_field_index("operator")
    pq.write_table(table.set_column(column, "operator", pa.array(["drop"] * len(table))), tmp_path / "set" / LEDGER)
    value = json.loads((tmp_path / "set" / MANIFEST).read_text())
    value["ledger"]["sha256"] = sha256_file(tmp_path / "set" / LEDGER)
    value["counts"]["by_operator"] = {"drop": len(table)}
    (tmp_path / "set" / MANIFEST).write_text(json.dumps(value))
    with pytest.raises(InputError, match="word 0: found word"):
        verify(tmp_path / "set", clean)


@pytest.mark.parametrize("suite", ["pruthi_2019", "pruthi_2019_random"])
def test_a_token_may_have_white_space_of_its_own(tmp_path: Path, suite: str) -> None:
    """Blanks and tabs alone divide the columns of a CoNLL file."""
    clean = tmp_path / "clean.txt"
    clean.write_text("\u3000Bergstadt\u202f\tNNP\tB-LOC\nlies\tVBZ\tO\n", encoding="utf-8")
    attack_file("conll2003", clean, suite=f"{suite}@2", output=tmp_path / "set", seed=3)
    assert "Bergstadt" not in (tmp_path / "set" / "clean.txt").read_text(encoding="utf-8")
    verify(tmp_path / "set", clean)


@pytest.mark.parametrize("suite", ["charmer_2024", "wide", "two_edits", "drop", "swap", "keyboard", "charbert_2020"])
def test_white_space_inside_a_token_is_not_struck(tmp_path: Path, suite: str) -> None:
    """Other programs part words there: the attacked file is verified, and has as much of it as the clean one."""
    tokens = [
        "\u3000x\u2009N",
        "fo\u1680ALv",
        "\u2009x",
        "z\u2003",
        "a\u00a0b",
        "\u202fab\u00a0cd\u202f",
        "ferry\u00a0boats",
    ]
    clean = tmp_path / "clean.txt"
    clean.write_text("".join(f"{token}\tNNP\tB-LOC\n" for token in tokens * 10), encoding="utf-8")
    attack_file("conll2003", clean, suite=suite, output=tmp_path / "set", seed=3)
    manifest = verify(tmp_path / "set", clean)
    assert manifest.counts.edits > 0
    read = open_native(get_task("conll2003"), tmp_path / "set" / "clean.txt").examples()
    attacked = [token for example in read for token in example.fields["tokens"]]
    spaces = [[char for char in token if char.isspace()] for token in attacked]
    assert spaces == [[char for char in token if char.isspace()] for token in tokens * 10]

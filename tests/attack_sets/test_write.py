"""Attacked sets as a whole: same bytes anywhere, labels true, undone exactly, nothing half-written."""

from __future__ import annotations

import gc
import json
import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fixtures.attacked import clean_file, one_suite, run

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attack_sets.manifest import ANSWERS, LEDGER, MANIFEST, read_manifest
from robustbench_char.attack_sets.show import shown_examples
from robustbench_char.attack_sets.stream import check_task_names
from robustbench_char.attack_sets.verify import verify
from robustbench_char.attacks.suites import suite_names
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file, shipped
from robustbench_char.tasks import base
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import TASKS, get_task
from robustbench_char.tasks.sources import mini_path

PLAIN_SUITES = [name for name in suite_names() if not name.startswith("nlpaug")]


@pytest.mark.parametrize("suite", PLAIN_SUITES)
@pytest.mark.parametrize("task", list(TASKS))
def test_every_suite_on_every_task_is_verified(mini: Path, tmp_path: Path, task: str, suite: str) -> None:
    """Suites that change the number of words are refused where the words are tagged tokens."""
    if get_task(task).family == "tagging" and not one_suite(suite, task).keeps_words:
        with pytest.raises(InputError, match=f"{suite}, which changes the number of words.* {task} carry labels"):
            run(mini, task, suite, tmp_path / "out")
        return
    manifest = run(mini, task, suite, tmp_path / "out", fields=get_task(task).fields)
    assert manifest.counts.edits > 0
    assert verify(tmp_path / "out", open_native(get_task(task), clean_file(mini, task))) == manifest


def test_nlpaug_goes_through_the_same_ledger(mini: Path, tmp_path: Path) -> None:
    python, numpy = random.getstate(), np.random.get_state()
    manifest = run(mini, "cola", "nlpaug_mixed", tmp_path / "out")
    assert random.getstate() == python
    assert str(np.random.get_state()) == str(numpy)
    assert manifest.counts.no_ops == manifest.counts.attempted - manifest.counts.edited_words
    assert "nlpaug" in manifest.provenance.libraries
    verify(tmp_path / "out", open_native(get_task("cola"), clean_file(mini, "cola")))


@pytest.mark.parametrize("task", ["squad_v2", "conll2003", "mrpc"])
def test_same_bytes_for_any_number_of_workers_and_any_chunk(
    mini: Path, tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(mini, task, "mixed", tmp_path / "one", fields=get_task(task).fields)
    run(mini, task, "mixed", tmp_path / "two", fields=get_task(task).fields, workers=2)
    monkeypatch.setattr(base, "BLOCK", 7)
    run(mini, task, "mixed", tmp_path / "small", fields=get_task(task).fields)
    name = read_manifest(tmp_path / "one").output.name
    assert (
        sha256_file(tmp_path / "one" / name)
        == sha256_file(tmp_path / "two" / name)
        == sha256_file(tmp_path / "small" / name)
    )
    assert sha256_file(tmp_path / "one" / LEDGER) == sha256_file(tmp_path / "two" / LEDGER)
    assert pq.read_table(tmp_path / "one" / LEDGER).equals(pq.read_table(tmp_path / "small" / LEDGER))


def test_order_of_the_file_does_not_matter(mini: Path, tmp_path: Path) -> None:
    lines = clean_file(mini, "cola").read_bytes().splitlines(keepends=True)
    lines += lines[:3]  # equal records
    for name, order in (("a", lines), ("b", lines[::-1])):
        (tmp_path / f"{name}.tsv").write_bytes(b"".join(order))
        attack_file(
            get_task("cola"),
            open_native(get_task("cola"), tmp_path / f"{name}.tsv"),
            suite=one_suite("mixed", "cola"),
            seed=1,
            output=tmp_path / name,
        )
    attacked = [sorted((tmp_path / name / f"{name}.tsv").read_bytes().splitlines()) for name in "ab"]
    assert attacked[0] == attacked[1]


def test_a_sweep_is_nested(mini: Path, tmp_path: Path) -> None:
    edits = []
    for rate in ("0.2", "0.6", "1.0"):
        run(mini, "qnli", f"mixed_sweep@{rate}", tmp_path / rate)
        columns = ("row", "field", "word", "operator", "removed", "inserted")
        edits.append(
            set(zip(*(pq.read_table(tmp_path / rate / LEDGER)[name].to_pylist() for name in columns), strict=True))
        )
    assert edits[0] < edits[1] < edits[2]


def test_manifest_counts_what_the_ledger_holds(mini: Path, tmp_path: Path) -> None:
    manifest = run(mini, "qnli", "charbert_2020", tmp_path / "out")
    ledger = pq.read_table(tmp_path / "out" / LEDGER).to_pydict()
    clean = open_native(get_task("qnli"), clean_file(mini, "qnli"))
    assert manifest.counts.edits == manifest.counts.edited_words == len(ledger["row"]) == manifest.ledger.rows
    assert manifest.counts.no_ops == manifest.counts.attempted - manifest.counts.edited_words > 0
    assert manifest.strength.effective == manifest.counts.edited_words / manifest.counts.eligible_words
    assert manifest.no_op_share == manifest.counts.no_ops / manifest.counts.attempted
    known = {word.lower() for word in ledger["word_before"]}
    spelled = sum(
        after.lower() in known and after.lower() != before.lower()
        for before, after in zip(ledger["word_before"], ledger["word_after"], strict=True)
    )
    assert manifest.counts.spell_known_word >= spelled > 0
    assert manifest.output.rows == len(list(clean.examples()))


@pytest.mark.parametrize("no_op", ["never", "as_drawn"])
@pytest.mark.parametrize("task", ["conll2003", "squad_v1"])
def test_several_edits_a_word(mini: Path, tmp_path: Path, task: str, no_op: str) -> None:
    operators = "{drop: {}, add: {}, swap: {}, keyboard: {}, nlpaug_ocr: {weight: 0.1}}"
    sets = []
    for count in (1, 3):
        path = tmp_path / f"{count}.yaml"
        path.write_text(
            f"schema: 1\ndescription: x\nfamily: f\nno_op: {no_op}\npositions: all\nstrength: {{rate: 0.7}}\n"
            f"edits_per_word: {count}\noperators: {operators}\n"
        )
        manifest = run(mini, task, str(path), tmp_path / str(count))
        verify(tmp_path / str(count), open_native(get_task(task), clean_file(mini, task)))
        rows = pq.read_table(tmp_path / str(count) / LEDGER).to_pylist()
        words = {(row["row"], row["field"], row["word"]): [] for row in rows}
        for row in rows:
            words[row["row"], row["field"], row["word"]].append(row)
            assert row["word_after"] not in ("", row["word_before"])
        assert manifest.counts.edited_words == len(words)
        assert manifest.strength.effective == len(words) / manifest.counts.eligible_words
        assert max(map(len, words.values())) == count
        columns = ("row", "field", "start_clean", "operator", "removed", "inserted")
        sets.append({tuple(row[name] for name in columns) for row in rows})
    assert sum(map(len, words.values())) > 2.5 * len(words)
    assert sets[0] < sets[1]


def test_squad_context_is_edited_once_and_clean_answers_are_kept(mini: Path, tmp_path: Path) -> None:
    run(mini, "squad_v2", "mixed", tmp_path / "out", fields=["context"])
    attacked = list(open_native(get_task("squad_v2"), tmp_path / "out" / mini_path("squad_v2", "test").name).examples())
    clean = list(open_native(get_task("squad_v2"), clean_file(mini, "squad_v2")).examples())
    kept = pq.read_table(tmp_path / "out" / ANSWERS).to_pylist()
    assert [(row["start_clean"], row["text_clean"]) for row in kept if row["kind"] == "answer"] == [
        tuple(a) for e in clean for a in e.answers
    ]
    changed = 0
    for before, after in zip(clean, attacked, strict=True):
        assert before.answerable == after.answerable
        assert before.fields["question"] == after.fields["question"]
        for answer in (*after.answers, *after.plausible):
            assert answer.text
            assert str(after.fields["context"])[answer.start : answer.start + len(answer.text)] == answer.text
        changed += before.answers != after.answers
    assert changed > 0
    by_context = {}
    for before, after in zip(clean, attacked, strict=True):
        assert by_context.setdefault(before.context_key, after.fields["context"]) == after.fields["context"]


def test_default_field_of_charbert_2020_is_the_question(mini: Path, tmp_path: Path) -> None:
    assert run(mini, "squad_v1", "charbert_2020", tmp_path / "out").fields == ("question",)
    assert set(pq.read_table(tmp_path / "out" / LEDGER)["field"].to_pylist()) == {"question"}


def test_protected_entities_and_answers_stay(mini: Path, tmp_path: Path) -> None:
    for protected, task in (("entities", "conll2003"), ("answers", "squad_v1")):
        path = tmp_path / f"{protected}.yaml"
        path.write_text(f"schema: 1\ndescription: x\nwords: {{protect: [{protected}]}}\noperators: {{drop: {{}}}}\n")
        source = open_native(get_task(task), clean_file(mini, task))
        attack_file(get_task(task), source, suite=one_suite(str(path), task), seed=1, output=tmp_path / task)
        attacked = open_native(get_task(task), tmp_path / task / mini_path(task, "test").name)
        for before, after in zip(source.examples(), attacked.examples(), strict=True):
            assert [a.text for a in before.answers] == [a.text for a in after.answers]
            if isinstance(before.label, tuple):
                pairs = zip(before.fields["tokens"], after.fields["tokens"], before.label, strict=True)
                assert all(old == new for old, new, tag in pairs if tag != "O")


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
@pytest.mark.parametrize("task", ["squad_v2", "conll2003", "cola"])
def test_tables_hold_what_the_native_file_holds(mini: Path, tmp_path: Path, task: str, file_format: str) -> None:
    run(mini, task, "mixed", tmp_path / "native")
    manifest = run(mini, task, "mixed", tmp_path / "table", format=file_format)
    assert manifest.output.name.endswith(f".{file_format}")
    native = open_native(get_task(task), tmp_path / "native" / mini_path(task, "test").name)
    table = open_native(get_task(task), tmp_path / "table" / manifest.output.name)
    assert [(e.fields, e.label, e.answers) for e in native.examples()] == [
        (e.fields, e.label, e.answers) for e in table.examples()
    ]
    verify(tmp_path / "table", open_native(get_task(task), clean_file(mini, task)))


def test_shown_pieces_spell_both_texts(mini: Path, tmp_path: Path) -> None:
    run(mini, "conll2003", "mixed", tmp_path / "out")
    shown = shown_examples(tmp_path / "out", count=5)
    assert len(shown) == 5
    source = {
        example.row: example for example in open_native(get_task("conll2003"), clean_file(mini, "conll2003")).examples()
    }
    for one in shown:
        assert (
            "".join(text for kind, text in one.pieces if kind != "inserted")
            == one.clean
            == " ".join(source[one.row].fields["tokens"])
        )


def test_repeating_an_attack_changes_nothing_and_another_one_is_refused(mini: Path, tmp_path: Path) -> None:
    run(mini, "cola", "drop", tmp_path / "out")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    run(mini, "cola", "drop", tmp_path / "out")
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    for options, name in (({"suite": "add"}, "suite"), ({"suite": "drop", "seed": 6}, "seed")):
        with pytest.raises(InputError, match=f"with another {name};.*--overwrite"):
            run(mini, "cola", output=tmp_path / "out", **options)  # type: ignore[arg-type]
    run(mini, "cola", "add", tmp_path / "out", overwrite=True)
    assert read_manifest(tmp_path / "out").suite.name == "add"


def test_operators_are_counted_in_the_order_of_their_first_edits(mini: Path, tmp_path: Path) -> None:
    for seed in range(3):
        run(mini, "cola", "mixed", tmp_path / f"out-{seed}", seed=seed)
        ledger = pq.read_table(tmp_path / f"out-{seed}" / LEDGER)["operator"].to_pylist()
        counts = read_manifest(tmp_path / f"out-{seed}").counts.by_operator
        assert list(counts.items()) == [(name, ledger.count(name)) for name in dict.fromkeys(ledger)]


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_a_suite_by_its_path_makes_exceptions_for_tasks_that_are_there(tmp_path: Path, ending: str) -> None:
    (tmp_path / "me@home").mkdir()
    path = tmp_path / "me@home" / f"own.{ending}"
    text = shipped("attacks")["drop"].read_text(encoding="utf-8")
    path.write_text(f"{text}tasks: {{cola: {{positions: all}}, mine: {{positions: all}}}}\n", encoding="utf-8")
    check_task_names(str(path), "mine")
    with pytest.raises(InputError, match=rf"own.{ending}: tasks.mine: found unknown task 'mine'"):
        check_task_names(str(path))


def test_nothing_half_written_stays(mini: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tsv"
    broken.write_bytes(clean_file(mini, "cola").read_bytes() + b"only\ttwo\n")
    with pytest.raises(InputError, match=r"broken\.tsv:\d+"):
        attack_file(
            get_task("cola"),
            open_native(get_task("cola"), broken),
            suite=one_suite("drop", "cola"),
            seed=1,
            output=tmp_path / "out",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["broken.tsv"]
    assert gc.isenabled()


def test_a_file_name_never_writes_outside(mini: Path, tmp_path: Path) -> None:
    odd = tmp_path / "manifest.json"
    odd.write_bytes(clean_file(mini, "cola").read_bytes())
    attack_file(
        get_task("cola"),
        open_native(get_task("cola"), odd),
        suite=one_suite("drop", "cola"),
        seed=1,
        output=tmp_path / "out",
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["data-manifest.json", LEDGER, MANIFEST]


def test_the_attacked_set_never_takes_the_name_of_ledger_or_answers(mini: Path, tmp_path: Path) -> None:
    for task, name in (("cola", "edits.tsv"), ("squad_v1", "answers.json")):
        (tmp_path / name).write_bytes(clean_file(mini, task).read_bytes())
        source, out = open_native(get_task(task), tmp_path / name), tmp_path / f"{task}-out"
        fields = get_task(task).fields
        attack_file(
            get_task(task), source, suite=one_suite("drop", task), seed=1, output=out, fields=fields, format="parquet"
        )
        verify(out, source)


def test_answers_are_protected_wherever_their_questions_stand(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context that comes again in a later chunk, with another question, keeps the answers of both."""
    monkeypatch.setattr(base, "BLOCK", 2)
    data = json.loads(clean_file(mini, "squad_v1").read_text())
    paragraphs = data["data"][0]["paragraphs"]
    first = paragraphs[0]
    again = {"context": first["context"], "qas": [dict(first["qas"][0], id="again")]}
    start = first["context"].index(" ") + 1
    word = first["context"][start:].split(" ")[0]
    again["qas"][0]["answers"] = [{"answer_start": start, "text": word}]
    data["data"][0]["paragraphs"] = [*paragraphs, again]
    (tmp_path / "in.json").write_text(json.dumps(data))
    (tmp_path / "s.yaml").write_text(
        "schema: 1\ndescription: x\npositions: all\nwords: {protect: [answers]}\n"
        "fields: [context]\noperators: {drop: {}}\n"
    )
    source = open_native(get_task("squad_v1"), tmp_path / "in.json")
    suite = one_suite(str(tmp_path / "s.yaml"), "squad_v1")
    attack_file(get_task("squad_v1"), source, suite=suite, seed=1, output=tmp_path / "out")
    verify(tmp_path / "out", source)
    attacked = open_native(get_task("squad_v1"), tmp_path / "out" / "in.json")
    for before, after in zip(source.examples(), attacked.examples(), strict=True):
        assert [answer.text for answer in before.answers] == [answer.text for answer in after.answers]


@pytest.mark.parametrize("fields", [["sentnce"], ["context"]])
def test_unknown_field(mini: Path, tmp_path: Path, fields: list[str]) -> None:
    with pytest.raises(InputError, match=r"--fields: found unknown field .*expected fields of cola: sentence"):
        run(mini, "cola", "drop", tmp_path / "out", fields=fields)


REAL = [
    ("cola", "glue/CoLA/dev.tsv"),
    pytest.param("mrpc", "glue/MRPC/dev.tsv", marks=pytest.mark.slow),
    pytest.param("mrpc", "glue/MRPC/test.tsv", marks=pytest.mark.slow),
    pytest.param("qnli", "glue/QNLI/dev.tsv", marks=pytest.mark.slow),
    pytest.param("conll2003", "conll2003/test.txt", marks=pytest.mark.slow),
    ("squad_v1", "squad/dev-v1.1.json"),
    pytest.param("squad_v2", "squad/dev-v2.0.json", marks=pytest.mark.slow),
    pytest.param("ptb_pos", "ptb/wsj", marks=pytest.mark.slow),
]


@pytest.mark.data
@pytest.mark.parametrize(("task", "name"), REAL)
def test_promises_hold_on_real_files(shared_data: Path, tmp_path: Path, task: str, name: str) -> None:
    tagging = get_task(task).family == "tagging"
    for suite in [name for name in PLAIN_SUITES if one_suite(name, task).keeps_words or not tagging]:
        source = open_native(get_task(task), shared_data / name)
        attack_file(
            get_task(task),
            source,
            suite=one_suite(suite, task),
            seed=2,
            output=tmp_path / suite,
            fields=get_task(task).fields,
        )
        verify(tmp_path / suite, source)

"""Published edit operations as an attack: what they restore, what does not fit, and the published sets themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fixtures.attacked import clean_file, run

import robustbench_char as rbc
from robustbench_char.attack_sets import aligned_words
from robustbench_char.attack_sets.manifest import LEDGER, Manifest
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.tasks.registry import get_task

CLEAN = "Anna B-PER\nwrote O\nletters O\n\nfrom O\nBrno B-LOC\n. O\n\n"
OPERATIONS = "---- \nd---- \n-ss--dii- x1?!\n\n---- \nsi--- PR\ns :\n\n"
NOISY = "Anna B-PER\nrote O\nlx1te?!s O\n\nfrom O\nPRrno B-LOC\n: O\n\n"
RESTORED = "Anna\tAnna\tB-PER\nrote\twrote\tO\nlx1te?!s\tletters\tO\n\nfrom\tfrom\tO\nPRrno\tBrno\tB-LOC\n:\t.\tO\n\n"


def imported(folder: Path, operations: str = OPERATIONS, clean: str = CLEAN, **options: object) -> Manifest:
    """Write a file and operations, and import them; what was asked for before does not matter."""
    (folder / "clean.txt").write_text(clean, encoding="utf-8")
    (folder / "test_ops.txt").write_text(operations, encoding="utf-8")
    named = {"suite": "operations", "operations": folder / "test_ops.txt", "output": folder / "out"}
    return rbc.attack_file("conll2003", folder / "clean.txt", **(named | options))  # type: ignore[arg-type]


def test_operations_restore_the_set(tmp_path: Path) -> None:
    manifest = imported(tmp_path)
    assert (tmp_path / "out" / "clean.txt").read_text(encoding="utf-8") == NOISY
    assert rbc.verify(tmp_path / "out", tmp_path / "clean.txt") == manifest
    counts = manifest.counts
    assert (counts.words, counts.eligible_words, counts.attempted, counts.edited_words) == (6, 6, 4, 4)
    assert counts.by_operator == {"delete": 2, "substitute": 4, "insert": 3}
    assert manifest.strength.requested.rate == manifest.strength.effective == 4 / 6
    assert manifest.restored_md5 == hashlib.md5(RESTORED.encode()).hexdigest()
    assert manifest.suite.operations is not None
    assert manifest.suite.operations.sha256 == sha256_file(tmp_path / "test_ops.txt")
    assert manifest.suite.edits_per_word == 5


def test_the_ledger_has_an_edit_per_operation(tmp_path: Path) -> None:
    imported(tmp_path)
    rows = pq.read_table(tmp_path / "out" / LEDGER).to_pylist()
    keys = ("row", "word", "operator", "start_clean", "start_attacked", "removed", "inserted")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        (0, 1, "delete", 5, 5, "w", ""),
        (0, 2, "substitute", 12, 11, "e", "x"),
        (0, 2, "substitute", 13, 12, "t", "1"),
        (0, 2, "delete", 16, 15, "r", ""),
        (0, 2, "insert", 17, 15, "", "?"),
        (0, 2, "insert", 17, 16, "", "!"),
        (1, 1, "substitute", 5, 5, "B", "P"),
        (1, 1, "insert", 6, 6, "", "R"),
        (1, 2, "substitute", 10, 11, ".", ":"),
    ]
    assert {(row["word_before"], row["word_after"]) for row in rows} == {
        ("wrote", "rote"), ("letters", "lx1te?!s"), ("Brno", "PRrno"), (".", ":"),
    }  # fmt: skip
    assert rbc.shown_examples(tmp_path / "out")[1].clean == "from Brno ."


def test_rows_in_memory_get_the_same_edits(tmp_path: Path) -> None:
    imported(tmp_path)
    rows = [{"tokens": ["Anna", "wrote", "letters"], "ner_tags": ["B-PER", "O", "O"]},
            {"tokens": ["from", "Brno", "."], "ner_tags": ["O", "B-LOC", "O"]}]  # fmt: skip
    attacked = rbc.attack(rows, task="conll2003", suite="operations", operations=tmp_path / "test_ops.txt")
    assert [row["tokens"] for row in attacked] == [["Anna", "rote", "lx1te?!s"], ["from", "PRrno", ":"]]
    assert attacked.ledger.equals(pq.read_table(tmp_path / "out" / LEDGER).to_pandas())  # type: ignore[attr-defined]


def test_a_word_that_comes_out_as_it_was_is_not_counted_as_attacked(tmp_path: Path) -> None:
    same = OPERATIONS.replace("s :", "di .").replace("---- \nd", "s--- A\nd", 1)
    manifest = imported(tmp_path, same)
    assert (manifest.counts.attempted, manifest.counts.edited_words, manifest.counts.no_ops) == (5, 3, 2)
    assert rbc.verify(tmp_path / "out", tmp_path / "clean.txt") == manifest


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (OPERATIONS.replace("d----", "x----"), r"test_ops\.txt:2: found the operation 'x'; expected - \(keep\), s"),
        (OPERATIONS.replace("x1?!", "x1?"), r"test_ops\.txt:3: found 3 characters; expected 4, one for each s and i"),
        (OPERATIONS.replace("x1?!", "x1?!z"), r"test_ops\.txt:3: found 5 characters; expected 4"),
        (OPERATIONS.replace("d----", "ddddd"), r"test_ops\.txt:2: found ddddd, which leaves nothing of the token"),
        (OPERATIONS.replace("x1?!", "x1 !"), r"test_ops\.txt:3: found white space in 'x1 !'"),
        (OPERATIONS.replace("x1?!", "x1\u00a0!"), r"test_ops\.txt:3: found white space in 'x1\\xa0!'"),
        (OPERATIONS.replace("d----", "d---"), r"2: found operations for 4 characters; expected 5, .* 'wrote' in sent"),
        (OPERATIONS.replace("---- \nd", "d", 1), r"1: found operations for 5 characters; expected 4, .*'Anna' in sent"),
        (OPERATIONS.replace("s :\n", ""), r"5: found operations for 2 tokens in sentence 2; expected 3, from 'from'"),
        (OPERATIONS.replace("s :\n", "s :\n- \n"), r"5: found operations for 4 tokens in sentence 2; expected 3"),
        (OPERATIONS.partition("\n\n")[0], r"test_ops\.txt: found operations for 1 sentences; expected as many as the"),
        (OPERATIONS + "-- \n", r"test_ops\.txt:9: found operations for 3 sentences; expected 2, as the file has"),
        ("\n\n", r"test_ops\.txt: found no operations; expected one token per line"),
        ("", r"test_ops\.txt: found an empty file.* --operations"),
    ],
)  # fmt: skip
def test_operations_that_do_not_fit_name_the_line(tmp_path: Path, operations: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(tmp_path, operations)
    assert not (tmp_path / "out").exists()


def test_words_are_aligned(tmp_path: Path) -> None:
    imported(tmp_path)
    assert aligned_words(tmp_path / "out") == [
        ("Anna", "Anna"), ("rote", "wrote"), ("lx1te?!s", "letters"), ("from", "from"), ("PRrno", "Brno"), (":", "."),
    ]  # fmt: skip


@pytest.mark.parametrize(("task", "suite"), [("squad_v2", "mixed"), ("conll2003", "charbert_2020")])
def test_words_of_any_attack_are_aligned(mini: Path, tmp_path: Path, task: str, suite: str) -> None:
    """Each context once, whoever asks about it; pieces of a token one by one."""
    manifest = run(mini, task, suite, tmp_path / "out", fields=get_task(task).fields)
    pairs = aligned_words(tmp_path / "out")
    assert len(pairs) == manifest.counts.words
    assert sum(after != before for after, before in pairs) == manifest.counts.edited_words
    (tmp_path / "out" / manifest.output.name).write_bytes(clean_file(mini, task).read_bytes())
    with pytest.raises(InputError, match="a text that is not that of the ledger"):
        aligned_words(tmp_path / "out")

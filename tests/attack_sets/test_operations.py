"""Published edit operations as an attack: what they restore, what does not fit, and the published sets themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from fixtures.attacked import clean_file, run
from hypothesis import assume, given
from hypothesis import strategies as st

import robustbench_char as rbc
from robustbench_char.attack_sets import aligned_words
from robustbench_char.attack_sets.manifest import LEDGER, Manifest
from robustbench_char.attack_sets.operations import TokenOperations, apply_operations
from robustbench_char.attacks.engine import Batch
from robustbench_char.attacks.ledger import Slot, edit_of, ledger_table, rows_by_text, undoing_edit_of
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.tasks.registry import get_task
from robustbench_char.text.edits import apply_edits

CLEAN = "Anna B-PER\nwrote O\nletters O\n\nfrom O\nBrno B-LOC\n. O\n\n"
OPERATIONS = "---- \nd---- \n-ss--dii- x1?!\n\n---- \nsi--- PR\ns :\n\n"
NOISY = "Anna B-PER\nrote O\nlx1te?!s O\n\nfrom O\nPRrno B-LOC\n: O\n\n"
RESTORED = "Anna\tAnna\tB-PER\nrote\twrote\tO\nlx1te?!s\tletters\tO\n\nfrom\tfrom\tO\nPRrno\tBrno\tB-LOC\n:\t.\tO\n\n"


def imported(folder: Path, text: str = OPERATIONS, **options: object) -> Manifest:
    """Write a file and operations, and import them."""
    (folder / "clean.txt").write_text(CLEAN, encoding="utf-8")
    (folder / "test_ops.txt").write_text(text, encoding="utf-8")
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
        (OPERATIONS.replace("d----", "ddddd"), r"test_ops\.txt:2: found 'ddddd', which leaves nothing of the token"),
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


def test_the_md5_beside_the_operations_is_compared(tmp_path: Path) -> None:
    digest = hashlib.md5(RESTORED.encode()).hexdigest()
    (tmp_path / "test.md5").write_text(f"{digest.upper()}  test_restored.txt\n")
    manifest = imported(tmp_path)
    assert manifest.suite.operations is not None
    assert manifest.suite.operations.md5 == (digest,)
    (tmp_path / "test.md5").write_text(f"{'0' * 32}\n")
    with pytest.raises(InputError, match=rf"test_ops\.txt: found MD5 {digest} of the restored set; expected 0+, as"):
        imported(tmp_path, output=tmp_path / "other")
    assert not (tmp_path / "other").exists()
    (tmp_path / "test.md5").write_text("none\n")
    with pytest.raises(InputError, match=r"test\.md5: found no MD5; expected 32 hexadecimal digits"):
        imported(tmp_path)


def test_the_md5_does_not_depend_on_the_layout_of_the_file(tmp_path: Path) -> None:
    """Tags in IOB1, other columns, `-DOCSTART-`, Windows' line ends, a byte-order mark: the same sentences."""
    first = imported(tmp_path, output=tmp_path / "first")
    clean = "-DOCSTART- -X- O\n\n" + CLEAN.replace("B-", "I-").replace(" ", " X ")
    (tmp_path / "clean.txt").write_bytes(clean.replace("\n", "\r\n").encode())
    (tmp_path / "test_ops.txt").write_bytes(b"\xef\xbb\xbf" + OPERATIONS.replace("\n", "\r\n").encode())
    options = {"suite": "operations", "operations": tmp_path / "test_ops.txt", "output": tmp_path / "second"}
    second = rbc.attack_file("conll2003", tmp_path / "clean.txt", **options)  # type: ignore[arg-type]
    assert second.restored_md5 == first.restored_md5
    assert second.counts == first.counts
    assert rbc.verify(tmp_path / "second", tmp_path / "clean.txt") == second


DECLARED = "schema: 1\ndescription: Typos of our pupils.\nsource: A school\nlicence: CC0\nmd5: [{md5}]\n"


def test_a_declaration_of_your_own_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "pupils.yaml"
    path.write_text(DECLARED.format(md5=hashlib.md5(RESTORED.encode()).hexdigest()))
    suite = imported(tmp_path, suite=path).suite
    assert suite.operations is not None
    assert (suite.name, suite.operations.source, suite.operations.licence) == ("pupils", "A school", "CC0")
    path.write_text(path.read_text().replace("CC0", "CC BY"))
    assert imported(tmp_path, suite=path, output=tmp_path / "again").suite_sha256 == suite.sha256
    path.write_text(DECLARED.format(md5="f" * 32))
    with pytest.raises(InputError, match=r"of the restored set; expected f+, as published"):
        imported(tmp_path, suite=path, output=tmp_path / "other")
    path.write_text(DECLARED.format(md5="x"))
    with pytest.raises(InputError, match=r"pupils\.yaml.*md5"):
        imported(tmp_path, suite=path)


def test_a_resolved_suite_stands_for_its_own_operations(tmp_path: Path) -> None:
    suite = imported(tmp_path).suite
    assert imported(tmp_path, suite=suite, output=tmp_path / "same").suite == suite
    with pytest.raises(InputError, match="found operations without operations; expected the file that its authors"):
        imported(tmp_path, suite=suite, operations=None)
    with pytest.raises(InputError, match="found operations with operations that are not its own"):
        imported(tmp_path, OPERATIONS.replace("s :", "s ;"), suite=suite)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"suite": "nat2021_typos"},
            "found MD5 .* of the restored set; expected 57baf.* or 36",
        ),
        (
            {"suite": "nat2021_typos", "operations": None},
            "--suite: found nat2021_typos without operations",
        ),
        ({"suite": "operations@0.5"}, "--suite: found the strength '0.5' with operations; expected no strength"),
        ({"suite": "drop"}, "--suite: found drop with operations that are not its own; expected one of nat2021_ocr_te"),
        ({"suite": "nat2021_typo"}, "found unknown name 'nat2021_typo'.*Did you mean 'nat2021_typos'"),
        ({"seed": 2}, "--seed: found the seed 2 with operations; expected no seed"),
        ({"operations": "none.txt"}, r"none\.txt: found no such file; .* --operations"),
        ({"operations": "."}, "found a folder; expected a file. Give --operations one of the files in it"),
        ({"workers": 2}, None),
    ],
)
def test_what_does_not_go_with_operations(tmp_path: Path, options: dict[str, object], message: str | None) -> None:
    if message is None:
        assert imported(tmp_path, **options).restored_md5 == hashlib.md5(RESTORED.encode()).hexdigest()
        return
    with pytest.raises(InputError, match=message):
        imported(tmp_path, **options)
    assert not (tmp_path / "out").exists()


def test_operations_are_for_one_tagged_set(tmp_path: Path) -> None:
    imported(tmp_path)
    with pytest.raises(InputError, match="--operations: found the task cola; expected a tagging task"):
        rbc.attack_file("cola", data="mini", suite="operations", operations=tmp_path / "test_ops.txt", output="x")
    row = {"tokens": ["Anna"], "ner_tags": ["O"]}
    splits = datasets.DatasetDict({"test": datasets.Dataset.from_list([row])})
    with pytest.raises(InputError, match="data: found the splits test; expected one split with operations"):
        rbc.attack(splits, task="conll2003", suite="operations", operations=tmp_path / "test_ops.txt")


TOKEN = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=6)


@st.composite
def operations_of(draw: st.DrawFn, token: str) -> tuple[TokenOperations, str]:
    """Return operations that fit a token, with what they make of it."""
    letters, characters, restored = "", "", ""
    for at in range(len(token) + 1):
        new = draw(st.text("aé😀", max_size=2))
        letters, characters, restored = letters + "i" * len(new), characters + new, restored + new
        if at < len(token):
            letter = draw(st.sampled_from("-sd"))
            new = {"-": token[at], "d": "", "s": draw(st.sampled_from("xß"))}[letter]
            letters, restored = letters + letter, restored + new
            characters += new if letter == "s" else ""
    assume(restored)
    return TokenOperations(1, letters, characters), restored


@given(st.data())
def test_any_operations_are_applied_and_undone(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.lists(TOKEN, max_size=4), min_size=1, max_size=3))
    drawn = [[data.draw(operations_of(token)) for token in text] for text in texts]
    batch = Batch([" ".join(text) for text in texts], np.zeros(len(texts), np.uint64), tokens=True)
    outcome = apply_operations(batch, [[operations for operations, _ in text] for text in drawn])
    assert outcome.texts == [" ".join(restored for _, restored in text) for text in drawn]
    rows = rows_by_text(ledger_table(outcome, [Slot(row, str(row), "tokens") for row in range(len(texts))]))
    for row, (clean, after) in enumerate(zip(batch.texts, outcome.texts, strict=True)):
        own = rows.get((row, "tokens"), [])
        assert apply_edits(clean, list(map(edit_of, own))) == after
        assert apply_edits(after, list(map(undoing_edit_of, own))) == clean
        assert all(texts[row][edit["word"]] == edit["word_before"] != edit["word_after"] for edit in own)
        assert all(drawn[row][edit["word"]][1] == edit["word_after"] for edit in own)


@pytest.mark.data
@pytest.mark.parametrize(
    ("suite", "folder", "dev", "test"),
    [
        ("nat2021_typos", "conll03_en_typos", 8517, 7213),
        ("nat2021_ocr_tess3", "conll03_en_tess3_01", 11841, 10550),
        ("nat2021_ocr_tess4", "conll03_en_tess4_01", 8768, 7592),
    ],
)
def test_the_published_sets(shared_data: Path, tmp_path: Path, suite: str, folder: str, dev: int, test: int) -> None:
    """Their MD5 is compared with the published one, by the import itself and again by `verify`."""
    for split, file, edited in (("dev", "valid.txt", dev), ("test", "test.txt", test)):
        clean, published = shared_data / "conll2003" / file, shared_data / "nat2021" / folder
        operations, output = published / f"{split}_ops.txt", tmp_path / split
        manifest = rbc.attack_file("conll2003", clean, suite=suite, operations=operations, output=output)
        assert (manifest.counts.edited_words, manifest.counts.no_ops) == (edited, 0)
        assert manifest.restored_md5 == (published / f"{split}.md5").read_text(encoding="utf-8").strip()
        assert rbc.verify(output, clean) == manifest

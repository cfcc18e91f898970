"""Verifying an attacked set against its clean file: hashes, ledger both ways, labels, and the bytes of both files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Unpack

from robustbench_char.attack_sets.attack import ANSWER_COLUMNS, answer_rows, source_sha256
from robustbench_char.attack_sets.manifest import ANSWERS, LEDGER, MANIFEST, SPELLINGS, Manifest, read_manifest
from robustbench_char.attack_sets.operations import Restored
from robustbench_char.attack_sets.replay import (
    FIX,
    Ledger,
    attacked_sha256,
    read_spellings,
    read_table,
    restored_sha256,
)
from robustbench_char.attacks.ledger import LedgerRow, edit_of, undoing_edit_of
from robustbench_char.attacks.operators import WHITE_SPACE
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.tasks.base import Example, NativeFile, Task, token_text
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import follow
from robustbench_char.tasks.sources import Input, NamedSource, as_read, open_source
from robustbench_char.text.edits import Edit, apply_edits

__all__ = ["verify"]


def _same(place: object, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise InputError(place, found=f"{what} {found}", expected=f"{expected}", fix=FIX)


def verify(folder: str | Path, input: Input | None = None, **source: Unpack[NamedSource]) -> Manifest:
    """Replay the ledger of an attacked set both ways, and check labels, offsets, tags and hashes; return its manifest.

    `folder` was written by `attack_file`; the other arguments name its clean source as they do there. Raises InputError
    naming the first mismatch.

    >>> from robustbench_char.attack_sets import attack_file
    >>> made = attack_file("cola", data="mini", suite="drop", output="attacked")
    >>> verify("attacked", data="mini") == made
    True
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    task = as_read(manifest.task_record, source)
    if task != manifest.task_record:
        raise InputError(folder / MANIFEST, found="a set that was attacked with other columns or tags",
                         expected="those that are named", fix="Leave them out: the manifest knows them.")  # fmt: skip
    clean = open_source(task, input=input, **source)
    _check_files(folder, manifest, clean)
    ledger = Ledger(folder)
    _check_manifest(folder, manifest, ledger)
    attacked = open_native(manifest.task_record, folder / manifest.output.name)
    _check_examples(folder, manifest, clean, attacked, ledger)
    if manifest.format == "native":
        _check_bytes(folder, manifest, clean, attacked, ledger)
    return manifest


def _check_files(folder: Path, manifest: Manifest, source: NativeFile) -> None:
    _same(source.path, "content", _short(source_sha256(source.path)), _short(manifest.input.sha256))
    for info in filter(None, (manifest.output, manifest.ledger, manifest.answers, manifest.spellings)):
        path = folder / info.name
        if not path.is_file():
            raise InputError(path, found="no such file", expected="a file of the attacked set", fix=FIX)
        _same(path, "content", _short(sha256_file(path)), _short(info.sha256))


def _check_examples(folder: Path, manifest: Manifest, source: NativeFile, attacked: NativeFile, ledger: Ledger) -> None:
    answers: list[tuple[object, ...]] = []
    examples, restored = 0, Restored()
    for clean, after in _pairs(source, attacked):
        _check_example(manifest.task_record, clean, after, ledger, folder)
        if manifest.restored_md5:
            restored.add(clean, after)
        answers += answer_rows(clean, after)
        examples += 1
    _same(folder / MANIFEST, "rows", (manifest.input.rows, manifest.output.rows), (examples, examples))
    _same(folder / LEDGER, "edits that belong to no text", len(ledger.left()), 0)
    if manifest.restored_md5:
        _same(folder / MANIFEST, "restored_md5", manifest.restored_md5, restored.md5)
    _check_answers(folder, manifest, answers)


def _check_manifest(folder: Path, manifest: Manifest, ledger: Ledger) -> None:
    """Check what the manifest says of itself and of the ledger."""
    counts, path = manifest.counts, folder / MANIFEST
    eligible, attempted = counts.eligible_words, counts.attempted
    for what, found, expected in (
        ("task", manifest.task, manifest.task_record.name),
        ("suite_sha256", manifest.suite_sha256, manifest.suite.sha256),
        ("requested strength", manifest.strength.requested, manifest.suite.strength),
        ("counts.edits", counts.edits, ledger.size),
        ("ledger.rows", manifest.ledger.rows, ledger.size),
        ("counts.by_operator", counts.by_operator, ledger.by_operator),
        ("counts.edited_words", counts.edited_words, ledger.edited_words),
        ("counts.no_ops", counts.no_ops, attempted - ledger.edited_words),
        ("effective strength", manifest.strength.effective, ledger.edited_words / eligible if eligible else None),
        ("no_op_share", manifest.no_op_share, counts.no_ops / attempted if attempted else None),
    ):
        _same(path, what, found, expected)
    if counts.character_edits is not None:  # older manifests do not have it
        _same(path, "counts.character_edits", counts.character_edits, ledger.character_edits)
        rate = ledger.character_edits / counts.characters if counts.characters else None
        _same(path, "character error rate", manifest.strength.character_error_rate, rate)


def _check_answers(folder: Path, manifest: Manifest, expected: list[tuple[object, ...]]) -> None:
    """Check that the clean answers are kept where contexts were attacked, beside the attacked ones."""
    if manifest.task_record.family != "question_answering" or "context" not in manifest.fields:
        return
    path = folder / ANSWERS
    rows = read_table(path, ANSWER_COLUMNS).to_pylist()
    _same(path, "answers:", len(rows), len(expected))
    for number, (row, values) in enumerate(zip(rows, expected, strict=True)):
        _same(f"{path}, row {number}", "answer", tuple(row.values()), values)


def _short(digest: str) -> str:
    return f"SHA-256 {digest[:16]}…" if len(digest) == 64 else digest


def _pairs(source: NativeFile, attacked: NativeFile) -> Iterator[tuple[Example, Example]]:
    for number, (clean, after) in enumerate(zip_longest(source.examples(), attacked.examples())):
        if clean is None or after is None:
            found = "more than in the clean file" if clean is None else number
            _same(attacked.path, "examples:", found, "as many as in the clean file")
        yield clean, after


def _check_example(task: Task, clean: Example, after: Example, ledger: Ledger, folder: Path) -> None:
    place = f"{folder.name}: example {clean.row} (id {clean.id})"
    edits: dict[str, list[Edit]] = {}
    for field in task.fields:
        rows = ledger.of(clean, field)
        edits[field] = list(map(edit_of, rows))
        space = str.isspace if isinstance(clean.fields[field], str) else " ".__eq__  # tokens may have others
        _check_text(f"{place}, {field}", token_text(clean.fields[field]), token_text(after.fields[field]), rows, space)
    expected = follow(task, clean, after.fields, edits)
    for name in ("label", "answers", "plausible", "answerable"):
        _same(f"{place}, {name}", name, getattr(after, name), getattr(expected, name))


def _check_text(place: str, clean: str, after: str, rows: list[LedgerRow], space: Callable[[str], bool]) -> None:
    try:
        forward = apply_edits(clean, list(map(edit_of, rows)))
        backward = apply_edits(after, list(map(undoing_edit_of, rows)))
    except ValueError as error:
        found, expected = f"an edit that does not fit: {error}", "the text that the ledger was written for"
        raise InputError(place, found=found, expected=expected, fix=FIX) from None
    _same(place, "attacked text", repr(after), repr(forward))
    _same(place, "text after undoing the edits", repr(backward), repr(clean))
    for row in rows:
        _check_words(place, clean, after, row, space)


def _check_words(place: str, clean: str, after: str, row: LedgerRow, space: Callable[[str], bool]) -> None:
    """Check that the ledger's words hold the edit and are where it says, and that none is empty, split or joined.

    White space is that of the operators which put it into a word, or take it from between two.
    """
    spaces = WHITE_SPACE.get(row["operator"], (0, 0))
    for text, start, word, part, allowed in (
        (clean, row["start_clean"], row["word_before"], row["removed"], spaces[0]),
        (after, row["start_attacked"], row["word_after"], row["inserted"], spaces[1]),
    ):
        window = text[max(0, start - len(word)) : start + len(word) + len(part)]
        fits = bool(word) and word in window and part in word and sum(map(space, word)) == allowed
        _same(f"{place}, word {row['word']}", "word", repr(word if fits else window), repr(word))


def _check_bytes(folder: Path, manifest: Manifest, source: NativeFile, attacked: NativeFile, ledger: Ledger) -> None:
    """Replay the ledger on the bytes of both files: clean to attacked, and (where the clean source is a file) back."""
    task, spellings = manifest.task_record, folder / SPELLINGS
    forward = attacked_sha256(task, source, attacked, ledger)
    what = "bytes other than the ledger makes of the clean file"
    _same(attacked.path, what, forward, sha256_file(attacked.path))
    # A folder of trees is written as columns, and no library writes the bytes of another's Parquet file again.
    if source.path.is_file() and source.path.suffix != ".parquet":
        kept = read_spellings(spellings) if manifest.spellings else {}
        backward = restored_sha256(task, source, attacked, ledger, kept, spellings)
        what = "bytes that undoing the ledger does not turn into the clean file"
        _same(attacked.path, what, backward, sha256_file(source.path))

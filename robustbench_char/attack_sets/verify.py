"""Verifying an attacked set against its clean file: hashes, ledger both ways, labels, and the bytes of both files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, BinaryIO, Unpack, cast

from robustbench_char.attack_sets.attack import ANSWER_COLUMNS, answer_rows, source_sha256
from robustbench_char.attack_sets.manifest import ANSWERS, LEDGER, MANIFEST, Manifest, read_manifest
from robustbench_char.attack_sets.operations import Restored
from robustbench_char.attacks.ledger import (
    LEDGER_COLUMNS,
    LedgerRow,
    character_edits,
    edit_of,
    rows_by_text,
    undoing_edit_of,
)
from robustbench_char.attacks.operators import WHITE_SPACE
from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name, sha256_file
from robustbench_char.tasks.base import Attacked, Example, NativeFile, Task, token_text
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.formats._pairing import attacked_blocks
from robustbench_char.tasks.registry import follow
from robustbench_char.tasks.sources import Input, NamedSource, open_source
from robustbench_char.text.edits import Edit, apply_edits

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["verify"]

_FIX = "Run the attack again; if the file was changed on purpose, it is no longer the attacked set of this ledger."


def read_ledger(folder: Path) -> pa.Table:
    """Read `edits.parquet`. Raises InputError when it is missing, not a Parquet file, or has other columns."""
    return _read_table(folder / LEDGER, LEDGER_COLUMNS)


def _read_table(path: Path, columns: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(path, found="no such file", expected="a table of an attack", fix="Run the attack again.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        found = f"an unreadable Parquet file ({error})"
        raise InputError(path, found=found, expected="a table of an attack", fix=_FIX) from None
    _same(path, "columns", ", ".join(table.column_names), ", ".join(columns))
    return table


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
    clean = open_source(manifest.task_record, input=input, **source)
    _check_files(folder, manifest, clean)
    ledger = _Ledger(folder)
    _check_manifest(folder, manifest, ledger)
    attacked = open_native(manifest.task_record, folder / manifest.output.name)
    _check_examples(folder, manifest, clean, attacked, ledger)
    if manifest.format == "native":
        _check_bytes(manifest.task_record, clean, attacked, ledger)
    return manifest


def _check_files(folder: Path, manifest: Manifest, source: NativeFile) -> None:
    _same(source.path, "content", _short(source_sha256(source.path)), _short(manifest.input.sha256))
    for info in filter(None, (manifest.output, manifest.ledger, manifest.answers)):
        path = folder / safe_name(info.name)
        if not path.is_file():
            raise InputError(path, found="no such file", expected="a file of the attacked set", fix=_FIX)
        _same(path, "content", _short(sha256_file(path)), _short(info.sha256))


def _check_examples(
    folder: Path, manifest: Manifest, source: NativeFile, attacked: NativeFile, ledger: _Ledger
) -> None:
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


def _check_manifest(folder: Path, manifest: Manifest, ledger: _Ledger) -> None:
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
    rows = _read_table(path, ANSWER_COLUMNS).to_pylist()
    _same(path, "answers:", len(rows), len(expected))
    for number, (row, values) in enumerate(zip(rows, expected, strict=True)):
        _same(f"{path}, row {number}", "answer", tuple(row.values()), values)


def _short(digest: str) -> str:
    return f"SHA-256 {digest[:16]}…" if len(digest) == 64 else digest


def _same(place: object, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise InputError(place, found=f"{what} {found}", expected=f"{expected}", fix=_FIX)


class _Ledger:
    """The ledger's rows by text; those of a context, which are stored once, for each question that shares it."""

    def __init__(self, folder: Path) -> None:
        table = read_ledger(folder)
        self.size = table.num_rows
        counts = table["operator"].value_counts().to_pylist()
        self.by_operator = {entry["values"]: entry["counts"] for entry in counts}
        self._rows = rows_by_text(table)
        self.character_edits = character_edits(table)
        self.edited_words = sum(len({row["word"] for row in rows}) for rows in self._rows.values())
        self._contexts: dict[str, list[LedgerRow]] = {}
        self._used: set[tuple[int, str]] = set()

    def of(self, example: Example, field: str) -> list[LedgerRow]:
        """Return the edits of one field of an example, in order of position."""
        text = (example.row, field)
        self._used.add(text)
        if field != "context" or example.context_key is None:
            return self._rows.get(text, [])
        return self._contexts.setdefault(example.context_key, self._rows.get(text, []))

    def left(self) -> set[tuple[int, str]]:
        """Return the texts of the ledger that no example has."""
        return set(self._rows) - self._used


def _pairs(source: NativeFile, attacked: NativeFile) -> Iterator[tuple[Example, Example]]:
    for number, (clean, after) in enumerate(zip_longest(source.examples(), attacked.examples())):
        if clean is None or after is None:
            found = "more than in the clean file" if clean is None else number
            _same(attacked.path, "examples:", found, "as many as in the clean file")
        yield clean, after


def _check_example(task: Task, clean: Example, after: Example, ledger: _Ledger, folder: Path) -> None:
    place = f"{folder.name}: example {clean.row} (id {clean.id})"
    edits: dict[str, list[Edit]] = {}
    for field in task.fields:
        rows = ledger.of(clean, field)
        edits[field] = list(map(edit_of, rows))
        _check_text(f"{place}, {field}", token_text(clean.fields[field]), token_text(after.fields[field]), rows)
    expected = follow(task, clean, after.fields, edits)
    for name in ("label", "answers", "plausible", "answerable"):
        _same(f"{place}, {name}", name, getattr(after, name), getattr(expected, name))


def _check_text(place: str, clean: str, after: str, rows: list[LedgerRow]) -> None:
    try:
        forward = apply_edits(clean, list(map(edit_of, rows)))
        backward = apply_edits(after, list(map(undoing_edit_of, rows)))
    except ValueError as error:
        found, expected = f"an edit that does not fit: {error}", "the text that the ledger was written for"
        raise InputError(place, found=found, expected=expected, fix=_FIX) from None
    _same(place, "attacked text", repr(after), repr(forward))
    _same(place, "text after undoing the edits", repr(backward), repr(clean))
    for row in rows:
        _check_words(place, clean, after, row)


def _check_words(place: str, clean: str, after: str, row: LedgerRow) -> None:
    """Check that the ledger's words hold the edit and are where it says, and that none is empty, split or joined.

    White space is that of the operators which put it into a word, or take it from between two.
    """
    spaces = WHITE_SPACE.get(row["operator"], (0, 0))
    for text, start, word, part, allowed in (
        (clean, row["start_clean"], row["word_before"], row["removed"], spaces[0]),
        (after, row["start_attacked"], row["word_after"], row["inserted"], spaces[1]),
    ):
        window = text[max(0, start - len(word)) : start + len(word) + len(part)]
        fits = bool(word) and word in window and part in word and sum(map(str.isspace, word)) == allowed
        _same(f"{place}, word {row['word']}", "word", repr(word if fits else window), repr(word))


def _check_bytes(task: Task, source: NativeFile, attacked: NativeFile, ledger: _Ledger) -> None:
    """Replay the ledger on the bytes of both files: clean to attacked, and (where the clean source is a file) back."""
    forward = _replayed(task, source, attacked, ledger, edit_of)
    what = "bytes other than the ledger makes of the clean file"
    _same(attacked.path, what, forward, sha256_file(attacked.path))
    # A folder of trees is written as columns, and no library writes the bytes of another's Parquet file again.
    if source.path.is_file() and source.path.suffix != ".parquet":
        backward = _replayed(task, attacked, source, ledger, undoing_edit_of)
        what = "bytes that undoing the ledger does not turn into the clean file"
        _same(attacked.path, what, backward, sha256_file(source.path))


def _replayed(
    task: Task, source: NativeFile, target: NativeFile, ledger: _Ledger, edit: Callable[[LedgerRow], Edit]
) -> str:
    """Return the SHA-256 of `source` written again with the edits that the ledger has for its texts."""
    digest = hashlib.sha256()

    def examples() -> Iterator[Attacked]:
        for before, after in zip(source.examples(), target.examples(), strict=True):
            yield Attacked(after, {field: list(map(edit, ledger.of(before, field))) for field in task.fields})

    blocks = attacked_blocks(source.blocks(), examples())
    source.rewrite(cast(BinaryIO, SimpleNamespace(write=digest.update)), blocks)
    return digest.hexdigest()

"""Showing attacked examples: the pieces of each text with what was removed and inserted marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from robustbench_char.attack_sets.manifest import Manifest, read_manifest
from robustbench_char.attack_sets.replay import read_ledger
from robustbench_char.attacks.ledger import LedgerRow, rows_by_text, undoing_edit_of
from robustbench_char.common import InputError
from robustbench_char.tasks.base import Example, token_text
from robustbench_char.tasks.formats import open_native
from robustbench_char.text.edits import Edit, apply_edits, unchanged

__all__ = ["Shown", "shown_examples", "undone_texts"]


class Piece(NamedTuple):
    """A stretch of text: as it was, removed by the attack, or inserted by it."""

    kind: Literal["same", "removed", "inserted"]
    text: str


class Shown(NamedTuple):
    """One attacked text of an example, ready to print."""

    row: int
    id: str
    field: str
    clean: str
    pieces: tuple[Piece, ...]


def shown_examples(folder: str | Path, *, count: int = 10, only_edited: bool = True) -> list[Shown]:
    """Return the first texts of an attacked set (by default those with edits), in file order.

    Raises InputError for a folder that is not an attacked set, and where ledger and file disagree.

    >>> from robustbench_char.attack_sets.attack import attack_file
    >>> made = attack_file("cola", data="mini", suite="drop", output="attacked")
    >>> (first,) = shown_examples("attacked", count=1)
    >>> {kind for kind, text in first.pieces} == {"same", "removed"}
    True
    """
    return list(islice(_shown(Path(folder), only_edited), count))


def _shown(folder: Path, only_edited: bool) -> Iterator[Shown]:
    for example, field, clean, attacked, rows in undone_texts(folder, read_manifest(folder)):
        if rows or not only_edited:
            pieces = tuple(_pieces(attacked, list(map(undoing_edit_of, rows))))
            yield Shown(example.row, example.id, field, clean, pieces)


def undone_texts(
    folder: Path, manifest: Manifest, examples: Iterable[Example] | None = None
) -> Iterator[tuple[Example, str, str, str, list[LedgerRow]]]:
    """Yield of each text of an attacked set its example, field, clean and attacked text, and its rows of the ledger.

    `examples` are the first ones, where they were read already. Raises InputError where ledger and file disagree.
    """
    ledger = rows_by_text(read_ledger(folder))
    if examples is None:
        examples = open_native(manifest.task_record, folder / manifest.output.name).examples()
    for example in examples:
        for field in manifest.fields:
            rows, attacked = ledger.get((example.row, field), []), token_text(example.fields[field])
            try:
                clean = apply_edits(attacked, list(map(undoing_edit_of, rows)))
            except ValueError as error:
                raise InputError(
                    f"{folder}: example {example.row}, {field}",
                    found=f"a text that is not that of the ledger ({error})",
                    expected="the attacked set as it was written",
                    fix="`robustbench-char verify` says what was altered; run the attack again.",
                ) from None
            yield example, field, clean, attacked, rows


def _pieces(attacked: str, undoing: Sequence[Edit]) -> Iterator[Piece]:
    """Cut an attacked text at its edits; each edit gives what it removed, then what it inserted."""
    first, *rest = unchanged(attacked, undoing)
    pieces = [Piece("same", first)]
    for edit, stretch in zip(undoing, rest, strict=True):
        pieces += [Piece("removed", edit.inserted), Piece("inserted", edit.removed), Piece("same", stretch)]
    return (piece for piece in pieces if piece.text)

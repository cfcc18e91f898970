"""Showing attacked examples: the pieces of each text with what was removed and inserted marked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from robustbench_char.attack_sets.manifest import Manifest, read_manifest
from robustbench_char.attack_sets.verify import LedgerRow, read_ledger
from robustbench_char.attacks.ledger import apply_to_text
from robustbench_char.common import InputError
from robustbench_char.tasks.base import token_text
from robustbench_char.tasks.formats import open_native

__all__ = ["Piece", "Shown", "marked_pieces", "shown_examples"]


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
    label: str


def marked_pieces(attacked: str, edits: list[LedgerRow]) -> Iterator[Piece]:
    """Cut an attacked text at its edits; each edit gives what it removed, then what it inserted."""
    position = 0
    for edit in edits:
        start = edit["start_attacked"]
        parts = (
            Piece("same", attacked[position:start]),
            Piece("removed", edit["removed"]),
            Piece("inserted", edit["inserted"]),
        )
        yield from (part for part in parts if part.text)
        position = start + len(edit["inserted"])
    if attacked[position:]:
        yield Piece("same", attacked[position:])


def shown_examples(folder: Path, *, count: int = 10, only_edited: bool = True) -> list[Shown]:
    """Return the first texts of an attacked set (by default those with edits), in file order.

    Raises InputError for a folder that is no attacked set, and where ledger and file disagree.
    """
    manifest = read_manifest(folder)
    edits: dict[tuple[int, str], list[LedgerRow]] = {}
    for row in read_ledger(folder).to_pylist():
        edits.setdefault((row["row"], row["field"]), []).append(row)
    return list(islice(_shown(folder, manifest, edits, only_edited), count))


def _shown(
    folder: Path, manifest: Manifest, edits: dict[tuple[int, str], list[LedgerRow]], only_edited: bool
) -> Iterator[Shown]:
    for example in open_native(manifest.task_record, folder / manifest.output.name).examples():
        label = " ".join(example.label) if isinstance(example.label, tuple) else example.label or ""
        for field in manifest.fields:
            rows = edits.get((example.row, field), [])
            if rows or not only_edited:
                attacked = token_text(example.fields[field])
                clean = _undone(f"{folder}: example {example.row}, {field}", attacked, rows)
                yield Shown(example.row, example.id, field, clean, tuple(marked_pieces(attacked, rows)), label)


def _undone(place: str, attacked: str, rows: list[LedgerRow]) -> str:
    try:
        return apply_to_text(attacked, ((row["start_attacked"], row["inserted"], row["removed"]) for row in rows))
    except ValueError as error:
        raise InputError(
            place,
            found=f"a text that is not that of the ledger ({error})",
            expected="the attacked set as it was written",
            fix="`robustbench-char verify` says what was altered; run the attack again.",
        ) from None

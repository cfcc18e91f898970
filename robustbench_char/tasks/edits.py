"""Edits of one text: applying them, and where a position of the clean text lies afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from robustbench_char.tasks.base import Edit

__all__ = ["apply_edits", "in_order", "moved_end", "moved_start"]


def in_order(edits: Sequence[Edit]) -> list[Edit]:
    """Return the edits from left to right, an insertion before a replacement that starts where it stands.

    Raises ValueError where two of them overlap.
    """
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.start + len(edit.removed)))
    for before, after in pairwise(ordered):
        if before.start + len(before.removed) > after.start:
            raise ValueError(f"edits at {before.start} and {after.start} overlap")
    return ordered


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """Return the text after the edits. Raises ValueError where they overlap or remove what is not there."""
    pieces, position = [], 0
    for edit in in_order(edits):
        if not text.startswith(edit.removed, edit.start) or edit.start > len(text):
            raise ValueError(f"an edit removes {edit.removed!r} at {edit.start}, where the text has something else")
        pieces += [text[position : edit.start], edit.inserted]
        position = edit.start + len(edit.removed)
    return "".join([*pieces, text[position:]])


def moved_start(position: int, edits: Sequence[Edit]) -> int:
    """Return where a span that began at `position` begins after the edits.

    An insertion exactly there lies before the span; an edit that straddles the place is taken into the span.
    """
    shift = 0
    for edit in edits:
        if edit.start + len(edit.removed) <= position:
            shift += len(edit.inserted) - len(edit.removed)
        elif edit.start < position:
            shift += edit.start - position
    return position + shift


def moved_end(position: int, edits: Sequence[Edit]) -> int:
    """Return where a span that ended at `position` ends after the edits.

    An insertion exactly there lies behind the span; an edit that straddles the place is taken into the span.
    """
    shift = 0
    for edit in edits:
        if edit.start >= position:
            continue
        shift += len(edit.inserted) - len(edit.removed)
        shift += max(0, edit.start + len(edit.removed) - position)
    return position + shift

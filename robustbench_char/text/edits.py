"""Edits of one text: applying and undoing them, and where a position of the clean text is afterwards.

`attacks.engine.apply_edits` does the same for a whole column at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

__all__ = ["Edit", "Moves", "apply_edits", "distance", "in_order", "unchanged"]


class Edit(NamedTuple):
    """One replacement in one text, in code points of that text.

    `inserted_source` is the spelling to write into the native file where that is not `inserted` itself: undoing an edit
    puts back a JSON escape such as `\\u00e9` as it stood.
    """

    start: int
    removed: str
    inserted: str
    inserted_source: str | None = None


@lru_cache(maxsize=65_536)
def distance(before: str, after: str) -> int:
    """Return the Levenshtein distance: the fewest characters inserted, deleted or substituted (a swap is two)."""
    row = list(range(len(after) + 1))
    for number, old in enumerate(before, start=1):
        left, diagonal = number, row[0]
        row[0] = number
        for column, new in enumerate(after, start=1):
            left = min(left + 1, row[column] + 1, diagonal + (old != new))
            diagonal, row[column] = row[column], left
    return row[-1]


def in_order(edits: Iterable[Edit]) -> list[Edit]:
    """Return the edits from left to right, an insertion before a replacement that starts at the same position."""
    return sorted(edits, key=lambda edit: (edit.start, edit.start + len(edit.removed)))


def unchanged(text: str, edits: Sequence[Edit]) -> list[str]:
    """Return the stretches of a text around its `k` edits, which are in order: `k + 1` strings, some of them empty.

    Raises ValueError for an edit that overlaps the one before it, or removes what is not there.
    """
    stretches, end = [], 0
    for start, removed, *_ in edits:
        if start < end:
            raise ValueError(f"the edit at {start} overlaps the one before it")
        if start > len(text):
            raise ValueError(f"the edit at {start} is beyond the end of the text")
        if not text.startswith(removed, start):
            raise ValueError(f"the text at {start} is {text[start : start + len(removed)]!r}, not {removed!r}")
        stretches.append(text[end:start])
        end = start + len(removed)
    return [*stretches, text[end:]]


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """Return the text after its edits, which are in order. Raises ValueError as `unchanged` does.

    To undo them, apply edits with `removed` and `inserted` exchanged, at their starts in the edited text.
    """
    first, *rest = unchanged(text, edits)
    return first + "".join(edit.inserted + stretch for edit, stretch in zip(edits, rest, strict=True))


class Moves:
    """Where positions of a text are after its edits, of which none overlaps another."""

    def __init__(self, edits: Iterable[Edit]) -> None:
        ordered = in_order(edits)
        self._starts = [edit.start for edit in ordered]
        self._ends = [edit.start + len(edit.removed) for edit in ordered]
        self._shifts = list(accumulate((len(edit.inserted) - len(edit.removed) for edit in ordered), initial=0))

    @classmethod
    def of_columns(cls, starts: list[int], ends: list[int], shifts: list[int]) -> Moves:
        """Return the moves of `k` edits in order; `shifts`: how far what is before each, and behind the last, moves."""
        moves = cls(())
        moves._starts, moves._ends, moves._shifts = starts, ends, shifts
        return moves

    def start(self, position: int) -> int:
        """Return where a span that began at `position` begins.

        An insertion exactly there is before the span; an edit that straddles the position is taken into the span.
        """
        after = bisect_right(self._ends, position)
        straddling = self._starts[after : after + 1]
        return min([position, *straddling]) + self._shifts[after]

    def end(self, position: int) -> int:
        """Return where a span that ended at `position` ends.

        An insertion exactly there is behind the span; an edit that straddles the position is taken into the span.
        """
        after = bisect_left(self._starts, position)
        straddling = self._ends[max(after - 1, 0) : after]
        return max([position, *straddling]) + self._shifts[after]

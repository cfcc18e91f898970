"""A text with some of its words replaced, which knows where each span of it stood in the text as given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Correction", "each_once", "match_case", "replaced"]

Ints = NDArray[np.int64]
H = TypeVar("H", bound=Hashable)
R = TypeVar("R")


@dataclass(frozen=True)
class Correction:
    """A corrected text. All positions are in code points.

    `text` is the corrected one, `given` what it was made from. `starts`, `ends` [R]: where the replaced words stood in
    `given`; `new_starts`, `new_ends` [R]: where their replacements stand in `text`. All in order, none empty.
    """

    text: str
    given: str
    starts: Ints
    ends: Ints
    new_starts: Ints
    new_ends: Ints

    def to_given(self, start: ArrayLike, end: ArrayLike) -> tuple[Ints, Ints]:
        """Map spans of the corrected text to the text as given; arrays of equal shape, half-open spans.

        A span that touches a replaced word covers the whole given word; -1, which stands for no position, stays. Raises
        ValueError for a position beyond the text.
        """
        first, last = np.asarray(start, np.int64), np.asarray(end, np.int64)
        if max(first.max(initial=-1), last.max(initial=-1)) > len(self.text):
            raise ValueError(f"a span ends beyond the corrected text of {len(self.text)} characters")
        begin = self._mapped(first, np.searchsorted(self.new_ends, first, side="right"), at_start=True)
        stop = self._mapped(last, np.searchsorted(self.new_ends, last, side="left"), at_start=False)
        return np.where(first < 0, first, begin)[()], np.where(last < 0, last, stop)[()]

    def _mapped(self, positions: Ints, word: NDArray[np.intp], *, at_start: bool) -> Ints:
        """Map positions; `word` is the first replacement that ends after each (or at it, for the end of a span)."""
        if not len(self.starts):
            return positions
        growth = np.append(self.new_starts - self.starts, self.new_ends[-1] - self.ends[-1])
        near = np.minimum(word, len(self.starts) - 1)
        begun = self.new_starts[near] <= positions if at_start else self.new_starts[near] < positions
        whole = self.starts[near] if at_start else self.ends[near]
        return np.where((word < len(self.starts)) & begun, whole, positions - growth[word])


def replaced(given: str, spans: Sequence[tuple[int, int]], words: Sequence[str]) -> Correction:
    """Replace the words at `spans` (in order, apart) by `words` where they differ; all else stays as it is."""
    changed = [(start, end, word) for (start, end), word in zip(spans, words, strict=True) if given[start:end] != word]
    parts, position = [], 0
    for start, end, word in changed:
        parts += [given[position:start], word]
        position = end
    starts = np.array([start for start, _, _ in changed], np.int64)
    ends = np.array([end for _, end, _ in changed], np.int64)
    lengths = np.array([len(word) for _, _, word in changed], np.int64)
    growth = np.cumsum(lengths - (ends - starts))
    new_ends = ends + growth
    return Correction("".join([*parts, given[position:]]), given, starts, ends, new_ends - lengths, new_ends)


def each_once(function: Callable[[Sequence[H]], Sequence[R]], values: Sequence[H]) -> list[R]:
    """Return what a function makes of each value, given all of them in one call, equal ones once."""
    distinct = list(dict.fromkeys(values))
    made = dict(zip(distinct, function(distinct), strict=True))
    return [made[value] for value in values]


def match_case(word: str, given: str) -> str:
    """Return `word` in the pattern of capitals of `given`: all, the first, or none; the same word stays as given."""
    if word.lower() == given.lower():
        return given
    if given.isupper() and len(given) > 1:
        return word.upper()
    return word[:1].title() + word[1:] if given[:1].isupper() else word

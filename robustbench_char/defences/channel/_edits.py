"""Which one or two edits turn a known word into a word as given.

An edit concerns one character, or two neighbours: drop, add, swap, replace. The first edit is where the words first
differ; what is left must be equal, or differ by one more edit.

Shape legend: P pairs of a known word and a word as given, L characters of the longest, E edits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from robustbench_char.defences.channel._index import Spelled

__all__ = ["OPERATORS", "Edits", "parsed"]

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Bools = NDArray[np.bool_]

OPERATORS = ("drop", "add", "swap", "replace")
DROP, ADD, SWAP, REPLACE = range(4)
_TAKEN, _WRITTEN = np.array([1, 0, 2, 1]), np.array([0, 1, 2, 1])
"""How many characters of the known word an operator takes, and of the word as given it writes."""


@dataclass(frozen=True)
class Edits:
    """`E` edits. `pair` [E]: of which reading of a pair (one of two edits stands twice); `at`: the position in the
    known word. `old`, `new`: the characters taken and written, `left`: the known one before them; 0 for none.
    """

    pair: Ints
    operator: Ints
    at: Ints
    old: Codes
    new: Codes
    left: Codes

    def take(self, rows: Ints) -> Edits:
        """Return some of the edits."""
        return Edits(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, *parts: Edits) -> Edits:
        """Return the edits of several parts, one after another."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def numbered(self, pair: Ints) -> Edits:
        """Return the edits as those of other readings."""
        return Edits(pair, self.operator, self.at, self.old, self.new, self.left)


def parsed(known: Spelled, given: Spelled, edits: int) -> tuple[Ints, Edits]:
    """Return the readings of pairs [P] as exactly `edits` (1 or 2) edits: the pair of each, and their edits.

    A pair that one edit explains is not read as two; equal words have no reading.
    """
    pairs = _Pairs(known, given)
    rows, still = np.arange(pairs.number), np.zeros(pairs.number, np.int64)
    first = pairs.edits(rows, pairs.differs(rows, still, still), still)
    done = pairs.same_after(rows, first, still)
    if edits == 1:
        one = first.take(np.flatnonzero(done))
        return one.pair, one.numbered(np.arange(len(one.pair)))
    single = np.zeros(pairs.number, np.bool_)
    single[first.pair[done]] = True
    first = first.take(np.flatnonzero(~single[first.pair]))
    shift = (_WRITTEN - _TAKEN)[first.operator]
    second = pairs.edits(first.pair, pairs.differs(first.pair, first.at + _TAKEN[first.operator], shift), shift)
    second = second.take(np.flatnonzero(pairs.same_after(first.pair, second, shift)))
    first, number = first.take(second.pair), np.arange(len(second.pair))
    return first.pair, Edits.joined(first.numbered(number), second.numbered(number))


class _Pairs:
    """Pairs of words side by side. A shift is how much further on the word as given stands than the known one."""

    def __init__(self, known: Spelled, given: Spelled) -> None:
        wide = int(max(known.lengths.max(initial=0), given.lengths.max(initial=0))) + 1
        self.number, self._wide = len(known.lengths), wide
        self._known, self._given = known.forward[:, :wide], given.forward[:, :wide]
        self._lengths = known.lengths, given.lengths
        differ = known.backward[:, :wide] != given.backward[:, :wide]
        self._suffix = np.where(differ.any(axis=1), differ.argmax(axis=1), wide)
        self._tables: dict[int, NDArray[np.int8]] = {}

    def differs(self, rows: Ints, at: Ints, shift: Ints) -> Ints:
        """Return where in the known word, from `at` on, pairs next differ under shifts (-1 to 1); the width: never."""
        result = np.full(len(at), self._wide)
        for one in np.unique(shift).tolist():
            chosen = np.flatnonzero((shift == one) & (at < self._wide))
            result[chosen] = self._next(one)[rows[chosen], at[chosen]]
        return result

    def _next(self, shift: int) -> NDArray[np.int8]:
        """Return for each position the next at which the words differ [P, L]."""
        if shift not in self._tables:
            given = np.zeros_like(self._given)
            given[:, max(0, -shift) : self._wide - max(0, shift)] = self._given[
                :, max(0, shift) : self._wide - max(0, -shift)
            ]
            places = np.where(self._known != given, np.arange(self._wide, dtype=np.int8), np.int8(self._wide))
            self._tables[shift] = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
        return self._tables[shift]

    def edits(self, rows: Ints, at: Ints, shift: Ints) -> Edits:
        """Return the edits, up to four for each of `rows` [R], that may stand at places in the known words [R].

        `pair` counts in `rows`.
        """
        open_ = np.flatnonzero(at < self._wide)
        row, here, there = rows[open_], at[open_], at[open_] + shift[open_]
        old, new = self._at(self._known, row, here), self._at(self._given, row, there)
        swapped = (old == self._at(self._given, row, there + 1)) & (new == self._at(self._known, row, here + 1))
        both = (old > 0) & (new > 0)
        which = [np.flatnonzero(fits) for fits in (old > 0, new > 0, both & swapped, both)]
        operator, chosen = np.repeat(np.arange(len(which)), list(map(len, which))), np.concatenate(which)
        return Edits(
            open_[chosen],
            operator,
            here[chosen],
            np.where(operator == ADD, 0, old[chosen]).astype(np.uint32),
            np.where(operator == DROP, 0, new[chosen]).astype(np.uint32),
            self._at(self._known, row[chosen], here[chosen] - 1),
        )

    def same_after(self, rows: Ints, edits: Edits, shift: Ints) -> Bools:
        """Return which edits of `rows`, where the words had shifts [R], leave nothing but equal ends."""
        row = rows[edits.pair]
        known = self._lengths[0][row] - edits.at - _TAKEN[edits.operator]
        given = self._lengths[1][row] - edits.at - shift[edits.pair] - _WRITTEN[edits.operator]
        return np.asarray((known == given) & (self._suffix[row] >= known))

    def _at(self, table: Codes, row: Ints, place: Ints) -> Codes:
        inside = (place >= 0) & (place < self._wide)
        return np.where(inside, table[row, np.where(inside, place, 0)], 0).astype(table.dtype)

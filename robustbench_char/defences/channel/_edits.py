"""Which one or two edits turn a known word into a word as given.

An edit concerns one character, or two neighbours: drop, add, swap, replace. The first edit is where the words first
differ; what is left must be equal, or differ by one more edit.

Shape legend: P pairs of a known word and a word as given, L characters, E edits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["OPERATORS", "Edits", "parsed"]

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]

OPERATORS = ("drop", "add", "swap", "replace")
DROP, ADD, SWAP, REPLACE = range(4)
_TAKEN = np.array([1, 0, 2, 1])
_WRITTEN = np.array([0, 1, 2, 1])
"""How many characters of the known word an operator takes, and of the word as given it writes."""


@dataclass(frozen=True)
class Edits:
    """`E` edits. `pair` [E]: of which reading of a pair (one that takes two edits stands twice); `at`: the position in
    the known word. `old`, `new`: the characters taken and written, `left`: the one before them; 0 for none.
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


def parsed(known: Codes, given: Codes, most: int) -> tuple[Ints, Edits]:
    """Return the readings of pairs [P, L] as at most `most` (1 or 2) edits: the pair of each, and their edits.

    A pair that one edit explains is not read as two; equal words have no reading.
    """
    first, rest, after = _first_edits(known, given)
    done = (rest == after).all(axis=1)
    one = first.take(np.flatnonzero(done))
    readings, edits = one.pair, one.numbered(np.arange(len(one.pair)))
    if most < 2:
        return readings, edits
    single = np.zeros(len(known), np.bool_)
    single[one.pair] = True
    open_ = np.flatnonzero(~done & ~single[first.pair])
    second, rest, after = _first_edits(rest[open_], after[open_])
    ended = np.flatnonzero((rest == after).all(axis=1))
    second = second.take(ended)
    first = first.take(open_[second.pair])
    numbers = len(readings) + np.arange(len(ended))
    at = first.at + _TAKEN[first.operator] + second.at
    moved = Edits(numbers, second.operator, at, second.old, second.new, _at(known[first.pair], at - 1))
    return np.concatenate([readings, first.pair]), Edits.joined(edits, first.numbered(numbers), moved)


def _first_edits(known: Codes, given: Codes) -> tuple[Edits, Codes, Codes]:
    """Return the edits that may come first (up to four of a pair), and what follows each in both words."""
    differ = known != given
    prefix = np.where(differ.any(axis=1), differ.argmax(axis=1), -1)
    here, beside = _at(known, prefix), _at(known, prefix + 1)
    there, beyond = _at(given, prefix), _at(given, prefix + 1)
    unequal = prefix >= 0
    some, given_more = unequal & (here > 0), unequal & (there > 0)
    fits = [some, given_more, some & given_more & (here == beyond) & (beside == there), some & given_more]
    rows = np.concatenate([np.flatnonzero(fit) for fit in fits])
    operator = np.repeat(np.arange(len(fits)), [int(fit.sum()) for fit in fits])
    old, new = np.where(operator == ADD, 0, here[rows]), np.where(operator == DROP, 0, there[rows])
    left = _at(known, prefix - 1)[rows]
    edits = Edits(rows, operator, prefix[rows], old.astype(np.uint32), new.astype(np.uint32), left)
    rest = _shifted(known[rows], prefix[rows] + _TAKEN[operator])
    return edits, rest, _shifted(given[rows], prefix[rows] + _WRITTEN[operator])


def _shifted(table: Codes, by: Ints) -> Codes:
    """Return rows moved to the left by numbers of places, filled up with 0."""
    columns = np.arange(table.shape[1]) + by[:, None]
    inside = columns < table.shape[1]
    return np.where(inside, np.take_along_axis(table, np.where(inside, columns, 0), axis=1), 0).astype(table.dtype)


def _at(table: Codes, place: Ints) -> Codes:
    inside = (place >= 0) & (place < table.shape[1])
    return np.where(inside, table[np.arange(len(table)), np.where(inside, place, 0)], 0).astype(table.dtype)

"""Which known words may be one or two edits away from a word: a deletion index (Garbe 2012) in flat arrays.

Words are at most `k` edits apart only if both become equal after at most `k` deletions each. A word is hashed by a sum
over its characters, so that the hashes of all its deletions come from running sums. Words that share a hash are only
candidates: `_edits.parsed` says which are edits.

Shape legend: W words, L characters, D deletions of all words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_char.text.columns import ranges

__all__ = ["LONGEST", "DeletionIndex", "Spelled"]

Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]
Hashes = NDArray[np.uint64]
Bools = NDArray[np.bool_]

LONGEST = 24
"""The longest word that is corrected, or is a candidate."""
_FACTORS = np.random.Generator(np.random.PCG64(0)).integers(1, 2**63, LONGEST + 2, np.uint64) * 2 + 1
_BITS = np.uint64(64)


class Spelled(NamedTuple):
    """Characters of words, forward and backward [W, LONGEST + 1], filled up with 0, and their lengths [W].

    Longer words have none.
    """

    forward: Codes
    backward: Codes
    lengths: Ints

    @classmethod
    def of(cls, words: Sequence[str]) -> Spelled:
        """Spell words out."""
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        lengths[lengths > LONGEST] = 0
        kept = "".join(word for word, length in zip(words, lengths.tolist(), strict=True) if length)
        codes = np.frombuffer(kept.encode("utf-32-le"), np.uint32)
        rows, places = np.repeat(np.arange(len(words)), lengths), ranges(np.zeros_like(lengths), lengths)
        forward, backward = (np.zeros((len(words), LONGEST + 1), np.uint32) for _ in range(2))
        forward[rows, places] = codes
        backward[rows, np.repeat(lengths, lengths) - 1 - places] = codes
        return cls(forward, backward, lengths)

    def take(self, rows: Ints) -> Spelled:
        """Return some of the words."""
        return Spelled(self.forward[rows], self.backward[rows], self.lengths[rows])

    def only(self, rows: Bools) -> Spelled:
        """Return all words, those that are not chosen without characters."""
        return self._replace(lengths=np.where(rows, self.lengths, 0))


def _deletions(words: Spelled, most: int) -> tuple[Hashes, Ints]:
    """Return the hashes of words with up to `most` (1 or 2) characters deleted [D], and the word of each [D]."""
    hashes, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for length in np.unique(words.lengths[words.lengths > 0]).tolist():
        rows = np.flatnonzero(words.lengths == length)
        codes = words.forward[rows, :length].astype(np.uint64)
        sums = [_running(codes, shift) for shift in range(most + 1)]
        first = np.arange(length)
        found = [sums[0][:, -1:]]
        if length > 1:
            found.append(sums[0][:, first] + _beyond(sums[1], first))
        if most > 1 and length > 2:
            first, second = np.triu_indices(length, 1)
            between = sums[1][:, second] - sums[1][:, first + 1]
            found.append(sums[0][:, first] + between + _beyond(sums[2], second))
        hashes += [part.ravel() for part in found]
        owners += [np.repeat(rows, part.shape[1]) for part in found]
    return np.concatenate(hashes), np.concatenate(owners)


def _running(codes: Hashes, shift: int) -> Hashes:
    """Return running sums [W, L + 1] of what characters add to a hash `shift` places further to the left."""
    sums = np.zeros((len(codes), codes.shape[1] + 1), np.uint64)
    np.cumsum((codes + np.uint64(7)) ** 2 * _FACTORS[2 - shift : codes.shape[1] + 2 - shift], axis=1, out=sums[:, 1:])
    return sums


def _beyond(sums: Hashes, place: Ints) -> Hashes:
    return sums[:, -1:] - sums[:, place + 1]


@dataclass(frozen=True)
class DeletionIndex:
    """The deletions of words with at most `most` characters deleted, in order of their hash; `starts[b]` is the first
    whose upper `bits` are `b`.
    """

    most: int
    hashes: Hashes
    owners: NDArray[np.int32]
    starts: NDArray[np.int32]
    bits: int

    @classmethod
    def of(cls, words: Spelled, most: int) -> DeletionIndex:
        """Index words; those of length 0 are left out."""
        hashes, owners = _deletions(words, most)
        order = np.argsort(hashes, kind="stable")
        bits = max(8, len(hashes).bit_length())
        buckets = np.arange(2**bits + 1, dtype=np.uint64)
        starts = np.searchsorted(hashes[order] >> (_BITS - np.uint64(bits)), buckets)
        return cls(most, hashes[order], owners[order].astype(np.int32), starts.astype(np.int32), bits)

    def matches(self, words: Spelled) -> tuple[Ints, Ints]:
        """Return pairs of a word asked for and an indexed one that share a deletion, each pair once, in order."""
        hashes, asked = _deletions(words, self.most)
        bucket = (hashes >> (_BITS - np.uint64(self.bits))).astype(np.int64)
        start = self.starts[bucket].astype(np.int64)
        number = self.starts[bucket + 1] - start
        at = ranges(start, number)
        same = self.hashes[at] == np.repeat(hashes, number)
        pairs = np.sort(np.repeat(asked, number)[same] << 32 | self.owners[at[same]])
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
        return pairs >> 32, pairs & 0xFFFFFFFF

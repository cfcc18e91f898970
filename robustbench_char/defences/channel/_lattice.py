"""The candidates of open words between the words that are certain: the best path, and how likely each candidate is.

A run of open words between two certain ones does not depend on the rest of its sentence. Viterbi 1967; Rabiner 1989.

Shape legend: N words of all sentences, M open words, K candidates of one at most, R runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustbench_char.defences.channel.lexicon import Lexicon

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NEVER = -1e30


class Lattice:
    """`ids` [M, K]: the candidates of the open words (-1: none). Of the first, the word as given, `given` [N] says more
    than `ids`: it may be a class.
    """

    def __init__(self, lexicon: Lexicon, given: Ints, first: Bools, open_: Ints, ids: Ints) -> None:
        self.ids = ids
        begins = first[open_] | (np.diff(open_, prepend=-2) != 1)
        before = np.full_like(ids, -1)
        before[1:] = ids[:-1]
        before[begins] = -1
        at = open_[begins]
        before[begins, 0] = np.where(first[at], 0, given[at - 1])
        self._ways = np.full((len(ids), ids.shape[1], ids.shape[1]), _NEVER)
        word, old, new = np.nonzero((before[:, :, None] >= 0) & (ids[:, None, :] >= 0))
        self._steps = word, old, new
        self._follows = lexicon.log_follows(before[word, old], ids[word, new])
        self._after = self._onward(lexicon, given, first, open_, begins)
        starts = np.flatnonzero(begins)
        lengths = np.diff(starts, append=len(ids))
        starts, lengths = (one[np.argsort(-lengths, kind="stable")] for one in (starts, lengths))
        self._columns = [starts[: int((lengths > time).sum())] + time for time in range(int(lengths.max(initial=0)))]

    def _onward(self, lexicon: Lexicon, given: Ints, first: Bools, open_: Ints, begins: Bools) -> Floats:
        """Return how likely the certain word after a run follows each candidate of its last word [M, K]."""
        after = np.zeros(self.ids.shape)
        last = np.flatnonzero(np.append(begins[1:], True)) if len(open_) else np.zeros(0, np.int64)
        following = open_[last] + 1
        last = last[(following < len(given)) & ~np.append(first, True)[following]]
        row, candidate = np.nonzero(self.ids[last] >= 0)
        old = self.ids[last[row], candidate]
        after[last[row], candidate] = lexicon.log_follows(old, given[open_[last[row]] + 1])
        return after

    def weigh(self, emissions: Floats, own: Floats, reused: Floats | None, share: float) -> None:
        """Set the log-probability of the words as given [M, K] and of new words' spellings [M, K].

        `reused` [M, K] is the probability that the file writes a candidate once more, which happens at `share`.
        """
        self._scores = np.where(self.ids >= 0, emissions + self._after, _NEVER)
        word, old, new = self._steps
        ways = self._follows + own[word, new]
        if reused is not None:
            ways = np.logaddexp(ways + np.log(1 - share), np.log(share * reused)[word, new])
        self._ways[word, old, new] = ways

    def best(self) -> Ints:
        """Return which candidate of each open word is on the best path [M]."""
        chosen, came = np.zeros(len(self.ids), np.int64), np.zeros(self.ids.shape, np.int64)
        total = np.zeros(self.ids.shape)
        before = np.zeros((self._widest, self.ids.shape[1]))
        for rows in self._columns:
            ways = before[: len(rows), :, None] + self._ways[rows]
            came[rows] = ways.argmax(axis=1)
            total[rows] = before = ways.max(axis=1) + self._scores[rows]
        after: Ints = np.zeros(0, np.int64)
        for rows in reversed(self._columns):
            pick = total[rows].argmax(axis=1)
            pick[: len(after)] = after
            chosen[rows] = pick
            after = came[rows, pick]
        return chosen

    def probabilities(self) -> Floats:
        """Return how likely each candidate is, given its sentence [M, K]; those of a word sum to 1."""
        forward, backward = np.zeros(self.ids.shape), np.zeros(self.ids.shape)
        before = np.zeros((self._widest, self.ids.shape[1]))
        for rows in self._columns:
            forward[rows] = before = _log_sum(before[: len(rows), :, None] + self._ways[rows], 1) + self._scores[rows]
        later: Ints = np.zeros(0, np.int64)
        for rows in reversed(self._columns):
            onward = self._ways[later] + (self._scores[later] + backward[later])[:, None, :]
            backward[rows[: len(later)]] = _log_sum(onward, 2)
            later = rows
        both = forward + backward
        share = np.exp(both - both.max(axis=1, keepdims=True)) * (self.ids >= 0)
        return np.asarray(share / share.sum(axis=1, keepdims=True))

    @property
    def _widest(self) -> int:
        return len(self._columns[0]) if self._columns else 0


def _log_sum(values: Floats, axis: int) -> Floats:
    top = values.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(values - top).sum(axis=axis)) + top.squeeze(axis))

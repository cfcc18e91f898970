"""All that a channel may make of the words of a sentence, whichever of several forms each of them has.

On the most likely path no word can be exchanged for one that is likelier between the same neighbours. So of a settled
channel a word becomes only what is the best one between some candidates of the words beside it. This bounds all
sentences of such forms at once, which are too many to read.

Shape legend: F forms, R of one word of the sentence, K candidates, P before and N after them, U distinct ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_char.defences.channel._reading import CANDIDATES, LEAST, REUSE, Known, Learnt, Reading
from robustbench_char.defences.channel.lexicon import CLASSES

__all__ = ["Column", "possible"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NEVER = -1e30
_ROUNDING = 1e-6
_FAR = -30.0
"""Log-probability of a spelling, above which it tells nothing that a file may write a word by `LEAST` once more."""


class Column(NamedTuple):
    """The `forms` that one word of a sentence may have; `loose`: or several words, which stand beside one another."""

    forms: Sequence[str]
    loose: bool = False


def possible(channel: Known, learnt: Learnt | None, columns: Sequence[Column]) -> list[dict[str, frozenset[str]]]:
    """Return all that each form of each word may become. Without what is `learnt`, these are all its candidates."""
    forms = list(dict.fromkeys(chain.from_iterable(column.forms for column in columns)))
    table = _Forms(channel, forms, learnt)
    numbers = {form: number for number, form in enumerate(forms)}
    rows = [np.array([numbers[form] for form in column.forms], np.int64) for column in columns]
    result = []
    for at, (column, own) in enumerate(zip(columns, rows, strict=True)):
        beside = [own] if column.loose else []
        before, after = ([*beside, *rows[side]] for side in (slice(max(0, at - 1), at), slice(at + 1, at + 2)))
        allowed = table.allowed(own, before, after, first=at == 0, last=at == len(columns) - 1) if learnt else None
        result.append(dict(zip(column.forms, table.become(own, allowed), strict=True)))
    return result


class _Forms(Reading):
    """Forms of words, each read as a sentence of its own: tables [F, K] of their candidates."""

    def __init__(self, channel: Known, forms: Sequence[str], learnt: Learnt | None) -> None:
        super().__init__(channel, [[form] for form in forms], learnt)
        self.ids: Ints = self._spread(self.lattice.ids, -1)
        self.ids[:, 0] = self._ids[self.tokens.which]
        self._shapes = self.tokens.shapes[self.tokens.which].astype(np.int64)
        self._scores = np.where(self.ids >= 0, self._spread(self._emissions(self.errors), 0.0), _NEVER)
        shapes = channel.lexicon.log_shape[np.maximum(self.ids, 0), self._shapes[:, None]]
        self._told = np.where(self.ids >= len(CLASSES), shapes, 0.0)
        self._new = self._spread(self._own, 0.0)
        self._again = self._spread(np.log(REUSE * self.reused), -np.inf) if learnt else self._new

    def _spread(self, values: NDArray[Any], rest: float) -> NDArray[Any]:
        """Return a table of forms [F, K] from one of open ones; the others have a `rest`."""
        table = np.full((len(self.tokens.which), CANDIDATES), rest, values.dtype)
        table[self.open] = values
        return table

    def allowed(self, rows: Ints, before: Sequence[Ints], after: Sequence[Ints], *, first: bool, last: bool) -> Bools:
        """Return which candidates are the best between some candidates of forms `before` and `after` [R, K]."""
        ids = self.ids[rows]
        known, which = np.unique(np.maximum(ids, 0), return_inverse=True)
        which = which.reshape(ids.shape)
        entries = np.unique(
            np.concatenate([np.zeros(int(first), np.int64), *(self.ids[one].ravel() for one in before)])
        )
        into = self._follows(entries[entries >= 0], known)[:, which] + self._new[rows] + np.log(1 - REUSE)
        into = np.logaddexp(into, self._again[rows])
        ends = np.zeros((int(last), len(known)))
        onward = np.concatenate([ends, *(self._onward(known, one) for one in after)])[:, which]
        allowed = np.zeros(ids.shape, np.bool_)
        for told in (self._scores[rows], self._scores[rows] + self._told[rows]):
            for way in into:
                total = onward + way + told
                allowed |= (total >= total.max(axis=-1, keepdims=True) - _ROUNDING).any(axis=0)
        return np.asarray(allowed & (ids >= 0))

    def _follows(self, first: Ints, second: Ints) -> Floats:
        """Return how likely each of `second` follows each of `first`, both distinct."""
        follows = self.channel.lexicon.log_follows(np.repeat(first, len(second)), np.tile(second, len(first)))
        return follows.reshape(len(first), len(second))

    def _onward(self, known: Ints, rows: Ints) -> Floats:
        """Return how likely candidates of forms `rows` follow `known` ones [N, U], as certain words and as open ones.

        What is the same for all of `known` is left out.
        """
        ids, new, again = self.ids[rows].ravel(), self._new[rows].ravel(), self._again[rows].ravel()
        mixed = np.isfinite(again) & ((new == 0) | (new < _FAR) | (again > np.log(REUSE * LEAST) + 1))
        plain = np.stack([ids, np.zeros(len(ids)), np.full(len(ids), -np.inf)], axis=1)
        steps = np.concatenate([plain, np.stack([ids, new, again], axis=1)[mixed]])
        steps = np.unique(steps[steps[:, 0] >= 0], axis=0)
        entries, which = np.unique(steps[:, 0].astype(np.int64), return_inverse=True)
        follows = self._follows(known, entries).T[which] + steps[:, 1:2] + np.log(1 - REUSE)
        return np.asarray(np.logaddexp(follows, steps[:, 2:]))

    def become(self, rows: Ints, allowed: Bools | None) -> list[frozenset[str]]:
        """Return what forms [R] may become: their `allowed` candidates [R, K], or all of them."""
        some = (self.ids[rows] >= 0) if allowed is None else allowed
        words = self.tokens.distinct.take(self.tokens.which[rows]).to_pylist()
        return [
            frozenset(
                word if rank == 0 else self.channel.spelled(int(ids[rank]), shape) for rank in np.flatnonzero(own)
            )
            for word, ids, own, shape in zip(words, self.ids[rows], some, self._shapes[rows].tolist(), strict=True)
        ]

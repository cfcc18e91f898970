"""How likely a spelling is for a new word: character n-grams, interpolated as Witten and Bell (1991) do.

New words are mostly names. What looks like one is not pulled to a known word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustbench_char.defences.channel._index import Spelled
from robustbench_char.defences.channel._letters import SIZE, symbols

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ORDER = 5
_BEFORE, _END = 62, 63
_BITS = 6


@dataclass(frozen=True)
class Spelling:
    """Counts of character n-grams: `keys` [n] in order (n-grams of one length are one range), `counts` [n]."""

    keys: tuple[Ints, ...]
    counts: tuple[Floats, ...]

    @classmethod
    def of(cls, words: Spelled, weights: Floats) -> Spelling:
        """Count the n-grams of words, each with a weight."""
        grams, inside = _grams(words)
        heavy = np.repeat(weights[:, None], inside.shape[1], axis=1)[inside]
        keys, counts = list[Ints](), list[Any]()
        for gram in grams:
            distinct, which = np.unique(gram[inside], return_inverse=True)
            keys.append(distinct)
            counts.append(np.bincount(which, weights=heavy))
        return cls(tuple(keys), tuple(counts))

    def log_probability(self, words: Spelled) -> Floats:
        """Return the log-probability of words [W]."""
        grams, inside = _grams(words)
        share = np.full(int(inside.sum()), 1 / SIZE)
        for keys, counts, gram in zip(self.keys, self.counts, grams, strict=True):
            context = keys >> _BITS
            first = np.flatnonzero(np.diff(context, prepend=-1))
            heads, totals = context[first], np.add.reduceat(counts, first)
            kinds = np.diff(first, append=len(keys))
            asked = gram[inside]
            seen = _look_up(keys, counts, asked)
            total, kind = _look_up(heads, totals, asked >> _BITS), _look_up(heads, kinds.astype(float), asked >> _BITS)
            known = total > 0
            share = np.where(known, (seen + kind * share) / np.where(known, total + kind, 1), share)
        result = np.zeros(inside.shape)
        result[inside] = np.log(share)
        return np.asarray(result.sum(axis=1))


def _look_up(keys: Ints, values: Floats, asked: Ints) -> Floats:
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], 0.0)


def _grams(words: Spelled) -> tuple[list[Ints], NDArray[np.bool_]]:
    """Return the n-grams that end at each character and the end of words [W, L], by length, and which there are."""
    own = symbols(words.forward)
    own[np.arange(len(own)), words.lengths] = _END
    before = np.full((len(own), ORDER - 1), _BEFORE, np.int64)
    line = np.concatenate([before, own], axis=1)
    grams, key = [], own
    for back in range(ORDER):
        if back:
            key = key + (line[:, ORDER - 1 - back : line.shape[1] - back] << (_BITS * back))
        grams.append(key)
    return grams, np.arange(own.shape[1]) <= words.lengths[:, None]

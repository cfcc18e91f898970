"""The lexicon: known words with their frequencies, what follows what, and how words are capitalised.

Shape legend: V entries, P pairs, U distinct words of the tokens asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from robustbench_char.defences.channel._words import SMALL, Tokens

__all__ = ["CLASSES", "Lexicon", "count_lexicon"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CLASSES = ("<start>", "<number>", "<new>", "<New>")
"""What the first entries stand for: the beginning of a sentence, numbers, new words without and with a capital."""
_START, _NUMBER, _NEW, _NEW_TITLE = range(4)
_DISCOUNT, _UNSEEN = 0.75, 1.0
"""What each count of a pair gives to pairs that were not seen, and what these have of each first word besides."""
_SHAPES, _SHAPE_PRIOR = np.array([0.8, 0.15, 0.05]), 2.0
"""Patterns of capitals before a word is seen, and how many words they count for."""
_FLOOR = 1e-9
"""What is added to each frequency, so that no entry is impossible."""
_NEW_SHARE = 0.002
"""How many words are new at least, without and with a capital: a list of frequencies does not tell."""


@dataclass(frozen=True)
class Lexicon:
    """`words` [V]: the classes, then known words in lower case, most frequent first. `frequency` [V]: counts. `shapes`
    [V, 3]: counts of small letters, a capital, all capitals, where capitals say something. `pairs` [P]: `first * V +
    second` of words that followed each other, in order; `pair_counts` [P]. `alone` [V]: what nothing but one place of
    the task's own texts has; such words are new ones where they are `hidden`.
    """

    words: pa.StringArray
    frequency: Floats
    shapes: Floats
    pairs: Ints
    pair_counts: Floats
    alone: Bools | None = None
    hidden: bool = False

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, tokens: Tokens) -> Ints:
        """Return the entry of each distinct word [U]: its own, or that of its class."""
        found = pc.index_in(tokens.lower, self.words).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        new = np.where(tokens.shapes == SMALL, _NEW, _NEW_TITLE)
        known = (found >= len(CLASSES)) & ~tokens.numbers & ~self.not_known[found]
        return np.where(known, found, np.where(tokens.numbers, _NUMBER, new))

    @cached_property
    def not_known(self) -> Bools:
        """Which entries are hidden [V]."""
        return self.alone if self.hidden and self.alone is not None else np.zeros(len(self), np.bool_)

    @cached_property
    def unigram(self) -> Floats:
        """The probability of each entry [V]."""
        return np.asarray((self.frequency + _FLOOR) / (self.frequency.sum() + _FLOOR * len(self)))

    @cached_property
    def log_unigram(self) -> Floats:
        """Its logarithm [V]."""
        return np.asarray(np.log(self.unigram))

    @cached_property
    def log_shape(self) -> Floats:
        """The log-probability of each pattern of capitals, by entry [V, 3]."""
        total = self.shapes.sum(axis=1, keepdims=True)
        return np.asarray(np.log((self.shapes + _SHAPE_PRIOR * _SHAPES) / (total + _SHAPE_PRIOR)))

    @cached_property
    def _history(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """How often each entry was followed by anything [V], and the discounts of all that followed it [V]."""
        first = self.pairs // len(self)
        total = np.bincount(first, weights=self.pair_counts, minlength=len(self))
        taken = np.bincount(first, weights=np.minimum(self.pair_counts, _DISCOUNT), minlength=len(self))
        return total + _UNSEEN, taken + _UNSEEN

    def log_follows(self, first: Ints, second: Ints) -> Floats:
        """Return the log-probability that `second` follows `first` (absolute discounting, Ney et al. 1994)."""
        total, left = (one[first] for one in self._history)
        key = first * len(self) + second
        order, at = np.argsort(key), np.empty_like(key)
        at[order] = np.searchsorted(self.pairs, key[order])  # in order, which memory is read in
        at = np.minimum(at, max(0, len(self.pairs) - 1))
        if len(self.pairs):
            seen = np.where(self.pairs[at] == key, np.maximum(self.pair_counts[at] - _DISCOUNT, 0), 0)
        else:
            seen = np.zeros(key.shape)
        return np.asarray(np.log((seen + left * self.unigram[second]) / total))


def count_lexicon(
    parts: Iterable[tuple[Tokens, float]],
    listed: Mapping[str, float],
    listed_pairs: Mapping[tuple[str, str], float],
    *,
    least: float = 2,
    size: int | None = None,
) -> Lexicon:
    """Count words and pairs of words. Each part has a weight; `listed` are frequencies from elsewhere.

    Words of the parts that were seen less than `least` times are new ones; the `size` most frequent are kept.
    """
    parts = list(parts)
    frequency = _frequencies(parts, listed, least)
    names = sorted(frequency, key=lambda word: (-frequency[word], word))[:size]
    words = pa.array([*CLASSES, *names], pa.string())
    counts = np.array([0.0] * len(CLASSES) + [frequency[name] for name in names])
    bare = Lexicon(words, counts, np.zeros((len(words), len(_SHAPES))), np.zeros(0, np.int64), np.zeros(0))
    shapes = bare.shapes.ravel()
    keys, weights = [np.zeros(0, np.int64)], list[NDArray[Any]]([np.zeros(0)])
    for tokens, weight in parts:
        ids = bare.ids(tokens)[tokens.which]
        counts[: len(CLASSES)] += weight * np.bincount(ids, minlength=len(words))[: len(CLASSES)]
        told = tokens.telling
        shape = ids[told] * len(_SHAPES) + tokens.shapes[tokens.which][told]
        shapes += weight * np.bincount(shape, minlength=len(shapes))
        before = np.concatenate([[_START], ids[:-1]])
        before[tokens.starts_sentence] = _START
        distinct, number = np.unique(before * len(words) + ids, return_counts=True)
        keys.append(distinct)
        weights.append(number * weight)
    own = _listed_pairs(bare, listed_pairs)
    pairs: Ints
    pairs, which = np.unique(np.concatenate([*keys, own[0]]), return_inverse=True)
    counted: NDArray[Any] = np.bincount(which, weights=np.concatenate([*weights, own[1]]), minlength=len(pairs))
    counts[_NEW : _NEW_TITLE + 1] += counts.sum() * _NEW_SHARE
    return Lexicon(words, counts, shapes.reshape(-1, len(_SHAPES)), pairs, counted)


def _frequencies(parts: list[tuple[Tokens, float]], listed: Mapping[str, float], least: float) -> dict[str, float]:
    known = dict(listed)
    if parts:
        tables = []
        for tokens, weight in parts:
            number = np.bincount(tokens.which, minlength=len(tokens.distinct)) * weight
            tables.append(pa.table({"word": tokens.lower, "count": number}).filter(pa.array(~tokens.numbers)))
        counted = pa.concat_tables(tables).group_by("word").aggregate([("count", "sum")])
        counted = counted.filter(pc.greater_equal(counted["count_sum"], least))
        for word, count in zip(counted["word"].to_pylist(), counted["count_sum"].to_pylist(), strict=True):
            known[word] = known.get(word, 0.0) + count
    return known


def _listed_pairs(lexicon: Lexicon, listed: Mapping[tuple[str, str], float]) -> tuple[Ints, Floats]:
    sides = [pc.index_in(pa.array([pair[side] for pair in listed], pa.string()), lexicon.words) for side in (0, 1)]
    first, second = (side.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) for side in sides)
    known = (first >= len(CLASSES)) & (second >= len(CLASSES))
    return (first * len(lexicon) + second)[known], np.fromiter(listed.values(), np.float64, len(listed))[known]

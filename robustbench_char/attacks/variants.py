"""Operators that choose among finished edits of a word: confusions of optical character recognition, capitals, and
misspellings from a list.

An edit is its start in the word, the number of characters that it removes, and what it inserts. What can be made of a
word is remembered: texts repeat their words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.keys import below
from robustbench_char.attacks.lists import ListInfo, listed
from robustbench_char.attacks.operators import Positions, Scene, VariantOperator, WordEdit, Written, eligible_range
from robustbench_char.attacks.word_operators import changed_part, packed
from robustbench_char.common import InputError
from robustbench_char.text.columns import ranges
from robustbench_char.text.confusions import OCR_CONFUSIONS
from robustbench_char.text.unicode_14 import is_lower, is_upper, lower, seen, upper
from robustbench_char.text.words import Words

Ints = NDArray[np.int64]
_REMEMBERED = 100_000


@dataclass(frozen=True)
class Variants:
    """The edits open to each word of a column: the `count[w]` from `first[w]` on of `open`, which counts in `edits`.

    Equal words share theirs.
    """

    edits: Sequence[WordEdit]
    open: Ints
    first: Ints
    count: Ints

    @classmethod
    def of(
        cls, operator: VariantOperator, scene: Scene, words: Words, positions: Positions, *, letters: bool
    ) -> Variants:
        """Find the edits of each distinct word; with `letters`, those that remove letters alone."""
        joined = scene.column.codes.tobytes().decode("utf-32-le")
        spans = zip(words.starts.tolist(), words.ends.tolist(), strict=True)
        known: dict[str, int] = {}
        which = np.array([known.setdefault(joined[start:end], len(known)) for start, end in spans], np.int64)
        made = list(map(operator.edits(scene), known))
        edits = list(chain.from_iterable(made))
        numbers = np.repeat(np.arange(len(known)), [*map(len, made)])
        lengths = np.array([*map(len, known)], np.int64)[numbers]
        start, gone = (np.fromiter((edit[part] for edit in edits), np.int64, len(edits)) for part in (0, 1))
        low, high = eligible_range(np.zeros_like(lengths), lengths, width=gone, positions=positions)
        good = (low <= start) & (start < high)
        if positions == "ends":
            good &= (start == low) | (start == high - 1)
        if letters:
            texts = list(known)
            good &= [
                not width or seen(texts[number][at : at + width]).isalpha()
                for number, (at, width, _) in zip(numbers.tolist(), edits, strict=True)
            ]
        count = np.bincount(numbers[good], minlength=len(known))
        first = np.cumsum(count) - count
        return cls(edits, np.flatnonzero(good), first[which], count[which])

    def drawn(self, words: Words, rows: Ints, draws: NDArray[np.uint64]) -> tuple[Ints, Written]:
        """Return the starts in the column and the writing of one edit for each of the words `rows`."""
        return self._chosen(words, rows, self.open[self.first[rows] + below(draws, self.count[rows])])

    def every(self, words: Words, rows: Ints) -> tuple[Ints, Ints, Written]:
        """Return the word, the start in the column and the writing of every edit of the words `rows`."""
        counts = self.count[rows]
        repeated = np.repeat(rows, counts)
        return repeated, *self._chosen(words, repeated, self.open[ranges(self.first[rows], counts)])

    def _chosen(self, words: Words, rows: Ints, numbers: Ints) -> tuple[Ints, Written]:
        distinct, which = np.unique(numbers, return_inverse=True)
        _, start, written = packed([(0, *self.edits[number]) for number in distinct.tolist()])
        some = Written(written.removed[which], written.codes[which], written.lengths[which])
        return words.starts[rows] + start[which], some


def _replacing(word: str, others: Iterable[str]) -> tuple[WordEdit, ...]:
    """Return the edits that turn a word into each of the others, without what they begin and end with alike."""
    return tuple(changed_part(word, other) for other in dict.fromkeys(others) if other != word)


@lru_cache(_REMEMBERED)
def _confused(word: str) -> tuple[WordEdit, ...]:
    return tuple(
        (at, len(seen), read)
        for at, char in enumerate(word)
        for seen, reads in OCR_CONFUSIONS.get(char, ())
        if len(seen) == 1 or word.startswith(seen, at)
        for read in reads
    )


@lru_cache(_REMEMBERED)
def _capitals(word: str) -> tuple[WordEdit, ...]:
    """Small letters, a capital first, capitals throughout: what a word is not."""
    return _replacing(word, (lower(word), _capitalised(word), upper(word)))


def _misspelt(scene: Scene) -> Callable[[str], Sequence[WordEdit]]:
    if scene.misspellings is None:
        raise InputError("suite", found="the operator misspelling without a list", expected="the key misspellings",
                         fix="Add the list, for example `misspellings: {list: codespell}`.")  # fmt: skip
    return _misspelling(scene.misspellings, scene.case == "keep")


@lru_cache(4)
def _misspelling(info: ListInfo, keep: bool) -> Callable[[str], Sequence[WordEdit]]:
    index = listed(info)

    @lru_cache(_REMEMBERED)
    def edits(word: str) -> tuple[WordEdit, ...]:
        pairs = index.get(lower(word), ())
        return _replacing(word, [_like(word, right, wrong) if keep else wrong for right, wrong in pairs])

    return edits


def _like(word: str, right: str, wrong: str) -> str:
    """Return a misspelling with the pattern of capitals of the word it stands for; as listed where that has none."""
    if word == right:
        return wrong
    if is_lower(word):
        return lower(wrong)
    if is_upper(word) and len(word) > 1:
        return upper(wrong)
    return _capitalised(wrong) if word == _capitalised(word) else word


def _capitalised(word: str) -> str:
    return upper(word[:1]) + lower(word[1:])


OCR = VariantOperator("ocr", lambda scene: _confused)
CASE = VariantOperator("case", lambda scene: _capitals)
MISSPELLING = VariantOperator("misspelling", _misspelt)

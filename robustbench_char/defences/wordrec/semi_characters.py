"""The semi-character view of a word: its first character, the bag of those between, its last one.

With a set of V characters a word is a vector of 3V numbers: onehot(first), counts of the interior, onehot(last). A
word of one character has it first and last; words of one or two characters have no interior; a character outside the
set adds nothing. Swaps inside a word change nothing (Sakaguchi et al. 2017; Pruthi et al. 2019, section 3).

Vectors are kept sparse: the columns that count, one entry a character.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robustbench_char.text.columns import ranges

__all__ = ["CharacterSet"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CharacterSet:
    """The characters that a recogniser sees. `lower`: words are lower-cased first."""

    characters: tuple[str, ...]
    lower: bool = True

    @classmethod
    def build(cls, words: Iterable[str], *, lower: bool = True, size: int = 256) -> CharacterSet:
        """Collect the `size` most frequent characters of words, sorted by frequency, then by code point."""
        counts: Counter[str] = Counter()
        for word, times in Counter(words).items():
            for character in word.lower() if lower else word:
                counts[character] += times
        ordered = sorted(counts, key=lambda character: (-counts[character], character))
        return cls(tuple(ordered[:size]), lower)

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def width(self) -> int:
        """The length of a word's vector, 3V."""
        return 3 * len(self.characters)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.uint32], Ints]:
        codes = np.array([ord(character) for character in self.characters], np.uint32)
        order = np.argsort(codes)
        return codes[order], order.astype(np.int64)

    def columns(self, words: Sequence[str]) -> tuple[Ints, Ints]:
        """Return the columns that count in each word's vector, end to end, and where each word's begin ([W + 1])."""
        given = [word.lower() for word in words] if self.lower else list(words)
        codes = np.frombuffer("".join(given).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.fromiter(map(len, given), np.int64, len(given))
        starts = np.cumsum(lengths) - lengths
        entries = np.where(lengths == 1, 2, lengths)  # the one character of a word stands first and last
        begins = np.concatenate([[0], np.cumsum(entries)])
        places = np.minimum(ranges(starts, entries), np.repeat(starts + lengths - 1, entries))
        part = np.ones(len(places), np.int64)
        part[begins[:-1][entries > 0]] = 0
        part[begins[1:][entries > 0] - 1] = 2
        number, known = self._numbers(codes[places])
        kept = np.concatenate([[0], np.cumsum(known)])[begins]
        return (part * len(self) + number)[known], kept

    def _numbers(self, codes: NDArray[np.uint32]) -> tuple[Ints, NDArray[np.bool_]]:
        known_codes, order = self._sorted
        if not len(known_codes):
            return np.zeros(len(codes), np.int64), np.zeros(len(codes), np.bool_)
        at = np.minimum(np.searchsorted(known_codes, codes), len(known_codes) - 1)
        return order[at], known_codes[at] == codes

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of words, [W, 3V]."""
        columns, begins = self.columns(words)
        rows = np.repeat(np.arange(len(words)), np.diff(begins))
        flat = np.bincount(rows * self.width + columns, minlength=len(words) * self.width)
        return flat.reshape(len(words), self.width).astype(np.float32)

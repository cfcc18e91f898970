"""Words as the channel reads them: numbered, in lower case, with what their capitals say of them.

Shape legend: N words of all sentences, end to end; U distinct ones; S sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from robustbench_char.defences.channel._index import LONGEST
from robustbench_char.text.characters import DIGIT, LETTER, LOWER, UPPER, without_surrogates
from robustbench_char.text.columns import Column

__all__ = ["CAPITALS", "SMALL", "TITLE", "Tokens", "split_words"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SMALL, TITLE, CAPITALS = range(3)
"""The patterns of capitals that are told apart."""

_WORD = re.compile(r"""
    \w+://\S+ | www\.\S+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+  # addresses
    | (?:[^\W\d_]\.){2,}                                 # abbreviations as in U.S.A., e.g.
    | \w+(?:['’-]\w+)* | [^\w\s]
""", re.VERBOSE)  # fmt: skip
_CLITIC = re.compile(r"(?<=\w)(?<!^ai)(?<!^ca)(?<!^sha)(?<!^wo)(?:n['’]t|['’](?:s|m|d|re|ve|ll))$", re.IGNORECASE)
_FIXED = r"^(?:n't|'(?:s|m|d|re|ve|ll)|[0-9]+(?:st|nd|rd|th|s))$"


def split_words(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text stand: runs of letters and digits, parted as in do n't (but can't), and signs.

    An address (https://..., name@host) and an abbreviation with its stops (U.S.A.) are one word each.

    >>> [text[start:end] for text in ["It isn't e.g. well-known!"] for start, end in split_words(text)]
    ['It', 'is', "n't", 'e.g.', 'well-known', '!']
    """
    return list(_spans(text))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for match in _WORD.finditer(text):
        start, end = match.span()
        clitic = _CLITIC.search(text[start:end]) if "'" in match[0] or "’" in match[0] else None
        if clitic and clitic.start():
            yield start, start + clitic.start()
            start += clitic.start()
        yield start, end


@dataclass(frozen=True)
class Tokens:
    """`which` [N]: the number of each word among the `distinct` ones [U]; `lengths` [S]: of the sentences, in words."""

    distinct: pa.StringArray
    which: Ints
    lengths: Ints

    @classmethod
    def of(cls, sentences: Sequence[Sequence[str]]) -> Tokens:
        """Number the words of sentences; lone surrogates, which are no characters, are replaced."""
        return cls._coded(chain.from_iterable(sentences), list(map(len, sentences)))

    @classmethod
    def _coded(cls, words: Iterable[str], lengths: Sequence[int]) -> Tokens:
        words = list(words)
        try:
            coded = pa.array(words, pa.string()).dictionary_encode()
        except UnicodeEncodeError:
            coded = pa.array(list(map(without_surrogates, words)), pa.string()).dictionary_encode()
        which = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(coded.dictionary, which, np.array(lengths, np.int64))

    @cached_property
    def lower(self) -> pa.StringArray:
        """The distinct words in lower case, with straight apostrophes [U]."""
        return pc.replace_substring(pc.utf8_lower(self.distinct), "’", "'")

    @cached_property
    def _column(self) -> Column:
        return Column.of(self.distinct.to_pylist())

    def _number(self, bit: int) -> Ints:
        """How many characters of a class each distinct word has [U]."""
        column = self._column
        total = np.concatenate([[0], np.cumsum((column.flags & bit) > 0)])
        return np.asarray(total[column.ends] - total[column.offsets[:-1]])

    @cached_property
    def letters(self) -> Ints:
        """How many letters each distinct word has [U]."""
        return self._number(LETTER)

    @cached_property
    def numbers(self) -> Bools:
        """Which distinct words have a digit and no letter [U]."""
        return np.asarray((self.letters == 0) & (self._number(DIGIT) > 0))

    @cached_property
    def correctable(self) -> Bools:
        """Which distinct words are mostly letters, and not too long [U]: 21st, signs, e.g., n't are left alone."""
        length = np.diff(self._column.offsets) - 1
        signs = length - self.letters - self._number(DIGIT)
        open_ = ~pc.match_substring_regex(self.lower, _FIXED).to_numpy(zero_copy_only=False)
        mostly = (self.letters > 0) & (2 * self.letters >= length) & (2 * signs < length)
        return np.asarray(open_ & mostly & (length <= LONGEST))

    @cached_property
    def shapes(self) -> NDArray[np.int8]:
        """The pattern of capitals of the distinct words [U]; one slip inside a word does not count."""
        upper, lower, column = self._number(UPPER), self._number(LOWER), self._column
        first = (column.flags[column.offsets[:-1]] & UPPER) > 0
        capitals = (upper >= 2) & (upper > lower)
        return np.where(capitals, CAPITALS, np.where(first | (upper > lower), TITLE, SMALL)).astype(np.int8)

    @cached_property
    def starts_sentence(self) -> Bools:
        """Which words are the first of their sentence [N]."""
        first = np.zeros(len(self.which), np.bool_)
        first[(np.cumsum(self.lengths) - self.lengths)[self.lengths > 0]] = True
        return first

    @cached_property
    def telling(self) -> Bools:
        """Where capitals say something of a word [N]: inside a sentence that has both capitals and small letters."""
        shapes, letters = self.shapes[self.which], self.letters[self.which] > 0
        owner = np.repeat(np.arange(len(self.lengths)), self.lengths)
        words, small, capitals = (
            np.bincount(owner, weights=letters & chosen, minlength=len(self.lengths))
            for chosen in (True, shapes == SMALL, shapes == CAPITALS)
        )
        mixed = (small < words) & (5 * small >= words) & (2 * capitals <= words)
        return np.asarray(mixed[owner] & letters & ~self.starts_sentence)

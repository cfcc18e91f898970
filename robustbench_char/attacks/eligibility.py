"""Which words of a column are eligible under a suite, and how many of them are to be edited in each text."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.keys import draw, fraction
from robustbench_char.attacks.suites import OperatorRule, Strength, WordRule
from robustbench_char.text.characters import DIGIT, LETTER, WORD
from robustbench_char.text.columns import Column, over_spans
from robustbench_char.text.unicode_14 import seen_codes
from robustbench_char.text.words import SPLITTERS, STOP_WORDS, Words, pieces_of, token_words

__all__ = ["find_words"]

Bools = NDArray[np.bool_]


def find_words(column: Column, rule: WordRule, tokens: bool) -> Words:
    """Return the words of each text; where texts are `tokens` joined by single spaces, none reaches over one's end."""
    if tokens and rule.split in ("treebank", "treebank_sentences"):
        return pieces_of(column, token_words(column))
    return token_words(column) if tokens and rule.split == "whitespace" else SPLITTERS.get(rule.split)(column)


def eligible(column: Column, words: Words, rule: WordRule, stop: Bools) -> Bools:
    """Return which words the suite's word rule lets through (entities and answers are the caller's to protect)."""
    length = words.ends - words.starts
    some = over_spans(np.bitwise_or, column.flags, words.starts, words.ends)
    every = partial(over_spans, np.bitwise_and, column.flags, words.starts, words.ends)
    # Nobody mistypes a word of nothing but punctuation.
    keep = (length >= rule.min_length) & ((some & WORD) != 0)
    if rule.max_length is not None:
        keep &= length <= rule.max_length
    if rule.digits == "no_digit":
        keep &= (some & DIGIT) == 0
    if rule.digits == "no_number":
        keep &= (every() & DIGIT) == 0
    if rule.letters_only:
        keep &= (every() & LETTER) != 0
    if rule.stop_words == "skip":
        keep &= ~stop
    if rule.match is not None:
        keep &= _matching(column, words, rule.match)
    return np.asarray(keep, np.bool_)


def operator_applies(words: Words, rule: OperatorRule, stop: Bools) -> Bools:
    """Return which words an operator's own limits let through."""
    applies = np.asarray(words.ends - words.starts >= rule.min_length, np.bool_)
    if rule.max_length is not None:
        applies &= words.ends - words.starts <= rule.max_length
    if rule.stop_words == "skip":
        applies &= ~stop
    return applies


def _matching(column: Column, words: Words, pattern: str) -> Bools:
    # Each word is cut out first: an expression must not see what is around it, which may be another text.
    joined, regex = seen_codes(column.codes).tobytes().decode("utf-32-le"), re.compile(pattern)
    spans = zip(words.starts.tolist(), words.ends.tolist(), strict=True)
    matches = (regex.fullmatch(joined[start:end]) is not None for start, end in spans)
    return np.fromiter(matches, np.bool_, len(words.starts))


_SYMBOLS = string.ascii_lowercase + "'"
"""The characters that stop words are spelled with: 27 of them, so that a word of 12 packs into 60 bits, 5 each."""


@cache
def _stop_table() -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Return the length of the longest stop word, symbols by code (32: not one of them), and the packed stop words."""
    symbols = np.full(0x80, 32, np.int64)
    for number, char in enumerate(_SYMBOLS, start=1):
        symbols[[ord(char), ord(char.upper())]] = number
    packed = [sum(int(symbols[ord(char)]) << 5 * index for index, char in enumerate(word)) for word in STOP_WORDS]
    return max(map(len, STOP_WORDS)), symbols, np.array(packed, np.int64)


def is_stop_word(column: Column, words: Words) -> Bools:
    """Return which words are among NLTK's English stop words, compared in lower case."""
    longest, symbols, stop_words = _stop_table()
    length = words.ends - words.starts
    rows = np.flatnonzero(length <= longest)
    packed, known = np.zeros(len(rows), np.int64), np.ones(len(rows), np.bool_)
    for index in range(longest):
        more = np.flatnonzero(known & (length[rows] > index))
        codes = column.codes[words.starts[rows[more]] + index]
        symbol = np.where(codes < 0x80, symbols[codes & 0x7F], 32)
        packed[more] |= symbol << 5 * index
        known[more] = symbol < 32
    result = np.zeros(len(length), np.bool_)
    result[rows] = known & np.isin(packed, stop_words)
    return result


def within_spans(column: Column, words: Words, spans: Sequence[Sequence[tuple[int, int]]]) -> Bools:
    """Return which words share a character with a span of their text (starts and ends in that text)."""
    inside = np.zeros(len(column.codes), np.bool_)
    for offset, row in zip(column.offsets[:-1].tolist(), spans, strict=True):
        for start, end in row:
            inside[offset + start : offset + end] = True
    total = np.concatenate([[0], np.cumsum(inside)])
    return np.asarray(total[words.ends] > total[words.starts], np.bool_)


def _marks(rounding: NDArray[np.uint64], number: NDArray[np.int64]) -> NDArray[np.float64]:
    return fraction(draw(rounding[: len(number)], 0))


def chosen(
    words: Words, keys: NDArray[np.uint64], may: Bools, strength: Strength, rounding: NDArray[np.uint64] | None = None
) -> Bools:
    """Return which eligible words are edited: of a text round(rate x eligible), or a number, those of lowest draw 0.

    Halves round to even, as Python's `round` does; with `rounding`, the keys of the texts, a draw of each text decides,
    so that short texts have their share too. A higher strength takes all words of a lower one.
    """
    if strength.rate == 1.0:
        return may.copy()
    candidates = np.flatnonzero(may)
    texts = words.text[candidates]
    order = np.lexsort((candidates, draw(keys[candidates], 0), texts))
    number = np.bincount(texts, minlength=1)
    wanted = number if strength.words is None else np.minimum(number, strength.words)
    if strength.rate is not None:
        exact = strength.rate * number
        wanted = np.asarray(
            np.rint(exact) if rounding is None else np.floor(exact + _marks(rounding, number)), np.int64
        )
    first = np.cumsum(number) - number
    rank = np.arange(len(order)) - first[texts[order]]
    result = np.zeros_like(may)
    result[candidates[order[rank < wanted[texts[order]]]]] = True
    return result

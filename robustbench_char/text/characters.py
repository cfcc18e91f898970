"""Classes of characters as look-up tables over code points, filled from Python's Unicode data when first needed.

They are those of Unicode 14.0 under every Python: see `unicode_14`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from robustbench_char.text.unicode_14 import CASED_LATER, later, lower, upper

__all__ = ["DIGIT", "LETTER", "LOWER", "UPPER", "WORD", "lower_codes", "upper_codes", "without_surrogates"]

LETTER, DIGIT, SPACE, UPPER, LOWER, WORD, JOINER = 1, 2, 4, 8, 16, 32, 64
"""Bits of a class. WORD: letters, digits and the marks that combine with them (category M). JOINER: apostrophes and
the hyphen.
"""

_JOINERS = "'’-"


def flags(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the class bits of each code point, as an array of the same shape."""
    top = int(codes.max(initial=0))
    table = _table(0x80 if top < 0x80 else 0x10000)
    if top < len(table):
        return table[codes]
    rare = codes >= len(table)
    bits = table[np.where(rare, 0, codes)]
    distinct, which = np.unique(codes[rare], return_inverse=True)
    of_distinct = np.array([_bits(chr(code)) for code in distinct.tolist()], np.uint8)
    bits[rare] = np.where(later(distinct), 0, of_distinct)[which]
    return bits


@cache
def _table(size: int) -> NDArray[np.uint8]:
    table = np.fromiter((_bits(chr(code)) for code in range(size)), np.uint8, size)
    table[later(np.arange(size, dtype=np.uint32))] = 0
    return table


def _bits(char: str) -> int:
    letter, digit = char.isalpha(), char.isdigit()
    mark = not char.isascii() and unicodedata.category(char)[0] == "M"
    small = char.islower() and char not in CASED_LATER
    return (
        letter * LETTER | digit * DIGIT | char.isspace() * SPACE | char.isupper() * UPPER | small * LOWER
        | (letter or digit or mark) * WORD | (char in _JOINERS) * JOINER
    )  # fmt: skip


@cache
def _case_table(capital: bool) -> NDArray[np.uint32]:
    table = np.arange(0x250, dtype=np.uint32)
    for code in range(len(table)):
        changed = upper(chr(code)) if capital else lower(chr(code))
        if len(changed) == 1:
            table[code] = ord(changed)
    return table


def lower_codes(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Lower-case Latin code points (below U+0250); others, and those whose lower case is longer, stay."""
    return _change_case(codes, capital=False)


def upper_codes(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Upper-case Latin code points (below U+0250); others, and those whose upper case is longer, stay."""
    return _change_case(codes, capital=True)


def _change_case(codes: NDArray[np.uint32], *, capital: bool) -> NDArray[np.uint32]:
    table = _case_table(capital)
    if int(codes.max(initial=0)) < len(table):
        return table[codes]
    latin = codes < len(table)
    return np.where(latin, table[np.where(latin, codes, 0)], codes)


_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which a JSON file can hold and no tokenizer takes; the length stays as it is."""
    return _LONE_SURROGATES.sub("\ufffd", text)

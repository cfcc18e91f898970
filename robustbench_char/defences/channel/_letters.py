"""The symbols that the channel counts letters by: `a` to `z`, apostrophe, hyphen, digits, all else; 0: none."""

from __future__ import annotations

import string
from functools import cache

import numpy as np
from numpy.typing import NDArray

SYMBOLS = string.ascii_lowercase + "'-" + string.digits
OTHER = len(SYMBOLS) + 1
SIZE = len(SYMBOLS) + 2


@cache
def _table() -> NDArray[np.int64]:
    table = np.full(0x80, OTHER, np.int64)
    table[0] = 0
    table[[ord(char) for char in SYMBOLS]] = np.arange(1, len(SYMBOLS) + 1)
    return table


def symbols(codes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the symbols of code points of lower-case words, in their shape."""
    return np.where(codes < 0x80, _table()[np.minimum(codes, 0x7F)], OTHER)

"""Where the draws of an attack come from: a counter-based integer hash of the word alone.

draw(n) = mix(word + (n + 1) * B), word = mix(text + (index + 1) * A), text = mix(first 8 bytes of SHA-256(text key) +
stream), stream = first 8 bytes of SHA-256(seed, suite family, task); all 64-bit unsigned, little-endian, wrapping.
`mix` is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). The tests hold golden values: a change here
changes every attacked set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["text_keys"]

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xD1B54A32D192ED03)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _first_8(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]


def text_keys(keys: Iterable[str], *, seed: int, family: str, task: str) -> NDArray[np.uint64]:
    """Return one 64-bit key per text. `keys` name the texts: an id or a hash, with the field."""
    stream = _first_8(json.dumps([seed, family, task], ensure_ascii=False))
    digests = [hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest() for key in keys]
    texts = np.frombuffer(b"".join(digests), "<u8")[::4]
    return _mix(texts.astype(np.uint64) + np.frombuffer(stream, "<u8").astype(np.uint64))


def word_keys(texts: NDArray[np.uint64], index: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return one key per word from the key of its text and its number there."""
    return _mix(texts + (index.astype(np.uint64) + np.uint64(1)) * _A)


def draw(words: NDArray[np.uint64], number: int) -> NDArray[np.uint64]:
    """Return draw `number` (0, 1, ...) of each word: uniform 64-bit integers."""
    return _mix(words + np.uint64((number + 1) * int(_B) % 2**64))


def below(draws: NDArray[np.uint64], limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Map draws to integers in [0, limit); limits are at least 1 and below 2**31."""
    return (((draws >> np.uint64(32)) * limits.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def drawing(numbers: NDArray[np.int64], limits: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a draw that `below` maps to each number, which is in [0, limit)."""
    sizes = limits.astype(np.uint64)
    lowest = ((numbers.astype(np.uint64) << np.uint64(32)) + sizes - np.uint64(1)) // sizes
    return np.asarray(lowest << np.uint64(32), np.uint64)


def fraction(draws: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map draws to floats in [0, 1), 53 bits, exactly."""
    return (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53

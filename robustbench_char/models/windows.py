"""Windows: the sub-words of a text, or of a part of it, with the words or characters that they stand for.

Shape legend: T sub-words of one window.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["NO_TEXT", "NO_WORD", "IntArray", "Window", "clean", "pad"]

IntArray = npt.NDArray[np.int32]

NO_WORD = NO_TEXT = -1
_NOTHING: IntArray = np.zeros(0, np.int32)
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


class Window(NamedTuple):
    """The sub-words of one text, or of one window of it.

    `row` counts the texts given in one call. `inputs` holds what the model reads, each [T]. `words` [T] is the index of
    the word a piece belongs to (NO_WORD for special tokens). `offsets` [T, 2] is the piece's start and end, in code
    points, in the context, or in the text that `texts` [T] numbers (0 or 1, NO_TEXT for special tokens); -1 elsewhere.
    """

    row: int
    inputs: dict[str, IntArray]
    truncated: bool = False
    words: IntArray = _NOTHING
    offsets: IntArray = _NOTHING
    texts: IntArray = _NOTHING


def pad(inputs: Sequence[Mapping[str, IntArray]], values: Mapping[str, int]) -> dict[str, npt.NDArray[np.int64]]:
    """Stack inputs [T] to tables [B, T], filled up on the right with the value of their name."""
    tables = {}
    for name in inputs[0]:
        table = np.full((len(inputs), max(len(one[name]) for one in inputs)), values[name], np.int64)
        for line, one in zip(table, inputs, strict=True):
            line[: len(one[name])] = one[name]
        tables[name] = table
    return tables


def clean(texts: list[Any]) -> list[Any]:
    """Replace lone surrogates, which a JSON file can hold and no tokenizer takes; lengths stay as they are."""
    return [_LONE_SURROGATES.sub("�", text) for text in texts]

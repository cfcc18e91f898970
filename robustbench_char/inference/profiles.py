"""The profile of a sentence of one's own: how far its words move in the eyes of several models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from robustbench_char.common import InputError
from robustbench_char.inference.sensitivity import open_reader
from robustbench_char.metrics.sensitivity import cosine_distances
from robustbench_char.models.representations import Passage, Pooling, Stream, WordReader
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.sensitivity import ProfileWord, side_by_side

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["profile_sentence"]


def profile_sentence(
    models: Sequence[str],
    clean: str,
    attacked: str,
    *,
    layer: int = -1,
    pooling: Pooling = "mean",
    stream: Stream = "both",
) -> pd.DataFrame:
    """Return how far each word of a sentence moves in each model (see `records.sensitivity.side_by_side`).

    `models` are folders of systems, whatever their task, or encoders as for `sensitivity`. Words stand between white
    space. Raises InputError for texts without words or of different numbers of words, for two models of one name, and
    for what `open_reader` refuses.
    """
    before, after = re.findall(r"\S+", clean), re.findall(r"\S+", attacked)
    if len(before) != len(after) or not before:
        raise InputError(
            "the attacked sentence",
            found=f"{len(after)} words",
            expected=f"{len(before) or 'some'}, as in the clean one",
            fix="Change words, but neither join nor part them.",
        )
    found: dict[str, list[ProfileWord]] = {}
    for model in models:
        reader, info = open_reader(model, None, layer=layer, pooling=pooling, stream=stream)
        name = info.shown if isinstance(info, SystemInfo) else info.name
        if name in found:
            raise InputError(
                model, found=f"a second model called {name}", expected="different names",
                fix="Leave one out.",
            )  # fmt: skip
        distances = _distances(reader, clean, attacked)
        found[name] = [
            ProfileWord(word=word, attacked=other, distance=distance)
            for word, other, distance in zip(before, after, distances, strict=True)
        ]
    return side_by_side(found)


def _distances(reader: WordReader, clean: str, attacked: str) -> list[float | None]:
    old, new = reader.read([_passage(text, words=reader.words) for text in (clean, attacked)])
    read = (old.pieces > 0) & (new.pieces > 0)
    distances = cosine_distances(old.vectors, new.vectors).tolist()
    return [distance if both else None for distance, both in zip(distances, read.tolist(), strict=True)]


def _passage(text: str, *, words: bool) -> Passage:
    if words:
        return Passage(words=tuple(re.findall(r"\S+", text)))
    return Passage(texts=(text,), spans=(np.array([one.span() for one in re.finditer(r"\S+", text)], np.int64),))

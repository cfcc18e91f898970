"""Distances of words (see `metrics.sensitivity`) brought to the words between white space that a page shows."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Distances", "word_distances"]

Distances: TypeAlias = Callable[[int, str, str], "list[float | None] | int"]
"""From row, field and clean text to the distance of each word between white space (None: not measured); 0 for none."""

_WORD = re.compile(r"\S+")


def word_distances(table: pd.DataFrame | None) -> Distances:
    """Return a function that looks distances up; of several words between two spaces the largest counts."""
    if table is None:
        return lambda row, field, text: 0
    known: dict[tuple[int, str], list[tuple[int, float]]] = {}
    columns = (table[name] for name in ("row", "field", "start", "distance"))
    for row, field, start, distance in zip(*columns, strict=True):
        if not math.isnan(distance):
            known.setdefault((int(row), str(field)), []).append((int(start), float(distance)))

    def look_up(row: int, field: str, text: str) -> list[float | None] | int:
        starts = [match.start() for match in _WORD.finditer(text)]
        found: list[float | None] = [None] * len(starts)
        for start, distance in known.get((row, field), []):
            place = bisect_right(starts, start) - 1
            if place >= 0:
                found[place] = max(found[place] or 0.0, round(distance, 2))
        return found if any(one is not None for one in found) else 0

    return look_up

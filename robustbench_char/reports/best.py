"""Which scores are printed in bold: the best of a task under a suite, and what is not told apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["add_best"]


def add_best(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the frame with a column `<name>_best` for each name: the highest of its task under its suite.

    Where there is one system, none is best.
    """
    groups = [frame["task"], frame["suite"]]
    several = frame.groupby(groups, sort=False)["label"].transform("nunique") > 1
    best = {f"{name}_best": several & (frame[name] == frame[name].groupby(groups).transform("max")) for name in columns}
    return frame.assign(**best)

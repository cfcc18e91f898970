"""Gains over bert by family of tasks, in points and as the share of bert's errors that a system does away with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["error_reduction", "family_gains", "gain_table"]

_SIDES = (("clean", "gain_clean"), ("attacked", "gain"))


def error_reduction(score: float, gain: float) -> float | None:
    """Return the share of the reference's errors that are gone, (e_ref − e) / e_ref with e = 100 − score.

    None (not defined) where the reference makes none.
    """
    errors = 100.0 - (score - gain)
    return gain / errors if errors > 0 else None


def family_gains(means: pd.DataFrame, families: Mapping[str, str], suite: str) -> pd.DataFrame:
    """Return a row a family and system: its gains as means over the tasks of the family that both were evaluated on.

    `gain_clean` and `gain` are in points, `error_reduction_clean` and `error_reduction` shares.
    """
    import pandas as pd

    part = means[(means["suite"] == suite) & means["gain"].notna()]
    part = part.assign(family=part["task"].map(dict(families)))
    for (side, gain), name in zip(_SIDES, ("error_reduction_clean", "error_reduction"), strict=True):
        pairs = zip(part[side], part[gain], strict=True)
        part = part.assign(**{name: pd.Series([error_reduction(*pair) for pair in pairs], part.index, "float64")})
    values = ["gain_clean", "error_reduction_clean", "gain", "error_reduction"]
    groups = part.groupby(["family", "label"], sort=False)
    return groups.agg(tasks=("task", ", ".join), **{name: (name, "mean") for name in values}).reset_index()


def gain_table(means: pd.DataFrame, families: Mapping[str, str], suite: str) -> list[Table]:
    """Return the table of gains, or none where there is no reference to gain over."""
    frame = family_gains(means, families, suite)
    if frame.empty:
        return []
    columns = (
        Column("Family", lambda row: str(row["family"]).replace("_", " "), "left"),
        Column("System", lambda row: str(row["label"]), "left"),
        Column("Tasks", lambda row: str(row["tasks"]), "left"),
        Column("Gain, clean", _points("gain_clean")),
        Column("Errors less, clean", _share("error_reduction_clean")),
        Column("Gain, attacked", _points("gain")),
        Column("Errors less, attacked", _share("error_reduction")),
    )
    caption = (
        f"Gains over {REFERENCE} by family of tasks, clean and under {suite}: in points, and as the share of the "
        f"errors of {REFERENCE} that are gone; means over tasks."
    )
    return [Table("gains", caption, frame, columns, folded=len(frame) > 12)]


def _points(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.gain(row[name])


def _share(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.percent(row[name])

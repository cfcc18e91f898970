"""Scores against how strong the attack was: suites that were run at several strengths (`drop@0.3`, `drop@0.6`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Evidence, Picture, Section, Table
from robustbench_char.reports.figures.strength import strength_figure
from robustbench_char.reports.means import about_intervals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sections", "sweeps"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no suite was run at two strengths."""
    rows = sweeps(evidence.means) if len(evidence.means) else evidence.means
    if rows.empty:
        return []
    pictures = tuple(_picture(part, str(task)) for task, part in rows.groupby("task", sort=False))
    return [Section("strength", "By strength", (*pictures, _table(rows)))]


def sweeps(means: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of suites that a system met at two or more effective strengths, from weak to strong.

    The column `sweep` names the suite without its strength.
    """
    means = means.dropna(subset=["effective_strength"])
    if means.empty:
        return means
    means = means.assign(sweep=means["suite"].str.partition("@")[0])
    groups = means.groupby(["task", "label", "sweep"], sort=False)
    several = means.assign(group=groups.ngroup())[groups["effective_strength"].transform("nunique") > 1]
    return several.sort_values(["group", "effective_strength"], kind="stable").drop(columns="group")


def _picture(part: pd.DataFrame, task: str) -> Picture:
    caption = (
        f"{task}: score against effective strength, the share of eligible words that were edited; the points at 0 are "
        f"clean data. n = {int(part['examples'].max()):,} examples."
    )
    if part["attacked_low"].notna().any():
        caption += " Lines are 95% intervals over examples."
    alt = f"{caption} The numbers stand in the table below."
    return Picture(f"strength_{task}", caption, alt, strength_figure(part))


def _table(rows: pd.DataFrame) -> Table:
    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("System", lambda row: str(row["label"]), "left"),
        Column("Suite", lambda row: str(row["suite"]), "left"),
        Column("Effective strength", lambda row: formatting.percent(row["effective_strength"])),
        Column("Clean", lambda row: formatting.score(row["clean"]) + formatting.limits(row, "clean")),
        Column("Attacked", _attacked),
        Column("Drop", lambda row: formatting.score(row["drop"]) + formatting.limits(row, "drop")),
        Column(
            "Retention",
            lambda row: formatting.percent(row["retention"]) + formatting.limits(row, "retention", formatting.percent),
        ),
    )
    caption = f"Scores by effective strength. {about_intervals(rows)}".strip()
    return Table("strength", caption, rows, columns, folded=len(rows) > 12)


def _attacked(row: Mapping[str, Any]) -> str:
    return formatting.score(row["attacked"]) + formatting.mark(row["saw_attack"]) + formatting.limits(row, "attacked")

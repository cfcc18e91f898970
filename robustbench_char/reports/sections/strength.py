"""Scores against how strong the attack was: suites that were run at several strengths (`drop@0.3`, `drop@0.6`)."""

from __future__ import annotations

import pandas as pd

from robustbench_char.analysis.scores import strength_sweeps
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Picture, Section, Table, text, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures.curves import strength_figure

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no suite was run at two strengths."""
    rows = strength_sweeps(evidence.means) if len(evidence.means) else evidence.means
    if rows.empty:
        return []
    pictures = tuple(_picture(part, str(task)) for task, part in rows.groupby("task", sort=False))
    return [Section("strength", "By strength", (*pictures, _table(rows)))]


def _picture(part: pd.DataFrame, task: str) -> Picture:
    caption = (
        f"{task}: score against effective strength, the share of eligible words that were edited; the points at 0 are "
        f"clean data. n = {int(part['examples'].max()):,} examples."
    )
    if part["attacked_low"].notna().any():
        caption += " Lines are 95% intervals over examples."
    return Picture(f"strength_{task}", caption, strength_figure(part))


def _table(rows: pd.DataFrame) -> Table:
    columns = (
        text("Task"),
        text("System", "label"),
        text("Suite"),
        value("Effective strength", show=formatting.percent),
        value("Clean", interval=True),
        value("Attacked", interval=True, mark="saw_attack"),
        value("Drop", interval=True),
        value("Retention", show=formatting.percent, interval=True),
    )
    caption = f"Scores by effective strength. {formatting.about_intervals(rows)}".strip()
    return Table("strength", caption, rows, columns, folded=len(rows) > 12)

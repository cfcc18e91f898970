"""Which operator costs which system how much: suites of one operator each, as a heat map and its table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from robustbench_char.analysis.scores import single_operators
from robustbench_char.reports.blocks import Picture, Section, Table, drop_column, text
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures.changes import heat_figure
from robustbench_char.reports.formatting import about_intervals

__all__ = ["sections"]

_VALUES = ("drop", "drop_low", "drop_high", "relative_drop")


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none unless two systems met two operators one by one."""
    means = single_operators(evidence.means) if len(evidence.means) else evidence.means
    if means.empty or means["label"].nunique() < 2 or means["operators"].nunique() < 2:
        return []
    caption = (
        "Drop by operator, in points: suites that use one operator each. Darker is a larger drop; the scale is that of "
        "each task. ‘–’: not evaluated."
    )
    return [Section("operators", "By operator", (Picture("operators", caption, heat_figure(means)), _table(means)))]


def _table(means: pd.DataFrame) -> Table:
    groups = means.groupby(["task", "label"], sort=False)
    frame = pd.DataFrame([_row(str(task), str(label), rows) for (task, label), rows in groups])
    operators = dict.fromkeys(means["operators"])
    columns = (text("Task"), text("System", "label"), *(drop_column(operator, operator) for operator in operators))
    caption = f"Drop by operator, in points; in brackets the relative drop. {about_intervals(means)}".strip()
    return Table("operators", caption, frame, columns)


def _row(task: str, label: str, rows: pd.DataFrame) -> dict[str, Any]:
    drops = {f"{row['operators']}_{name}": row[name] for row in rows.to_dict("records") for name in _VALUES}
    return {"task": task, "label": label, **drops}

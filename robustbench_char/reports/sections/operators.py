"""Which operator costs which system how much: suites of one operator each, as a heat map and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Evidence, Picture, Section, Table
from robustbench_char.reports.figures.heat import heat_figure
from robustbench_char.reports.means import about_intervals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sections", "single_operators"]

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
    picture = Picture("operators", caption, f"{caption} The numbers stand in the table below.", heat_figure(means))
    return [Section("operators", "By operator", (picture, _table(means)))]


def single_operators(means: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose suite made edits by one operator alone; of several such suites the strongest.

    The strongest is that with the highest effective strength, so that a sweep counts by its end.
    """
    one = means[(means["operators"] != "") & ~means["operators"].str.contains("+", regex=False)]
    strengths = one["effective_strength"].fillna(0.0)
    strongest = strengths.groupby([one["task"], one["label"], one["operators"]], sort=False).transform("max")
    return one[strengths == strongest].drop_duplicates(["task", "label", "operators"])


def _table(means: pd.DataFrame) -> Table:
    import pandas as pd

    operators = list(dict.fromkeys(means["operators"]))
    groups = means.groupby(["task", "label"], sort=False)
    frame = pd.DataFrame([_row(str(rows["task"].iloc[0]), str(rows["label"].iloc[0]), rows) for _, rows in groups])
    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("System", lambda row: str(row["label"]), "left"),
        *(Column(operator, _cell(operator)) for operator in operators),
    )
    caption = f"Drop by operator, in points; in brackets the relative drop. {about_intervals(means)}".strip()
    return Table("operators", caption, frame, columns)


def _row(task: str, label: str, rows: pd.DataFrame) -> dict[str, Any]:
    cells = zip(rows["operators"], *(rows[name] for name in _VALUES), strict=True)
    found = {f"{one}_{name}": value for one, *values in cells for name, value in zip(_VALUES, values, strict=True)}
    return {"task": task, "label": label, **found}


def _cell(operator: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        text = formatting.change(row[f"{operator}_drop"], row[f"{operator}_relative_drop"])
        return text + formatting.limits(row, f"{operator}_drop")

    return cell

"""What one property of an attack changes: its operator (suites of one each), and its strength (`drop@0.3`, ...)."""

from __future__ import annotations

import pandas as pd

from robustbench_char.analysis.scores import single_operators, strength_sweeps
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Picture, Section, Table, drop_column, text, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures._changes import heat_figure
from robustbench_char.reports.figures.curves import strength_figure

__all__ = ["operators", "strength", "strength_picture"]

_DROP = ("drop", "drop_low", "drop_high", "relative_drop")


def operators(evidence: Evidence) -> list[Section]:
    """Return the section on drops by operator; none unless two systems met two operators one by one."""
    means = single_operators(evidence.learnt) if len(evidence.means) else evidence.means
    if means.empty or means["label"].nunique() < 2 or means["operators"].nunique() < 2:
        return []
    caption = (
        "Drop by operator, in points: suites that use one operator each. Darker is a larger drop; the scale is that of "
        "each task. ‘–’: not evaluated, or not learnt."
    )
    picture = Picture("operators", caption, heat_figure(means))
    return [Section("operators", "By operator", (picture, _operator_table(single_operators(evidence.means))))]


def _operator_table(means: pd.DataFrame) -> Table:
    rows = [
        {"task": task, "label": label, "learnt": part["learnt"].all()}
        | {f"{row['operators']}_{name}": row[name] for row in part.to_dict("records") for name in _DROP}
        for (task, label), part in means.groupby(["task", "label"], sort=False)
    ]
    columns = (
        text("Task"),
        text("System", "label"),
        *(drop_column(name, name) for name in means["operators"].unique()),
    )
    caption = f"Drop by operator, in points; in brackets the relative drop. {formatting.about_intervals(means)}".strip()
    return Table("operators", caption, pd.DataFrame(rows), columns, folded=len(rows) > 12)


def strength(evidence: Evidence) -> list[Section]:
    """Return the section on scores by strength; none where no suite was run at two strengths."""
    rows = strength_sweeps(evidence.means) if len(evidence.means) else evidence.means
    if rows.empty:
        return []
    tasks = rows[rows["learnt"]].groupby("task", sort=False)  # of one task, the figure stands on the first screen
    pictures = (
        [strength_picture(part, str(task)) for task, part in tasks] if evidence.means["task"].nunique() > 1 else []
    )
    columns = (
        text("Task"),
        text("System", "label"),
        text("Suite"),
        value("Words mistyped", "mistyped", formatting.percent),
        value("Effective strength", show=formatting.percent),
        value("Clean", interval=True),
        value("Attacked", interval=True, mark="saw_attack"),
        value("Drop", interval=True),
        value("Retention", show=formatting.percent, interval=True),
    )
    caption = "Scores by strength: the share of all words, and of the eligible ones, that was edited. "
    caption += formatting.about_intervals(rows)
    table = Table("strength", caption.strip(), rows, columns, folded=len(rows) > 12)
    return [Section("strength", "By strength", (*pictures, table))]


def strength_picture(part: pd.DataFrame, task: str) -> Picture:
    """Return the curves of one task, from rows of `strength_sweeps`."""
    bands = " Bands are 95% intervals over examples." if part["attacked_low"].notna().any() else ""
    caption = (
        f"{task}: {formatting.score_name(str(part['metric'].iloc[0]))} against the share of words mistyped, 0 being "
        f"clean data. n = {int(part['examples'].max()):,} examples.{bands}"
    )
    return Picture(f"strength_{task}", caption, strength_figure(part))

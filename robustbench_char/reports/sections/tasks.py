"""All tasks side by side: what each system scores before and after each attack, and the paper's figure of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Evidence, Note, Picture, Section, Table
from robustbench_char.reports.figures.change import change_figure
from robustbench_char.reports.gains import gain_table
from robustbench_char.reports.means import about_best, about_intervals, main_suite, suites_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sections", "task_table"]

_VALUES = ("clean", "attacked", "drop", "relative_drop", "retention")
_SCORES = (*(f"{name}{end}" for name in _VALUES for end in ("", "_low", "_high")), "effective_strength", "saw_attack")
_BEST = ("clean_best", "attacked_best")


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where there is one system on one task, which has a section of its own."""
    means = evidence.means
    if means.empty or len(means[["task", "label"]].drop_duplicates()) < 2:
        return []
    main = main_suite(means)
    tables = [task_table(means, suite, folded=suite != main) for suite in suites_of(means)]
    tables.sort(key=lambda table: table.folded)
    families = {record.task: record.family for _, record in evidence.records}
    tables[1:1] = gain_table(means, families, main)
    notes = [Note(formatting.SAW_ATTACK)] if means["saw_attack"].notna().any() else []
    return [Section("tasks", "Before and after", (_picture(means[means["suite"] == main], main), *notes, *tables))]


def task_table(means: pd.DataFrame, suite: str, *, folded: bool = False) -> Table:
    """Return systems x tasks under one suite: clean, attacked, drop and retention. A row a system in the printed table.

    The frame has a row a system and columns `<task>_clean`, `_attacked`, `_drop`, `_relative_drop`, `_retention`.
    """
    import pandas as pd

    part = means[means["suite"] == suite]
    tasks = list(dict.fromkeys(part["task"]))
    frame = pd.DataFrame([_row(str(label), rows, tasks) for label, rows in part.groupby("label", sort=False)])
    columns = (
        Column("System", lambda row: str(row["system"]), "left"),
        *(column for task in tasks for column in _columns(task)),
    )
    caption = (
        f"All tasks under {suite}. Drop is in points; in brackets the relative drop, 1 − attacked / clean. "
        f"{about_intervals(part)}{about_best(part)}{_what(part)}"
    )
    return Table(f"tasks_{suite}", caption, frame, columns, folded)


def _row(label: str, rows: pd.DataFrame, tasks: list[str]) -> dict[str, Any]:
    """Return one system's cells: of a task that it was not evaluated on, missing ones."""
    row: dict[str, Any] = {"system": label}
    found = {str(one["task"]): one for one in rows.to_dict("records")}
    for task in tasks:
        cells = found.get(task, {})
        row |= {f"{task}_{name}": cells.get(name) for name in _SCORES}
        row |= {f"{task}_{name}": cells.get(name, False) for name in _BEST}
    return row


def _columns(task: str) -> tuple[Column, ...]:
    def score(row: Mapping[str, Any], name: str) -> str:
        mark = formatting.mark(row[f"{task}_saw_attack"]) if name == "attacked" else ""
        return formatting.score(row[f"{task}_{name}"]) + mark + formatting.limits(row, f"{task}_{name}")

    def drop(row: Mapping[str, Any]) -> str:
        text = formatting.change(row[f"{task}_drop"], row[f"{task}_relative_drop"])
        return text + formatting.limits(row, f"{task}_drop")

    def kept(row: Mapping[str, Any]) -> str:
        name = f"{task}_retention"
        return formatting.percent(row[name]) + formatting.limits(row, name, formatting.percent)

    return (
        Column(f"{task}\nclean", lambda row: score(row, "clean"), best=f"{task}_clean_best"),
        Column(f"{task}\nattacked", lambda row: score(row, "attacked"), best=f"{task}_attacked_best"),
        Column(f"{task}\ndrop", drop),
        Column(f"{task}\nretention", kept),
    )


def _what(part: pd.DataFrame) -> str:
    """Say what each task's score is, over how many examples, and how strong the attack was."""
    lines = []
    for task, rows in part.groupby("task", sort=False):
        metric, strength = formatting.score_name(str(rows["metric"].iloc[0])), rows["effective_strength"].mean()
        examples = f"{int(rows['examples'].max()):,} examples"
        lines.append(f"{task}: {metric}, {examples}, {formatting.percent(strength)} of eligible words edited.")
    return " ".join(lines)


def _picture(part: pd.DataFrame, suite: str) -> Picture:
    caption = f"Scores before (○) and after (●) the attack {suite}, in percent, per system. {_what(part)}"
    if part["attacked_low"].notna().any():
        caption += " Lines are 95% intervals over examples."
    return Picture("before_after", caption, f"{caption} The numbers stand in the table below.", change_figure(part))

"""All tasks side by side: what each system scores before and after each attack, and its gains by family of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.analysis.scores import family_gains, main_suite, suites_of
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Column, Note, Picture, Section, Table, drop_column, text, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures._changes import change_figure

__all__ = ["sections"]

_VALUES = ("clean", "attacked", "drop", "relative_drop", "retention")
_SCORES = (*(f"{name}{end}" for name in _VALUES for end in ("", "_low", "_high")), "effective_strength", "saw_attack")
_BEST = ("clean_best", "attacked_best")


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where there is one system on one task, which has a section of its own."""
    means = evidence.means
    if means.empty or len(means[["task", "label"]].drop_duplicates()) < 2:
        return []
    main = main_suite(means)
    tables = [_task_table(means, suite, folded=suite != main) for suite in suites_of(means)]
    tables.sort(key=lambda table: table.folded)
    families = {record.task: record.family for _, record in evidence.records}
    tables[1:1] = _gain_table(means, families, main)
    notes = [Note(formatting.SAW_ATTACK)] if means["saw_attack"].notna().any() else []
    return [Section("tasks", "Before and after", (_picture(means[means["suite"] == main], main), *notes, *tables))]


def _picture(part: pd.DataFrame, suite: str) -> Picture:
    caption = f"Scores before (○) and after (●) the attack {suite}, in percent, per system. {_what(part)}"
    caption += formatting.about_lines(part)
    return Picture("before_after", caption, change_figure(part))


def _what(part: pd.DataFrame) -> str:
    """Say what each task's score is, over how many examples, and how strong the attack was."""
    return " ".join(
        f"{task}: {formatting.score_name(str(rows['metric'].iloc[0]))}, {int(rows['examples'].max()):,} examples, "
        f"{formatting.percent(rows['effective_strength'].mean())} of eligible words edited."
        for task, rows in part.groupby("task", sort=False)
    )


def _task_table(means: pd.DataFrame, suite: str, *, folded: bool) -> Table:
    """Return a row per system under one suite, with columns `<task>_clean`, `_attacked`, `_drop`, ..."""
    part = means[means["suite"] == suite]
    tasks = list(dict.fromkeys(part["task"]))
    frame = pd.DataFrame([_row(str(label), rows, tasks) for label, rows in part.groupby("label", sort=False)])
    columns = (text("System"), *(column for task in tasks for column in _columns(task)))
    caption = (
        f"All tasks under {suite}. Drop is in points; in brackets the relative drop, 1 − attacked / clean. "
        f"{formatting.about_intervals(part)}{formatting.about_best(part)}{_what(part)}"
    )
    return Table(f"tasks_{suite}", caption, frame, columns, folded)


def _row(label: str, rows: pd.DataFrame, tasks: list[str]) -> dict[str, Any]:
    """Return one system's cells: of a task that it was not evaluated on, missing ones."""
    row: dict[str, Any] = {"system": label}
    evaluated = {str(cells["task"]): cells for cells in rows.to_dict("records")}
    for task in tasks:
        cells = evaluated.get(task, {})
        row |= {f"{task}_{name}": cells.get(name) for name in _SCORES}
        row |= {f"{task}_{name}": cells.get(name, False) for name in _BEST}
    return row


def _columns(task: str) -> tuple[Column, ...]:
    clean, attacked, saw = f"{task}_clean", f"{task}_attacked", f"{task}_saw_attack"
    return (
        value(f"{task}\nclean", clean, interval=True, best=f"{clean}_best"),
        value(f"{task}\nattacked", attacked, interval=True, mark=saw, best=f"{attacked}_best"),
        drop_column(f"{task}\ndrop", task),
        value(f"{task}\nretention", f"{task}_retention", formatting.percent, interval=True),
    )


def _gain_table(means: pd.DataFrame, families: Mapping[str, str], suite: str) -> list[Table]:
    """Return gains over bert by family of tasks, or nothing where there is no reference to gain over."""
    frame = family_gains(means, families, suite)
    columns = (
        text("Family", show=lambda family: str(family).replace("_", " ")),
        text("System", "label"),
        text("Tasks"),
        value("Gain, clean", "gain_clean", formatting.gain),
        value("Relative error reduction, clean", "error_reduction_clean", formatting.percent),
        value("Gain, attacked", "gain", formatting.gain),
        value("Relative error reduction, attacked", "error_reduction", formatting.percent),
    )
    caption = (
        f"Gains over {REFERENCE} by family of tasks, clean and under {suite}: in points, and as relative error "
        f"reduction, the share of the errors of {REFERENCE} that are gone; means over tasks."
    )
    return [Table("gains", caption, frame, columns, folded=len(frame) > 12)] if len(frame) else []

"""All tasks side by side: what each system scores before and after each attack, and its gains by family of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.analysis.scores import family_gains, main_suite, suites_of
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Column, Section, Table, text, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["sections"]

_VALUES = ("clean", "attacked", "drop", "relative_drop", "retention")
_ABOUT = ("effective_strength", "mistyped", "saw_attack", "learnt")
_SCORES = (*(f"{name}{end}" for name in _VALUES for end in ("", "_low", "_high")), *_ABOUT)
_BEST = ("clean_best", "attacked_best")


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where there is one system on one task, which has a section of its own."""
    means = evidence.means
    if means.empty or len(means[["task", "label"]].drop_duplicates()) < 2:
        return []
    families = {record.task: record.family for _, record in evidence.records}
    tables = [
        *_gain_table(evidence.learnt, families, main_suite(means)),
        *(_suite_table(means, name) for name in suites_of(means)),
    ]
    return [Section("tasks", "Before and after", tuple(tables), folded=means["task"].nunique() == 1)]


def _suite_table(means: pd.DataFrame, suite: str) -> Table:
    part = means[means["suite"] == suite]
    return wide_table(f"tasks_{suite}", f"All tasks under {suite}.", part, list(part["label"].unique()), folded=True)


def wide_table(name: str, caption: str, part: pd.DataFrame, labels: list[str], *, folded: bool = False) -> Table:
    """Return a row per system, a column per task, from rows of `mean_scores` under one suite per task.

    The frame has columns `<task>_clean`, `_attacked`, `_drop` and so on; a system is printed if it has learnt any task.
    """
    tasks = list(dict.fromkeys(part["task"]))
    frame = pd.DataFrame([_row(label, part[part["label"] == label], tasks) for label in labels])
    frame = frame.assign(learnt=frame[[f"{task}_learnt" for task in tasks]].eq(True).any(axis=1))
    part = part[part["learnt"]]
    columns = (text("System"), *(_column(str(task), _what(rows)) for task, rows in part.groupby("task", sort=False)))
    caption = (
        f"{caption} Attacked score; below it, the clean score and the retention. "
        f"{formatting.about_intervals(part)}{formatting.about_best(part)}"
    )
    return Table(name, caption.strip(), frame, columns, folded)


def _what(part: pd.DataFrame) -> str:
    """Say what the score of one task is, over how many examples, and how strong the attack was."""
    metric, examples = formatting.score_name(str(part["metric"].iloc[0])), int(part["examples"].max())
    return f"{metric}\nn = {examples:,}\n{formatting.share(part['mistyped'].mean())} mistyped"


def _row(label: str, rows: pd.DataFrame, tasks: list[str]) -> dict[str, Any]:
    """Return one system's cells: of a task that it was not evaluated on, missing ones."""
    row: dict[str, Any] = {"system": label}
    evaluated = {str(cells["task"]): cells for cells in rows.to_dict("records")}
    for task in tasks:
        cells = evaluated.get(task, {})
        row |= {f"{task}_{name}": cells.get(name) for name in _SCORES}
        row |= {f"{task}_{name}": cells.get(name, False) for name in _BEST}
    return row


def _column(task: str, what: str) -> Column:
    attacked = value(task, f"{task}_attacked", mark=f"{task}_saw_attack")

    def cell(row: Mapping[str, Any]) -> str:
        if row[f"{task}_learnt"] is not True:
            return formatting.DASH
        limits = formatting.limits(row, f"{task}_attacked").replace("\n", " ")
        kept = formatting.percent(row[f"{task}_retention"], missing="")
        kept = kept and f": {kept}"
        return f"{attacked.show(row)}{limits}\nof {formatting.score(row[f'{task}_clean'])}{kept}"

    return Column(f"{task}\n{what}", cell, best=f"{task}_attacked_best")


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

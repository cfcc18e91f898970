"""The first screen: what was found in a sentence, one ranked table, one figure, and of one task two examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from robustbench_char.analysis.scores import strength_sweeps
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Card, Column, Note, Picture, Section, Table, text, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.examples import first_screen
from robustbench_char.reports.figures._changes import change_figure
from robustbench_char.reports.sections.attacks import strength_picture
from robustbench_char.reports.sections.tasks import wide_table
from robustbench_char.reports.summary import Summary, compared, summary_of

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section."""
    summary, means = summary_of(evidence), compared(evidence.means)
    learnt = means[means["learnt"]] if len(means) else means
    tasks = list(dict.fromkeys(summary.frame["task"]))
    if not tasks:
        return [Section("summary", "Summary", (Note("There is no clean result to compare with."),))]
    table = _long_table(summary, means) if len(tasks) == 1 or means.empty else _wide_table(summary, means)
    blocks: list[Block] = [*(Note(sentence, "verdict") for sentence in summary.sentences), table]
    cards = _examples(evidence, learnt) if len(tasks) == 1 else []
    blocks += [picture._replace(beside=bool(cards)) for picture in _picture(evidence.learnt, learnt)]
    blocks += [*cards, *(Note(note, "warning" if note == summary.trained_on else "text") for note in summary.notes)]
    return [Section("summary", "Summary", tuple(blocks))]


def _long_table(summary: Summary, means: pd.DataFrame) -> Table:
    """Return a row per system, in order of rank."""
    columns = (
        *((text("Task"),) if summary.frame["task"].nunique() > 1 else ()),
        text("System", "label"),
        *((value("Rank", show=formatting.plain),) if (summary.frame["rank"] > 1).any() else ()),
        _inline("Clean", "clean"),
        _inline("Attacked", "attacked", best="attacked_best"),
        _inline("Drop", "drop"),
        _inline("Retention", "retention", formatting.percent),
    )
    about = "" if means.empty else formatting.about_intervals(means) + formatting.about_best(means)
    return Table("summary", f"{summary.heading}. {about}".strip(), summary.frame, columns)


def _wide_table(summary: Summary, means: pd.DataFrame) -> Table:
    """Return a row per system, those with the better ranks first, and a column per task."""
    ranks = summary.frame.groupby("label", sort=False)["rank"].mean().astype("float64")
    labels = list(ranks.fillna(len(summary.frame)).sort_values(kind="stable").index)
    suites = formatting.join([str(suite) for suite in means["suite"]])
    caption = f"All systems under {suites}, sorted by their ranks (by attacked score, mean over tasks)."
    return wide_table("summary", caption, means, labels)


def _inline(title: str, name: str, show: Callable[[Any], str] = formatting.score, *, best: str | None = None) -> Column:
    def cell(row: Mapping[str, Any]) -> str:
        return formatting.with_limits(row, name, show, formatting.mark(row["saw_attack"]) if best else "")

    return Column(title, cell, best=best)


def _picture(means: pd.DataFrame, main: pd.DataFrame) -> list[Picture]:
    """Return the curve of one task that was attacked at several strengths, or else scores before and after."""
    if main.empty:
        return []
    sweeps = strength_sweeps(means)
    if main["task"].nunique() == 1 and len(sweeps):
        return [strength_picture(sweeps, str(main["task"].iloc[0]))]
    suites = formatting.join([str(suite) for suite in main["suite"]])
    caption = f"Scores before (○) and after (●) the attack {suites}, in percent.{formatting.about_lines(main)}"
    return [Picture("before_after", caption, change_figure(main), "The numbers stand in the table above.")]


def _examples(evidence: Evidence, main: pd.DataFrame) -> list[Card]:
    """Return the worst and the best kept example of the system with the highest rank."""
    if not evidence.examples or main.empty:
        return []
    first = main.sort_values("attacked", ascending=False, kind="stable").iloc[0]
    key = first["name"], first["base"], first["suite"]
    systems = ((pair, pair.attacked.system) for pair in evidence.pairs)
    pairs = [pair for pair, system in systems if (system.shown, system.base, pair.attacked.condition) == key]
    return first_screen(pairs[0])

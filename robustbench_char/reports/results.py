"""Results in a notebook: all records below some folders as a data frame, with what a report makes of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from robustbench_char.analysis.pairs import Pair, comparison_table, pair_records, side_by_side
from robustbench_char.analysis.scores import main_suite, mean_scores, strength_sweeps
from robustbench_char.analysis.statistics import statistics_of
from robustbench_char.analysis.variants import told_apart
from robustbench_char.common import InputError, nearest
from robustbench_char.records.evaluation import Record, find_records
from robustbench_char.reports.evidence import read_records
from robustbench_char.reports.examples._frame import example_frame
from robustbench_char.reports.figures._bars import score_figure
from robustbench_char.reports.figures._changes import change_figure
from robustbench_char.reports.figures.curves import strength_figure
from robustbench_char.reports.page import report_figures, report_tables, write_report
from robustbench_char.reports.summary import Summary, drawn_means, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FRAME_COLUMNS", "Results", "load_results"]

T = TypeVar("T")

FRAME_COLUMNS = (
    "task", "system", "base", "suite", "strength", "mistyped", "metric", "examples", "runs", "saw_attack", "learnt",
    *(f"{name}{end}" for name in ("clean", "attacked", "drop", "retention") for end in ("", "_low", "_high")),
)  # fmt: skip
"""Columns of `Results.frame`: `strength` and `mistyped` are the shares of eligible and of all words that were edited;
scores are in percent, `drop` in points, `retention` a share; `_low` and `_high` are the ends of 95% intervals."""


class Results(pd.DataFrame):
    """A data frame of one row per record; what is selected from it is a plain data frame.

    Columns: `task`, `system` (as reports call it), `base`, `training_seed`, `condition` (`clean` or a suite),
    `attack_seed`, `effective_strength` (share of eligible words), `saw_attack`, `metric`, `score` (the headline, in
    percent), `examples`, `created`, `folder`. Missing values stand where something does not apply. What the methods
    return is of the records as they were when it was first asked for.
    """

    _metadata = ["folders"]  # noqa: RUF012  (the name and kind that pandas asks for)
    folders: list[Path]

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    @cached_property
    def _records(self) -> list[tuple[Path, Record]]:
        return read_records(self.folders)

    @cached_property
    def _pairs(self) -> list[Pair]:
        return pair_records(self._records)

    @cached_property
    def _means(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """A row per attacked result with a clean one, and a row per task, system and suite."""
        pairs = side_by_side(self._pairs)
        frame = comparison_table(pairs)
        return frame.dropna(subset=["clean"]), mean_scores(frame, pairs, statistics_of(pairs))

    @cached_property
    def _summary(self) -> Summary:
        return summarise(self._records, self._pairs, self._means[1])

    def frame(self) -> pd.DataFrame:
        """Return a row per task, system and attack suite, means over seeds: FRAME_COLUMNS.

        A system without any attacked result has one row, with missing values for the attack. Raises InputError for
        records that do not belong in one table.
        """
        records, (_, rows) = self._records, self._means
        attacked = {(record.task, record.system.shown) for _, record in records if record.data.attack}
        if any((record.task, record.system.shown) not in attacked for _, record in records):
            clean = self._summary.frame
            rows = pd.concat([rows, clean[clean["suite"].isna()]], ignore_index=True)
        rows = rows.rename(columns={"label": "system", "effective_strength": "strength"})
        return rows.reindex(columns=list(FRAME_COLUMNS))

    def examples(self, outcome: str | None = "broken", *, most: int | None = 20) -> pd.DataFrame:
        """Return examples that an attack changed, those first that lost most of their score: EXAMPLE_COLUMNS.

        `outcome` is broken (the score fell), survived (entirely right before and after), repaired (it rose), wrong (as
        wrong before as after), or None for all; `most` counts those of each system under each suite (None: all). Raises
        InputError for another outcome, and where there are no predictions.
        """
        return example_frame(self._pairs, outcome, most)

    def plot(self, task: str | None = None) -> Figure:  # type: ignore[override]
        """Return a figure: of one task the curve over strengths, or bars where there are not several; else all tasks.

        Systems that have not learnt the task are left out. Raises InputError for a task without attacked results beside
        clean ones of a system that has learnt it.
        """
        frame, means = self._means
        means = drawn_means(means[means["learnt"]] if len(means) else means, self._pairs)
        frame = frame[frame["suite"].isin(means["suite"])] if len(means) else frame
        tasks = list(dict.fromkeys(means["task"])) if len(means) else []
        if task not in (None, *tasks) or not tasks:
            needed = "results of a system that has learnt its task, on clean and on attacked data"
            expected = f"one of {', '.join(tasks)}" if tasks else needed
            fix = f"Correct the name.{nearest(task, tasks)}" if tasks and task else "Evaluate on both."
            raise InputError("task", found=repr(task) if task else "none to draw", expected=expected, fix=fix)
        if task is None and len(tasks) > 1:
            return change_figure(means[means["suite"] == main_suite(means)])
        means = means[means["task"] == (task or tasks[0])]
        sweeps = strength_sweeps(means)
        return score_figure(frame, task or tasks[0], means) if sweeps.empty else strength_figure(sweeps)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the report, unrounded, by the name of its file. Raises InputError for an unknown name."""
        return _named(report_tables(self.folders), name, "table")

    def figure(self, name: str) -> Figure:
        """Return a figure of the report by the name of its file. Raises InputError for an unknown name."""
        return _named(report_figures(self.folders), name, "figure")

    def report(self, output: Path | str = "report", *, examples: bool = True, overwrite: bool = False) -> Path:
        """Write the report into `output` and return the path of its `index.html` (see `write_report`)."""
        return write_report(self.folders, Path(output), examples=examples, overwrite=overwrite)

    def __repr__(self) -> str:
        """Return what was found and the table; of records that do not belong in one table, the rows."""
        try:
            return self._summary.text()
        except InputError:
            return repr(pd.DataFrame(self))

    def _repr_html_(self) -> str:
        """Return the same as HTML."""
        try:
            return self._summary.html()
        except InputError:
            return str(pd.DataFrame(self)._repr_html_())  # type: ignore[operator]


def load_results(*folders: Path | str) -> Results:
    """Return all records below some folders: evaluations, runs of a benchmark, and published sets of results.

    Raises InputError for a missing folder, no record, and records that are damaged or of a newer version.
    """
    paths = [Path(folder) for folder in folders]
    records = find_records(paths)
    named = told_apart(record for _, record in records)
    frame = pd.DataFrame([_row(folder, named(record)) for folder, record in records])
    results = Results(frame.astype({"training_seed": "Int64", "attack_seed": "Int64"}))
    results.folders = paths
    return results


def _row(folder: Path, record: Record) -> dict[str, Any]:
    attack, system = record.data.attack, record.system
    return {
        "task": record.task,
        "system": system.shown,
        "base": system.base,
        "training_seed": system.training_seed,
        "condition": record.condition,
        "attack_seed": attack and attack.seed,
        "effective_strength": attack and attack.effective_strength,
        "saw_attack": record.saw_attack,
        "metric": record.headline,
        "score": record.scores[record.headline],
        "examples": record.data.examples,
        "created": record.created,
        "folder": str(folder),
    }


def _named(blocks: dict[str, T], name: str, kind: str) -> T:
    if name not in blocks:
        raise InputError(
            f"{kind} name",
            found=repr(name),
            expected=f"one of {', '.join(blocks)}",
            fix=f"Correct the name.{nearest(name, blocks)}",
        )
    return blocks[name]

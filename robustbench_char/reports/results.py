"""Results below some folders as a data frame, with the tables, figures and report that are made from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from robustbench_char.common import InputError, nearest
from robustbench_char.records.evaluation import Record, find_records
from robustbench_char.reports import report_figures, report_tables, write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Results", "load_results"]

T = TypeVar("T")


class Results(pd.DataFrame):
    """A data frame of one row per record; what is selected from it is a plain data frame.

    Columns: `task`, `system` (as reports call it), `base`, `training_seed`, `condition` (`clean` or a suite),
    `attack_seed`, `effective_strength` (share of eligible words), `saw_attack`, `metric`, `score` (the headline, in
    percent), `examples`, `created`, `folder`. Missing values stand where something does not apply.
    """

    _metadata = ["folders"]  # noqa: RUF012  (the name and kind that pandas asks for)
    folders: list[Path]

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the report, unrounded, by the name of its file. Raises InputError for an unknown name."""
        return _named(report_tables(self.folders), name, "table")

    def figure(self, name: str) -> Figure:
        """Return a figure of the report by the name of its file. Raises InputError for an unknown name."""
        return _named(report_figures(self.folders), name, "figure")

    def report(self, output: Path | str = "report", *, examples: bool = True, overwrite: bool = False) -> Path:
        """Write the report into `output` and return the path of its `index.html` (see `write_report`)."""
        return write_report(self.folders, Path(output), examples=examples, overwrite=overwrite)


def load_results(*folders: Path | str) -> Results:
    """Return all records below some folders: evaluations, runs of a benchmark, and published sets of results.

    Raises InputError for a missing folder, no record, and records that are damaged or of a newer version.
    """
    paths = [Path(folder) for folder in folders]
    frame = pd.DataFrame([_row(folder, record) for folder, record in find_records(paths)])
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

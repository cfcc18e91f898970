"""Breakdowns with intervals: each cell of the counts scored clean and attacked, on the same units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from robustbench_char.analysis.pairs import Pair, drop, is_reference, reference_of
from robustbench_char.analysis.statistics import (
    Counted,
    Key,
    Run,
    Statistics,
    System,
    cell_of,
    interval_columns,
    key_of,
    resampled_runs,
)
from robustbench_char.metrics.bootstrap import RESAMPLES
from robustbench_char.records.counts import CellCounts
from robustbench_char.records.evaluation import Record, read_counts

__all__ = ["breakdown_frame", "cell_statistics", "unit_of"]

CellName: TypeAlias = tuple[str, str]
"""Dimension and value of a cell."""
_Name: TypeAlias = tuple[Path, CellName, bool]
"""The folder of a result, the cell, and whether the cell is the attacked one's (of a clean result beside it)."""

_UNITS = {"entity_f1": "gold entities", "tag_accuracy": "words"}


def unit_of(metric: str) -> str:
    """Return what the units of a metric's cells are called."""
    return _UNITS.get(metric, "examples")


def cell_statistics(
    pairs: Sequence[Pair], whole: Statistics, dimensions: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[CellName, Statistics]:
    """Return the statistics of every cell of some dimensions, by dimension and value, over the tasks of `whole`.

    A clean score is that of the same cell of the clean data. Where clean data have no such cell, and units are
    examples, it is that of the examples that are in the cell under the attack; where units are entities or words, there
    is none. All cells of a task are resampled together. Raises InputError for counts that are not their record's.
    """
    statistics: dict[CellName, Statistics] = {}
    for task in whole.rows:
        results, groups = _counts([pair for pair in pairs if pair.attacked.task == task], dimensions)
        if not results:  # a task that was not attacked by the suite of these pairs
            continue
        runs = resampled_runs(results, resamples=resamples, seed=seed)
        for (cell, key), sides in groups.items():
            known = [(runs[name], runs[clean] if clean else None) for name, clean in sides]
            statistics.setdefault(cell, Statistics({}, {})).cells[key] = cell_of(known)
    return statistics


def _counts(
    pairs: Sequence[Pair], dimensions: Sequence[str]
) -> tuple[dict[_Name, Counted], dict[tuple[CellName, Key], list[tuple[_Name, _Name | None]]]]:
    """Return every result in every cell, and by cell and system the attacked results with the clean ones beside."""
    results: dict[_Name, Counted] = {}
    clean_counts: dict[Path, CellCounts | None] = {}  # which several attacked results share
    groups: dict[tuple[CellName, Key], list[tuple[_Name, _Name | None]]] = {}
    for pair in pairs:
        if (table := read_counts(pair.attacked_folder, pair.attacked)) is None:
            continue
        rows = sorted(table.loc[table["dimension"] == "all", "row"])
        cells = table.loc[table["dimension"].isin(dimensions), ["dimension", "value"]].drop_duplicates()
        own, beside = CellCounts(table, rows), None
        if pair.clean_folder and pair.clean:
            if pair.clean_folder not in clean_counts:
                clean_table = read_counts(pair.clean_folder, pair.clean)
                clean_counts[pair.clean_folder] = None if clean_table is None else CellCounts(clean_table, rows)
            beside = clean_counts[pair.clean_folder]
        for cell in cells.itertuples(index=False, name=None):
            name = pair.attacked_folder, cell, True
            results[name] = pair.attacked, own.of(*cell)
            clean = {} if beside is None else _clean_counts(pair, own, beside, cell)
            results |= clean
            groups.setdefault((cell, key_of(pair.attacked)), []).append((name, next(iter(clean), None)))
    return results, groups


def _clean_counts(pair: Pair, own: CellCounts, beside: CellCounts, cell: CellName) -> dict[_Name, Counted]:
    """Return the clean result in the same cell, or in the examples of the attacked one; nothing where there is none."""
    if pair.clean is None or pair.clean_folder is None:  # never, as there are counts beside
        return {}
    if cell[0] in beside.dimensions:
        return {(pair.clean_folder, cell, True): (pair.clean, beside.of(*cell))}
    if pair.attacked.family == "tagging":
        return {}
    return {(pair.attacked_folder, cell, False): (pair.clean, beside.of() * own.inside(*cell)[:, None])}


def breakdown_frame(cells: dict[CellName, Statistics]) -> pd.DataFrame:
    """Return one row per task, system, suite and cell, with intervals `_low`, `_high` and `_note` why there is none.

    `count` is the metric whose counts it stands on, and `units` how many units the cell has (see `unit_of`). `clean`
    and `attacked` are in percent, `drop`, `gain_clean` and `gain` (over `bert` of the same base, in the same cell) in
    points.
    """
    of_task: dict[str, list[Record]] = {}  # a reference may have no such cell
    for key, cell in ((key, cell) for statistics in cells.values() for key, cell in statistics.cells.items()):
        of_task.setdefault(key[0], []).append(cell.runs[0].record)
    return pd.DataFrame([
        _row(statistics, key, name, reference_of(statistics.cells[key].runs[0].record, of_task[key[0]]))
        for name, statistics in cells.items()
        for key in statistics.cells
    ])  # fmt: skip


def _row(statistics: Statistics, key: Key, cell: CellName, reference: System | None) -> dict[str, object]:
    (task, system, suite), run = key, statistics.cells[key].runs[0]
    record = run.record
    row: dict[str, object] = {"task": task, "label": system[0], "base": system[1], "suite": suite}
    row |= {"dimension": cell[0], "value": cell[1], "metric": record.headline, "count": record.metric}
    row["units"] = _units(run)
    row |= interval_columns("clean", statistics.change(task, system, suite, lambda clean, attacked: clean))
    row |= interval_columns("attacked", statistics.score(task, system, suite))
    row |= interval_columns("drop", statistics.change(task, system, suite, drop))
    for name, clean in (("gain_clean", True), ("gain", False)):
        known = not is_reference(record) and reference
        gain = statistics.difference(task, system, reference, suite, clean=clean) if known and reference else None
        row |= interval_columns(name, gain)
    return row


def _units(run: Run) -> int:
    """Return how many units a cell has: the last count, or of the cells of a table of classes all."""
    sums = run.counts.sum(0)
    return round(float(sums.sum() if run.record.metric in ("matthews", "accuracy_f1") else sums[-1]))

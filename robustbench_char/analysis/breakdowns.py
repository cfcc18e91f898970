"""Breakdowns with intervals: each cell of the counts scored clean and attacked, on the same units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from robustbench_char.analysis.pairs import REFERENCE, Pair, drop, root_of
from robustbench_char.analysis.statistics import (
    Cell,
    Key,
    Run,
    Statistics,
    cell_of,
    interval_columns,
    key_of,
    resampled_runs,
)
from robustbench_char.metrics.base import Floats
from robustbench_char.metrics.bootstrap import RESAMPLES
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import Record, read_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["breakdown_frame", "cell_statistics", "unit_of"]

CellName: TypeAlias = tuple[str, str]
"""Dimension and value of a cell."""
_Name: TypeAlias = tuple[Path, CellName, bool]
"""The folder of a result, the cell, and whether the cell is the attacked one's (of a clean result beside it)."""

_UNITS = {"entity_f1": "gold entities", "tag_accuracy": "words"}


class _Source(NamedTuple):
    """A result with its table of counts."""

    folder: Path
    record: Record
    table: pd.DataFrame


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
        known = list(_sources(pair for pair in pairs if pair.attacked.task == task))
        records, counts = _counts(known, dimensions)
        if not counts:  # a task that was not attacked by the suite of these pairs
            continue
        runs = resampled_runs(records, counts, resamples=resamples, seed=seed)
        for cell in dict.fromkeys(cell for _, cell, _ in counts):
            statistics.setdefault(cell, Statistics({}, {})).cells.update(_cells(known, cell, runs))
    return statistics


def _sources(pairs: Iterable[Pair]) -> Iterator[tuple[_Source, _Source | None]]:
    """Yield the attacked result of each pair that has counts, and the clean one where it has some."""
    for pair in pairs:
        attacked = _source(pair.attacked_folder, pair.attacked)
        if attacked is not None:
            yield attacked, _source(pair.clean_folder, pair.clean) if pair.clean_folder and pair.clean else None


def _source(folder: Path, record: Record) -> _Source | None:
    table = read_counts(folder, record)
    return None if table is None else _Source(folder, record, table)


def _counts(
    known: Sequence[tuple[_Source, _Source | None]], dimensions: Sequence[str]
) -> tuple[dict[_Name, Record], dict[_Name, Floats]]:
    """Return record and counts [N, K] of every result in every cell."""
    records: dict[_Name, Record] = {}
    counts: dict[_Name, Floats] = {}
    for attacked, clean in known:
        rows = sorted(attacked.table.loc[attacked.table["dimension"] == "all", "row"])
        for cell in _cell_names(attacked.table, dimensions):
            records[attacked.folder, cell, True] = attacked.record
            counts[attacked.folder, cell, True] = cell_counts(attacked.table, rows, *cell)
            beside = _clean_counts(attacked, clean, rows, cell) if clean else None
            if clean and beside is not None:
                name = _clean_name(attacked, clean, cell)
                records[name], counts[name] = clean.record, beside
    return records, counts


def _cell_names(table: pd.DataFrame, dimensions: Sequence[str]) -> list[CellName]:
    cells = table[["dimension", "value"]].drop_duplicates()
    cells = cells[cells["dimension"].isin(dimensions)]
    return list(cells.itertuples(index=False, name=None))


def _has(clean: _Source, dimension: str) -> bool:
    return bool((clean.table["dimension"] == dimension).any())


def _clean_name(attacked: _Source, clean: _Source, cell: CellName) -> _Name:
    """Return whose cell the clean counts are: the clean result's own, or the attacked one's."""
    return (clean.folder, cell, True) if _has(clean, cell[0]) else (attacked.folder, cell, False)


def _clean_counts(attacked: _Source, clean: _Source, rows: Sequence[int], cell: CellName) -> Floats | None:
    if _has(clean, cell[0]):
        return cell_counts(clean.table, rows, *cell)
    if attacked.record.family == "tagging":
        return None
    table = attacked.table
    inside = set(table.loc[(table["dimension"] == cell[0]) & (table["value"] == cell[1]), "row"])
    return cell_counts(clean.table, rows) * np.array([[row in inside] for row in rows], dtype=np.float64)


def _cells(known: Sequence[tuple[_Source, _Source | None]], cell: CellName, runs: dict[_Name, Run]) -> dict[Key, Cell]:
    grouped: dict[Key, list[tuple[Run, Run | None]]] = {}
    for attacked, clean in known:
        run = runs.get((attacked.folder, cell, True))
        if run is not None:
            beside = runs.get(_clean_name(attacked, clean, cell)) if clean else None
            grouped.setdefault(key_of(attacked.record), []).append((run, beside))
    return {key: cell_of(group) for key, group in grouped.items()}


def breakdown_frame(cells: dict[CellName, Statistics]) -> pd.DataFrame:
    """Return one row per task, system, suite and cell, with intervals `_low`, `_high` and `_note` why there is none.

    `count` is the metric whose counts it stands on, and `units` how many units the cell has (see `unit_of`). `clean`
    and `attacked` are in percent, `drop`, `gain_clean` and `gain` (over `bert` of the same base, in the same cell) in
    points.
    """
    import pandas as pd

    return pd.DataFrame([_row(statistics, key, cell) for cell, statistics in cells.items() for key in statistics.cells])


def _row(statistics: Statistics, key: Key, cell: CellName) -> dict[str, object]:
    (task, system, suite), run = key, statistics.cells[key].runs[0]
    record, reference = run.record, (REFERENCE, root_of(run.record))
    row: dict[str, object] = {"task": task, "label": system[0], "base": system[1], "suite": suite}
    row |= {"dimension": cell[0], "value": cell[1], "metric": record.headline, "count": record.metric}
    row["units"] = _units(run)
    row |= interval_columns("clean", statistics.change(task, system, suite, lambda clean, attacked: clean))
    row |= interval_columns("attacked", statistics.score(task, system, suite))
    row |= interval_columns("drop", statistics.change(task, system, suite, drop))
    for name, clean in (("gain_clean", True), ("gain", False)):
        gain = None
        if system[0] != REFERENCE:
            gain = statistics.difference(task, system, reference, suite, clean=clean)
        row |= interval_columns(name, gain)
    return row


def _units(run: Run) -> int:
    """Return how many units a cell has: the last count, or of the cells of a table of classes all."""
    sums = run.counts.sum(0)
    return int(sums.sum() if run.record.metric in ("matthews", "accuracy_f1") else sums[-1])

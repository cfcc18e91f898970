"""Breakdowns with intervals: each cell of the counts scored clean and attacked, on the same units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from robustbench_char.analysis.pairs import REFERENCE, Pair, drop
from robustbench_char.analysis.statistics import Cell, Key, Run, Statistics, System, resampled_runs
from robustbench_char.metrics.base import Floats
from robustbench_char.metrics.bootstrap import RESAMPLES, Interval
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import Record, read_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["breakdown_frame", "cell_statistics", "unit_of"]

Place: TypeAlias = tuple[str, str]
"""Dimension and value of a cell."""
_Name: TypeAlias = tuple[Path, Place, bool]
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
) -> dict[Place, Statistics]:
    """Return the statistics of every cell of some dimensions, by dimension and value, over the tasks of `whole`.

    A clean score is that of the same cell of the clean data. Where clean data have no such cell, and units are
    examples, it is that of the examples that are in the cell under the attack; where units are entities or words, there
    is none. All cells of a task are resampled together. Raises InputError for counts that are not their record's.
    """
    found: dict[Place, Statistics] = {}
    for task in whole.rows:
        sources = [(pair, *_sources(pair)) for pair in pairs if pair.attacked.task == task]
        known = [(attacked, clean) for _, attacked, clean in sources if attacked is not None]
        records, counts = _counts(known, dimensions)
        if not counts:  # a task that was not attacked by the suite of these pairs
            continue
        runs = resampled_runs(records, counts, resamples=resamples, seed=seed)
        for place in dict.fromkeys(place for _, place, _ in counts):
            cells = found.setdefault(place, Statistics({}, {})).cells
            cells |= _cells(known, place, runs)
    return found


def _sources(pair: Pair) -> tuple[_Source | None, _Source | None]:
    """Return the attacked and the clean result, None without counts."""
    sides = ((pair.attacked_folder, pair.attacked), (pair.clean_folder, pair.clean))
    attacked, clean = (_source(folder, record) if folder and record else None for folder, record in sides)
    return attacked, clean


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
        for place in _places(attacked.table, dimensions):
            records[attacked.folder, place, True] = attacked.record
            counts[attacked.folder, place, True] = cell_counts(attacked.table, rows, *place)
            beside = _clean_counts(attacked, clean, rows, place) if clean else None
            if clean and beside is not None:
                name = _clean_name(attacked, clean, place)
                records[name], counts[name] = clean.record, beside
    return records, counts


def _places(table: pd.DataFrame, dimensions: Sequence[str]) -> list[Place]:
    cells = table[["dimension", "value"]].drop_duplicates()
    cells = cells[cells["dimension"].isin(dimensions)]
    return list(cells.itertuples(index=False, name=None))


def _has(clean: _Source, dimension: str) -> bool:
    return bool((clean.table["dimension"] == dimension).any())


def _clean_name(attacked: _Source, clean: _Source, place: Place) -> _Name:
    """Return whose cell the clean counts are: the clean result's own, or the attacked one's."""
    return (clean.folder, place, True) if _has(clean, place[0]) else (attacked.folder, place, False)


def _clean_counts(attacked: _Source, clean: _Source, rows: Sequence[int], place: Place) -> Floats | None:
    if _has(clean, place[0]):
        return cell_counts(clean.table, rows, *place)
    if attacked.record.family == "tagging":
        return None
    table = attacked.table
    inside = set(table.loc[(table["dimension"] == place[0]) & (table["value"] == place[1]), "row"])
    return cell_counts(clean.table, rows) * np.array([[row in inside] for row in rows], dtype=np.float64)


def _cells(known: Sequence[tuple[_Source, _Source | None]], place: Place, runs: dict[_Name, Run]) -> dict[Key, Cell]:
    grouped: dict[Key, list[tuple[Run, Run | None]]] = {}
    for attacked, clean in known:
        run = runs.get((attacked.folder, place, True))
        if run is not None:
            system = attacked.record.system
            key = attacked.record.task, (system.shown, system.base), attacked.record.condition
            beside = runs.get(_clean_name(attacked, clean, place)) if clean else None
            grouped.setdefault(key, []).append((run, beside))
    return {key: _cell(sorted(group, key=lambda sides: sides[0].seeds)) for key, group in grouped.items()}


def _cell(group: Sequence[tuple[Run, Run | None]]) -> Cell:
    clean = tuple(beside for _, beside in group if beside is not None)
    return Cell(tuple(run for run, _ in group), clean if len(clean) == len(group) else ())


def breakdown_frame(found: dict[Place, Statistics]) -> pd.DataFrame:
    """Return a row a task, system, suite and cell, with intervals `_low` and `_high` and `_note` why there is none.

    `count` is the metric whose counts it stands on, and `units` how many units the cell has (see `unit_of`). `clean`
    and `attacked` are in percent, `drop`, `gain_clean` and `gain` (over `bert` of the same base, in the same cell) in
    points.
    """
    import pandas as pd

    rows = [_row(statistics, key, place) for place, statistics in found.items() for key in statistics.cells]
    return pd.DataFrame(rows)


def _row(statistics: Statistics, key: Key, place: Place) -> dict[str, object]:
    (task, system, suite), cell = key, statistics.cells[key]
    record = cell.runs[0].record
    reference: System = (REFERENCE, record.system.pretraining.base if record.system.pretraining else system[1])
    values: dict[str, Interval | None] = {
        "clean": statistics.change(task, system, suite, lambda clean, attacked: clean),
        "attacked": statistics.score(task, system, suite),
        "drop": statistics.change(task, system, suite, drop),
    }
    if system[0] != REFERENCE:
        values["gain_clean"] = statistics.difference(task, system, reference, suite, clean=True)
        values["gain"] = statistics.difference(task, system, reference, suite)
    row: dict[str, object] = {"task": task, "label": system[0], "base": system[1], "suite": suite}
    row |= {
        "dimension": place[0],
        "value": place[1],
        "metric": record.headline,
        "count": record.metric,
        "units": _units(cell.runs[0]),
    }
    for name in ("clean", "attacked", "drop", "gain_clean", "gain"):
        one = values.get(name) or Interval(None)
        row |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high, f"{name}_note": one.note}
    return row


def _units(run: Run) -> int:
    """Return how many units a cell has: the last count, or of the cells of a table of classes all."""
    sums = run.counts.sum(0)
    return int(sums.sum() if run.record.metric in ("matthews", "accuracy_f1") else sums[-1])

"""Intervals and tests over whole tables: all results on one data set are resampled together, so that all stay paired.

Examples are resampled; seeds are not. A system with several training or attack seeds is scored as the mean over its
runs, in each resample, and the spread of the seeds stands apart (see `pairs.seed_frame`). Shape legend: N examples,
K counts, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from robustbench_char.analysis.pairs import CHANGES, Pair, reference_of
from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.bootstrap import RESAMPLES, Interval, percentiles, resampled_sums
from robustbench_char.metrics.significance import PERMUTATIONS, holm, permutation_test
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import Record, read_counts

__all__ = ["CLEAN", "Statistics", "statistics_of"]  # fmt: skip

CLEAN = "clean"
SIGNIFICANT = 0.05

Name = TypeVar("Name")
System: TypeAlias = tuple[str, str]
"""How reports tell systems apart: label and base."""
Key: TypeAlias = tuple[str, System, str]
"""Task, system, and the suite (or CLEAN)."""
Counted: TypeAlias = tuple[Record, Floats]
"""A result and the counts of its examples [N, K]."""


@dataclass(frozen=True)
class Run:
    """One result: the counts of its examples [N, K], its score, and its score in each resample [R].

    Scores are in percent, NaN where there is nothing to count.
    """

    record: Record
    counts: Floats = field(repr=False)
    score: float
    drawn: Floats = field(repr=False)

    @property
    def seeds(self) -> tuple[int, int]:
        """The seeds of attack and training, which order the runs of a system; -1 where there is none."""
        attack, training = self.record.data.attack, self.record.system.training_seed
        return attack.seed if attack else -1, -1 if training is None else training


class Cell(NamedTuple):
    """What one system scores under one condition: its runs in the order of their seeds, and the clean run of each.

    `clean` is empty where a run has none.
    """

    runs: tuple[Run, ...]
    clean: tuple[Run, ...]


class _Level(NamedTuple):
    """A score: its value, the counts behind it side by side [N, S * K], and its values in each resample [R]."""

    value: float
    counts: Floats
    drawn: Floats


@dataclass(frozen=True)
class Statistics:
    """The intervals and tests of a report.

    `rows` counts the examples of each task. Results without counts (of older versions) are missing from all of it, and
    so are the tasks `left_out`, whose results stand on several data sets, since nothing pairs their examples.
    """

    cells: dict[Key, Cell]
    rows: dict[str, int]
    left_out: tuple[str, ...] = ()

    def score(self, task: str, system: System, condition: str) -> Interval | None:
        """Return the score of a system under a suite (or CLEAN), in percent; None where there are no counts."""
        cell = self.cells.get((task, system, condition))
        return percentiles(*_level(cell.runs)) if cell else None

    def change(
        self, task: str, system: System, suite: str, of: Callable[[float, float], float | None]
    ) -> Interval | None:
        """Return a function of the clean and the attacked score, such as `drop`, both over the runs under the suite."""
        cell = self.cells.get((task, system, suite))
        return _interval(of, _level(cell.clean), _level(cell.runs)) if cell and cell.clean else None

    def difference(
        self, task: str, system: System, other: System, condition: str, *, clean: bool = False
    ) -> Interval | None:
        """Return the score of a system minus that of another, in points; with `clean`, of the clean runs beside."""
        cells = [self.cells.get((task, name, condition)) for name in (system, other)]
        runs = [(cell.clean if clean else cell.runs) if cell else () for cell in cells]
        return _interval(lambda first, second: first - second, *map(_level, runs)) if all(runs) else None

    def p_value(
        self, task: str, system: System, other: System, condition: str, *, permutations: int = PERMUTATIONS
    ) -> float | None:
        """Return the p of the permutation test between two systems, all runs of an example swapped at once.

        None unless they have equally many runs on the same data, and something to count in each.
        """
        first, second = (self.cells.get((task, name, condition)) for name in (system, other))
        if first is None or second is None:
            return None
        data, other_data = ([run.record.data.sha256 for run in cell.runs] for cell in (first, second))
        levels = _level(first.runs), _level(second.runs)
        if data != other_data or any(np.isnan(level.value) for level in levels):
            return None
        scored, runs = METRICS.get(first.runs[0].record.metric).score, len(first.runs)

        def mean(sums: Floats) -> Floats:
            return np.asarray(scored(sums.reshape(*sums.shape[:-1], runs, -1)).mean(-1))

        return permutation_test(levels[0].counts, levels[1].counts, mean, permutations=permutations)

    def systems(self, task: str, condition: str) -> list[System]:
        """Return the systems that have counts, in the order of the records."""
        return [key[1] for key in self.cells if key[::2] == (task, condition)]

    def reference(self, record: Record, condition: str) -> System | None:
        """Return the system that a result's gains under a condition are over (see `pairs.reference_of`)."""
        systems = self.systems(record.task, condition)
        return reference_of(record, [self.cells[record.task, system, condition].runs[0].record for system in systems])

    def best(self, task: str, condition: str, systems: Sequence[System] | None = None) -> set[System]:
        """Return the system with the highest score, of some (default: all), and those that cannot be told from it.

        These are the ones with a p of 0.05 or more, after Holm's correction over the systems; where there is no test,
        those whose interval of the difference holds 0. Empty where there are no two systems to compare.
        """
        systems = self.systems(task, condition) if systems is None else systems
        cells = {system: self.cells[task, system, condition] for system in systems}
        scores = {system: _level(cell.runs).value for system, cell in cells.items()}
        scores = {system: value for system, value in scores.items() if not np.isnan(value)}
        if len(scores) < 2:
            return set()
        top = max(scores, key=lambda system: scores[system])
        others = [system for system in scores if system != top]
        corrected = corrected_p_values([self.p_value(task, other, top, condition) for other in others])
        return {top, *(
            other for other, p in zip(others, corrected, strict=True)
            if (_holds_zero(self.difference(task, top, other, condition)) if p is None else p >= SIGNIFICANT)
        )}  # fmt: skip

    def run_frame(self) -> pd.DataFrame:
        """Return the intervals of each run, one row per attacked result: over its examples alone.

        `clean`, `attacked`, `drop`, `retention` and `relative_drop` have columns `_low`, `_high` and `_note` beside
        them; scores are in percent, drops in points. What is not known is missing.
        """
        attacked = ((key, cell) for key, cell in self.cells.items() if key[2] != CLEAN)
        return pd.DataFrame([_run_row(key, cell, index) for key, cell in attacked for index in range(len(cell.runs))])


def statistics_of(pairs: Sequence[Pair], *, resamples: int = RESAMPLES, seed: int = 0) -> Statistics:
    """Read the counts beside the records of pairs, and resample the examples of each data set, all systems together.

    Raises InputError for counts that are not their record's, and for results on one data set of other examples or
    another metric.
    """
    records = {folder: record for pair in pairs for folder, record in _results(pair) if record.counts_sha256}
    data: dict[str, set[str]] = {}
    for record in records.values():
        data.setdefault(record.task, set()).add(record.clean_sha256)
    runs: dict[Path, Run] = {}
    rows: dict[str, int] = {}
    for task in (task for task, hashes in data.items() if len(hashes) == 1):
        results = {folder: record for folder, record in records.items() if record.task == task}
        counted = _counts(results)
        rows[task] = len(next(iter(counted.values()))[1])
        runs |= resampled_runs(counted, resamples=resamples, seed=seed)
    return Statistics(_cells(pairs, runs), rows, tuple(task for task in data if task not in rows))


def key_of(record: Record) -> Key:
    """Return where a result stands among the cells of `Statistics`."""
    return record.task, (record.system.shown, record.system.base), record.condition


def interval_columns(name: str, interval: Interval | None) -> dict[str, float | str | None]:
    """Return an interval as columns of a table: `name`, and beside it `_low`, `_high` and `_note`."""
    known = interval or Interval(None)
    return {name: known.value, f"{name}_low": known.low, f"{name}_high": known.high, f"{name}_note": known.note}


def _results(pair: Pair) -> Iterator[tuple[Path, Record]]:
    if pair.clean is not None and pair.clean_folder is not None:
        yield pair.clean_folder, pair.clean
    yield pair.attacked_folder, pair.attacked


def _counts(results: dict[Path, Record]) -> dict[Path, Counted]:
    """Return each result with its counts, examples in one order."""
    counted: dict[Path, Counted] = {}
    examples: list[int] = []
    metric = next(iter(results.values())).metric
    for folder, record in results.items():
        if record.metric != metric:
            raise _not_paired(folder, f"the metric {record.metric!r}", f"{metric!r}, that of the results beside it")
        if (table := read_counts(folder, record)) is None:
            continue
        rows = sorted(table.loc[table["dimension"] == "all", "row"])
        examples = examples or rows
        if rows != examples:
            beside = f"the {len(examples)} of the results beside it"
            raise _not_paired(folder, f"counts of {len(rows)} examples", beside)
        counted[folder] = record, cell_counts(table, examples)
    return counted


def resampled_runs(results: Mapping[Name, Counted], *, resamples: int = RESAMPLES, seed: int = 0) -> dict[Name, Run]:
    """Resample the examples of one data set, all results together; examples stand in one order in their counts."""
    tables = [counts for _, counts in results.values()]
    sums = resampled_sums(np.concatenate(tables, axis=1), resamples=resamples, seed=seed)
    parts = np.split(sums, np.cumsum([table.shape[1] for table in tables])[:-1], axis=1)
    return {
        name: Run(record, counts, float(_scores(record.metric, counts.sum(0))), _scores(record.metric, part))
        for (name, (record, counts)), part in zip(results.items(), parts, strict=True)
    }


def _scores(metric: str, sums: Floats) -> Floats:
    return np.where(sums.any(-1), METRICS.get(metric).score(sums), np.nan)


def _cells(pairs: Sequence[Pair], runs: dict[Path, Run]) -> dict[Key, Cell]:
    folders: dict[Key, dict[Path, Path | None]] = {}
    for pair in pairs:
        for folder, record in _results(pair):
            if folder in runs:
                folders.setdefault(key_of(record), {})[folder] = pair.clean_folder
    return {
        key: cell_of([(runs[folder], runs.get(clean) if clean else None) for folder, clean in group.items()])
        for key, group in folders.items()
    }


def cell_of(runs: Sequence[tuple[Run, Run | None]]) -> Cell:
    """Return the cell of runs, each with its clean run where there is one, in the order of their seeds."""
    ordered = sorted(runs, key=lambda sides: sides[0].seeds)
    clean = tuple(beside for _, beside in ordered if beside is not None)
    return Cell(tuple(run for run, _ in ordered), clean if len(clean) == len(ordered) else ())


def _level(runs: Sequence[Run]) -> _Level:
    """Return the mean over runs."""
    counts = np.concatenate([run.counts for run in runs], axis=1)
    return _Level(float(np.mean([run.score for run in runs])), counts, np.mean([run.drawn for run in runs], axis=0))


def _interval(of: Callable[..., float | None], *levels: _Level) -> Interval:
    """Return the interval of a function of several scores, paired by example; its None is NaN."""
    values = [of(*scores) for scores in zip(*(level.drawn.tolist() for level in levels), strict=True)]
    value = of(*(level.value for level in levels))
    counts = np.concatenate([level.counts for level in levels], axis=1)
    return percentiles(np.nan if value is None else value, counts, np.array(values, dtype=np.float64))


def _run_row(key: Key, cell: Cell, index: int) -> dict[str, object]:
    (task, (label, base), suite), run = key, cell.runs[index]
    intervals = {"clean": Interval(None, note="no clean result"), "attacked": percentiles(*_level([run]))}
    intervals |= dict.fromkeys(CHANGES, intervals["clean"])
    if cell.clean:
        clean = cell.clean[index]
        intervals["clean"] = percentiles(*_level([clean]))
        intervals |= {name: _interval(of, _level([clean]), _level([run])) for name, of in CHANGES.items()}
    row: dict[str, object] = {"task": task, "label": label, "base": base, "suite": suite}
    row |= {"training_seed": run.record.system.training_seed, "attack_seed": run.seeds[0]}
    for name, interval in intervals.items():
        row |= interval_columns(name, interval)
    return row


def _holds_zero(interval: Interval | None) -> bool:
    if interval is None or interval.value is None:
        return False
    if interval.low is None or interval.high is None:
        return interval.value == 0.0
    return interval.low <= 0.0 <= interval.high


def corrected_p_values(values: Sequence[float | None]) -> list[float | None]:
    """Return the p values after Holm's correction over those that are not None."""
    known = [value for value in values if value is not None]
    corrected = iter(holm(known))
    return [None if value is None else next(corrected) for value in values]


def _not_paired(folder: Path, found: str, expected: str) -> InputError:
    return InputError(
        folder, found=found, expected=expected, fix="Evaluate all systems on the whole of one file, by one version."
    )

"""Intervals and tests over whole tables: all results on one data set are resampled together, so that all stay paired.

Examples are resampled; seeds are not. A system with several training or attack seeds is scored as the mean over its
runs, in each resample, and the spread of the seeds stands apart (see `seeds`). Shape legend: N examples, K counts,
R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import numpy as np

from robustbench_char.analysis.pairs import Pair, drop, relative_drop, retention
from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.bootstrap import RESAMPLES, Interval, percentiles, resampled_sums
from robustbench_char.metrics.significance import PERMUTATIONS, holm, permutation_test
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import Record, read_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLEAN", "SIGNIFICANT", "Cell", "Key", "Run", "Statistics", "System", "resampled_runs", "statistics_of"]

CLEAN = "clean"
SIGNIFICANT = 0.05

Name = TypeVar("Name")
System: TypeAlias = tuple[str, str]
"""How reports tell systems apart: label and base."""
Key: TypeAlias = tuple[str, System, str]
"""Task, system, and the suite (or CLEAN)."""

_CHANGES = {"drop": drop, "retention": retention, "relative_drop": relative_drop}


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

    def retention(self, task: str, system: System, suite: str) -> Interval | None:
        """Return the share of the clean score that is left."""
        return self.change(task, system, suite, retention)

    def difference(
        self, task: str, system: System, other: System, condition: str, *, clean: bool = False
    ) -> Interval | None:
        """Return the score of a system minus that of another, in points; with `clean`, of the clean runs beside."""
        cells = [self.cells.get((task, name, condition)) for name in (system, other)]
        runs = [(cell.clean if clean else cell.runs) if cell else () for cell in cells]
        return _interval(lambda first, second: first - second, *map(_level, runs)) if all(runs) else None

    def drop_difference(self, task: str, system: System, other: System, suite: str) -> Interval | None:
        """Return the drop of a system minus that of another, in points; negative where the system loses less."""
        one, two = (self.cells.get((task, name, suite)) for name in (system, other))
        if not (one and two and one.clean and two.clean):
            return None
        levels = [_level(runs) for cell in (one, two) for runs in (cell.clean, cell.runs)]
        return _interval(lambda *scores: drop(*scores[:2]) - drop(*scores[2:]), *levels)

    def p_value(
        self, task: str, system: System, other: System, condition: str, *, permutations: int = PERMUTATIONS
    ) -> float | None:
        """Return the p of the permutation test between two systems, all runs of an example swapped at once.

        None unless they have equally many runs on the same data, and something to count in each.
        """
        one, two = (self.cells.get((task, name, condition)) for name in (system, other))
        if one is None or two is None or _data(one) != _data(two):
            return None
        levels = _level(one.runs), _level(two.runs)
        if any(np.isnan(level.value) for level in levels):
            return None
        scored, runs = METRICS.get(one.runs[0].record.metric).score, len(one.runs)

        def mean(sums: Floats) -> Floats:
            return np.asarray(scored(sums.reshape(*sums.shape[:-1], runs, -1)).mean(-1))

        return permutation_test(levels[0].counts, levels[1].counts, mean, permutations=permutations)

    def systems(self, task: str, condition: str) -> list[System]:
        """Return the systems that have counts, in the order of the records."""
        return [system for name, system, found in self.cells if (name, found) == (task, condition)]

    def against(self, reference: System, task: str) -> pd.DataFrame:
        """Return a row a system and condition: its difference from one system in points, interval, and tests.

        `p_holm` is p after Holm's correction over the table.
        """
        import pandas as pd

        rows = []
        for name, system, condition in self.cells:
            found = self.difference(task, system, reference, condition) if name == task else None
            if found is None or system == reference:
                continue
            p = self.p_value(task, system, reference, condition)
            rows.append((*system, condition, found.value, found.low, found.high, p, found.note))
        frame = pd.DataFrame(rows, columns=["label", "base", "condition", "difference", "low", "high", "p", "note"])
        frame["p_holm"] = _corrected([row[6] for row in rows])
        return frame

    def best(self, task: str, condition: str) -> set[System]:
        """Return the system with the highest score, and those that cannot be told from it.

        These are the ones with a p of 0.05 or more, after Holm's correction over the systems; where there is no test,
        those whose interval of the difference holds 0. Empty where there are no two systems to compare.
        """
        scores = {one: _level(self.cells[task, one, condition].runs).value for one in self.systems(task, condition)}
        scores = {one: value for one, value in scores.items() if not np.isnan(value)}
        if len(scores) < 2:
            return set()
        top = max(scores, key=lambda one: scores[one])
        others = [one for one in scores if one != top]
        corrected = _corrected([self.p_value(task, one, top, condition) for one in others])
        tied = (p >= SIGNIFICANT if p is not None else _holds_zero(self.difference(task, top, one, condition))
                for one, p in zip(others, corrected, strict=True))  # fmt: skip
        return {top, *(one for one, tie in zip(others, tied, strict=True) if tie)}

    def run_frame(self) -> pd.DataFrame:
        """Return the intervals of each run, a row an attacked result: over its examples alone.

        `clean`, `attacked`, `drop`, `retention` and `relative_drop` have columns `_low`, `_high` and `_note` beside
        them; scores are in percent, drops in points. What is not known is missing.
        """
        import pandas as pd

        return pd.DataFrame([_run_row(key, cell, place) for key, cell in self.cells.items() if key[2] != CLEAN
                             for place in range(len(cell.runs))])  # fmt: skip


def statistics_of(
    pairs: Sequence[Pair], *, cell: tuple[str, str] = ("all", "all"), resamples: int = RESAMPLES, seed: int = 0
) -> Statistics:
    """Read the counts beside the records of pairs, and resample the examples of each data set, all systems together.

    `cell` names a dimension of the counts and a value of it, such as `pieces` and `Subword`. Raises InputError for
    counts that are not their record's, and for results on one data set of other examples or another metric.
    """
    records = {folder: record for pair in pairs for folder, record in _results(pair) if record.counts_sha256}
    data: dict[str, set[str]] = {}
    for record in records.values():
        data.setdefault(record.task, set()).add(record.clean_sha256)
    runs: dict[Path, Run] = {}
    rows: dict[str, int] = {}
    for task in (task for task, hashes in data.items() if len(hashes) == 1):
        results = {folder: record for folder, record in records.items() if record.task == task}
        counts = _counts(results, cell)
        rows[task] = len(next(iter(counts.values())))
        runs |= resampled_runs(results, counts, resamples=resamples, seed=seed)
    return Statistics(_cells(pairs, runs), rows, tuple(task for task in data if task not in rows))


def _results(pair: Pair) -> Iterator[tuple[Path, Record]]:
    if pair.clean is not None and pair.clean_folder is not None:
        yield pair.clean_folder, pair.clean
    yield pair.attacked_folder, pair.attacked


def _counts(results: dict[Path, Record], cell: tuple[str, str]) -> dict[Path, Floats]:
    """Return the counts [N, K] of each result in one cell, examples in one order."""
    found: dict[Path, Floats] = {}
    examples: list[int] = []
    metric = next(iter(results.values())).metric
    for folder, record in results.items():
        if record.metric != metric:
            raise _not_paired(folder, f"the metric {record.metric!r}", f"{metric!r}, that of the results beside it")
        if (table := read_counts(folder, record)) is None:
            continue
        whole = sorted(table.loc[table["dimension"] == "all", "row"])
        examples = examples or whole
        if whole != examples:
            raise _not_paired(
                folder, f"counts of {len(whole)} examples", f"the {len(examples)} of the results beside it"
            )
        found[folder] = cell_counts(table, examples, *cell)
    return found


def resampled_runs(
    results: Mapping[Name, Record], counts: Mapping[Name, Floats], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[Name, Run]:
    """Resample the examples of one data set, all results together: `counts` [N, K] of each, examples in one order."""
    sums = resampled_sums(np.concatenate(list(counts.values()), axis=1), resamples=resamples, seed=seed)
    ends = np.cumsum([table.shape[1] for table in counts.values()])
    runs = {}
    for (name, table), part in zip(counts.items(), np.split(sums, ends[:-1], axis=1), strict=True):
        record = results[name]
        score = float(_scores(record.metric, table.sum(0)))
        runs[name] = Run(record, table, score, _scores(record.metric, part))
    return runs


def _scores(metric: str, sums: Floats) -> Floats:
    return np.where(sums.any(-1), METRICS.get(metric).score(sums), np.nan)


def _cells(pairs: Sequence[Pair], runs: dict[Path, Run]) -> dict[Key, Cell]:
    found: dict[Key, dict[Path, Path | None]] = {}
    for pair in pairs:
        for folder, record in _results(pair):
            if folder in runs:
                key = (record.task, (record.system.shown, record.system.base), record.condition)
                found.setdefault(key, {})[folder] = pair.clean_folder
    return {key: _cell(folders, runs) for key, folders in found.items()}


def _cell(folders: dict[Path, Path | None], runs: dict[Path, Run]) -> Cell:
    ordered = sorted(folders, key=lambda folder: runs[folder].seeds)
    clean = [runs.get(beside) if (beside := folders[folder]) else None for folder in ordered]
    known = tuple(run for run in clean if run is not None)
    return Cell(tuple(runs[folder] for folder in ordered), known if len(known) == len(ordered) else ())


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


def _run_row(key: Key, cell: Cell, place: int) -> dict[str, object]:
    (task, (label, base), suite), run = key, cell.runs[place]
    clean = cell.clean[place] if cell.clean else None
    found = {"attacked": percentiles(*_level([run]))}
    if clean is not None:
        found["clean"] = percentiles(*_level([clean]))
        found |= {name: _interval(of, _level([clean]), _level([run])) for name, of in _CHANGES.items()}
    names = {"task": task, "label": label, "base": base, "suite": suite}
    seeds = {"training_seed": run.record.system.training_seed, "attack_seed": run.seeds[0]}
    intervals: dict[str, object] = {}
    for name in ("clean", "attacked", *_CHANGES):
        interval = found.get(name, Interval(None, note="no clean result"))
        intervals |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        intervals[f"{name}_note"] = interval.note
    return {**names, **seeds, **intervals}


def _data(cell: Cell) -> list[str]:
    return [run.record.data.sha256 for run in cell.runs]


def _holds_zero(found: Interval | None) -> bool:
    if found is None or found.value is None:
        return False
    return found.value == 0.0 if found.low is None or found.high is None else found.low <= 0.0 <= found.high


def _corrected(values: Sequence[float | None]) -> list[float | None]:
    """Correct the p values that there are."""
    known = [value for value in values if value is not None]
    corrected = iter(holm(known))
    return [None if value is None else next(corrected) for value in values]


def _not_paired(folder: Path, found: str, expected: str) -> InputError:
    return InputError(
        folder, found=found, expected=expected, fix="Evaluate all systems on the whole of one file, by one version."
    )

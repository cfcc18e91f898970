"""Intervals and tests over whole tables: all systems of one data set are resampled together, so that all stay paired.

Examples are resampled; seeds are not. A system with several training or attack seeds is scored as the mean over its
runs, in each resample, and the spread of the seeds stands apart (see `seeds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from robustbench_char.common import InputError
from robustbench_char.evaluation.bootstrap import RESAMPLES, Interval, percentiles, resampled_sums
from robustbench_char.evaluation.comparison import Pair, retention
from robustbench_char.evaluation.count_table import cell_counts, read_counts
from robustbench_char.evaluation.counted import COUNTED, Floats
from robustbench_char.evaluation.records import Record
from robustbench_char.evaluation.significance import holm, permutation_test

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLEAN", "SIGNIFICANT", "CellScores", "Statistics", "System", "statistics_of"]

CLEAN = "clean"
SIGNIFICANT = 0.05

System: TypeAlias = tuple[str, str]
"""How reports tell systems apart: label and base."""
Key: TypeAlias = tuple[str, System, str]
"""Task, system, and the suite (or CLEAN)."""


@dataclass(frozen=True)
class CellScores:
    """What one system scores under one condition, in all its runs: the counts of each [N, K], in one order of examples."""

    metric: str
    runs: tuple[Floats, ...]

    @property
    def joint(self) -> Floats:
        """The counts of all runs side by side [N, S * K]."""
        return np.concatenate(self.runs, axis=1)

    def mean(self, sums: Floats) -> Floats:
        """Return the mean over runs of the score, from sums of `joint` [..., S * K]."""
        parts = np.split(sums, len(self.runs), axis=-1)
        return np.mean([COUNTED.get(self.metric).score(part) for part in parts], axis=0)


@dataclass(frozen=True)
class Statistics:
    """The intervals and tests of a report. What has no counts is missing from all of it."""

    cells: dict[Key, CellScores]
    resampled: dict[Key, Floats] = field(repr=False)
    rows: dict[str, int]

    def score(self, task: str, system: System, condition: str) -> Interval | None:
        """Return the score of a system under a suite (or CLEAN), in percent, with its interval."""
        key = (task, system, condition)
        if key not in self.cells:
            return None
        cell = self.cells[key]
        joint = cell.joint
        return percentiles(float(cell.mean(joint.sum(0))), joint, self.resampled[key])

    def change(
        self, task: str, system: System, suite: str, of: Callable[[float, float], float | None]
    ) -> Interval | None:
        """Return a function of the clean and the attacked score (a drop, a retention) with its interval."""
        keys = [(task, system, condition) for condition in (CLEAN, suite)]
        if any(key not in self.cells for key in keys):
            return None
        joint = [self.cells[key].joint for key in keys]
        values = [float(self.cells[key].mean(table.sum(0))) for key, table in zip(keys, joint, strict=True)]
        value = of(*values)
        if value is None:
            return Interval(None, note="not defined")
        pairs = zip(*(self.resampled[key].tolist() for key in keys), strict=True)
        drawn = np.array([np.nan if (one := of(*pair)) is None else one for pair in pairs])
        return percentiles(value, np.concatenate(joint, axis=1), drawn)

    def retention(self, task: str, system: System, suite: str) -> Interval | None:
        """Return the share of the clean score that is left."""
        return self.change(task, system, suite, retention)

    def difference(self, task: str, system: System, other: System, condition: str) -> Interval | None:
        """Return the score of a system minus that of another, in points."""
        keys = [(task, one, condition) for one in (system, other)]
        if any(key not in self.cells for key in keys):
            return None
        one, two = (self.cells[key] for key in keys)
        value = float(one.mean(one.joint.sum(0)) - two.mean(two.joint.sum(0)))
        joint = np.concatenate([one.joint, two.joint], axis=1)
        return percentiles(value, joint, self.resampled[keys[0]] - self.resampled[keys[1]])

    def p_value(self, task: str, system: System, other: System, condition: str) -> float | None:
        """Return the p of the permutation test between two systems; None where they have not equally many runs."""
        one, two = (self.cells.get((task, name, condition)) for name in (system, other))
        if one is None or two is None or len(one.runs) != len(two.runs):
            return None
        return permutation_test(one.joint, two.joint, one.mean)

    def systems(self, task: str, condition: str) -> list[System]:
        """Return the systems that have counts, in the order of the records."""
        return [system for name, system, found in self.cells if (name, found) == (task, condition)]

    def against(self, reference: System, task: str) -> pd.DataFrame:
        """Return all systems against one: difference in points, interval, p, and p after Holm's correction over the table.

        A row a system and condition.
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
        frame["p_holm"] = _corrected(frame["p"].tolist())
        return frame

    def best(self, task: str, condition: str) -> set[System]:
        """Return the system with the highest score, and those that cannot be told from it (p of 0.05 or more, Holm)."""
        systems = self.systems(task, condition)
        scores = {one: self.cells[task, one, condition] for one in systems}
        if len(scores) < 2:
            return set()
        top = max(systems, key=lambda one: float(scores[one].mean(scores[one].joint.sum(0))))
        others = [one for one in systems if one != top]
        corrected = _corrected([self.p_value(task, one, top, condition) for one in others])
        tied = {one for one, p in zip(others, corrected, strict=True) if p is not None and p >= SIGNIFICANT}
        return {top, *tied}


def _corrected(values: Sequence[float | None]) -> list[float | None]:
    """Correct the p values that there are."""
    known = [place for place, value in enumerate(values) if value is not None]
    found: list[float | None] = [None] * len(values)
    for place, value in zip(known, holm([float(values[place] or 0.0) for place in known]), strict=True):
        found[place] = value
    return found


def statistics_of(pairs: Sequence[Pair], *, resamples: int = RESAMPLES, seed: int = 0) -> Statistics:
    """Read the counts beside the records of the pairs, and resample the examples of each data set, all systems together.

    Raises InputError for counts that are not their record's, and for results of one data set on other examples.
    """
    cells: dict[Key, list[Floats]] = {}
    metrics: dict[Key, str] = {}
    rows: dict[str, list[int]] = {}
    data: dict[str, set[str]] = {}
    seen: set[tuple[Path, str]] = set()
    for folder, record, condition in _results(pairs):
        if (folder, condition) in seen or (table := read_counts(folder, record)) is None:
            continue
        seen.add((folder, condition))
        whole = table[(table["dimension"] == "all")]
        examples = rows.setdefault(record.task, sorted(whole["row"]))
        if sorted(whole["row"]) != examples:
            raise _other_examples(folder, len(whole), len(examples))
        data.setdefault(record.task, set()).add(_clean_sha256(record))
        key = (record.task, (record.system.shown, record.system.base), condition)
        cells.setdefault(key, []).append(cell_counts(whole, examples))
        metrics[key] = record.metric
    mixed = {task for task, hashes in data.items() if len(hashes) > 1}  # results on two data sets are not paired
    found = {key: CellScores(metrics[key], tuple(runs)) for key, runs in cells.items() if key[0] not in mixed}
    counts = {task: len(examples) for task, examples in rows.items() if task not in mixed}
    return Statistics(found, _resampled(found, resamples, seed), counts)


def _results(pairs: Sequence[Pair]) -> Iterator[tuple[Path, Record, str]]:
    for pair in pairs:
        if pair.clean is not None and pair.clean_folder is not None:
            yield pair.clean_folder, pair.clean, CLEAN
        yield pair.attacked_folder, pair.attacked, pair.attacked.condition


def _resampled(cells: dict[Key, CellScores], resamples: int, seed: int) -> dict[Key, Floats]:
    """Return the mean score of each cell in each resample [R]."""
    found: dict[Key, Floats] = {}
    for task in dict.fromkeys(key[0] for key in cells):
        keys = [key for key in cells if key[0] == task]
        tables = [cells[key].joint for key in keys]
        sums = resampled_sums(np.concatenate(tables, axis=1), resamples=resamples, seed=seed)
        ends = np.cumsum([table.shape[1] for table in tables])
        for key, part in zip(keys, np.split(sums, ends[:-1], axis=1), strict=True):
            found[key] = cells[key].mean(part)
    return found


def _clean_sha256(record: Record) -> str:
    return record.data.attack.clean_sha256 if record.data.attack else record.data.sha256


def _other_examples(folder: Path, found: int, expected: int) -> InputError:
    return InputError(
        folder,
        found=f"counts of {found} examples, other than the {expected} of the results beside them",
        expected="the same examples",
        fix="Evaluate all systems on the whole of one file.",
    )

"""What changed between two sets of results, A and B, beyond noise: the same systems on the same examples, twice.

Shape legend: N examples, K counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from robustbench_char.common import InputError
from robustbench_char.evaluation.bootstrap import Interval
from robustbench_char.evaluation.comparison import check_together, distinct
from robustbench_char.evaluation.count_table import cell_counts, read_counts
from robustbench_char.evaluation.counted import Floats
from robustbench_char.evaluation.intervals import SIGNIFICANT, Cell, Statistics, System, resampled_runs
from robustbench_char.evaluation.record_changes import Change, changes
from robustbench_char.evaluation.records import Record, find_records
from robustbench_char.evaluation.significance import holm

__all__ = ["Apart", "Result", "Row", "SetComparison", "compare_sets"]

_Found: TypeAlias = tuple[Path, Record]
_A: System = ("A", "")
_B: System = ("B", "")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Result(_Frozen):
    """What a result measures, by which those of two sets are matched. `system` is the name that reports show."""

    task: str
    system: str
    base: str
    training_seed: int | None
    condition: str
    attack_seed: int | None


class Apart(_Frozen):
    """A result of both sets that cannot be compared, and why."""

    result: Result
    reason: str


class Row(_Frozen):
    """One system on one task under one condition: mean scores over `runs` (training and attack seeds), in percent.

    `difference` is B - A in points with its interval (or the `note` why there is none), `p_holm` is p after Holm's
    correction over the rows that were tested. Both p are None where all counts are the same, which needs no test.
    """

    task: str
    system: str
    base: str
    condition: str
    headline: str
    runs: int
    examples: int
    a: float
    b: float
    difference: float | None
    low: float | None
    high: float | None
    note: str
    p: float | None = None
    p_holm: float | None = None
    verdict: Literal["same", "within noise", "differs"] = "same"


class SetComparison(_Frozen):
    """What changed from A to B. `matched` counts results that both have, those `apart` included."""

    matched: int
    rows: tuple[Row, ...]
    apart: tuple[Apart, ...]
    only_a: tuple[Result, ...]
    only_b: tuple[Result, ...]
    changes: tuple[Change, ...]

    @property
    def equal(self) -> bool:
        """Whether each result of one set was compared with one of the other, and none differs beyond noise."""
        rest = (*self.apart, *self.only_a, *self.only_b)
        return not rest and all(row.verdict != "differs" for row in self.rows)


class _Group(NamedTuple):
    """What is pooled into one row: all of it but the seeds. `examples` are the numbers of rows in the data."""

    task: str
    system: str
    base: str
    condition: str
    examples: tuple[int, ...]


class _Counted(NamedTuple):
    """A matched result: its records in A and in B, and their counts [N, K]."""

    records: tuple[Record, Record]
    counts: tuple[Floats, Floats]


def compare_sets(a: Path, b: Path) -> SetComparison:
    """Compare the results below folder A with those below folder B.

    Raises InputError where a set has no results, several of one thing or results that cannot stand in one table, and
    where the two have nothing in common.
    """
    in_a, in_b = _results(a), _results(b)
    matched = {result: (in_a[result], in_b[result]) for result in in_a if result in in_b}
    if not matched:
        raise InputError(
            f"{a} and {b}",
            found="no result that both have",
            expected="results of the same tasks, systems (by label and base), training seeds, suites and attack seeds",
            fix="Check that the two folders hold two versions of one comparison.",
        )
    groups, apart = _grouped(matched)
    return SetComparison(
        matched=len(matched),
        rows=tuple(_rows(groups)),
        apart=tuple(apart),
        only_a=tuple(result for result in in_a if result not in in_b),
        only_b=tuple(result for result in in_b if result not in in_a),
        changes=tuple(changes([(one[1], other[1]) for one, other in matched.values()])),
    )


def _results(folder: Path) -> dict[Result, _Found]:
    """Return the results of one set by what they measure."""
    records = distinct(find_records([folder]))
    check_together(records)
    found: dict[Result, _Found] = {}
    for path, record in records:
        first, _ = found.setdefault(_result(record), (path, record))
        if first != path:
            raise InputError(
                f"{first} and {path}",
                found=f"two results of {record.system.shown} on {record.task}, {record.condition}, by other weights",
                expected="one result of a system, training seed, suite and attack seed in a set",
                fix="Compare a folder that holds one of them, or give one a --label when fine-tuning.",
            )
    return found


def _result(record: Record) -> Result:
    attack, system = record.data.attack, record.system
    return Result(
        task=record.task,
        system=system.shown,
        base=system.base,
        training_seed=system.training_seed,
        condition=record.condition,
        attack_seed=attack.seed if attack else None,
    )


def _grouped(matched: Mapping[Result, tuple[_Found, _Found]]) -> tuple[dict[_Group, list[_Counted]], list[Apart]]:
    groups: dict[_Group, list[_Counted]] = {}
    apart = []
    for result, (one, other) in matched.items():
        found = _counted(one, other)
        if isinstance(found, str):
            apart.append(Apart(result=result, reason=found))
        else:
            examples, counted = found
            key = _Group(result.task, result.system, result.base, result.condition, examples)
            groups.setdefault(key, []).append(counted)
    return groups, apart


def _counted(one: _Found, other: _Found) -> tuple[tuple[int, ...], _Counted] | str:
    """Return the examples and counts of a result in both sets, or why the two cannot be compared."""
    a, b = one[1], other[1]
    if (a.metric, a.headline) != (b.metric, b.headline):
        return f"another score: {a.metric} {a.headline} in A, {b.metric} {b.headline} in B"
    if a.data.sha256 != b.data.sha256:
        return "the same test file, attacked otherwise" if a.clean_sha256 == b.clean_sha256 else "another test file"
    tables = [table for found in (one, other) if (table := read_counts(*found)) is not None]
    if len(tables) < 2:
        return "no counts of examples beside one of them (an older version)"
    rows = [tuple(sorted(table.loc[table["dimension"] == "all", "row"].tolist())) for table in tables]
    if rows[0] != rows[1] or list(tables[0].columns) != list(tables[1].columns):
        return f"counts of other examples or classes: {len(rows[0]):,} examples in A, {len(rows[1]):,} in B"
    counts = cell_counts(tables[0], rows[0]), cell_counts(tables[1], rows[0])
    if not all(table.any() for table in counts):
        return "nothing to count in one of them"
    return rows[0], _Counted((a, b), counts)


def _rows(groups: Mapping[_Group, Sequence[_Counted]]) -> list[Row]:
    rows = [_row(group, runs) for group, runs in groups.items()]
    corrected = iter(holm([row.p for row in rows if row.p is not None]))
    return [row if row.p is None else _judged(row, next(corrected)) for row in rows]


def _judged(row: Row, p_holm: float) -> Row:
    verdict = "differs" if p_holm < SIGNIFICANT else "within noise"
    return row.model_copy(update={"p_holm": p_holm, "verdict": verdict})


def _row(group: _Group, runs: Sequence[_Counted]) -> Row:
    statistics = _statistics(group, runs)
    a, b = (statistics.cells[group.task, side, group.condition].runs for side in (_A, _B))
    found = statistics.difference(group.task, _B, _A, group.condition) or Interval(None, note="not defined")
    alike = all(np.array_equal(*run.counts) for run in runs)
    return Row(
        task=group.task,
        system=group.system,
        base=group.base,
        condition=group.condition,
        headline=runs[0].records[0].headline,
        runs=len(runs),
        examples=len(group.examples),
        a=fmean(run.score for run in a),
        b=fmean(run.score for run in b),
        difference=found.value,
        low=found.low,
        high=found.high,
        note=found.note,
        p=None if alike else statistics.p_value(group.task, _A, _B, group.condition),
    )


def _statistics(group: _Group, runs: Sequence[_Counted]) -> Statistics:
    """Resample the examples of all runs together, those of A and of B as two systems."""
    names = [(side, place) for side in (_A, _B) for place in range(len(runs))]
    records = {(side, place): runs[place].records[side == _B] for side, place in names}
    counts = {(side, place): runs[place].counts[side == _B] for side, place in names}
    found = resampled_runs(records, counts)
    cells = {
        (group.task, side, group.condition): Cell(tuple(found[side, place] for place in range(len(runs))), ())
        for side in (_A, _B)
    }
    return Statistics(cells, {group.task: len(group.examples)})

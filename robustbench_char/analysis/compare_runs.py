"""What changed between two sets of results, A and B, beyond noise: the same systems on the same examples, twice.

Shape legend: N examples, K counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import computed_field

from robustbench_char.analysis.learning import constant_score, is_learnt
from robustbench_char.analysis.pairs import check_together, distinct
from robustbench_char.analysis.statistics import (
    CLEAN,
    SIGNIFICANT,
    Cell,
    Statistics,
    System,
    corrected_p_values,
    resampled_runs,
)
from robustbench_char.analysis.variants import told_apart
from robustbench_char.common import InputError
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.provenance import differences
from robustbench_char.metrics.base import Floats
from robustbench_char.metrics.bootstrap import Interval
from robustbench_char.metrics.significance import PERMUTATIONS
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import Record, find_records, read_counts, result_part

__all__ = ["Apart", "Change", "Result", "Row", "SetComparison", "compare"]

_Located: TypeAlias = tuple[Path, Record]
_A: System = ("A", "")
_B: System = ("B", "")
_NONE: Floats = np.zeros((0, 0))
_MATCHED = {"name", "label", "base", "training_seed"}  # what the two share: a label that is left out is the name
_PERMUTATIONS_PER_ROW = 50
"""Drawn per tested row, so that the smallest p there is stays below 0.05 after a correction over any number of rows."""


class Result(Frozen):
    """What a result measures, by which those of two sets are matched. `system` is the name that reports show."""

    task: str
    system: str
    base: str
    training_seed: int | None
    condition: str
    attack_seed: int | None


class Apart(Frozen):
    """A result of both sets that cannot be compared, why, and its headline scores (in percent)."""

    result: Result
    a: float
    b: float
    reason: str


class Row(Frozen):
    """One system on one task under one condition: mean scores over `runs` (training and attack seeds), in percent.

    `difference` is B - A in points with its interval, or the `note` why there is none; `p_holm` is p after Holm's
    correction over the rows that were tested. A row that is the same in all counts needs no test, and has no p.
    `learnt` is false where the clean results tell that the system has learnt the task neither in A nor in B.
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
    difference: float = 0.0
    low: float | None = None
    high: float | None = None
    note: str = ""
    p: float | None = None
    p_holm: float | None = None
    verdict: Literal["same", "within noise", "differs"] = "same"
    learnt: bool = True


class Change(Frozen):
    """One thing that differs, from `a` to `b`, in so many results; None where one of the two does not have it."""

    name: str
    a: Any
    b: Any
    results: int


class SetComparison(Frozen):
    """What changed from A to B. `matched` counts results that both have, those `apart` included."""

    matched: int
    rows: tuple[Row, ...]
    apart: tuple[Apart, ...]
    only_a: tuple[Result, ...]
    only_b: tuple[Result, ...]
    changes: tuple[Change, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def equal(self) -> bool:
        """Whether each result of one set was compared with one of the other, and none differs beyond noise."""
        rest = (*self.apart, *self.only_a, *self.only_b)
        return not rest and all(row.verdict != "differs" for row in self.rows)


class _Group(NamedTuple):
    """What is pooled into one row: results of all seeds."""

    task: str
    system: str
    base: str
    condition: str


class _Counted(NamedTuple):
    """A matched result: its records in A and in B, and their counts [N, K]; no counts where the predictions are one."""

    records: tuple[Record, Record]
    counts: tuple[Floats, Floats]


_Groups: TypeAlias = dict[tuple[_Group, tuple[int, ...]], list[_Counted]]
"""Results by row and by the examples (rows of the data) they have counts of, none where there are no counts."""


def compare(a: Path | str, b: Path | str) -> SetComparison:
    """Compare the results below folder A with those below folder B: what changed beyond noise, and what differs.

    The result has `rows` (scores, difference B - A in points, 95% interval, p after Holm, verdict), `apart` (what
    cannot be compared, and why), `changes` (what the two were made with), and `equal`. Raises InputError where a set
    has no results, several of one thing or results that cannot stand in one table, and where the two have nothing in
    common.
    """
    in_a, in_b = _results(Path(a)), _results(Path(b))
    matched = {result: (in_a[result], in_b[result]) for result in sorted(in_a, key=_order) if result in in_b}
    if not matched:
        raise _nothing_matches(a, b, in_a, in_b)
    groups, apart = _grouped(matched)
    return SetComparison(
        matched=len(matched),
        rows=tuple(_rows(groups)),
        apart=tuple(apart),
        only_a=tuple(result for result in sorted(in_a, key=_order) if result not in in_b),
        only_b=tuple(result for result in sorted(in_b, key=_order) if result not in in_a),
        changes=tuple(_changes([(a[1], b[1]) for a, b in matched.values()])),
    )


def _nothing_matches(a: Path | str, b: Path | str, in_a: Iterable[Result], in_b: Iterable[Result]) -> InputError:
    """Return the error for two sets without a result in common; clean against attacked is another command's work."""
    place = f"{a} and {b}"
    conditions = [{result.condition for result in results} for results in (in_a, in_b)]
    ours, theirs = ({(one.task, one.system, one.base) for one in results} for results in (in_a, in_b))
    if ours & theirs and not conditions[0] & conditions[1]:
        first, second = (", ".join(sorted(names)) for names in conditions)
        return InputError(
            place,
            found=f"the same systems under other conditions ({first} in one, {second} in the other)",
            expected="the same conditions in both: `compare` tells two versions of one comparison apart",
            fix=f"What an attack costs is shown by `robustbench-char report {a} {b}`, and measured in one go by "
            "`robustbench-char evaluate` with --suite.",
        )
    return InputError(
        place,
        found="no result that both have",
        expected="results of the same tasks, systems (by label and base), training seeds, suites and attack seeds",
        fix="Check that the two folders hold two versions of one comparison.",
    )


def _results(folder: Path) -> dict[Result, _Located]:
    """Return the results of one set by what they measure."""
    found = find_records([folder])
    named = told_apart((record for _, record in found), by_weights=False)
    records = distinct([(path, named(record)) for path, record in found])
    check_together(records)
    results: dict[Result, _Located] = {}
    for path, record in records:
        first, _ = results.setdefault(_result(record), (path, record))
        if first != path:
            raise InputError(
                f"{first} and {path}",
                found=f"two results of {record.system.shown} on {record.task}, {record.condition}, by other weights",
                expected="one result of a system, training seed, suite and attack seed in a set",
                fix="Compare a folder that holds one of them, or give one a --label when fine-tuning.",
            )
    return results


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


def _order(result: Result) -> tuple[object, ...]:
    """Clean results before attacked ones, seeds by number."""
    seeds = (-1 if seed is None else seed for seed in (result.training_seed, result.attack_seed))
    return result.task, result.system, result.base, result.condition != CLEAN, result.condition, *seeds


def _grouped(matched: Mapping[Result, tuple[_Located, _Located]]) -> tuple[_Groups, list[Apart]]:
    groups: _Groups = {}
    apart = []
    for result, (a, b) in matched.items():
        compared = _counted(a, b)
        if isinstance(compared, str):
            apart.append(Apart(result=result, a=_headline(a[1]), b=_headline(b[1]), reason=compared))
        else:
            examples, counted = compared
            group = _Group(result.task, result.system, result.base, result.condition)
            groups.setdefault((group, examples), []).append(counted)
    return groups, apart


def _headline(record: Record) -> float:
    return record.scores[record.headline]


def _counted(in_a: _Located, in_b: _Located) -> tuple[tuple[int, ...], _Counted] | str:
    """Return the examples and counts of a result in both sets, or why the two cannot be compared."""
    a, b = in_a[1], in_b[1]
    if (a.metric, a.headline) != (b.metric, b.headline):
        return f"another score: {a.metric} {a.headline} in A, {b.metric} {b.headline} in B"
    if a.data.sha256 != b.data.sha256:
        return "the same test file, attacked otherwise" if a.clean_sha256 == b.clean_sha256 else "another test file"
    tables = [table for located in (in_a, in_b) if (table := read_counts(*located)) is not None]
    if len(tables) < 2 and a.predictions_sha256 == b.predictions_sha256:
        return (), _Counted((a, b), (_NONE, _NONE))
    if len(tables) < 2:
        return "no counts of examples beside one of them (an older version)"
    rows = [tuple(sorted(table.loc[table["dimension"] == "all", "row"].tolist())) for table in tables]
    if rows[0] != rows[1] or list(tables[0].columns) != list(tables[1].columns):
        return f"counts of other examples or classes: {len(rows[0]):,} examples in A, {len(rows[1]):,} in B"
    counts = cell_counts(tables[0], rows[0]), cell_counts(tables[1], rows[0])
    if not all(table.any() for table in counts):
        return "nothing to count in one of them"
    return rows[0], _Counted((a, b), counts)


def _rows(groups: _Groups) -> list[Row]:
    tested = sum(not _alike(runs) for runs in groups.values())
    permutations = max(PERMUTATIONS, _PERMUTATIONS_PER_ROW * tested)
    rows = [_row(group, runs, permutations) for (group, _), runs in groups.items()]
    clean = {group[:3]: runs for (group, _), runs in groups.items() if group.condition == CLEAN}
    lost = {system for system, runs in clean.items() if not (_learnt(runs, 0) or _learnt(runs, 1))}
    rows = [row.model_copy(update={"learnt": (row.task, row.system, row.base) not in lost}) for row in rows]
    corrected = corrected_p_values([row.p for row in rows])
    return [row if p is None else _judged(row, p) for row, p in zip(rows, corrected, strict=True)]


def _judged(row: Row, p_holm: float) -> Row:
    verdict = "differs" if p_holm < SIGNIFICANT else "within noise"
    return row.model_copy(update={"p_holm": p_holm, "verdict": verdict})


def _alike(runs: Sequence[_Counted]) -> bool:
    return all(np.array_equal(*run.counts) for run in runs)


def _row(group: _Group, runs: Sequence[_Counted], permutations: int) -> Row:
    a, b = (fmean(_headline(run.records[side]) for run in runs) for side in (0, 1))
    first = runs[0].records[0]
    row = Row(**group._asdict(), headline=first.headline, runs=len(runs), examples=first.data.examples, a=a, b=b)
    return row if _alike(runs) else row.model_copy(update=_tested(group, runs, permutations))


def _tested(group: _Group, runs: Sequence[_Counted], permutations: int) -> dict[str, object]:
    """Return the difference of a row, its interval and p: all runs resampled together, A and B as two systems."""
    drawn = resampled_runs(
        {(side, index): (run.records[side], run.counts[side]) for side in (0, 1) for index, run in enumerate(runs)}
    )
    cells = {
        (group.task, system, group.condition): Cell(tuple(drawn[side, index] for index in range(len(runs))), ())
        for side, system in enumerate((_A, _B))
    }
    statistics = Statistics(cells, {})
    interval = statistics.difference(group.task, _B, _A, group.condition) or Interval(None)
    p = statistics.p_value(group.task, _A, _B, group.condition, permutations=permutations)
    return {"difference": interval.value, "low": interval.low, "high": interval.high, "note": interval.note, "p": p}


def _learnt(runs: Sequence[_Counted], side: int) -> bool:
    """Return whether clean results of A (0) or B (1) are above those of the best constant answer."""
    counted = {index: (run.records[side], run.counts[side]) for index, run in enumerate(runs) if run.counts[side].size}
    cells = {("", _A, CLEAN): Cell(tuple(resampled_runs(counted).values()), ())} if counted else {}
    constant = constant_score(runs[0].records[side], counted[0][1].sum(0) if counted else None)
    return is_learnt(
        Statistics(cells, {}).score("", _A, CLEAN), fmean(_headline(run.records[side]) for run in runs), constant
    )


def _changes(pairs: Sequence[tuple[Record, Record]]) -> list[Change]:
    """Return what differs in how the two of each pair were made, in order of first appearance. Times are left out."""
    changes: dict[tuple[str, str], Change] = {}
    for a, b in pairs:
        for name, old, new in differences(_made_with(a), _made_with(b)):
            key = name, json.dumps([old, new], sort_keys=True)
            before = changes[key].results if key in changes else 0
            changes[key] = Change(name=name, a=old, b=new, results=before + 1)
    return list(changes.values())


def _made_with(record: Record) -> dict[str, Any]:
    system = {key: value for key, value in result_part(record)["system"].items() if key not in _MATCHED}
    pretraining, attack = system.pop("pretraining"), record.data.attack
    return {
        **record.provenance.model_dump(mode="json"),
        "device": record.device,
        **system,
        "pretraining": pretraining,
        "suite_sha256": attack.suite_sha256 if attack else None,
    }

"""The worst case of a system beside random attacks, by edits and by questions, and what it does to other systems.

A random attack stands beside a search where it drew as many edits an example among the same ones, on the same examples:
so under none of its seeds, nor the worst of them, has an example more errors than in the exact worst case (unless it
shares a context, which is attacked for all its questions at once, or a defence fits itself to the file). Intervals are
over examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from robustbench_char.analysis.statistics import interval_columns
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.bootstrap import Interval, interval
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.evaluation import AttackInfo, Record, read_counts
from robustbench_char.records.worst_case import WorstCaseRecord, WorstCases

__all__ = ["curve_frame", "mean_score", "transfer_frame", "worst_case_frame", "worst_of"]

Records = Sequence[tuple[Path, Record]]


def worst_case_frame(searches: Sequence[WorstCases], records: Records) -> pd.DataFrame:
    """Return a row per search: what it was, and `clean`, `random`, `worst_of_seeds`, `found`, `exact` in percent.

    `random` is the mean over the seeds of comparable attacks (see `is_comparable`), `worst_of_seeds` takes each example
    as the seed that hurts it most leaves it. Of an exhaustive search the score stands under `exact`, of any other under
    `found`, with that of an exhaustive one under `exact` where there is one with as many edits. `broken` is in percent
    of the examples that were right, `certified` of all, `edits_to_break` a mean. All have `_low`, `_high` and `_note`.
    """
    rows = []
    for one in searches:
        exact = next((other for other in searches if other.record.exact and _same_problem(one, other)), None)
        drawn = _drawn(one, records)
        values = {
            "clean": one.score(edits=0),
            "random": mean_score(one.record.metric, drawn),
            "worst_of_seeds": mean_score(one.record.metric, [worst_of(one.record.metric, drawn)] if drawn else []),
            "found": None if one.record.exact else one.score(),
            "exact": exact.score() if exact else None,
            "broken": one.broken(),
            "edits_to_break": one.edits_to_break(),
            "certified": one.certified(one.record.search.edits) if any(map(len, one.steps["certified"])) else None,
        }
        row = _about(one.record, one.record) | {"examples": len(one.rows), "seeds": len(drawn)} | _cost(one.record)
        rows.append(row | {key: of for name in values for key, of in interval_columns(name, values[name]).items()})
    return pd.DataFrame(rows).astype({"training_seed": "Int64", "limit": "Int64"}) if rows else pd.DataFrame()


def is_comparable(attack: AttackInfo, record: WorstCaseRecord) -> bool:
    """Return whether an attack drew as many edits an example as a search had, one in a word, among the same edits."""
    alike = attack.search is None and attack.constraints is not None and attack.constraints == record.constraints
    return alike and (attack.requested_edits, attack.word_edits) == (record.search.edits, 1)


def worst_of(metric: str, tables: Sequence[Floats]) -> Floats:
    """Return the counts [N, K] of each example in that of several tables where most is wrong with it."""
    errors = METRICS.get(metric).errors
    return np.stack([max(own, key=errors) for own in zip(*tables, strict=True)])


def mean_score(metric: str, tables: Sequence[Floats]) -> Interval | None:
    """Return the mean score of tables [N, K] of the same examples, with its interval; None of no table."""
    scored = METRICS.get(metric).score

    def mean(sums: Floats) -> Floats:
        return np.asarray(np.mean([scored(part) for part in np.split(sums, len(tables), axis=-1)], axis=0))

    return interval(np.concatenate(tables, axis=1), mean) if tables else None


def curve_frame(searches: Sequence[WorstCases]) -> pd.DataFrame:
    """Return the score of each search within numbers of edits (`by` is `edits`) and of questions an example.

    Rows have what `worst_case_frame` says of a search, `by`, `at` (a number of edits or questions), and `score` with
    its limits. Questions are 1, 2, 5, 10 and so on, up to the most that any example was asked.
    """
    rows = []
    for one in searches:
        edits, most = range(one.record.search.edits + 1), max(1, int(one.steps["questions"].max()))
        round_numbers = (step * 10**power for power in range(9) for step in (1, 2, 5))
        thirds = sorted({*(number for number in round_numbers if number < most), most})
        for by, at in [*(("edits", number) for number in edits), *(("questions", number) for number in thirds)]:
            score = one.score(**{by: at})
            rows.append(_about(one.record, one.record) | {"by": by, "at": at} | interval_columns("score", score))
    return pd.DataFrame(rows).astype({"training_seed": "Int64", "limit": "Int64"}) if rows else pd.DataFrame()


def transfer_frame(searches: Sequence[WorstCases], records: Records) -> pd.DataFrame:
    """Return a row per worst-case attack set and system: its `score` on the examples that were attacked, in percent.

    Columns: task, metric, suite, edits, search, limit, constraints (as in `worst_case_frame`); attacked and
    attacked_sha256 (the model that was searched), label, base, training_seed and model_sha256 (the one that was
    evaluated), the score with its limits. Where a model was not evaluated on its own set, the score is that of the
    search; evaluations of fewer examples than were searched are left out.
    """
    rows = []
    for folder, record in records:
        attack = record.data.attack
        table = read_counts(folder, record) if attack and attack.search else None
        if attack and attack.search and table is not None and _whole(record.data.limit, attack.search.limit):
            counts = cell_counts(table, _rows(table)[: attack.search.limit])
            rows.append(_about(record, attack) | _onto(attack, mean_score(record.metric, [counts])))
    known = {(row["set_sha256"], row["model_sha256"]) for row in rows}
    for one in searches:
        if (one.record.suite_sha256, one.record.system.model_sha256) not in known:
            rows.append(_about(one.record, one.record) | _onto(one.record, one.score()))
    return pd.DataFrame(rows).astype({"training_seed": "Int64", "limit": "Int64"}) if rows else pd.DataFrame()


def _about(record: Record | WorstCaseRecord, attack: AttackInfo | WorstCaseRecord) -> dict[str, Any]:
    """Return what is known of a system and of the search whose worst case it met."""
    system, search = record.system, attack.search
    if search is None:
        raise ValueError("an attack that was not searched for")
    more = {"beam": f":{search.size}", "charmer": f", {search.size} positions"}.get(search.search, "")
    more += f", {search.budget:,} queries" if search.budget else ""
    more += ", by labels" if search.guided_by == "labels" else ""
    return {
        "task": record.task,
        "metric": record.headline,
        "label": system.shown,
        "base": system.base,
        "defence": system.defence.name if system.defence else None,
        "training_seed": system.training_seed,
        "model_sha256": system.model_sha256,
        "suite": attack.suite.removeprefix("worst_").partition("@")[0],
        "edits": search.edits,
        "search": f"{search.search}{more}" + (f", seed {search.seed}" if search.seed else ""),
        "limit": search.limit,
        "constraints": attack.constraints,
    }


def _whole(evaluated: int | None, searched: int | None) -> bool:
    """Return whether the first `evaluated` examples (None: all) hold the first `searched` ones."""
    return evaluated is None or (searched is not None and evaluated >= searched)


def _onto(attack: AttackInfo | WorstCaseRecord, score: Interval | None) -> dict[str, Any]:
    target = {"attacked": attack.search.name, "attacked_sha256": attack.search.model_sha256} if attack.search else {}
    return {"set_sha256": attack.suite_sha256, **target, **interval_columns("score", score)}


def _cost(record: WorstCaseRecord) -> dict[str, Any]:
    return {f"{name}_questions": number for name, number in record.queries} | {"seconds": record.wall_seconds}


def _drawn(one: WorstCases, records: Records) -> list[Floats]:
    """Return the counts of the examples of a search under each seed of the attacks that are comparable to it."""
    record, tables = one.record, dict[tuple[str, int], Floats]()
    for folder, other in records:
        attack = other.data.attack
        if attack and is_comparable(attack, record) and _model(other, other.clean_sha256) == _model(record):
            table = read_counts(folder, other)
            if table is not None and set(one.rows) <= set(_rows(table)):
                tables[attack.suite, attack.seed] = cell_counts(table, one.rows)
    return [tables[key] for key in sorted(tables)]


def _same_problem(one: WorstCases, other: WorstCases) -> bool:
    """Return whether two searches had the same edits to choose from, on the same examples of the same system."""
    problems = [
        (*_model(each.record), each.record.constraints or each.record.suite, each.record.search.edits, each.rows)
        for each in (one, other)
    ]
    return problems[0] == problems[1]


def _model(record: Record | WorstCaseRecord, clean_sha256: str | None = None) -> tuple[object, ...]:
    return record.task, record.system.shown, *record.system.all_weights, clean_sha256 or record.data.sha256


def _rows(table: pd.DataFrame) -> list[int]:
    """Return the examples that counts are of, in file order."""
    return sorted(table.loc[table["dimension"] == "all", "row"].tolist())

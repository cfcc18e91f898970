"""Records read for a report, paired, and summed up by `analysis`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pandas as pd

from robustbench_char.analysis.breakdowns import breakdown_frame, cell_statistics
from robustbench_char.analysis.learning import Learning, learning
from robustbench_char.analysis.pairs import (
    REFERENCE,
    Pair,
    alone,
    check_together,
    comparison_table,
    distinct,
    drawn_and_searched,
    grouped,
    is_reference,
    pair_records,
)
from robustbench_char.analysis.scores import main_suite, mean_scores
from robustbench_char.analysis.statistics import Statistics, statistics_of
from robustbench_char.analysis.variants import Naming, OfSystem, measured_apart, told_apart
from robustbench_char.metrics.breakdowns import BREAKDOWNS
from robustbench_char.records.defence_price import PriceRecord, find_prices
from robustbench_char.records.evaluation import Record, SystemInfo, find_records
from robustbench_char.records.sensitivity import FragilityRecord, SensitivityRecord, find_fragility, find_sensitivities
from robustbench_char.records.worst_case import WorstCases, find_worst_cases

__all__ = ["Evidence"]

Located: TypeAlias = tuple[Path, Record]


class Evidence(NamedTuple):
    """All that a section may look at: row i of `frame` is pair i. `examples` says whether texts may be shown.

    `means` are scores over seeds with their intervals (see `analysis.scores.mean_scores`), which `statistics` gives;
    `cells` are scores by breakdown under the main suite (see `analysis.breakdowns.breakdown_frame`); `learning` says
    which systems have learnt which task. Of attack sets that were searched for, `records` holds the results alone, and
    `searched` their pairs: whatever else compares systems is of attacks that strike all alike.
    """

    records: list[tuple[Path, Record]]
    pairs: list[Pair]
    frame: pd.DataFrame
    means: pd.DataFrame
    statistics: Statistics
    cells: pd.DataFrame
    examples: bool
    learning: Learning
    prices: tuple[PriceRecord, ...] = ()
    sensitivities: tuple[tuple[Path, SensitivityRecord], ...] = ()
    fragility: tuple[FragilityRecord, ...] = ()
    searches: tuple[WorstCases, ...] = ()
    searched: tuple[Pair, ...] = ()

    @property
    def tasks(self) -> dict[str, list[Record]]:
        """The records of each task, in order."""
        return grouped((record for _, record in self.records), lambda record: record.task)

    @property
    def learnt(self) -> pd.DataFrame:
        """The rows of `means` of systems that have learnt their task: what figures and rankings show."""
        return self.means[self.means["learnt"]] if len(self.means) else self.means

    def has_learnt(self, task: str, system: str, base: str | None = None) -> bool:
        """Return whether a system has learnt a task, on a base or on any; true where no clean result tells."""
        known = {key: told[1] for key, told in self.learning.items() if base in (None, key[1][1])}
        found = [learnt for (of, own), learnt in known.items() if (of, own[0]) == (task, system)]
        return any(found) or not found

    def marked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a frame of tasks and systems with `learnt`, by which tables choose the rows that they print."""
        names = [name for name in ("task", "label" if "label" in frame else "system", "base") if name in frame]
        keys = frame[names].itertuples(index=False, name=None)
        return frame.assign(learnt=[self.has_learnt(*key) for key in keys])


def report_frame(folders: Sequence[Path | str]) -> pd.DataFrame:
    """Return a row per attacked result below the folders, beside its clean one: the columns of `comparison_table`.

    Rows are sorted by task, system (`bert` first, then as they appear in the folders), base, suite and seeds. Raises
    InputError for a missing folder and for no record.
    """
    return comparison_table(pair_records(read_records([Path(folder) for folder in folders])))


def read_evidence(folders: Sequence[Path | str], *, examples: bool) -> Evidence:
    """Read all records below the folders, each result once.

    Raises InputError for no record, one of a newer schema, and records that do not belong in one table.
    """
    paths = [Path(folder) for folder in folders]
    records, measured, found = find_records(paths), find_sensitivities(paths), find_worst_cases(paths)
    every: list[OfSystem] = [
        *(one for _, one in records),
        *(one for _, one in measured),
        *(one.record for _, one in found),
    ]
    named = told_apart(every)
    records = _in_order(records, named)
    pairs, searched = drawn_and_searched(pair_records(records))
    frame, statistics = comparison_table(pairs), statistics_of(pairs)
    means = mean_scores(frame, pairs, statistics)
    cells = _cells(pairs, means, statistics)
    others = tuple(find_prices(paths)), _sensitivities(measured, named), tuple(find_fragility(paths))
    worst = _searches(found, records, named), tuple(searched)
    clean = alone(records, pairs)
    known = learning(pairs, statistics) | learning(clean, statistics_of(clean))
    lost = _references_lost(records, known)
    frame, means, cells = (_without_gains(rows, lost) for rows in (frame, means, cells))
    return Evidence(records, pairs, frame, means, statistics, cells, examples, known, *others, *worst)


def _references_lost(records: Sequence[Located], known: Learning) -> set[str]:
    """Return the tasks that a reference has not learnt."""
    references = {
        (record.task, (record.system.shown, record.system.base)) for _, record in records if is_reference(record)
    }
    return {key[0] for key, (_, learnt) in known.items() if key in references and not learnt}


def _without_gains(frame: pd.DataFrame, lost: set[str]) -> pd.DataFrame:
    """Return a frame without the gains on some tasks."""
    gains = [f"{name}{end}" for name in ("gain", "gain_clean") for end in ("", "_low", "_high")]
    return frame.assign(**{name: frame[name].mask(frame["task"].isin(lost)) for name in gains if name in frame})


def read_records(folders: list[Path]) -> list[Located]:
    """Return the records below the folders, each result once, in the order of reports (see `report_frame`)."""
    records = find_records(folders)
    return _in_order(records, told_apart(record for _, record in records))


def _in_order(records: Sequence[Located], named: Naming) -> list[Located]:
    """Return records under their names in reports, in order, all checked to stand in one table."""
    systems = _names(record.system for _, record in records)
    records = [(folder, named(record)) for folder, record in records]

    def order(located: Located) -> tuple[object, ...]:
        """Clean data stand before attacked ones, and of one result the oldest record."""
        system, record, attack = located[1].system, located[1], located[1].data.attack
        seeds = system.training_seed or 0, attack.seed if attack else 0
        names = systems.index(system.called), system.shown, system.base, attack is not None, record.condition
        return record.task, *names, *seeds, record.created

    records = distinct(sorted(records, key=order))
    check_together(records)
    return records


def _names(systems: Iterable[SystemInfo]) -> list[str]:
    return list(dict.fromkeys([REFERENCE, *(system.called for system in systems)]))


def _sensitivities(
    measured: Sequence[tuple[Path, SensitivityRecord]], named: Naming
) -> tuple[tuple[Path, SensitivityRecord], ...]:
    """Return all measurements of S under their names in reports, each once."""
    known = {record.model_dump_json(): (folder, named(record)) for folder, record in reversed(measured)}
    apart = measured_apart(record for _, record in known.values())

    def order(located: tuple[Path, SensitivityRecord]) -> tuple[object, ...]:
        record, system = located[1], located[1].system
        names = (system.called if system else record.shown) != REFERENCE, record.shown, system and system.training_seed
        return record.task, *names[:2], names[2] or 0, record.attack.suite, record.attack.seed

    return tuple(sorted(((folder, apart(record)) for folder, record in known.values()), key=order))


def _searches(
    found: Sequence[tuple[Path, WorstCases]], records: Sequence[Located], named: Naming
) -> tuple[WorstCases, ...]:
    """Return all searches for a worst case under their names, each once, systems in the order of their records."""
    systems = list(dict.fromkeys(record.system.shown for _, record in records))

    def order(one: WorstCases) -> tuple[object, ...]:
        record, name = one.record, one.record.system.shown
        place = systems.index(name) if name in systems else len(systems)
        return record.task, record.suite, record.search.edits, place, name, record.exact, record.created

    known = {one.record.model_dump_json(): replace(one, record=named(one.record)) for _, one in found}
    return tuple(sorted(known.values(), key=order))


def _cells(pairs: list[Pair], means: pd.DataFrame, statistics: Statistics) -> pd.DataFrame:
    """Return the scores of each breakdown under the suite that systems are compared under."""
    if means.empty:
        return means
    main = main_suite(means)
    chosen = [pair for pair in pairs if pair.attacked.condition == main]
    return breakdown_frame(cell_statistics(chosen, statistics, list(BREAKDOWNS)))

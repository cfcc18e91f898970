"""Records read for a report, paired, and summed up by `analysis`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from robustbench_char.analysis.breakdowns import breakdown_frame, cell_statistics
from robustbench_char.analysis.pairs import (
    REFERENCE,
    Pair,
    check_together,
    comparison_table,
    distinct,
    pair_records,
)
from robustbench_char.analysis.scores import main_suite, mean_scores
from robustbench_char.analysis.statistics import Statistics, statistics_of
from robustbench_char.metrics.breakdowns import BREAKDOWNS
from robustbench_char.records.evaluation import Record, find_records
from robustbench_char.records.recogniser_cost import PriceRecord, find_prices
from robustbench_char.records.sensitivity import (
    FragilityRecord,
    SensitivityRecord,
    find_fragility,
    find_sensitivities,
)

__all__ = ["Evidence", "read_evidence", "report_frame"]


class Evidence(NamedTuple):
    """All that a section may look at: row i of `frame` is pair i. `examples` says whether texts may be shown.

    `means` are scores over seeds with their intervals (see `analysis.scores.mean_scores`), which `statistics` gives;
    `cells` are scores by breakdown under the main suite (see `analysis.breakdowns.breakdown_frame`).
    """

    records: list[tuple[Path, Record]]
    pairs: list[Pair]
    frame: pd.DataFrame
    means: pd.DataFrame
    statistics: Statistics
    cells: pd.DataFrame
    examples: bool
    prices: tuple[PriceRecord, ...] = ()
    sensitivities: tuple[tuple[Path, SensitivityRecord], ...] = ()
    fragility: tuple[FragilityRecord, ...] = ()

    @property
    def tasks(self) -> dict[str, list[Record]]:
        """The records of each task, in order."""
        tasks: dict[str, list[Record]] = {}
        for _, record in self.records:
            tasks.setdefault(record.task, []).append(record)
        return tasks


def report_frame(folders: Sequence[Path | str]) -> pd.DataFrame:
    """Return a row per attacked result below the folders, beside its clean one: the columns of `comparison_table`.

    Rows are sorted by task, system (`bert` first, then as they appear in the folders), base, suite and seeds. Raises
    InputError for a missing folder and for no record.
    """
    return comparison_table(pair_records(_read_records([Path(folder) for folder in folders])))


def read_evidence(folders: Sequence[Path | str], *, examples: bool) -> Evidence:
    """Read all records below the folders, each result once.

    Raises InputError for no record, one of a newer schema, and records that do not belong in one table.
    """
    paths = [Path(folder) for folder in folders]
    records = _read_records(paths)
    pairs = pair_records(records)
    frame, statistics = comparison_table(pairs), statistics_of(pairs)
    means = mean_scores(frame, pairs, statistics)
    return Evidence(
        records,
        pairs,
        frame,
        means,
        statistics,
        _cells(pairs, means, statistics),
        examples,
        tuple(find_prices(paths)),
        _sensitivities(paths),
        tuple(find_fragility(paths)),
    )


def _read_records(folders: list[Path]) -> list[tuple[Path, Record]]:
    records = find_records(folders)
    systems = list(dict.fromkeys([REFERENCE, *(record.system.shown for _, record in records)]))
    records = distinct(sorted(records, key=lambda item: _record_order(item[1], systems)))
    check_together(records)
    return records


def _record_order(record: Record, systems: list[str]) -> tuple[str, int, str, bool, str, int, int, str]:
    """Return the sort key of a record: clean data stand before attacked ones, and of one result the oldest record."""
    system, attack = record.system, record.data.attack
    seeds = system.training_seed or 0, attack.seed if attack else 0
    names = systems.index(system.shown), system.base, attack is not None, record.condition
    return record.task, *names, *seeds, record.created


def _sensitivities(folders: list[Path]) -> tuple[tuple[Path, SensitivityRecord], ...]:
    """Read all measurements of S, each once."""
    measured = {record.model_dump_json(): (folder, record) for folder, record in reversed(find_sensitivities(folders))}
    return tuple(sorted(measured.values(), key=lambda item: _sensitivity_order(item[1])))


def _sensitivity_order(record: SensitivityRecord) -> tuple[str, bool, str, int, str, int]:
    system = record.shown != REFERENCE, record.shown, (record.system.training_seed if record.system else None) or 0
    return record.task, *system, record.attack.suite, record.attack.seed


def _cells(pairs: list[Pair], means: pd.DataFrame, statistics: Statistics) -> pd.DataFrame:
    """Return the scores of each breakdown under the suite that systems are compared under."""
    if means.empty:
        return means
    main = main_suite(means)
    chosen = [pair for pair in pairs if pair.attacked.condition == main]
    return breakdown_frame(cell_statistics(chosen, statistics, list(BREAKDOWNS)))

"""Records read for a report, and paired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustbench_char.analysis.breakdowns import breakdown_frame, cell_statistics
from robustbench_char.analysis.pairs import (
    REFERENCE,
    Pair,
    check_together,
    comparison_table,
    distinct,
    pair_records,
)
from robustbench_char.analysis.statistics import Statistics, statistics_of
from robustbench_char.metrics.breakdowns import BREAKDOWNS
from robustbench_char.records.evaluation import Record, find_records
from robustbench_char.records.recogniser_cost import find_prices
from robustbench_char.records.sensitivity import SensitivityRecord, find_sensitivities
from robustbench_char.reports.blocks import Evidence
from robustbench_char.reports.means import main_suite, mean_scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_evidence", "report_frame"]


def report_frame(folders: list[Path]) -> pd.DataFrame:
    """Return one row an attacked result below the folders, beside its clean one: the columns of `comparison_table`.

    Rows are sorted by task, system (`bert` first, then as they appear in the folders), base, suite and seeds. Raises
    InputError for a missing folder and for no record.
    """
    records = distinct(_sorted(find_records(folders)))
    check_together(records)
    return comparison_table(pair_records(records))


def read_evidence(folders: list[Path], *, examples: bool) -> Evidence:
    """Read all records below the folders, each result once.

    Raises InputError for no record, one of a newer schema, and records that do not belong in one table.
    """
    records = distinct(_sorted(find_records(folders)))
    check_together(records)
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
        tuple(find_prices(folders)),
        _sensitivities(folders),
    )


def _sensitivities(folders: list[Path]) -> tuple[tuple[Path, SensitivityRecord], ...]:
    """Read all measurements of S, each once."""
    found = {record.model_dump_json(): (folder, record) for folder, record in reversed(find_sensitivities(folders))}
    return tuple(sorted(found.values(), key=lambda item: _sensitivity_place(item[1])))


def _sensitivity_place(record: SensitivityRecord) -> tuple[str, bool, str, int, str, int]:
    seed = record.system.training_seed if record.system else None
    place = record.shown != REFERENCE, record.shown, seed or 0
    return record.task, *place, record.attack.suite, record.attack.seed


def _cells(pairs: list[Pair], means: pd.DataFrame, statistics: Statistics) -> pd.DataFrame:
    """Return the scores of each breakdown under the suite that systems are compared under."""
    if means.empty:
        return means
    main = main_suite(means)
    chosen = [pair for pair in pairs if pair.attacked.condition == main]
    return breakdown_frame(cell_statistics(chosen, statistics, list(BREAKDOWNS)))


def _sorted(records: list[tuple[Path, Record]]) -> list[tuple[Path, Record]]:
    systems = list(dict.fromkeys([REFERENCE, *(record.system.shown for _, record in records)]))
    return sorted(records, key=lambda item: _place(item[1], systems))


def _place(record: Record, systems: list[str]) -> tuple[str, int, str, bool, str, int, int, str]:
    """Return the sort key of a record: clean data stand before attacked ones, and of one result the oldest record."""
    system, attack = record.system, record.data.attack
    seeds = system.training_seed or 0, attack.seed if attack else 0
    place = systems.index(system.shown), system.base, attack is not None, record.condition
    return record.task, *place, *seeds, record.created

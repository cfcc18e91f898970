"""Records read for a report, and paired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustbench_char.evaluation.comparison import REFERENCE, check_together, comparison_table, distinct, pair_records
from robustbench_char.evaluation.recogniser_prices import find_prices
from robustbench_char.evaluation.records import Record, find_records
from robustbench_char.evaluation.sensitivity_records import find_sensitivities
from robustbench_char.reports.blocks import Evidence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_evidence", "report_frame"]


def report_frame(folders: list[Path]) -> pd.DataFrame:
    """Return one row an attacked result below the folders, beside its clean one: the columns of `comparison_table`.

    Rows are sorted by task, system (`bert` first, then as they appear in the folders), base, suite and seeds. Raises
    InputError for a missing folder and for no record.
    """
    return read_evidence(folders, examples=False).frame


def read_evidence(folders: list[Path], *, examples: bool) -> Evidence:
    """Read all records below the folders, each result once.

    Raises InputError for no record, one of a newer schema, and records that do not belong in one table.
    """
    records = distinct(_sorted(find_records(folders)))
    check_together(records)
    pairs = pair_records(records)
    prices, sensitivities = find_prices(folders), find_sensitivities(folders)
    return Evidence(records, pairs, comparison_table(pairs), examples, tuple(prices), tuple(sensitivities))


def _sorted(records: list[tuple[Path, Record]]) -> list[tuple[Path, Record]]:
    systems = list(dict.fromkeys([REFERENCE, *(record.system.shown for _, record in records)]))
    return sorted(records, key=lambda item: _place(item[1], systems))


def _place(record: Record, systems: list[str]) -> tuple[str, int, str, bool, str, int, int, str]:
    """Return the sort key of a record: clean data stand before attacked ones, and of one result the oldest record."""
    system, attack = record.system, record.data.attack
    seeds = system.training_seed or 0, attack.seed if attack else 0
    place = systems.index(system.shown), system.base, attack is not None, record.condition
    return record.task, *place, *seeds, record.created

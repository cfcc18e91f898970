"""Records read for a report, and paired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustbench_char.evaluation.comparison import Pair, comparison_table, pair_records
from robustbench_char.evaluation.records import Record, find_records
from robustbench_char.reports.blocks import Evidence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_evidence", "report_frame"]


def report_frame(folders: list[Path]) -> pd.DataFrame:
    """Return one row an attacked result below the folders, beside its clean one: the columns of `comparison_table`.

    Rows are sorted by task, system, base, suite and seeds. Raises InputError for a missing folder and for no record.
    """
    return comparison_table(_sorted_pairs(find_records(folders)))


def read_evidence(folders: list[Path], *, examples: bool) -> Evidence:
    """Read all records below the folders; those of folders that lie in one another count once. Raises InputError."""
    found = {folder.resolve(): (folder, record) for folder, record in find_records(folders)}
    records = sorted(found.values(), key=lambda item: _place(item[1]))
    pairs = _sorted_pairs(records)
    return Evidence(records, pairs, comparison_table(pairs), examples)


def _sorted_pairs(records: list[tuple[Path, Record]]) -> list[Pair]:
    return sorted(pair_records(records), key=lambda pair: _place(pair.attacked))


def _place(record: Record) -> tuple[str, str, str, bool, str, int, int]:
    """Return the sort key of a record: clean data stand before attacked ones."""
    system, attack = record.system, record.data.attack
    seeds = system.training_seed or 0, attack.seed if attack else 0
    return record.task, system.name, system.base, attack is not None, record.condition, *seeds

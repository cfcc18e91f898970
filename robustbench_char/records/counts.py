"""`counts.parquet`: what each example brings to a score, and to each cell of its breakdowns. Numbers alone, no text.

Columns: `row` (of the example), `dimension`, `value`, and the counts of the record's metric (see `metrics`). The cell
`all`, `all` holds the whole example; an example without a line in a cell brings nothing to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.metrics.base import METRICS, Floats, Unit
from robustbench_char.metrics.breakdowns import ExampleWords, cells
from robustbench_char.records.evaluation import Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COUNTS", "KEYS", "cell_counts", "count_table", "read_counts", "write_counts"]

COUNTS = "counts.parquet"
KEYS = ("row", "dimension", "value")


def count_table(
    metric: str, rows: Sequence[int], units: Iterable[Unit], words: Sequence[ExampleWords], labels: Sequence[str] | None
) -> pd.DataFrame:
    """Return the counts of each example in each cell that it brings something to.

    `rows` numbers the examples in the data; `units` and `words` are theirs, in this order.
    """
    import pandas as pd

    columns = METRICS.get(metric).columns(labels)
    sums: dict[tuple[int, str, str], list[float]] = {}
    for unit in units:
        for cell in cells(unit, words[unit.row]):
            found = sums.setdefault((rows[unit.row], *cell), [0.0] * len(columns))
            for place, count in enumerate(unit.counts):
                found[place] += count
    for row in rows:  # a sentence without entities is an example as well
        sums.setdefault((row, "all", "all"), [0.0] * len(columns))
    table = pd.DataFrame(list(sums), columns=list(KEYS)).astype({"row": "int32"})
    counts = pd.DataFrame(list(sums.values()), columns=list(columns))
    whole = [name for name in columns if (counts[name] % 1 == 0).all()]
    table = pd.concat([table, counts.astype(dict.fromkeys(whole, "int32"))], axis=1)
    return table.sort_values(list(KEYS[1:] + KEYS[:1]), ignore_index=True)


def write_counts(folder: Path, table: pd.DataFrame) -> str:
    """Write the table beside its record, and return the SHA-256 of the file."""
    path = folder / COUNTS
    table.astype({"dimension": "category", "value": "category"}).to_parquet(path, index=False, compression="zstd")
    return sha256_file(path)


def read_counts(folder: Path, record: Record) -> pd.DataFrame | None:
    """Return the counts beside a record, or None where they were not kept (by an older version).

    Raises InputError for a file that is damaged, missing, or not the one that the record was made with.
    """
    import pandas as pd

    path = folder / COUNTS
    if record.counts_sha256 is None:
        return None
    if not path.is_file() or sha256_file(path) != record.counts_sha256:
        raise _not_counts(path, "another content than its record was made with" if path.is_file() else "no such file")
    table = pd.read_parquet(path)
    if tuple(table.columns[:3]) != KEYS:
        raise _not_counts(path, f"the columns {', '.join(map(str, table.columns))}")
    return table.astype({"dimension": "category", "value": "category"})


def cell_counts(table: pd.DataFrame, rows: Sequence[int], dimension: str = "all", value: str = "all") -> Floats:
    """Return the counts [N, K] of the examples `rows` in one cell, 0 where an example brings nothing to it."""
    part = table[(table["dimension"] == dimension) & (table["value"] == value)]
    places: Mapping[int, int] = {row: place for place, row in enumerate(rows)}
    found = np.zeros((len(rows), table.shape[1] - len(KEYS)))
    kept = part[part["row"].isin(rows)]
    found[[places[row] for row in kept["row"]]] = kept.iloc[:, len(KEYS) :].to_numpy(np.float64)
    return found


def _not_counts(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="the counts that `evaluate` wrote beside the record",
        fix="Copy them with their record, or run `robustbench-char evaluate` again.",
    )

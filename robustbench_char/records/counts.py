"""`counts.parquet`: what each example brings to a score, and to each cell of its breakdowns. Numbers alone, no text.

Columns: `row` (of the example), `dimension`, `value`, and the counts of the record's metric (see `metrics`). The cell
`all`, `all` holds the whole example; an example without a line in a cell brings nothing to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common.files import sha256_file
from robustbench_char.metrics.base import METRICS, Floats, Unit
from robustbench_char.metrics.breakdowns import ExampleWords, cells

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CellCounts", "cell_counts", "count_table", "write_counts"]

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
            counts = sums.setdefault((rows[unit.row], *cell), [0.0] * len(columns))
            for column, count in enumerate(unit.counts):
                counts[column] += count
    for row in rows:  # a sentence without entities is an example as well
        sums.setdefault((row, "all", "all"), [0.0] * len(columns))
    table = pd.DataFrame(list(sums), columns=list(KEYS)).astype({"row": "int32"})
    counted = whole_numbers(pd.DataFrame(list(sums.values()), columns=list(columns)), columns)
    table = pd.concat([table, counted], axis=1)
    return table.sort_values(list(KEYS[1:] + KEYS[:1]), ignore_index=True)


def whole_numbers(
    table: pd.DataFrame, names: Sequence[str], dtype: Literal["int32", "Int32"] = "int32"
) -> pd.DataFrame:
    """Return the table with those columns as integers that hold whole numbers alone; `Int32` may have missing ones."""
    import pandas as pd

    known = pd.api.types.is_integer_dtype
    whole = [name for name in names if known(table[name]) or (table[name].dropna() % 1 == 0).all()]
    return table.astype({name: dtype if name in whole else "float64" for name in names})


def write_counts(folder: Path, table: pd.DataFrame) -> str:
    """Write the table beside its record, and return the SHA-256 of the file."""
    path = folder / COUNTS
    table.astype({"dimension": "category", "value": "category"}).to_parquet(path, index=False, compression="zstd")
    return sha256_file(path)


class CellCounts:
    """The counts of the examples `rows` in each cell of a table, which has cells of `dimensions`."""

    def __init__(self, table: pd.DataFrame, rows: Sequence[int]) -> None:
        import pandas as pd

        self._at = pd.Index(rows).get_indexer(pd.Index(table["row"]))
        self._counts = table.iloc[:, len(KEYS) :].to_numpy(np.float64)
        lines: Any = table.groupby(["dimension", "value"], observed=True, sort=False).indices
        self._lines: dict[tuple[str, ...], NDArray[np.intp]] = lines
        self._shape = len(rows), self._counts.shape[1]
        self.dimensions = {cell[0] for cell in self._lines}

    def of(self, dimension: str = "all", value: str = "all") -> Floats:
        """Return the counts [N, K] in one cell, 0 where an example brings nothing to it."""
        lines, counts = self._of(dimension, value), np.zeros(self._shape)
        counts[self._at[lines]] = self._counts[lines]
        return counts

    def inside(self, dimension: str, value: str) -> NDArray[np.bool_]:
        """Return which examples [N] bring something to a cell."""
        inside = np.zeros(self._shape[0], np.bool_)
        inside[self._at[self._of(dimension, value)]] = True
        return inside

    def _of(self, *cell: str) -> NDArray[np.intp]:
        lines = self._lines.get(cell, np.zeros(0, np.intp))
        return lines[self._at[lines] >= 0]


def cell_counts(table: pd.DataFrame, rows: Sequence[int]) -> Floats:
    """Return the counts [N, K] of the examples `rows` as a whole."""
    return CellCounts(table[table["dimension"] == "all"], rows).of()

"""Parquet files that others made: how much memory they take is known before they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.common.errors import InputError

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["bounded", "open_table", "readable"]

SMALL, SHARE = 1 << 31, 200
"""A table may take so many bytes of memory, and so many for each byte of its file."""


def open_table(path: Path) -> pq.ParquetFile:
    """Open a Parquet file. Raises InputError for none, and for one that `bounded` refuses."""
    import pyarrow.parquet as pq

    with readable(path):
        return bounded(path, pq.ParquetFile(path))


def bounded(path: Path, file: pq.ParquetFile) -> pq.ParquetFile:
    """Return an open Parquet file. Raises InputError for a small one that stands for a table of any size.

    Columns are packed, and a value that is repeated is written once: a kilobyte can stand for gigabytes.
    """
    most = max(SMALL, SHARE * path.stat().st_size)
    if (size := _size(path, file, most)) > most:
        found = f"a table of {size / 1e6:,.0f} MB in a file of {path.stat().st_size:,} bytes"
        raise InputError(path, found=found, expected=f"at most {most / 1e6:,.0f} MB in memory",
                         fix="Check where the file comes from; split a table that is meant to be so.")  # fmt: skip
    return file


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what is raised about a damaged Parquet file into an InputError that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(path, found=f"an unreadable Parquet file ({error})", expected="a Parquet file",
                         fix="Check the file, or download it again.") from None  # fmt: skip


def _size(path: Path, file: pq.ParquetFile, most: int) -> int:
    """Return the bytes that a table takes in memory; roughly, from what the file says, where that is enough."""
    import pyarrow.parquet as pq

    about = file.metadata
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    said: int = sum(group.total_byte_size + 8 * group.num_rows * group.num_columns for group in groups)
    if said > most:
        return said
    for number in range(len(groups)):  # a damaged file is an error here; asking for its columns would end the process
        next(file.iter_batches(1, row_groups=[number]), None)
    chunks = [(at, group.column(number)) for at, group in enumerate(groups) for number in range(group.num_columns)]
    said += 8 * sum(chunk.num_values for _, chunk in chunks)
    packed = [(at, one) for at, one in chunks if one.has_dictionary_page and one.physical_type == "BYTE_ARRAY"]
    if said > most or sum(chunk.num_values * chunk.total_uncompressed_size for _, chunk in packed) <= most:
        return said
    columns = sorted({chunk.path_in_schema for _, chunk in packed})
    folded = pq.ParquetFile(path, read_dictionary=columns)
    return said + sum(_unfolded(folded.read_row_group(at, [one.path_in_schema]).column(0)) for at, one in packed)


def _unfolded(column: Any) -> int:
    """Return the bytes of the texts of a column whose different values are kept once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for array in column.chunks:
        while not pa.types.is_dictionary(array.type):
            array = array.field(0) if pa.types.is_struct(array.type) else array.flatten()
        total += pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0
    return total

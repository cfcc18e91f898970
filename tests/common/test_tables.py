"""A small Parquet file that stands for a large table is refused before it is read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robustbench_char.common import InputError
from robustbench_char.common.tables import open_table

SMALL = 1 << 28
ZEROS = pa.array([0] * 1000, pa.int32())


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse tables that this machine can make."""
    monkeypatch.setattr("robustbench_char.common.tables.SMALL", SMALL)


def once(value: str) -> Any:
    """Return a thousand texts that are kept once."""
    return pa.DictionaryArray.from_arrays(ZEROS, pa.array([value]))


def nested(value: str) -> Any:
    """Return them as lists of one text each, within structures."""
    lists = pa.ListArray.from_arrays(pa.array(range(1001), pa.int32()), once(value))
    return pa.StructArray.from_arrays([lists], ["text"])


@pytest.mark.parametrize("column", [once, nested])
def test_texts_that_are_kept_once(column: Any, tmp_path: Path) -> None:
    path, size = tmp_path / "x.parquet", SMALL // 1000
    for length, fits in ((size // 2, True), (2 * size, False)):
        pq.write_table(pa.table({"a": column("x" * length)}), path, compression="zstd")
        assert path.stat().st_size < 20_000
        if fits:
            assert open_table(path).metadata.num_rows == 1000
        else:
            with pytest.raises(InputError, match=r"found a table of 537 MB .*; expected at most 268"):
                open_table(path)


def test_rows_without_content(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.nulls(SMALL // 8 + 1)}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="found a table of 268 MB in a file of"):
        open_table(tmp_path / "x.parquet")


def test_a_large_file_may_hold_a_large_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.common.tables.SMALL", 1000)
    pq.write_table(pa.table({"a": [f"{number} words of a text" for number in range(1000)]}), tmp_path / "x.parquet")
    assert open_table(tmp_path / "x.parquet").metadata.num_rows == 1000


@pytest.mark.parametrize("data", [b"PAR1", b"no table at all", b""])
def test_no_table(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.parquet: found an unreadable Parquet file"):
        open_table(tmp_path / "x.parquet")


def test_a_damaged_file_does_not_end_the_process(tmp_path: Path) -> None:
    """Of statistics that do not fit pyarrow throws what Python cannot catch, unless the column was read before."""
    pq.write_table(pa.table({"a": ["some words"] * 8, "b": [0, 1] * 4}), tmp_path / "x.parquet")
    data = (tmp_path / "x.parquet").read_bytes()
    for at in range(data.rindex(b"PAR1") - 500, len(data) - 8):
        (tmp_path / "x.parquet").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with suppress(InputError):
            open_table(tmp_path / "x.parquet")

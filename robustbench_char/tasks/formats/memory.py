"""Rows in memory, in the layout of the hub: a list of dictionaries, a pandas data frame, a `datasets.Dataset`.

Whatever the type, the same content is one file of JSON Lines, so that a record can name it by its hash.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from robustbench_char.common.errors import InputError
from robustbench_char.common.files import sha256_bytes
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.formats._rows import Names, column_of, is_int, names_of_ids
from robustbench_char.tasks.formats.json_lines import JsonLines

if TYPE_CHECKING:
    import datasets
    import pandas as pd

    Rows: TypeAlias = datasets.Dataset | pd.DataFrame | Sequence[Mapping[str, Any]]
else:
    Rows = Sequence[Mapping[str, Any]]

__all__ = ["Rows", "is_a", "open_rows", "plain_rows"]

KINDS = "a datasets.Dataset, a pandas data frame, or a list of dictionaries"


class RowsFile(JsonLines):
    """Rows in memory as a file; messages name the row and not the line."""

    def _rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return ((f"data: row {number}", row) for number, (_, row) in enumerate(super()._rows()))


def open_rows(task: Task, data: Rows) -> RowsFile:
    """Write rows to a temporary file, which lasts as long as this process, and open it.

    All columns are kept, in alphabetical order. Raises InputError for what holds no rows.
    """
    rows = plain_rows(task, data)
    if not rows:
        raise InputError("data", found="no rows", expected="at least one example", fix="Check what was selected.")
    lines = (json.dumps(row, ensure_ascii=False, sort_keys=True, default=str) + "\n" for row in rows)
    # Half a surrogate pair, which UTF-8 cannot hold, is written as its escape.
    content = "".join(lines).encode("utf-8", "backslashreplace")
    path = Path(_scratch().name) / sha256_bytes(content) / "data.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return RowsFile(task, path)


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="robustbench-char-")


def is_a(data: object, kind: str) -> bool:
    """Return whether data are of a type such as `pandas.DataFrame`, without importing its library."""
    module, _, name = kind.partition(".")
    return module in sys.modules and isinstance(data, getattr(sys.modules[module], name))


def plain_rows(task: Task, data: Rows) -> list[dict[str, Any]]:
    """Return rows of plain values, each with all columns; what is missing is None. Raises InputError for other data.

    Labels are names where the data or the task name them; ids in other columns stay ids.
    """
    rows, names = _read(data)
    columns = dict.fromkeys(name for row in rows for name in row)
    label = column_of(task, "label")
    rows = [{name: _plain(row.get(name)) for name in columns} for row in rows]
    if label in columns:
        for row in rows:
            row[label] = _label(task, row[label], names.get(label, ()))
    return rows


def _read(data: Any) -> tuple[list[dict[str, Any]], Names]:
    if is_a(data, "datasets.Dataset"):
        return data.with_format("arrow")[:].to_pylist(), names_of_ids(data.features.to_dict())
    if is_a(data, "pandas.DataFrame"):
        return _frame_rows(data), {}
    if is_a(data, "datasets.DatasetDict"):
        fix = f"Choose one: data[{next(iter(data), 'test')!r}]."
        raise InputError("data", found=f"the splits {', '.join(data)}", expected="one split", fix=fix)
    if not isinstance(data, list | tuple):
        raise InputError(
            "data", found=f"the type {type(data).__name__}", expected=f"a path, {KINDS}", fix="Convert it first."
        )
    for number, row in enumerate(data):
        if not isinstance(row, Mapping):
            raise InputError(f"data: row {number}", found=f"the type {type(row).__name__}", expected="a dictionary",
                             fix="Give each example as a dictionary of its columns.")  # fmt: skip
    return [{str(name): value for name, value in row.items()} for row in data], {}


def _frame_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError("data", found=f"the column {twice[0]!r} twice", expected="columns of different names",
                         fix="Rename or drop one of them.")  # fmt: skip
    columns = (frame.iloc[:, at] for at in range(len(names)))
    values = [column.astype(object).where(column.notna(), None).tolist() for column in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _plain(value: Any) -> Any:
    """Return a value of lists, dictionaries, numbers and texts; arrays become lists, and what is not a number None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and isnan(value) else value


def _label(task: Task, value: Any, names: Sequence[str]) -> Any:
    """Return a label, or each of a list, by its name where it has one: of the data, as the task spells it, by id."""
    if isinstance(value, list):
        return [_label(task, inner, names) for inner in value]
    spellings = {} if names else task.format_options.get("labels", {})
    if str(value) in spellings:
        return spellings[str(value)]
    known = names or task.labels or task.format_options.get("tag_names") or ()
    return known[value] if is_int(value) and 0 <= value < len(known) else value

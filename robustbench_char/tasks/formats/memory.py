"""Rows in memory, in the layout of the hub: a list of dictionaries, a pandas data frame, a `datasets.Dataset`.

To be scored, the same content of whatever type is one file of JSON Lines, so that a record can name it by its hash. To
be attacked, it stays what it is.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from robustbench_char.common.errors import InputError
from robustbench_char.common.files import sha256_bytes
from robustbench_char.tasks.base import AttackedBlock, Block, Example, ExampleSource, Task, in_blocks, token_text
from robustbench_char.tasks.formats._rows import Names, RowReader, column_of, is_int, names_of_ids
from robustbench_char.tasks.formats.json_lines import JsonLines
from robustbench_char.tasks.formats.table import new_columns, with_columns

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    import pyarrow as pa

    Rows: TypeAlias = datasets.Dataset | pd.DataFrame | Sequence[Mapping[str, Any]]
else:
    Rows = Sequence[Mapping[str, Any]]

__all__ = ["DatasetTable", "RowTable", "Rows", "is_a", "memory_table", "open_rows"]

_HALF = re.compile("[\ud800-\udfff]")
KINDS = "a datasets.Dataset, a pandas data frame, or a list of dictionaries"


class RowsFile(JsonLines):
    """Rows in memory as a file; messages name the row and not file and line."""

    place = "data"

    def _rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return _placed(self.place, (row for _, row in super()._rows()))


class DatasetTable(ExampleSource):
    """A `datasets.Dataset`; `place` is how messages call it."""

    def __init__(self, task: Task, dataset: datasets.Dataset, place: str = "data") -> None:
        self._task, self._place, self._dataset = task, place, dataset.with_format(None)

    def blocks(self) -> Iterator[Block]:
        """Read the rows. Raises InputError that names row and column of what is wrong.

        A classification is read by whole columns where types and labels are in order; row by row, where a mistake is.
        """
        label, names = column_of(self._task, "label"), names_of_ids(self._dataset.features.to_dict())
        named, reader = _namer(self._task, names.get(label, ())), RowReader(self._task, names)
        reader.check_labelled(self._place, dict.fromkeys(self._dataset.column_names))
        labels = self._labels(label, named, reader)
        if labels is None:
            rows = (row | {label: named(row[label])} if label in row else row for row in self._dataset)
            yield from map(Block.of, in_blocks(reader.examples(_placed(self._place, rows))))
            return
        for numbers in in_blocks(range(len(self._dataset))):
            part = self._table.slice(numbers[0], len(numbers))
            columns = {name: part[name].to_pylist() for name in part.column_names}
            values = columns.get(label, [None] * len(numbers))
            if len(set(labels.values())) == len(labels):
                columns.pop(label, None)  # the classes say the same
            yield reader.block(numbers, columns, [labels[value] for value in values])

    @cached_property
    def _table(self) -> pa.Table:
        return self._dataset.with_format("arrow")[:]

    def _labels(self, label: str, named: Callable[[Any], Any], reader: RowReader) -> dict[Any, str | None] | None:
        """Return the class of each value of the label column, or None where rows have to be read one by one."""
        import pyarrow as pa

        table, texts = self._table, [column_of(self._task, name) for name in self._task.fields]
        plain = [name for name in table.column_names if table[name].type in (pa.string(), pa.large_string())]
        whole = all(name in plain and not table[name].null_count for name in texts)
        column = table[label] if label in table.column_names else pa.nulls(1)
        if self._task.family != "classification" or not whole or pa.types.is_nested(column.type):
            return None
        values = {value: named(value) for value in column.unique().to_pylist()}
        try:
            classes = {value: reader.label(self._place, {label: name}, {}) for value, name in values.items()}
        except InputError:
            return None
        return classes if len(set(values.values())) == len(values) else None

    def attacked(self, attacked: Iterable[AttackedBlock]) -> datasets.Dataset:
        """Return a new data set with the attacked texts and answers; features and other columns stay."""
        import datasets

        table = with_columns(self._table, _taken(self._task, attacked, self._table.column_names))
        return datasets.Dataset(datasets.table.InMemoryTable(table), info=self._dataset.info, split=self._dataset.split)


class RowTable(ExampleSource):
    """A data frame or a list of dictionaries; `place` is how messages call it."""

    def __init__(self, task: Task, data: Any, place: str = "data") -> None:
        self._task, self._place, self._data, self._rows = task, place, data, plain_rows(task, data)

    def examples(self) -> Iterator[Example]:
        """Read the rows. Raises InputError that names row and column of what is wrong."""
        for example in RowReader(self._task, {}).examples(_placed(self._place, self._rows)):
            for name, value in example.fields.items():
                if _HALF.search(token_text(value)):
                    raise InputError(f"{self._place}: row {example.row}: {column_of(self._task, name)}",
                                     found="half a surrogate pair", expected="whole characters",
                                     fix="Decode the text again, or leave out the row.")  # fmt: skip
            yield example

    def attacked(self, attacked: Iterable[AttackedBlock]) -> Any:
        """Return a data frame, or a list, with the attacked texts and answers; all else stays, index and types too."""
        new = _taken(self._task, attacked, self._rows[0] if self._rows else ())
        return (_with_columns if is_a(self._data, "pandas.DataFrame") else _with_values)(self._data, new)


def memory_table(task: Task, data: Any, place: str = "data") -> DatasetTable | RowTable:
    """Return rows in memory as a table that can be attacked. Raises InputError for data of another type."""
    return (DatasetTable if is_a(data, "datasets.Dataset") else RowTable)(task, data, place)


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
    columns, label = dict.fromkeys(name for row in rows for name in row), column_of(task, "label")
    rows = [{name: _plain(row.get(name)) for name in columns} for row in rows]
    named = _namer(task, names.get(label, ()))
    return [row | {label: named(row[label])} for row in rows] if label in columns else rows


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


def _namer(task: Task, names: Sequence[str]) -> Callable[[Any], Any]:
    """Return what gives a label, or each of a list, its name: that of the data, as the task spells it, or by its id."""
    spellings = {} if names else task.format_options.get("labels", {})
    known = names or task.labels or task.format_options.get("tag_names") or ()

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return list(map(named, value))
        if str(value) in spellings:
            return spellings[str(value)]
        return known[value] if is_int(value) and 0 <= value < len(known) else value

    return named


def _placed(place: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((f"{place}: row {number}", row) for number, row in enumerate(rows))


def _taken(task: Task, attacked: Iterable[AttackedBlock], known: Collection[str]) -> dict[str, list[Any]]:
    """Return the new columns of all blocks."""
    columns: dict[str, list[Any]] = {}
    for block in attacked:
        new = new_columns(task, block.texts, block.examples, known)
        for name, values in new.items():
            columns.setdefault(name, []).extend(values)
    return columns


def _with_columns(frame: pd.DataFrame, new: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    import pandas as pd

    result = frame.copy(deep=False)
    for name in frame.columns:
        if str(name) in new:
            old, kind = frame[name].tolist(), frame[name].dtype
            values = pd.Series(map(_like, new[str(name)], old), index=frame.index, dtype=object)
            result[name] = values.astype("category" if isinstance(kind, pd.CategoricalDtype) else kind)
    return result


def _with_values(rows: Sequence[Mapping[str, Any]], new: Mapping[str, Sequence[Any]]) -> list[Any]:
    return [
        {name: _like(new[str(name)][number], value) if str(name) in new else value for name, value in row.items()}
        for number, row in enumerate(rows)
    ]


def _like(new: Any, old: Any) -> Any:
    """Return a text, tokens or answers in the types of what they replace; what was missing stays missing."""
    if isinstance(old, Mapping):
        return {**old, **{name: _like(value, old[name]) for name, value in new.items()}}
    if isinstance(old, np.ndarray):
        return np.array(new, old.dtype)
    if isinstance(old, list | tuple):
        return type(old)(new)
    return new if isinstance(old, str) else old

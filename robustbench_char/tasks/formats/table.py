"""Parquet files in the layout of the hub, and writing examples as new tables.

A rewritten Parquet file keeps schema, row groups and compression; the bytes of an unchanged one are copied. Where
another program wrote it, undoing the edits gives the same table back, though not the same bytes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from robustbench_char.common.errors import InputError
from robustbench_char.common.lines import check_text_file
from robustbench_char.common.tables import open_table, readable
from robustbench_char.tasks.base import AttackedBlock, Example, NativeFile, Task, token_text
from robustbench_char.tasks.formats._rows import (
    RowReader,
    answer_columns,
    answers_value,
    column_of,
    example_row,
    names_of_ids,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["ParquetTable", "new_columns", "with_columns", "write_table"]

_BATCH = 1000
T = TypeVar("T")


class ParquetTable(NativeFile):
    """One Parquet file. Streams: examples by batches, rewriting by row groups."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path, self._task = path, task

    def examples(self) -> Iterator[Example]:
        """Read the rows. Raises InputError that names row and column of what is wrong."""
        names = names_of_ids(_features(self._file.schema_arrow.metadata or {}))
        yield from RowReader(self._task, names).examples(self._rows())

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the table with the attacked texts and answers; other columns, schema and row groups stay."""
        items, changed = chain.from_iterable(block.items for block in attacked), False

        def groups() -> Iterator[pa.Table]:
            nonlocal changed
            for clean in _readable(self.path, map(self._file.read_row_group, range(self._file.num_row_groups))):
                examples = [item.example for item in islice(items, clean.num_rows)]
                texts = {name: [token_text(one.fields[name]) for one in examples] for name in self._task.fields}
                table = with_columns(clean, new_columns(self._task, texts, partial(list, examples), clean.column_names))
                changed = changed or table is not clean
                yield table

        with tempfile.TemporaryFile() as scratch:
            _write_groups(self._file, scratch, groups())
            scratch.seek(0)
            with scratch if changed else self.path.open("rb") as source:
                shutil.copyfileobj(source, out)

    @cached_property
    def _file(self) -> pq.ParquetFile:
        file = open_table(check_text_file(self.path, magic=b"PAR1"))
        if file.metadata.num_rows == 0:
            raise InputError(self.path, found="a table without rows", expected="at least one example",
                             fix="Check the file.")  # fmt: skip
        names = file.schema_arrow.names
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(self.path, found=f"the column {twice[0]!r} twice", expected="columns of different names",
                             fix="Rename or drop one of them.")  # fmt: skip
        return file

    def _rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        batches = self._file.iter_batches(batch_size=_BATCH)
        rows = chain.from_iterable(_readable(self.path, (batch.to_pylist() for batch in batches)))
        return ((f"{self.path}: row {number}", row) for number, row in enumerate(rows))


def write_table(task: Task, path: Path, examples: Iterable[Example]) -> None:
    """Write examples as a new table in the hub's layout: JSON Lines or Parquet, by the suffix of `path`."""
    rows = (example_row(task, example) for example in examples)
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, _schema(task)) as writer:
        while batch := list(islice(rows, _BATCH)):
            writer.write_table(pa.Table.from_pylist(batch, schema=_schema(task)))


def normalise(source: Path, target: Path) -> None:
    """Write a Parquet file again as `ParquetTable` does: undoing edits of such a file gives its very bytes back."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(source)
    with target.open("wb") as out:
        _write_groups(file, out, (file.read_row_group(number) for number in range(file.num_row_groups)))


def _readable(path: Path, read: Iterable[T]) -> Iterator[T]:
    """Yield what is read from a Parquet file; a damaged file becomes an InputError that names it."""
    with readable(path):
        yield from read


def _write_groups(file: pq.ParquetFile, out: Any, groups: Iterable[pa.Table]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(out, file.schema_arrow, compression=_compression(file)) as writer:
        for table in groups:
            writer.write_table(table, row_group_size=max(1, table.num_rows))


def _schema(task: Task) -> pa.Schema:
    import pyarrow as pa

    text = pa.list_(pa.string()) if task.family == "tagging" else pa.string()
    answers = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    label = {"tagging": text, "classification": pa.int64(), "question_answering": answers}[task.family]
    columns = {column_of(task, name): text for name in task.fields} | {column_of(task, "label"): label}
    columns |= dict.fromkeys(answer_columns(task).values(), answers)
    if task.family == "question_answering" or "id" in task.format_options:
        columns = {column_of(task, "id"): pa.string()} | columns
    return pa.schema(list(columns.items()))


def _features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features") or {}
    except (json.JSONDecodeError, AttributeError):
        return {}
    return features if isinstance(features, Mapping) else {}


def _compression(file: pq.ParquetFile) -> str:
    groups = file.metadata
    name = groups.row_group(0).column(0).compression if groups.num_row_groups and groups.num_columns else "SNAPPY"
    return "none" if name == "UNCOMPRESSED" else str(name).lower()


def new_columns(
    task: Task, texts: Mapping[str, Sequence[str]], examples: Callable[[], Iterable[Example]], known: Collection[str]
) -> dict[str, list[Any]]:
    """Return texts by field, and the answers of examples, by their columns in a table that has the columns `known`."""
    tokens = task.family == "tagging"
    new: dict[str, list[Any]] = {
        column_of(task, name): [text.split(" ") for text in texts[name]] if tokens else list(texts[name])
        for name in task.fields
    }
    answers = {part: column for part, column in answer_columns(task).items() if column in known}
    return new | {
        column: [answers_value(getattr(example, part)) for example in examples()] for part, column in answers.items()
    }


def with_columns(clean: pa.Table, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Return the table with new values in some columns; the very same table where nothing changed."""
    import pyarrow as pa

    table = clean
    for column, values in columns.items():
        at = clean.schema.get_field_index(column)
        old = clean.column(at).to_pylist()
        new = [_as_stored(value, before) for value, before in zip(values, old, strict=True)]
        if new != old:
            table = table.set_column(at, clean.schema.field(at), pa.array(new, type=clean.schema.field(at).type))
    return table


def _as_stored(value: Any, before: Any) -> Any:
    """Return a value as Arrow holds it; what was null (no answers known) stays null."""
    if before is None:
        return None
    return list(value) if isinstance(value, tuple) else value

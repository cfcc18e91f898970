"""Tab-separated files as GLUE releases them: quotes are text, a cell ends at a tab, a row at a line feed.

Options of a task (`format_options`): see `TsvOptions`. A user's own task may name its columns by header or by 0-based
number, and map the spellings of the label column to class names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import add
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import Field

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.lines import BOM, Line, read_lines
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.tasks.base import AttackedBlock, Block, ContentKeys, NativeFile, Task, in_blocks, json_records
from robustbench_char.tasks.formats._rows import check_labelled, class_of, column_of, wrong_label

__all__ = ["GlueTsv"]


class TsvLayout(Frozen):
    """Where the columns of a file are: by name where it has a header, by 0-based number anywhere.
    A label column that the header lacks makes the file unlabelled. `width` fixes the number of columns of a file
    without header (otherwise its first line does).
    """

    header: bool = True
    columns: dict[str, str | int]
    label: str | int | None = None
    id: str | int | None = None
    width: int | None = None


class TsvOptions(TsvLayout):
    """A layout, the classes behind the spellings of the label column, and the layout of test files where it differs.

    Without `columns`, fields and label are where tables have them (see `Task.columns`).
    """

    columns: dict[str, str | int] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    test: TsvLayout | None = None


class _Columns(NamedTuple):
    """The layout of one file, resolved to 0-based numbers."""

    header: bool
    width: int
    fields: dict[str, int]
    label: int | None
    id: int | None


class GlueTsv(NativeFile):
    """One TSV file. Streams: no more than a line is held, and 16 bytes of each for the text keys."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path, self._task = path, task
        options = check_mapping(task.format_options, TsvOptions, place=f"task {task.name}: format_options")
        columns = options.columns or {name: column_of(task, name) for name in task.fields}
        label = column_of(task, "label") if options.label is None and not options.columns else options.label
        self._options = options.model_copy(update={"columns": columns, "label": label})
        check_options(task, self._options)

    def blocks(self) -> Iterator[Block]:
        """Read the rows. Raises InputError that names the line of a wrong column count or an unknown label."""
        keys, row, columns = ContentKeys(), 0, self._columns()
        for lines in in_blocks(islice(read_lines(self.path), int(columns.header), None)):
            yield self._block(columns, keys, row, lines)
            row += len(lines)
        if not row:
            raise InputError(self.path, found="a header and no rows", expected="at least one example",
                             fix="Check the file.")  # fmt: skip

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the file with the attacked texts in their cells; everything else stays byte for byte."""
        columns, opening = self._columns(), next(read_lines(self.path))
        if columns.header:
            out.write((opening.text + opening.end).encode("utf-8"))
        elif opening.text.startswith(BOM):
            out.write(BOM.encode("utf-8"))
        for block in attacked:
            cells, ends = block.block.native
            new = list(cells)
            for name, at in columns.fields.items():
                new[at] = block.texts[name]
                _check_cells(new[at], cells[at])
            lines = map("\t".join, zip(*new, strict=True))
            out.write("".join(map(add, lines, ends)).encode("utf-8"))

    def _block(self, columns: _Columns, keys: ContentKeys, row: int, lines: Sequence[Line]) -> Block:
        texts = [line.text for line in lines]
        texts[0] = texts[0].removeprefix(BOM) if lines[0].number == 1 else texts[0]
        rows = [text.split("\t") for text in texts]
        wrong = next((at for at, cells in enumerate(rows) if len(cells) != columns.width), len(rows))
        labels = self._labels(
            lines, [None if columns.label is None else cells[columns.label] for cells in rows[:wrong]]
        )
        if wrong < len(rows):
            raise InputError(f"{self.path}:{lines[wrong].number}", found=f"{len(rows[wrong])} columns",
                             expected=f"{columns.width} columns, separated by tabs",
                             fix="Correct the line; a text cannot hold tabs or line feeds.")  # fmt: skip
        cells, numbers = list(zip(*rows, strict=True)), range(row, row + len(rows))
        fields = {name: cells[at] for name, at in columns.fields.items()}
        ids = list(map(str, numbers)) if columns.id is None else cells[columns.id]
        own = keys.keys(json_records(fields, labels), texts) if columns.id is None else ids
        return Block.of_columns(numbers, ids, own, fields, labels, native=(cells, [line.end for line in lines]))

    def _columns(self) -> _Columns:
        return self._resolve(next(read_lines(self.path)).text.removeprefix(BOM).split("\t"))

    def _resolve(self, cells: list[str]) -> _Columns:
        test = self._options.test
        layout = (
            test
            if test and test.width in (None, len(cells)) and set(map(str, test.columns.values())) <= set(cells)
            else self._options
        )
        names = cells if layout.header else None
        width = len(cells) if layout.header else layout.width or len(cells)
        label = layout.label if names is None or layout.label in names or isinstance(layout.label, int) else None
        if label is None and isinstance(layout.label, str):
            taken = tuple(map(str, (*layout.columns.values(), layout.id)))
            check_labelled(f"{self.path}:1", layout.label, cells, taken=taken)
        columns = _Columns(
            layout.header,
            width,
            {field: self._find(column, names, width) for field, column in layout.columns.items()},
            None if label is None else self._find(label, names, width),
            None if layout.id is None else self._find(layout.id, names, width),
        )
        self._check_apart(columns, "test.columns" if layout is test else "columns")
        return columns

    def _check_apart(self, columns: _Columns, option: str) -> None:
        """Raise InputError where a field has the column of another one, or of the label."""
        taken = {} if columns.label is None else {columns.label: "the label"}
        for field, at in columns.fields.items():
            if at in taken:
                raise InputError(f"task {self._task.name}: format_options.{option}.{field}",
                                 found=f"column {at}, which is that of {taken[at]}", expected="a column of its own",
                                 fix="Correct the option.")  # fmt: skip
            taken[at] = f"the field {field!r}"

    def _find(self, column: str | int, names: list[str] | None, width: int) -> int:
        if isinstance(column, int) and 0 <= column < width:
            return column
        if isinstance(column, str) and column in (names or ()):
            return (names or []).index(column)
        found = f"{width} columns and no header" if names is None else f"the columns {', '.join(names)}"
        hint = nearest(str(column), names or ())
        raise InputError(f"{self.path}:1", found=found, expected=f"a column {column!r}",
                         fix=f"Give a file with this column, or correct the task.{hint}")  # fmt: skip

    def _labels(self, lines: Sequence[Line], spellings: Sequence[str | None]) -> list[str | None]:
        names = {one: None if one is None else class_of(self._task, one) for one in dict.fromkeys(spellings)}
        for line, spelling in zip(lines, spellings, strict=False):
            if spelling is not None and names[spelling] is None:
                raise wrong_label(self._task, f"{self.path}:{line.number}", spelling)
        return [names[spelling] for spelling in spellings]


def check_options(task: Task, options: TsvOptions) -> None:
    """Raise InputError for a layout that no file can have, and for spellings of classes that the task lacks."""
    place = f"task {task.name}: format_options"
    for key, layout in (("columns", options), ("test.columns", options.test)):
        if layout is not None and layout.columns:
            _check_layout(f"{place}.{key}", task, layout)
    classes = task.labels or ()
    for spelling, name in options.labels.items():
        if name not in classes:
            raise InputError(f"{place}.labels.{spelling}", found=repr(name), expected=f"one of {', '.join(classes)}",
                             fix=f"Correct the class.{nearest(name, classes)}")  # fmt: skip


def _check_layout(place: str, task: Task, layout: TsvLayout) -> None:
    if set(layout.columns) != set(task.fields):
        raise InputError(place, found=", ".join(layout.columns), expected=", ".join(task.fields),
                         fix="Give a column for each field of the task, and no other.")  # fmt: skip
    taken: dict[str | int, str] = {} if layout.label is None else {layout.label: "the label"}
    for field, column in layout.columns.items():
        if column in taken:
            raise InputError(f"{place}.{field}", found=f"column {column}, which is that of {taken[column]}",
                             expected="a column of its own", fix="Correct the option.")  # fmt: skip
        taken[column] = f"the field {field!r}"
    last = None if layout.header or layout.width is None else layout.width - 1
    for column in (*taken, *([] if layout.id is None else [layout.id])):
        fits = layout.header if isinstance(column, str) else 0 <= column <= (column if last is None else last)
        if not fits:
            found = f"the column {column!r}" + ("" if layout.header else " without a header")
            expected = "the number of a column, from 0" + ("" if last is None else f" to {last}")
            raise InputError(place, found=found, expected=expected, fix="Correct the option.")


def _check_cells(new: Sequence[str], old: Sequence[str]) -> None:
    if any("".join(new).count(mark) != "".join(old).count(mark) for mark in "\t\n\r"):
        text = next(after for after, before in zip(new, old, strict=True) if after != before)
        raise ValueError(f"the attacked text {text!r} does not fit in one cell")

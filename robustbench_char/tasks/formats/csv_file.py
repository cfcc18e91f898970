"""Comma-separated files with a header, as spreadsheets and pandas write them, for classification.

A cell that begins with a quote ends at the next one, a doubled quote inside it is one quote, and commas and line feeds
in between are text (RFC 4180). Columns are those of the task in tables, else those that its TSV files have.

An attacked cell is in quotes if it has to be, or if it was without need. Undoing an edit has to know the latter: the
source of what was removed from such a cell is in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.lines import BOM, Line, read_lines
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.tasks.base import Attacked, AttackedBlock, Example, NativeFile, Task
from robustbench_char.tasks.formats._rows import RowReader, class_of, column_of
from robustbench_char.tasks.formats.glue_tsv import TsvOptions, check_options
from robustbench_char.text.edits import Edit, apply_edits

__all__ = ["CsvFile"]

_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"')
_NEEDS_QUOTES = re.compile(r'"|[^,\n]*[,\n]')
LONGEST = 1 << 20
"""Characters of a cell at most: a quote that is never closed must not take in the rest of the file."""


class Cell(NamedTuple):
    """One cell: its text, the span of its spelling in the record, and whether that is in quotes."""

    text: str
    start: int
    end: int
    quoted: bool

    @property
    def quoted_without_need(self) -> bool:
        """Whether the text could stand without its quotes."""
        return self.quoted and not _NEEDS_QUOTES.match(self.text)


class Record(NamedTuple):
    """One row: the number of its first line, its spelling without what ends it, and its cells."""

    line: int
    text: str
    end: str
    cells: list[Cell]


class CsvFile(NativeFile):
    """One CSV file. Streams; a blank line between rows is left out, and stays in the file."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path, self._task = path, task
        self._options = check_mapping(task.format_options, TsvOptions, place=f"task {task.name}: format_options")
        check_options(task, self._options)

    def examples(self) -> Iterator[Example]:
        """Read the rows. Raises InputError that names line and column of what is wrong."""
        examples = RowReader(self._task, {}).examples(self._rows())
        first = next(examples, None)
        if first is None:
            raise InputError(self.path, found="a header and no rows", expected="at least one example",
                             fix="Check the file.")  # fmt: skip
        yield first
        yield from examples

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the file with the attacked texts in their cells; everything else stays byte for byte."""
        records = read_records(self.path)
        header = next(records)
        names, items = self._names(header), chain.from_iterable(block.items for block in attacked)
        out.write((header.text + header.end).encode("utf-8"))
        for record in records:
            if not _blank(record, names):
                record = self._attacked(record, names, next(items))
            out.write((record.text + record.end).encode("utf-8"))

    def escaped(self, row: int, field: str) -> bool:
        """Return whether the cell of a text is in quotes without need."""
        return (row, column_of(self._task, field)) in self._quoted_without_need

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        """Return a slice of a text in quotes where its cell is in quotes without need, else None."""
        return f'"{str(example.fields[field])[start:end]}"' if self.escaped(example.row, field) else None

    @cached_property
    def _quoted_without_need(self) -> set[tuple[int, str]]:
        with self.path.open("rb") as file:
            if not any(b'"' in line for line in file):
                return set()
        rows = enumerate(dict(cells) for _, cells in self._records())
        return {(row, name) for row, cells in rows for name in cells if cells[name].quoted_without_need}

    def _records(self) -> Iterator[tuple[Record, Iterator[tuple[str, Cell]]]]:
        """Yield each row, and its cells by column. Raises InputError for a row of another length."""
        records = read_records(self.path)
        names = self._names(next(records))
        for record in records:
            if _blank(record, names):
                continue
            if len(record.cells) != len(names):
                raise InputError(f"{self.path}:{record.line}", found=f"{len(record.cells)} columns",
                                 expected=f"{len(names)} columns, separated by commas",
                                 fix="Put a text with commas in quotes, and double the quotes in it.")  # fmt: skip
            yield record, zip(names, record.cells, strict=True)

    def _rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        label = column_of(self._task, "label")
        for record, cells in self._records():
            row: dict[str, Any] = {name: cell.text for name, cell in cells}
            if label in row and row[label] in ("", "-1") and class_of(self._task, row[label]) is None:
                row[label] = None  # as tables of unlabelled examples have it
            yield f"{self.path}:{record.line}", row

    def _names(self, header: Record) -> list[str]:
        """Return the names of the columns, those that the task calls otherwise in TSV files by its names for tables."""
        names = [cell.text.removeprefix(BOM) for cell in header.cells]
        others: dict[str, Any] = {**self._options.columns, "label": self._options.label, "id": self._options.id}
        for part in (*self._task.fields, "label", "id"):
            column = column_of(self._task, part)
            names = [column if name == others.get(part) and column not in names else name for name in names]
            if names.count(column) > 1 or (column not in names and part in self._task.fields):
                found = f"the column {column!r} twice" if column in names else f"the columns {', '.join(names)}"
                raise InputError(f"{self.path}:1", found=found, expected=f"a column {column!r}",
                                 fix=_fix_of(column, names))  # fmt: skip
        return names

    def _attacked(self, record: Record, names: Sequence[str], item: Attacked) -> Record:
        edits = []
        for name in self._task.fields:
            cell, new = record.cells[names.index(column_of(self._task, name))], str(item.example.fields[name])
            if new != cell.text:
                spelled = _spelled(cell, new, item.edits.get(name, ()))
                edits.append(Edit(cell.start, record.text[cell.start : cell.end], spelled))
        return record._replace(text=apply_edits(record.text, sorted(edits)))


def _blank(record: Record, names: Sequence[str]) -> bool:
    return not record.text and len(names) > 1


def _fix_of(column: str, names: Sequence[str]) -> str:
    if len(names) == 1 and (mark := next((mark for mark in "\t;|" if mark in names[0]), None)):
        tabs = " Give a file with tabs the ending .tsv." if mark == "\t" else ""
        return f"Separate the columns by commas: here they are by {mark!r}.{tabs}"
    return f"Rename the column, or say its name in `columns` of the task.{nearest(column, names)}"


def _spelled(cell: Cell, new: str, edits: Sequence[Edit]) -> str:
    """Return the spelling of an attacked cell."""
    put_back = any(edit.inserted_source not in (None, edit.inserted) for edit in edits)
    if not (_NEEDS_QUOTES.match(new) or cell.quoted_without_need or put_back):
        return new
    doubled = new.replace('"', '""')
    return f'"{doubled}"'


def read_records(path: Path) -> Iterator[Record]:
    """Read the rows of a CSV file, the header first. Raises InputError with the line of what is malformed."""
    lines = read_lines(path)
    for first in lines:
        record, at = Record(first.number, first.text, first.end, []), -1
        while at < len(record.text):
            at += 1
            while (cell := _cell(path, record, at)) is None:  # it goes on in the next line
                record = _longer(path, record, at, lines)
            record.cells.append(cell)
            at = cell.end
        yield record


def _cell(path: Path, record: Record, at: int) -> Cell | None:
    """Return the cell at a position, or None where its closing quote is missing."""
    text = record.text
    start = at + len(BOM) if record.line == 1 and at == 0 and text.startswith(BOM) else at
    if text[start : start + 1] != '"':
        end = text.find(",", start)
        return Cell(text[at : end if end >= 0 else len(text)], at, end if end >= 0 else len(text), False)
    quoted = _QUOTED.match(text, start)
    if quoted is None:
        return None
    if text[quoted.end() : quoted.end() + 1] not in ("", ","):
        behind = text[quoted.end() : quoted.end() + 10]
        raise InputError(_place(path, record, quoted.end()), found=f"{behind!r} behind a closing quote",
                         expected="a comma or the end of the row",
                         fix="Double the quotes that stand inside a quoted cell.")  # fmt: skip
    return Cell(quoted[1].replace('""', '"'), start, quoted.end(), True)


def _longer(path: Path, record: Record, at: int, lines: Iterator[Line]) -> Record:
    more = next(lines, None) if len(record.text) - at < LONGEST else None
    if more is None:
        raise InputError(_place(path, record, at), found="a quote that is not closed",
                         expected=f"a closing quote within {LONGEST:,} characters",
                         fix="Close the quote, or double it where it is text.")  # fmt: skip
    return record._replace(text=record.text + record.end + more.text, end=more.end)


def _place(path: Path, record: Record, at: int) -> str:
    """Return line and column of a position."""
    before = record.text[:at]
    return f"{path}:{record.line + before.count(chr(10))}, column {at - (before.rfind(chr(10)) + 1) + 1}"

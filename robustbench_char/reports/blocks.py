"""What a report is made of: sections of blocks. The templates print blocks; a section knows nothing of HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from robustbench_char.reports import _formatting as formatting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Column", "Section", "Table", "value"]  # fmt: skip


class Note(NamedTuple):
    """One paragraph; a warning stands out, and so does a verdict, what was found."""

    text: str
    level: Literal["text", "warning", "verdict"] = "text"
    kind: str = "note"


class Column(NamedTuple):
    """One printed column: `show` turns a row of the frame into the text of its cell.

    `best` names the column of the frame that says whether the cell is printed in bold.
    """

    title: str
    show: Callable[[Mapping[str, Any]], str]
    align: Literal["left", "right"] = "right"
    best: str | None = None


def text(title: str, name: str = "", *, show: Callable[[Any], str] = str, split: str = "") -> Column:
    """Return a column of text: that of the frame called `name`, by default the title in snake case.

    A text with several parts is broken after each separator `split`, which stays: Markdown has no lines in a cell.
    """
    key = name or _snake(title)

    def cell(row: Mapping[str, Any]) -> str:
        shown = show(row[key])
        return shown.replace(split, split.rstrip() + "\n") if split else shown

    return Column(title, cell, "left")


def texts(*titles: str) -> tuple[Column, ...]:
    """Return a column of text for each title."""
    return tuple(text(title) for title in titles)


def value(
    title: str,
    name: str = "",
    show: Callable[[Any], str] = formatting.score,
    *,
    interval: bool = False,
    mark: str = "",
    best: str | None = None,
) -> Column:
    """Return a column of numbers, each printed by `show`: that called `name`, by default the title in snake case.

    `interval` puts `<name>_low` and `<name>_high` below the number, `mark` names the column that marks are made of.
    """
    key = name or _snake(title)

    def cell(row: Mapping[str, Any]) -> str:
        limits = formatting.limits(row, key, show) if interval else ""
        return show(row[key]) + (formatting.mark(row.get(mark)) if mark else "") + limits

    return Column(title, cell, best=best)


def drop_column(title: str, prefix: str) -> Column:
    """Return a column of drops in points, the relative drop in brackets, with the interval of the former."""

    def cell(row: Mapping[str, Any]) -> str:
        drop = formatting.change(row[f"{prefix}_drop"], row[f"{prefix}_relative_drop"])
        return drop + formatting.limits(row, f"{prefix}_drop")

    return Column(title, cell)


def _snake(title: str) -> str:
    return title.lower().replace(" ", "_").replace("-", "_")


_NOTHING = {"", formatting.DASH, f"{formatting.DASH} / {formatting.DASH}"}


class Cell(NamedTuple):
    """One printed cell; a line break in it separates a value from what belongs to it."""

    text: str
    bold: bool = False

    @property
    def value(self) -> str:
        """What alone is bold: the text before an interval in brackets, or the first line."""
        return re.split(r" \[|\n", self.text, maxsplit=1)[0]

    @property
    def below(self) -> str:
        """The rest."""
        return self.text[len(self.value) :]


class Table(NamedTuple):
    """A frame, written at full precision as CSV, and the columns that are printed of it (page, Markdown, LaTeX).

    Rows of systems that have not learnt their task (`learnt` is false) are not printed.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    folded: bool = False
    kind: str = "table"

    @property
    def title(self) -> str:
        """The first sentence of the caption, which stands for a folded table."""
        return self.caption.partition(". ")[0].removesuffix(".") + "."

    @property
    def about(self) -> str:
        """The rest of the caption."""
        return self.caption.partition(". ")[2]

    @property
    def rows(self) -> pd.DataFrame:
        """The rows that are printed; a table without any stands in its file alone."""
        return self.frame[self.frame["learnt"].astype(bool)] if "learnt" in self.frame else self.frame

    def printed(self) -> tuple[list[Column], list[list[Cell]]]:
        """Return the columns that are printed, those with something in some row, and their cells, row by row."""
        rows = [
            [Cell(column.show(row), column.best is not None and row[column.best] is True) for column in self.columns]
            for row in ({str(key): cell for key, cell in row.items()} for row in self.rows.to_dict("records"))
        ]
        empty = {
            number for number, cells in enumerate(zip(*rows, strict=True)) if {cell.text for cell in cells} <= _NOTHING
        }
        kept = [number for number in range(len(self.columns)) if number not in empty]
        return [self.columns[number] for number in kept], [[row[number] for number in kept] for row in rows]


class Picture(NamedTuple):
    """A figure, shown on the page and written as SVG and PNG; `note` says where its numbers or words stand.

    On the page it has the whole width, unless it stands `beside` the examples that come after it.
    """

    name: str
    caption: str
    figure: Figure
    note: str = "The numbers stand in the table below."
    beside: bool = False
    kind: str = "picture"

    @property
    def alt(self) -> str:
        """What the figure shows, in words."""
        return f"{self.caption} {self.note}"


class Part(NamedTuple):
    """A stretch of one attacked word: as it was, removed by the attack, or inserted by it."""

    kind: Literal["same", "removed", "inserted"]
    text: str


class Piece(NamedTuple):
    """A stretch of a text: an attacked word in its parts, or the words around it (one part)."""

    word: bool
    parts: tuple[Part, ...]


class Card(NamedTuple):
    """One example: where it comes from, its attacked fields, and a table of what was predicted before and after."""

    title: str
    outcome: str
    fields: tuple[tuple[str, tuple[Piece, ...]], ...]
    edits: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footnote: str = ""
    kind: str = "card"


class Explorer(NamedTuple):
    """Examples to search and filter in the page, packed (see `examples.payload`)."""

    packed: str
    caption: str
    kind: str = "explorer"


Block = Note | Table | Picture | Card | Explorer


class Section(NamedTuple):
    """A heading with its blocks; `anchor` is unique on the page. A folded one shows its heading until it is opened."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    folded: bool = False

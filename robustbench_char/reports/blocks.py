"""What a report is made of: sections of blocks. The templates print blocks; a section knows nothing of HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from robustbench_char.analysis.pairs import Pair
from robustbench_char.analysis.statistics import Statistics
from robustbench_char.records.evaluation import Record
from robustbench_char.records.recogniser_cost import PriceRecord
from robustbench_char.records.sensitivity import SensitivityRecord

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "Block",
    "Card",
    "Cell",
    "Column",
    "Evidence",
    "Explorer",
    "Note",
    "Part",
    "Picture",
    "Piece",
    "Section",
    "Table",
]


class Evidence(NamedTuple):
    """All that a section may look at: row i of `frame` is pair i. `examples` says whether texts may be shown.

    `means` are scores over seeds with their intervals (see `means.mean_scores`), which `statistics` gives;
    `cells` are scores by breakdown under the main suite (see `cell_intervals.breakdown_frame`).
    """

    records: list[tuple[Path, Record]]
    pairs: list[Pair]
    frame: pd.DataFrame
    means: pd.DataFrame
    statistics: Statistics
    cells: pd.DataFrame
    examples: bool
    prices: tuple[PriceRecord, ...] = ()
    sensitivities: tuple[tuple[Path, SensitivityRecord], ...] = ()


class Note(NamedTuple):
    """One paragraph; a warning stands out."""

    text: str
    level: Literal["text", "warning"] = "text"
    kind: str = "note"


class Column(NamedTuple):
    """One printed column: `show` turns a row of the frame into the text of its cell.

    `best` names the column of the frame that says whether the cell is printed in bold.
    """

    title: str
    show: Callable[[Mapping[str, Any]], str]
    align: Literal["left", "right"] = "right"
    best: str | None = None


class Cell(NamedTuple):
    """One printed cell; a line break in it separates a value from what belongs to it."""

    text: str
    bold: bool = False

    @property
    def value(self) -> str:
        """The first line, which alone is bold."""
        return self.text.partition("\n")[0]

    @property
    def below(self) -> str:
        """The other lines, each after a line break."""
        return self.text[len(self.value) :]


class Table(NamedTuple):
    """A frame, written at full precision as CSV, and the columns that are printed of it (page, Markdown, LaTeX)."""

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

    def rows(self) -> list[list[Cell]]:
        """Return the printed cells, row by row."""
        records: list[dict[str, Any]] = [
            {str(key): value for key, value in row.items()} for row in self.frame.to_dict("records")
        ]
        return [[_cell(column, row) for column in self.columns] for row in records]


def _cell(column: Column, row: Mapping[str, Any]) -> Cell:
    return Cell(column.show(row), column.best is not None and row[column.best] is True)


class Picture(NamedTuple):
    """A figure, shown on the page and written as SVG and PNG. `alt` tells in words what it shows."""

    name: str
    caption: str
    alt: str
    figure: Figure
    kind: str = "picture"


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

    place: str
    outcome: str
    fields: tuple[tuple[str, tuple[Piece, ...]], ...]
    edits: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footnote: str = ""
    kind: str = "card"


class Explorer(NamedTuple):
    """Examples to search and filter in the page, packed (see `explorer.payload`)."""

    packed: str
    caption: str
    kind: str = "explorer"


Block = Note | Table | Picture | Card | Explorer


class Section(NamedTuple):
    """A heading with its blocks; `anchor` is unique on the page."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]

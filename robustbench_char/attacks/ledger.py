"""The edit ledger: a table with one row per edit, enough to undo every edit exactly.

Positions count code points in the field's text; a field of tokens is its tokens joined by single spaces. `word` is
the number of the word in its text under the suite's splitter; where words are joined, `word_before` and `word_after`
hold both, the number is that of the first. `removed_source` is how the removed characters were
spelled in the clean file where that differs from `removed` (a JSON escape). A context that several questions share is
edited once: its row is the first question's, its id `context:` and the start of its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.engine import Outcome
from robustbench_char.text.columns import strings
from robustbench_char.text.edits import Edit, Moves, distance

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "LEDGER_COLUMNS",
    "LedgerRow",
    "Slot",
    "TextEdits",
    "character_edits",
    "edit_of",
    "ledger_schema",
    "ledger_table",
    "rows_by_text",
    "undoing_edit_of",
    "word_vocabulary",
]

LEDGER_COLUMNS = ("row", "id", "field", "word", "operator", "start_clean", "start_attacked", "removed", "inserted",
                  "word_before", "word_after", "removed_source")  # fmt: skip
_NUMBERS = ("row", "word", "start_clean", "start_attacked")

LedgerRow = dict[str, Any]
"""One row of the ledger, by column."""


class Slot(NamedTuple):
    """Where a text of a batch comes from: example number, id, field."""

    row: int
    id: str
    field: str


def ledger_schema() -> pa.Schema:
    """Return the Arrow schema of `edits.parquet`."""
    import pyarrow as pa

    return pa.schema([pa.field(name, pa.int64() if name in _NUMBERS else pa.string()) for name in LEDGER_COLUMNS])


def ledger_table(
    outcome: Outcome, slots: Sequence[Slot], removed_source: Sequence[str | None] | None = None
) -> pa.Table:
    """Return the ledger of one batch; `slots` says where each of its texts comes from."""
    import pyarrow as pa

    edits, words = outcome.edits, outcome.words
    text, removed, lengths = words.text[edits.word], edits.written.removed, edits.written.lengths
    start, end = words.starts[edits.word], words.ends[edits.word]
    joined = edits.start + removed > end
    end[joined] = words.ends[edits.word[joined] + 1]
    moved = edits.start + outcome.shift
    word_moved, growth = _by_word(outcome)
    clean, attacked = outcome.clean.codes, outcome.attacked.codes

    schema, names = ledger_schema(), zip(*slots, strict=True) if slots else ((), (), ())
    by_text = [
        pa.array(values, schema.field(name).type).take(pa.array(text))
        for name, values in zip(Slot._fields, names, strict=True)
    ]
    columns = dict(zip(Slot._fields, by_text, strict=True)) | {
        "word": pa.array(words.number[edits.word]),
        "operator": pa.array(outcome.operators, pa.string()).take(pa.array(edits.operator)),
        "start_clean": pa.array(edits.start - outcome.clean.offsets[text]),
        "start_attacked": pa.array(moved - outcome.attacked.offsets[text]),
        "removed": strings(clean, edits.start, removed),
        "inserted": strings(attacked, moved, lengths),
        "word_before": strings(clean, start, end - start),
        "word_after": strings(attacked, start + word_moved, end - start + growth),
        "removed_source": pa.nulls(len(text), pa.string())
        if removed_source is None
        else pa.array(removed_source, pa.string()),
    }
    return pa.table(columns, schema=schema)


def _by_word(outcome: Outcome) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each edit, how far its word has moved in the attacked column, and by how much it has grown."""
    written, word = outcome.edits.written, outcome.edits.word
    if not len(word):
        return word, word
    first = np.flatnonzero(np.diff(word, prepend=-1))
    growth = np.add.reduceat(written.lengths - written.removed, first)
    count = np.diff(first, append=len(word))
    return np.repeat(outcome.shift[first], count), np.repeat(growth, count)


def rows_by_text(table: pa.Table) -> dict[tuple[int, str], list[LedgerRow]]:
    """Return the rows of a ledger by (row, field), in order of position."""
    rows: dict[tuple[int, str], list[LedgerRow]] = {}
    for row in table.to_pylist():
        rows.setdefault((row["row"], row["field"]), []).append(row)
    return rows


class TextEdits:
    """The edits of the clean texts of a ledger in which each text has its rows together; made when asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table, row, field = table, table["row"].to_numpy(), table["field"].combine_chunks()
        kind = field.dictionary_encode().indices.to_numpy()
        first = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(kind, prepend=-1) != 0))
        names = zip(row[first].tolist(), field.take(first).to_pylist(), strict=True)
        self._spans = dict(zip(names, pairwise([*first.tolist(), len(row)]), strict=True))

    @cached_property
    def _columns(self) -> list[list[Any]]:
        return [self._table[name].to_pylist() for name in ("start_clean", "removed", "inserted")]

    @cached_property
    def _places(self) -> list[NDArray[np.int64]]:
        """Starts and ends of all edits, how far each has moved, and by how much it makes its text longer."""
        import pyarrow.compute as pc

        start, moved = (self._table[name].to_numpy() for name in ("start_clean", "start_attacked"))
        gone, come = (pc.utf8_length(self._table[name]).to_numpy() for name in ("removed", "inserted"))
        return [start, start + gone, moved - start, come - gone]

    def of(self, row: int, field: str) -> list[Edit]:
        """Return the edits of a text, in order of position."""
        start, end = self._spans.get((row, field), (0, 0))
        return list(map(Edit, *(column[start:end] for column in self._columns)))

    def moves(self, row: int, field: str) -> Moves:
        """Return where positions of a text are after its edits."""
        start, end = self._spans.get((row, field), (0, 0))
        starts, ends, shifts, growth = (column[start:end].tolist() for column in self._places)
        return Moves.of_columns(starts, ends, [*shifts, shifts[-1] + growth[-1] if shifts else 0])


def character_edits(table: pa.Table) -> int:
    """Return the characters that the edits of a ledger insert, delete or substitute: the sum of their distances."""
    counts = table.group_by(["removed", "inserted"], use_threads=False).aggregate([([], "count_all")])
    columns = (counts[name].to_pylist() for name in ("removed", "inserted", "count_all"))
    return sum(distance(removed, inserted) * count for removed, inserted, count in zip(*columns, strict=True))


def edit_of(row: LedgerRow) -> Edit:
    """Return a row of the ledger as an edit of the clean text."""
    return Edit(row["start_clean"], row["removed"], row["inserted"])


def undoing_edit_of(row: LedgerRow) -> Edit:
    """Return the edit of the attacked text that undoes a row of the ledger."""
    source = row["removed"] if row["removed_source"] is None else row["removed_source"]
    return Edit(row["start_attacked"], row["inserted"], row["removed"], source)


def word_vocabulary(outcome: Outcome) -> set[str]:
    """Return the distinct words of the clean texts, in lower case."""
    import pyarrow.compute as pc

    words = strings(outcome.clean.codes, outcome.words.starts, outcome.words.ends - outcome.words.starts)
    return set(pc.utf8_lower(pc.unique(words)).to_pylist())

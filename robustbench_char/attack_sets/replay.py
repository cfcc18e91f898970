"""Replaying the ledger of an attacked set, both ways; and how its clean file spells what the ledger cannot say.

The ledger has the edits of a context once. A JSON file may spell one context in several ways (`é` here, `\\u00e9`
there), and its answers in others. Where undoing the edits would spell a literal otherwise than the clean file does,
`spellings.parquet` has that literal: the number of it among the strings and numbers of the file, and its bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from itertools import chain, count, islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, BinaryIO, cast

from robustbench_char.attack_sets.manifest import LEDGER
from robustbench_char.attacks.ledger import (
    LEDGER_COLUMNS,
    LedgerRow,
    character_edits,
    edit_of,
    rows_by_text,
    undoing_edit_of,
)
from robustbench_char.common import InputError
from robustbench_char.common.tables import bounded
from robustbench_char.tasks.base import Attacked, Example, NativeFile, Task
from robustbench_char.tasks.formats._pairing import attacked_blocks
from robustbench_char.text.edits import Edit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FIX", "SPELLING_COLUMNS", "Ledger", "attacked_sha256", "read_ledger", "read_spellings", "read_table",
    "restored_sha256", "spellings_of",
]  # fmt: skip

FIX = "Run the attack again; if the file was changed on purpose, it is no longer the attacked set of this ledger."
SPELLING_COLUMNS = ("literal", "spelling")
_NUMBERS = {"row", "word", "start_clean", "start_attacked", "index", "literal"}
"""The columns of all tables that hold numbers; the others hold texts."""
_MAY_BE_EMPTY = {"removed_source"}
_LITERAL = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][-+.0-9eE]*+')

Spellings = dict[int, bytes]
"""Literals as the clean file has them, by their number in it."""


def read_ledger(folder: Path) -> pa.Table:
    """Read `edits.parquet`.

    Raises InputError when it is missing, not a Parquet file, or has other columns, of other types, or empty cells.
    """
    return read_table(folder / LEDGER, LEDGER_COLUMNS)


def read_table(path: Path, columns: tuple[str, ...]) -> pa.Table:
    """Read a table of an attacked set. Raises InputError as `read_ledger` does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise InputError(path, found="no such file", expected="a table of an attack", fix="Run the attack again.")
    try:
        table = bounded(path, pq.ParquetFile(path)).read()
    except (pa.ArrowException, OSError) as error:
        found = f"an unreadable Parquet file ({error})"
        raise InputError(path, found=found, expected="a table of an attack", fix=FIX) from None
    if tuple(table.column_names) != columns:
        found = f"columns {', '.join(table.column_names)}"
        raise InputError(path, found=found, expected=", ".join(columns), fix=FIX)
    for name, column in zip(columns, table.columns, strict=True):
        _check_cells(path, name, column)
    return table


def _check_cells(path: Path, name: str, column: pa.ChunkedArray) -> None:
    """Raise InputError for a column that holds something else than its numbers or texts."""
    import pyarrow.types as kinds

    number, place, expected = name in _NUMBERS, f"{path}: {name}", "a number" if name in _NUMBERS else "a text"
    right = (
        kinds.is_int64(column.type) if number else kinds.is_string(column.type) or kinds.is_large_string(column.type)
    )
    if len(column) and not right:
        raise InputError(place, found=f"cells of the type {column.type}", expected=f"{expected} in each", fix=FIX)
    if column.null_count and name not in _MAY_BE_EMPTY:
        empty = column.is_null().index(True).as_py()
        raise InputError(place, found=f"an empty cell (row {empty})", expected=expected, fix=FIX)


class Ledger:
    """The ledger's rows by text; those of a context, which are stored once, for each question that shares it."""

    def __init__(self, folder: Path) -> None:
        table = read_ledger(folder)
        self.size = table.num_rows
        counts = table["operator"].value_counts().to_pylist()
        self.by_operator = {entry["values"]: entry["counts"] for entry in counts}
        self._rows = rows_by_text(table)
        self.character_edits = character_edits(table)
        self.edited_words = sum(len({row["word"] for row in rows}) for rows in self._rows.values())
        self._contexts: dict[str, list[LedgerRow]] = {}
        self._used: set[tuple[int, str]] = set()

    def of(self, example: Example, field: str) -> list[LedgerRow]:
        """Return the edits of one field of an example, in order of position."""
        text = (example.row, field)
        self._used.add(text)
        if field != "context" or example.context_key is None:
            return self._rows.get(text, [])
        return self._contexts.setdefault(example.context_key, self._rows.get(text, []))

    def left(self) -> set[tuple[int, str]]:
        """Return the texts of the ledger that no example has."""
        return set(self._rows) - self._used


def attacked_sha256(task: Task, clean: NativeFile, attacked: NativeFile, ledger: Ledger) -> str:
    """Return the SHA-256 of the clean file with the edits of the ledger."""
    digest = hashlib.sha256()
    _replay(task, clean, zip(clean.examples(), attacked.examples(), strict=True), ledger, edit_of, digest.update)
    return digest.hexdigest()


def restored_sha256(
    task: Task, clean: NativeFile, attacked: NativeFile, ledger: Ledger, spellings: Spellings, place: Path
) -> str:
    """Return the SHA-256 of the attacked file with the edits undone.

    Raises InputError for a spelling of another text; `place` is where spellings come from.
    """
    digest, numbers = hashlib.sha256(), count()

    def spelled(match: re.Match[bytes]) -> bytes:
        own = spellings.get(number := next(numbers))
        return match[0] if own is None else _same_value(place, number, match[0], own)

    def write(data: bytes) -> None:
        digest.update(_LITERAL.sub(spelled, data) if spellings else data)

    _replay(task, attacked, ((example, example) for example in clean.examples()), ledger, undoing_edit_of, write)
    return digest.hexdigest()


def _same_value(place: Path, number: int, undone: bytes, spelling: bytes) -> bytes:
    try:
        same = json.loads(spelling) == json.loads(undone)
    except ValueError:
        same = False
    if not same:
        found, expected = f"{spelling!r} as literal {number} of the file", f"a spelling of {undone!r}"
        raise InputError(place, found=found, expected=expected, fix=FIX)
    return spelling


def spellings_of(task: Task, clean: NativeFile, attacked: NativeFile, ledger: Ledger) -> Spellings:
    """Return the literals of a clean JSON file that undoing the edits of the ledger would spell otherwise."""
    with clean.path.open("rb") as file:
        own, found = enumerate(chain.from_iterable(map(_LITERAL.findall, file))), Spellings()

        def compare(data: bytes) -> None:
            undone = _LITERAL.findall(data)
            found.update(item for item, other in zip(islice(own, len(undone)), undone, strict=True) if item[1] != other)

        _replay(task, attacked, ((example, example) for example in clean.examples()), ledger, undoing_edit_of, compare)
    return found


def read_spellings(path: Path) -> Spellings:
    """Read `spellings.parquet`. Raises InputError as `read_ledger` does."""
    columns = (read_table(path, SPELLING_COLUMNS)[name].to_pylist() for name in SPELLING_COLUMNS)
    return {number: spelling.encode() for number, spelling in zip(*columns, strict=True)}


def _replay(
    task: Task, source: NativeFile, after: Iterable[tuple[Example, Example]], ledger: Ledger,
    edit: Callable[[LedgerRow], Edit], write: Callable[[bytes], None],
) -> None:  # fmt: skip
    """Write `source` again with the edits that the ledger has for its texts.

    `after` has the clean examples, each with what the example of `source` becomes.
    """
    items = (Attacked(new, {field: list(map(edit, ledger.of(clean, field))) for field in task.fields})
             for clean, new in after)  # fmt: skip
    source.rewrite(cast(BinaryIO, SimpleNamespace(write=write)), attacked_blocks(source.blocks(), items))

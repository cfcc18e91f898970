"""Answers kept on disk, so that a stop or a second run asks for nothing twice. No model library is loaded here.

One SQLite file holds the answers of all models, each under a hash of who is asked (model, version, prompt) and what. No
text of the data is in it. Any number of threads and processes may use it at once; a write is there whole or not at
all, also when its process is killed.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from robustbench_char.common import InputError
from robustbench_char.tasks.sources import cache_folder

__all__ = ["Answers"]

_FILE = "answers.sqlite3"
_WAIT = 60.0
"""Seconds to wait while others write."""


class Answers:
    """The answers of one model, below a folder (default: `answers` in the user's cache folder).

    `identity` is all that decides an answer beside what is asked; it, what is asked and the answers are JSON values.
    Raises InputError for a folder that cannot be written, and for a file there that is not such a store.
    """

    def __init__(self, identity: Any, folder: Path | str | None = None) -> None:
        self.path = (cache_folder() / "answers" if folder is None else Path(folder)) / _FILE
        self._identity = identity
        with self._open() as database:
            database.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value TEXT) WITHOUT ROWID")

    def get(self, asked: Any) -> Any | None:
        """Return the answer to what is asked, or None where there is none yet."""
        return self.get_all([asked])[0]

    def get_all(self, asked: Sequence[Any]) -> list[Any | None]:
        """Return the answer to each thing that is asked, or None where there is none yet."""
        with self._open() as database:
            select = "SELECT value FROM answers WHERE key = ?"
            rows = [database.execute(select, [self._key(one)]).fetchone() for one in asked]
        return [None if row is None else json.loads(row[0]) for row in rows]

    def put(self, asked: Any, answer: Any) -> None:
        """Keep an answer, in place of an earlier one."""
        self.put_all([(asked, answer)])

    def put_all(self, answers: Iterable[tuple[Any, Any]]) -> None:
        """Keep the answers to several things that were asked, all of them or none."""
        rows = [(self._key(asked), json.dumps(answer)) for asked, answer in answers]
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)

    def forget(self, asked: Iterable[Any]) -> None:
        """Remove the answers to what was asked."""
        keys = [(self._key(one),) for one in asked]
        with self._open() as database:
            database.executemany("DELETE FROM answers WHERE key = ?", keys)

    def _key(self, asked: Any) -> bytes:
        return hashlib.sha256(json.dumps([self._identity, asked], sort_keys=True).encode()).digest()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for one transaction: none is shared by threads, or outlives a fork."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_WAIT)) as database, database:
                yield database
        except (sqlite3.Error, OSError) as error:
            fix = "Free space and check its permissions, or delete the file: its answers are then asked for again."
            found = f"a store of answers that cannot be used ({error})"
            raise InputError(self.path, found=found, expected="a file that can be read and written", fix=fix) from None

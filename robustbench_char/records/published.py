"""Where results stand: in the folder of a run, or in a published set, which holds the same in a handful of files.

A published set is a folder with `records.parquet`, one row per record: `path` (of the folder that it had in the run),
`record` (its JSON) and `counts` (the names of its counts; null where none were kept). Beside it lie `counts.parquet`,
the counts of all records, each row with the `path` of its record, `worst_cases.parquet` likewise with the steps of
searches, and one JSON-lines file per further kind of file (`FILES`), each line with `path` and `content`. The metadata
of `records.parquet` hold the SHA-256 of its rows and of every other file; a set with another content is refused. A
record keeps the hashes of the files that it was made with.

`find_results` and `find_counts` read both forms. They give a record of a published set the folder `SET/path`, which
need not exist. Texts of the data (predictions, words, profiles) are never published.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from robustbench_char.common import InputError
from robustbench_char.common.file_kinds import special_kind
from robustbench_char.common.files import check_links, files_below, read_json, sha256_bytes, sha256_file
from robustbench_char.common.frozen import read_json_model
from robustbench_char.common.scratch import scratch_folder
from robustbench_char.common.tables import bounded, open_table
from robustbench_char.records.counts import COUNTS, KEYS, whole_numbers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["publish"]

M = TypeVar("M", bound=BaseModel)

WORST_CASE, STEPS, ALL_STEPS = "worst_case.json", "worst_case.parquet", "worst_cases.parquet"
RECORD, RECORDS, RUN = "record.json", "records.parquet", "run.json"
FILES = {
    "fragility.json": "fragility.jsonl",
    "manifest.json": "manifests.jsonl",
    "pretraining.json": "pretraining.jsonl",
    "defence_price.json": "defence_prices.jsonl",
    "recogniser_price.json": "recogniser_prices.jsonl",
    "sensitivity.json": "sensitivity.jsonl",
    "training_log.json": "training_logs.jsonl",
    "worst_case.json": "worst_cases.jsonl",
}
"""The published file that holds all files of a name. Records stand in `records.parquet`."""
_METADATA = b"robustbench_char"
_SCHEMA = 1
_LEVEL = 12  # of compression by zstd


def is_folder(folder: Path) -> bool:
    """Return whether results may stand there: a folder, or the path of one in a published set."""
    return folder.is_dir() or _set_around(folder) is not None


def find_files(folders: Iterable[Path], name: str) -> list[tuple[Path, Any]]:
    """Return folder and JSON of each file of a name (`manifest.json`, ...) below the folders, each in sorted order.

    Raises InputError for malformed JSON, and for an altered published set.
    """
    return [(path.parent, read_json(path, text)) for folder in folders for path, text in _files(folder, name)]


def find_results(
    folders: Iterable[Path], name: str, model: type[M], *, expected: str, fix: str
) -> list[tuple[Path, M]]:
    """Return the results in all files of a name below the folders, with the folder each stands in, in sorted order.

    Raises InputError that names file and field, also for a result of a newer version and an altered published set.
    """
    files = [file for folder in folders for file in _files(folder, name)]
    return [(path.parent, read_json_model(path, model, text=text, expected=expected, fix=fix)) for path, text in files]


def find_counts(folder: Path, sha256: str) -> pd.DataFrame:
    """Return the counts of the record of a folder; `sha256` is that of the file which `evaluate` wrote.

    Raises InputError for a file that is damaged, missing, or not the one that the record was made with.
    """
    published = None if (folder / RECORD).is_file() else _set_around(folder)
    table = published.counts_of(folder) if published else None
    if table is None:
        table = read_table(
            folder / COUNTS,
            sha256,
            fits=lambda columns: columns[: len(KEYS)] == [*KEYS],
            expected="the counts that `evaluate` wrote beside the record",
            fix="Copy them with their record, or run `robustbench-char evaluate` again.",
        ).astype({"dimension": "category", "value": "category"})
    return table


def find_steps(folder: Path, sha256: str) -> pd.DataFrame:
    """Return the steps of the search of a folder, as `find_counts` returns counts."""
    published = None if (folder / WORST_CASE).is_file() else _set_around(folder)
    return published.steps_of(folder) if published else read_table(
        folder / STEPS,
        sha256,
        fits={"row", "asked", "edits"}.issubset,
        expected="the steps that the search wrote beside its record",
        fix="Copy them with their record, or search again.",
    )  # fmt: skip


def read_table(
    path: Path,
    sha256: str | None,
    *,
    fits: Callable[[list[str]], bool],
    expected: str,
    fix: str,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return a table that stands beside a record, or some `columns` of it.

    Raises InputError unless it has the content that the record names by its hash (None: any) and columns that fit.
    """
    import pandas as pd
    from pyarrow import parquet

    def refused(found: str) -> InputError:
        return InputError(path, found=found, expected=expected, fix=fix)

    if not path.is_file():
        raise refused("no such file")
    if sha256 is not None and sha256_file(path) != sha256:
        raise refused("another content than its record was made with")
    try:
        if not fits(names := bounded(path, parquet.ParquetFile(path)).schema_arrow.names):
            raise refused(f"the columns {', '.join(names)}")
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
    except (ValueError, OSError) as error:  # pyarrow's errors are of these two kinds
        raise refused(f"a damaged file ({error})") from None


def publish(run: Path, output: Path) -> None:
    """Write the results of a run's folder into `output` as a published set; other files there stay as they are.

    A `run.json` goes with them. Raises InputError where there is no record, for counts that are not their record's, and
    for links out of the run: what they lead to is nobody's to publish.
    """
    check_links(run, "a run, with its files in it")
    records = find_files([run], RECORD)
    if not records:
        raise InputError(run, found=f"no {RECORD}", expected="the folder of a run", fix="Check the path.")
    with scratch_folder(output / "published") as scratch:
        _write_set(scratch, run, records)
        written = {path.name for path in scratch.iterdir()}
        for name in {COUNTS, ALL_STEPS, RUN, *FILES.values()} - written:
            (output / name).unlink(missing_ok=True)
        for name in sorted(written, key=lambda name: name == RECORDS):  # last, as it tells of all others
            os.replace(scratch / name, output / name)


def _files(folder: Path, name: str) -> list[tuple[Path, str | None]]:
    """Return path and text of each file of a name below a folder, sorted; no text (None) where it is a file itself."""
    files: dict[Path, str | None] = dict.fromkeys(files_below(folder, name))
    sets = [_open(path) for path in files_below(folder, RECORDS)]
    if not folder.is_dir() and (published := _set_around(folder)):
        sets.append(published)
    for published in sets:
        files |= {path: text for path, text in published.files(name) if folder in path.parents}
    return sorted(files.items())


def _set_around(folder: Path) -> _PublishedSet | None:
    """Return the published set that a folder is or stands in."""
    path = next((at / RECORDS for at in (folder, *folder.parents) if (at / RECORDS).is_file()), None)
    return None if path is None else _open(path)


def _open(path: Path) -> _PublishedSet:
    states = [file.stat() for file in (path, path.with_name(COUNTS)) if file.is_file()]
    return _opened(path.parent, tuple((state.st_mtime_ns, state.st_size) for state in states))


@lru_cache(maxsize=8)
def _opened(folder: Path, states: tuple[tuple[int, int], ...]) -> _PublishedSet:
    return _PublishedSet(folder)


class _PublishedSet:
    """A published set, checked when it is opened; its other files are checked when they are read."""

    def __init__(self, folder: Path) -> None:
        from pyarrow import parquet

        self.folder = folder
        try:
            if special := special_kind(folder / RECORDS):
                raise ValueError(special.found)
            table = bounded(folder / RECORDS, parquet.ParquetFile(folder / RECORDS)).read()
            about = json.loads(table.schema.metadata[_METADATA])
            newer, rows = about["schema"] > _SCHEMA, table.to_pylist()
            if not all(isinstance(row[name], str) for row in rows for name in ("path", "record")):
                raise ValueError("a path or a record that is no text")
        except (ValueError, OSError, KeyError, TypeError) as error:  # pyarrow's own are among them
            raise _altered(folder / RECORDS, f"a damaged file ({error})") from None
        if newer:
            raise _altered(folder / RECORDS, f"schema {about['schema']}, of a newer version of robustbench-char")
        if _hash(rows) != about["rows_sha256"]:
            raise _altered(folder / RECORDS, "another content than was published")
        self._hashes: dict[str, str] = about["files"]
        self._records: dict[str, str] = {row["path"]: row["record"] for row in rows}
        self._counts: dict[str, list[str]] = {row["path"]: row["counts"] for row in rows if row["counts"] is not None}

    def files(self, name: str) -> Iterator[tuple[Path, str]]:
        """Yield path and text of each file of a name."""
        if name == RECORD:
            yield from ((self.folder / path / name, text) for path, text in self._records.items())
        elif FILES.get(name) in self._hashes:
            with _whole(path := self._checked(FILES[name])):
                for line in path.read_text(encoding="utf-8").splitlines():
                    entry = json.loads(line)
                    yield self.folder / entry["path"] / name, json.dumps(entry["content"])

    def counts_of(self, folder: Path) -> pd.DataFrame | None:
        """Return the counts of the record that a folder had, None where there are none."""
        path = folder.relative_to(self.folder).as_posix()
        if path not in self._counts:
            return None
        table, rows = self._all_counts
        with _whole(self.folder / COUNTS):
            part = table.take(rows[path])[[*KEYS, *self._counts[path]]].reset_index(drop=True)
            for name in ("dimension", "value"):
                part[name] = part[name].cat.remove_unused_categories()
            return whole_numbers(part, self._counts[path])

    def steps_of(self, folder: Path) -> pd.DataFrame:
        """Return the steps of the search that a folder had, with the counts of its own metric alone."""
        table, rows = self._all_steps
        own = table.take(rows[folder.relative_to(self.folder).as_posix()]).drop(columns="path")
        return own.dropna(axis="columns", how="all").reset_index(drop=True)

    @cached_property
    def _all_steps(self) -> tuple[pd.DataFrame, dict[Any, Any]]:
        """The steps of all searches, and by path the positions of a search's own."""
        import pandas as pd

        table = pd.read_parquet(self._checked(ALL_STEPS))
        return table, dict(table.groupby("path", observed=True).indices)

    @cached_property
    def _all_counts(self) -> tuple[pd.DataFrame, dict[Any, Any]]:
        """The counts of all records, and by path the positions of a record's own."""
        import pandas as pd

        table = pd.read_parquet(self._checked(COUNTS))
        return table, dict(table.groupby("path", observed=True).indices)

    def _checked(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file() or sha256_file(path) != self._hashes.get(name):
            raise _altered(path, "another content than was published" if path.is_file() else "no such file")
        if path.suffix == ".parquet":
            open_table(path)
        return path


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Raise InputError where a file of a set does not hold what its hash and the records promise."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _altered(path, f"a damaged file ({error})") from None


def _altered(path: Path, found: str) -> InputError:
    expected = "a file of a published set, as `tools/publish.py` wrote it"
    return InputError(path, found=found, expected=expected, fix="Restore it, or publish the run again.")


def _hash(rows: list[dict[str, Any]]) -> str:
    return sha256_bytes(json.dumps(rows, sort_keys=True).encode())


def _write_set(folder: Path, run: Path, records: list[tuple[Path, Any]]) -> None:
    rows: list[dict[str, Any]] = []
    tables: dict[tuple[str, str, str], pd.DataFrame] = {}
    for at, record in records:
        _check_result(at / RECORD, record, "task", "data")
        path, table = at.relative_to(run).as_posix(), None
        if sha256 := record.get("counts_sha256"):
            table = tables[record["task"], record["data"]["sha256"], path] = find_counts(at, sha256)
        names = None if table is None else list(table.columns[len(KEYS) :])
        rows.append({"path": path, "record": _json(record), "counts": names})
    if tables:
        _write_counts(folder / COUNTS, tables)
    if searches := find_files([run], WORST_CASE):
        for at, record in searches:
            _check_result(at / WORST_CASE, record, "steps_sha256")
        steps = {at.relative_to(run).as_posix(): find_steps(at, record["steps_sha256"]) for at, record in searches}
        _write_steps(folder / ALL_STEPS, steps)
    for name, published in FILES.items():
        if files := find_files([run], name):
            lines = [_json({"path": at.relative_to(run).as_posix(), "content": value}) for at, value in files]
            (folder / published).write_text("\n".join([*lines, ""]), encoding="utf-8")
    _write_records(folder, rows)
    if (run / RUN).is_file():
        (folder / RUN).write_text(_json(read_json(run / RUN)) + "\n", encoding="utf-8")


def _check_result(path: Path, value: Any, *keys: str) -> None:
    if not isinstance(value, dict) or not {"schema", *keys} <= value.keys():
        raise InputError(path, found="a file of another program", expected="a result with its scores",
                         fix="Move it out of the folder.")  # fmt: skip


def _write_records(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write the records, with the hashes of all files that stand beside them."""
    import pyarrow as pa
    from pyarrow import parquet

    hashes = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
    about = json.dumps({"schema": _SCHEMA, "rows_sha256": _hash(rows), "files": hashes})
    columns = {"path": pa.string(), "record": pa.string(), "counts": pa.list_(pa.string())}
    table = pa.Table.from_pylist(rows, pa.schema(columns, metadata={_METADATA: about}))
    parquet.write_table(table, folder / RECORDS, compression="zstd", compression_level=_LEVEL)


def _write_steps(path: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write the steps of all searches, by path; a count that a search does not have is missing."""
    import pandas as pd

    whole = pd.concat([table.assign(path=name) for name, table in tables.items()], ignore_index=True)
    whole = whole[["path", *(name for name in whole if name != "path")]].astype({"path": "category"})
    whole.to_parquet(path, index=False, compression="zstd", compression_level=_LEVEL)


def _write_counts(path: Path, tables: Mapping[tuple[str, str, str], pd.DataFrame]) -> None:
    """Write the counts of all records, given by task, hash of the data and path.

    Rows are sorted by cell and example, then by data: what many systems share then takes next to no room.
    """
    import pandas as pd

    parts = [tables[key].assign(path=key[2], task=key[0]) for key in sorted(tables)]
    texts = dict.fromkeys(("path", "task", "dimension", "value"), "category")
    whole = pd.concat(parts, ignore_index=True).astype(texts)
    whole = whole.sort_values(["task", "dimension", "value", "row"], kind="stable", ignore_index=True)
    names = [name for name in whole.columns if name not in {"path", "task", *KEYS}]
    whole = whole_numbers(whole[["path", *KEYS, *names]], names, "Int32")
    whole.to_parquet(
        path,
        index=False,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=[name for name in whole.columns if name != "row"],
        column_encoding={"row": "DELTA_BINARY_PACKED"},
        row_group_size=1 << 24,
        data_page_size=1 << 24,
        write_batch_size=1 << 20,
    )


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))  # in ASCII, which no line break or half character can damage

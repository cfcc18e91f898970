"""A channel on disk: tables as Parquet, the numbers of its error model as safetensors, and what it is as JSON."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, field_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.common.tables import open_table
from robustbench_char.defences._sources import attacks_in
from robustbench_char.defences.channel._spelling import ORDER, Spelling
from robustbench_char.defences.channel.errors import ErrorModel
from robustbench_char.defences.channel.lexicon import CLASSES, Lexicon
from robustbench_char.defences.channel.options import Ends
from robustbench_char.defences.opening import CONFIG

__all__ = ["ChannelFile", "Listed", "Tables", "check_memory", "read_channel", "write_channel"]

_LEXICON, _PAIRS, _SPELLING, _LISTED = "lexicon.parquet", "pairs.parquet", "spelling.parquet", "listed.parquet"
_ERRORS = "errors.safetensors"
_SHAPES = ("small", "title", "capitals")
_COLUMNS = {
    _LEXICON: pa.schema(
        {"word": pa.string(), **dict.fromkeys(["frequency", *_SHAPES], pa.float64()), "alone": pa.bool_()}
    ),
    _PAIRS: pa.schema({"first": pa.int32(), "second": pa.int32(), "count": pa.float64()}),
    _SPELLING: pa.schema({"length": pa.int8(), "key": pa.int64(), "count": pa.float64()}),
    _LISTED: pa.schema({"misspelling": pa.string(), "word": pa.string(), "probability": pa.float64()}),
}
_AGAIN = "Copy the folder again, or build it again with `train-defence channel`."

Listed = dict[str, tuple[tuple[str, float], ...]]
"""Listed misspellings: what was meant by each, with the probability that the word is written so when it is wrong."""


class ChannelFile(Frozen):
    """`defence.json` of a channel. `files` holds the SHA-256 of the other files; `training` what it was built from."""

    schema_version: Literal[1] = Field(1, alias="schema")
    kind: Literal["channel"] = "channel"
    max_edits: Literal[1, 2] = 2
    ends: Ends = "free"
    files: dict[str, str] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    provenance: Provenance | None = None

    @field_validator("training")
    @classmethod
    def _is_record(cls, training: dict[str, Any]) -> dict[str, Any]:
        lists, options = training.get("misspellings", []), training.get("options", {})
        if (
            not isinstance(options, dict)
            or not isinstance(lists, list)
            or not all(isinstance(one, dict) for one in lists)
        ):
            raise ValueError("a record of what it was built from, with lists of misspellings and options")
        attacks_in(training)
        return training


@dataclass(frozen=True)
class Tables:
    """What a channel knows."""

    lexicon: Lexicon
    spelling: Spelling
    errors: ErrorModel
    listed: Listed

    @cached_property
    def sha256(self) -> str:
        """The hash of all of it."""
        lexicon, errors = self.lexicon, self.errors
        numbers = [lexicon.frequency, lexicon.shapes, lexicon.pairs, lexicon.pair_counts, *self.spelling.keys]
        numbers += [*self.spelling.counts, *(np.asarray(getattr(errors, field.name)) for field in fields(errors))]
        digest = hashlib.sha256(repr([lexicon.words.to_pylist(), sorted(self.listed.items())]).encode())
        for array in numbers:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def write_channel(folder: Path, file: ChannelFile, tables: Tables) -> ChannelFile:
    """Write all files into a folder, which is made if need be; return the config with their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    lexicon, spelling = tables.lexicon, tables.spelling
    shapes = {name: lexicon.shapes[:, number] for number, name in enumerate(_SHAPES)}
    alone = np.zeros(len(lexicon), np.bool_) if lexicon.alone is None else lexicon.alone
    _write(folder / _LEXICON, word=lexicon.words, frequency=lexicon.frequency, **shapes, alone=alone)
    first, second = np.divmod(lexicon.pairs, max(1, len(lexicon)))
    _write(folder / _PAIRS, first=first.astype(np.int32), second=second.astype(np.int32), count=lexicon.pair_counts)
    length = np.repeat(np.arange(1, len(spelling.keys) + 1, dtype=np.int8), list(map(len, spelling.keys)))
    _write(folder / _SPELLING, length=length, key=np.concatenate(spelling.keys), count=np.concatenate(spelling.counts))
    rows = [(wrong, right, share) for wrong, meant in tables.listed.items() for right, share in meant]
    wrong, right, share = zip(*rows, strict=True) if rows else ((), (), ())
    _write(folder / _LISTED, misspelling=pa.array(wrong, pa.string()), word=pa.array(right, pa.string()),
           probability=pa.array(share, pa.float64()))  # fmt: skip
    errors = {field.name: np.asarray(getattr(tables.errors, field.name)) for field in fields(ErrorModel)}
    save_file(errors, folder / _ERRORS)
    files = {name: sha256_file(folder / name) for name in (_LEXICON, _PAIRS, _SPELLING, _LISTED, _ERRORS)}
    file = file.model_copy(update={"files": files})
    write_json(folder / CONFIG, file.model_dump(mode="json", by_alias=True))
    return file


def _write(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_channel(folder: Path) -> tuple[ChannelFile, Tables]:
    """Read and check a channel. Raises InputError that names the file that is missing, damaged or altered."""
    expected = "a file that `train-defence channel` wrote"
    file = read_json_model(folder / CONFIG, ChannelFile, expected=expected, fix=_AGAIN)
    for name in (_LEXICON, _PAIRS, _SPELLING, _LISTED, _ERRORS):
        path = folder / name
        found = f"SHA-256 {sha256_file(path)}" if path.is_file() else "no such file"
        if found != (wanted := f"SHA-256 {file.files.get(name)}"):
            raise InputError(path, found=found, expected=f"{wanted}, as {CONFIG} says", fix=_AGAIN)
    try:
        tables = _tables(folder)
        if wrong := _misfits(tables):
            raise ValueError(", ".join(wrong))
        return file, tables
    except (pa.ArrowException, SafetensorError, KeyError, ValueError, TypeError) as error:
        found = f"tables that do not fit together ({type(error).__name__}: {error})"
        raise InputError(folder, found=found, expected="a channel", fix=_AGAIN) from None


def _tables(folder: Path) -> Tables:
    check_memory(folder / _LEXICON, pq.read_metadata(folder / _LEXICON).num_rows, fix="Build it with fewer words.")
    table = _read(folder / _LEXICON)
    shapes = np.stack([_numbers(table[name]) for name in _SHAPES], axis=1)
    words = table["word"].combine_chunks()
    pairs = _read(folder / _PAIRS)
    first, second = (_numbers(pairs[name]).astype(np.int64) for name in ("first", "second"))
    keys = np.where((second >= 0) & (second < len(words)), first * len(words) + second, -1)
    lexicon = Lexicon(
        words, _numbers(table["frequency"]), shapes, keys, _numbers(pairs["count"]), _numbers(table["alone"])
    )
    grams = _read(folder / _SPELLING)
    length, key, count = (_numbers(grams[name]) for name in ("length", "key", "count"))
    each = [length == number for number in range(1, int(length.max(initial=0)) + 1)]
    spelling = Spelling(tuple(key[one] for one in each), tuple(count[one] for one in each))
    listed: dict[str, list[tuple[str, float]]] = {}
    for row in _read(folder / _LISTED).to_pylist():
        listed.setdefault(row["misspelling"], []).append((row["word"], row["probability"]))
    found = load((folder / _ERRORS).read_bytes())  # of a file that cannot be read, load_file does not tell the reason
    numbers: dict[str, Any] = {name: value if value.ndim else float(value) for name, value in found.items()}
    return Tables(lexicon, spelling, ErrorModel(**numbers), {wrong: tuple(meant) for wrong, meant in listed.items()})


def _read(path: Path) -> pa.Table:
    table = open_table(path).read()
    if table.schema != _COLUMNS[path.name]:
        raise ValueError(f"other columns in {path.name}")
    return table


def _misfits(tables: Tables) -> list[str]:
    """Return what of the tables does not belong together."""
    lexicon, spelling, size = tables.lexicon, tables.spelling, len(tables.lexicon)
    pairs, flat = lexicon.pairs, ErrorModel.uniform()
    shapes = [[np.shape(getattr(model, field.name)) for field in fields(model)] for model in (tables.errors, flat)]
    shares = [share for meant in tables.listed.values() for _, share in meant]
    wrong = {
        "other classes": lexicon.words[: len(CLASSES)].to_pylist() != list(CLASSES),
        "a word twice": pc.count_distinct(lexicon.words).as_py() != size,
        "frequencies below 0": not (np.append(lexicon.frequency, lexicon.shapes.min(initial=0)) >= 0).all(),
        "pairs of no words or out of order": bool((np.diff(pairs, prepend=-1, append=size * size) <= 0).any()),
        "no counts of letters": len(spelling.keys) != ORDER or not all(map(len, spelling.keys)),
        "listed misspellings without probability": not all(0 < share <= 1 for share in shares),
        "an error model of another size": shapes[0] != shapes[1],
    }
    return [name for name, found in wrong.items() if found]


def check_memory(place: object, distinct: int, words: int = 0, *, fix: str) -> None:
    """Raise InputError where so many distinct words, counted in so many words of text, take more memory than there is.

    The cost of both was measured: of counting text, and of an index of words of ten letters for two edits.
    """
    needed, most = distinct * 2500 + words * 24, _memory()
    if needed > most:
        found = f"{distinct:,} different words, for which about {needed / 1e9:,.1f} GB of memory are needed"
        raise InputError(place, found=found, expected=f"at most {most / 1e9:,.1f} GB, what this machine has", fix=fix)


def _memory() -> float:
    """Return the bytes of memory of this machine, where it tells."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else np.inf


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.to_numpy()

"""A channel on disk: tables as Parquet, the numbers of its error model as safetensors, and what it is as JSON."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.defences.channel._spelling import Spelling
from robustbench_char.defences.channel.errors import ErrorModel
from robustbench_char.defences.channel.lexicon import Lexicon
from robustbench_char.defences.channel.options import Ends

__all__ = ["CONFIG", "ChannelFile", "Listed", "Tables", "read_channel", "write_channel"]

CONFIG = "defence.json"
_LEXICON, _PAIRS, _SPELLING, _LISTED = "lexicon.parquet", "pairs.parquet", "spelling.parquet", "listed.parquet"
_ERRORS = "errors.safetensors"
_SHAPES = ("small", "title", "capitals")
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
    _write(folder / _LEXICON, word=lexicon.words, frequency=lexicon.frequency, **shapes)
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
        return file, _tables(folder)
    except (pa.ArrowException, SafetensorError, KeyError, ValueError, TypeError) as error:
        found = f"tables that do not fit together ({type(error).__name__}: {error})"
        raise InputError(folder, found=found, expected="a channel", fix=_AGAIN) from None


def _tables(folder: Path) -> Tables:
    table = pq.read_table(folder / _LEXICON)
    shapes = np.stack([_numbers(table[name]) for name in _SHAPES], axis=1)
    words = table["word"].combine_chunks()
    pairs = pq.read_table(folder / _PAIRS)
    keys = _numbers(pairs["first"]).astype(np.int64) * len(words) + _numbers(pairs["second"])
    lexicon = Lexicon(words, _numbers(table["frequency"]), shapes, keys, _numbers(pairs["count"]))
    grams = pq.read_table(folder / _SPELLING)
    length, key, count = (_numbers(grams[name]) for name in ("length", "key", "count"))
    each = [length == number for number in range(1, int(length.max(initial=0)) + 1)]
    spelling = Spelling(tuple(key[one] for one in each), tuple(count[one] for one in each))
    listed: dict[str, list[tuple[str, float]]] = {}
    for row in pq.read_table(folder / _LISTED).to_pylist():
        listed.setdefault(row["misspelling"], []).append((row["word"], row["probability"]))
    numbers: dict[str, Any] = {
        name: value if value.ndim else float(value) for name, value in load_file(folder / _ERRORS).items()
    }
    return Tables(lexicon, spelling, ErrorModel(**numbers), {wrong: tuple(meant) for wrong, meant in listed.items()})


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.to_numpy()

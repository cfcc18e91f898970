"""What a folder holds, without what differs between equal runs: times, hosts, versions, logs, locks."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

__all__ = ["outcome", "units"]

_VOLATILE = {
    "created", "provenance", "cost", "machine", "host", "wall_seconds", "cpu_seconds", "predict_seconds", "seconds",
    "peak_memory_bytes", "tokens_per_second", "microseconds_per_word", "microseconds_per_token", "words_per_second",
}  # fmt: skip
_COLUMNS = ("predict_seconds", "microseconds", "wall_seconds", "version", "words_per_second")
_LEFT_OUT = re.compile(r"(^|/)(home|tmp|logs)/.|\.lock$|\.pyc$|(^|/)training_log\.json$")
_GROWS = re.compile(r"^run\.json$|^answers\.sqlite3")  # how far a run is, and the answers so far
_TIMES = re.compile(r"\d[\d.,]* ?(s|ms|µs|seconds|minutes|min)\b|\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?")


def outcome(box: Path) -> dict[str, str]:
    """Return a hash of each file's lasting content by its path below a folder; of a folder, an empty text."""
    found = {path.relative_to(box).as_posix(): path for path in sorted(box.rglob("*"))}
    return {name: _lasting(path) for name, path in found.items() if not _LEFT_OUT.search(name)}


def units(found: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the files by the folder that they are in; what is on its way (hidden) is left out."""
    folders: dict[str, dict[str, str]] = {}
    for name, content in found.items():
        folder, _, file = name.rpartition("/")
        if content and not _GROWS.search(file) and not any(part.startswith(".") for part in name.split("/")):
            folders.setdefault(folder, {})[file] = content
    return folders


def _lasting(path: Path) -> str:
    if path.is_dir():
        return ""
    readers = {".json": _json, ".csv": _csv, ".html": _text, ".md": _text, ".tex": _text, ".sqlite3": _rows}
    data = path.read_bytes()
    try:
        content = readers[path.suffix](path) if path.suffix in readers else data
    except (ValueError, sqlite3.Error):  # half a file: its bytes
        content = data
    return hashlib.sha256(content).hexdigest()


def _json(path: Path) -> bytes:
    return json.dumps(_without(json.loads(path.read_text(encoding="utf-8"))), sort_keys=True).encode()


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        hashes = {"files", "sha256"} if "decides" in value else set()  # of files that hold times
        return {key: _without(inner) for key, inner in value.items() if key not in _VOLATILE | hashes}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


def _csv(path: Path) -> bytes:
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    lasting = [{key: row[key] for key in row if not key.startswith(_COLUMNS)} for row in rows]
    return json.dumps(lasting).encode()


def _text(path: Path) -> bytes:
    """Pages and tables print times: their numbers are in the CSV files beside them."""
    return _TIMES.sub("T", path.read_text(encoding="utf-8")).encode()


def _rows(path: Path) -> bytes:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return repr(sorted(database.execute("SELECT * FROM answers"))).encode()
    finally:
        database.close()

"""Mutations of files: of bytes, lines and cells, of JSON and YAML as trees, of Parquet tables and of safetensors."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from random import Random
from typing import Any

__all__ = ["mutated"]

_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghijklm")
)
_STRANGE = [
    b"\x00", b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\x1b[31m", b"\t", b"\r",
    b"\n", b"\r\n", "\u2028".encode(), "\x85".encode(), "\u202e".encode(), b"\\ud800", b'"', b"'", b",", b"{", b"]",
    b"&", b"<", b"%", b"NaN", b"1e999", b"-0", b"9" * 400, b"\x0b", b"\x0c", b"\x1c", "\u00a0".encode(),
    "\ufeff".encode(), b"../../x", b"!!",
]  # fmt: skip
_ENDS = [b"\r\n", b"\r", "\x85".encode(), "\u2028".encode(), b"\n\n", b" \n", b"\t\n", b"\x00\n", b"\n\r"]
_CODES = ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig", "utf-7"]


_YAML = [
    b"x: !!python/object/apply:os.system ['touch pwned']\n", _BOMB.encode(), b"<<: *x\n", b"? [a]\n: b\n", b"1: 2\n",
    b"a: &a [*a]\n", b"--- 1\n--- 2\n", b"x: 2020-99-99\n", b"x: !!binary '?'\n", b"x: !!timestamp y\n", b"x: 1:2:3\n",
    b"%YAML 9.9\n---\n", b"x: " + b"[" * 20_000,
]  # fmt: skip


def mutated(data: bytes, name: str, rng: Random) -> bytes:
    """Return the bytes of a file after one to three mutations that suit its name; they may be the same."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        suffix = name.rpartition(".")[2]
        kinds: list[Callable[[bytes, Random], bytes]] = [_bytes, *_TEXTUAL]
        if suffix in _TREES:
            kinds = [_TREES[suffix]] * 8 + kinds
        with suppress(RecursionError):  # it is nested deeply already
            data = rng.choice(kinds)(data, rng)
    return data


def _bytes(data: bytes, rng: Random) -> bytes:
    """Flip, cut, repeat, insert."""
    one, other = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    other = min(other, one + rng.choice((1, 4, 60, 1 << 20)))
    kind = rng.randrange(7)
    if kind == 0:
        array = bytearray(data)
        for _ in range(rng.choice((1, 1, 3, 20)) if data else 0):
            array[rng.randrange(len(array))] ^= 1 << rng.randrange(8)
        return bytes(array)
    return {
        1: data[:one],
        2: data[:one] + data[other:],
        3: data[:other] + data[one:],
        4: data[one:],
        5: data[:one] + rng.choice(_STRANGE) + data[one:],
        6: data[:one] + rng.randbytes(rng.choice((1, 8, 100))) + data[other:],
    }[kind]


def _lines(data: bytes, rng: Random) -> bytes:
    """Drop, repeat, swap, empty or lengthen a line, or all ends of lines."""
    lines = data.split(b"\n")
    at, kind = rng.randrange(len(lines)), rng.randrange(8)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, lines[at])
    elif kind == 2:
        rng.shuffle(lines)
    elif kind == 3:
        lines[at] = b""
    elif kind == 4:
        lines[at] += lines[at][-1:] * 300_000
    elif kind == 5:
        lines[at] = rng.choice((b"# a comment", b"-DOCSTART- -X- O O", b"---", b" ", b"\t\t\t", b"null", b"{}"))
    elif kind == 6:
        return rng.choice(_ENDS).join(lines)
    else:
        lines[at] += rng.choice(_ENDS).removesuffix(b"\n")
    return b"\n".join(lines)


def _cells(data: bytes, rng: Random) -> bytes:
    """Drop, repeat, swap, empty or replace cells of one line, or columns of all."""
    mark = rng.choice([one for one in (b"\t", b",", b" ", b":") if one in data] or [b" "])
    lines = [line.split(mark) for line in data.split(b"\n")]
    rows = [line for line in lines if len(line) > 1] or lines
    first, second = rng.randrange(len(rows[0])), rng.randrange(len(rows[0]))
    kind, number = rng.randrange(6), rng.choice((b"-1", b"nan", b"1e400", b"True", b"", b"O", b"B-", b"I-PER", b'"'))
    for row in rows if rng.random() < 0.3 else [rng.choice(rows)]:
        one, other = min(first, len(row) - 1), min(second, len(row) - 1)
        if kind == 0:
            del row[one]
        elif kind == 1:
            row.insert(other, row[one])
        elif kind == 2:
            row[one], row[other] = row[other], row[one]
        elif kind == 3:
            row[one] = number
        elif kind == 4:
            row[one] += rng.choice(_STRANGE)
        else:
            row.append(rng.choice((b"", b"x")))
    return b"\n".join(mark.join(line) for line in lines)


def _whole(data: bytes, rng: Random) -> bytes:
    """Write all in another code, compress it, or put something else in its place."""
    kind = rng.randrange(8)
    if kind < 4:
        try:
            return data.decode("utf-8").encode(rng.choice(_CODES), "replace")
        except UnicodeDecodeError:
            return data
    return (
        gzip.compress(data),
        b"",
        b"<!doctype html><html>404</html>",
        rng.choice((b" \n", b"\x00" * 64, b"\n" * 9)),
    )[kind - 4]


def _digits(data: bytes, rng: Random) -> bytes:
    """Replace one number."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?(e-?\d+)?", data))
    if not found:
        return data
    new = rng.choice(
        (b"-1", b"0", b"1e400", b"NaN", b"Infinity", b"9" * 30, b"9" * 5000, b"1.5", b"true", b'"1"', b"00", b"1_0")
    )
    match = rng.choice(found)
    return data[: match.start()] + new + data[match.end() :]


_TEXTUAL: list[Callable[[bytes, Random], bytes]] = [_lines, _lines, _cells, _cells, _whole, _digits]

_MARK = "\ue123"
_RAW = [
    "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 400, "9" * 5000, "-0", "1E5", "18446744073709551616",
    "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000 + "1" + "}" * 50_000, '"\\ud800"', '"\\u0000"', "1.0", "0x10", "01",
]  # fmt: skip
"""What `json.dumps` does not write."""
_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 0.5, -0.1, 2**31, 2**63, "", " ", "x", "1", "\u202e", "é\u0301", "../../etc/passwd",
    "/etc/passwd", "a" * 100_000, [], {}, [None], [[]], {"": None}, ["x"] * 3, {"x": {"x": {"x": 1}}}, "openai:x", "*",
]  # fmt: skip


def _spots(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the places in a tree, each as what holds it, and key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found.append((value, key))
        _spots(part, found)
    return found


def _changed(value: Any, rng: Random, raw: list[str]) -> Any:
    """Change one place of a tree; a value that a mark stands for is appended to `raw`."""
    spots = _spots(value, [])
    if not spots:
        return rng.choice(_VALUES)
    holder, key = rng.choice(spots)
    other, second = rng.choice(spots)
    kind, old = rng.randrange(10), holder[key]
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = rng.choice(_VALUES)
    elif kind == 2:
        raw.append(rng.choice(_RAW))
        holder[key] = _MARK
    elif kind == 3:
        holder[key] = json.loads(json.dumps(other[second]))
    elif kind == 4 and isinstance(holder, dict):
        holder[rng.choice((str(key) + "s", str(key).upper(), "", "schema", "__class__"))] = holder.pop(key)
    elif kind == 4 and isinstance(holder, list):
        holder.insert(key, old)
    elif kind == 5 and isinstance(holder, dict):
        holder["extra"] = old
    else:
        holder[key] = _near(old, rng)
    return value


def _near(old: Any, rng: Random) -> Any:
    """Return another value of the same type, or one that is easily taken for it."""
    if isinstance(old, bool) or old is None:
        return rng.choice((not old, "yes", "false", 1, 0))
    if isinstance(old, int | float):
        return rng.choice(
            (old + 1, old - 1, -old, old * 1000, max(-1e15, min(old, 1e15)) + 0.5, str(old), [old], 10**12 + 1)
        )
    if isinstance(old, str):
        return rng.choice(
            (old + "x", old[:-1], old.upper(), old + "\u0000", "\u2028" + old, old + "/../..", [old], old * 2)
        )
    return rng.choice((list(old), [old], None, str(old)))


def _json(data: bytes, rng: Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _lines(data, rng)
    raw: list[str] = []
    text = json.dumps(_changed(value, rng, raw), ensure_ascii=rng.random() < 0.5)
    for one in raw:
        text = text.replace(json.dumps(_MARK), one).replace(f'"{_MARK}"', one)
    if rng.random() < 0.1:  # a key twice
        text = re.sub(r'("(?:\w+)": )([^,{}\[\]]+)', r"\1\2, \1null", text, count=1)
    return text.encode("utf-8", "surrogatepass")


def _json_lines(data: bytes, rng: Random) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = _json(lines[at], rng)
    return b"\n".join(lines)


def _yaml(data: bytes, rng: Random) -> bytes:
    import yaml

    if rng.random() < 0.2:
        tag = rng.choice(_YAML)
        return data + tag if rng.random() < 0.5 else tag + data
    if b": &" in data:  # a bomb, as a tree, would fill the memory of this process
        return _lines(data, rng)
    try:
        value = yaml.safe_load(data)
    except Exception:  # PyYAML raises anything
        return _lines(data, rng)
    raw: list[str] = []
    text = yaml.safe_dump(_changed(value, rng, raw), allow_unicode=True, sort_keys=False)
    for one in raw:
        text = text.replace(_MARK, one if len(one) < 6000 else "[" * 3000).replace('"\\uE123"', one[:6000])
    return text.encode("utf-8", "replace")


def _parquet(data: bytes, rng: Random) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
        changed = _table(table, rng)
        out = io.BytesIO()
        pq.write_table(changed, out)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, OSError, KeyError, IndexError):
        return _bytes(data, rng)
    return out.getvalue()


def _table(table: Any, rng: Random) -> Any:
    import pyarrow as pa

    names = table.column_names
    at, kind = rng.randrange(len(names)), rng.randrange(8)
    if kind == 0:
        return table.drop_columns([names[at]])
    if kind == 1:
        new = [*names]
        new[at] = rng.choice((names[at] + "x", rng.choice(names), "", "text"))
        return table.rename_columns(new)
    if kind == 2:
        kinds = [pa.string(), pa.int64(), pa.float64(), pa.binary(), pa.large_string(), pa.int8(), pa.bool_(),
                 pa.null(), pa.dictionary(pa.int32(), pa.string()), pa.timestamp("s"), pa.decimal128(5, 2)]  # fmt: skip
        return table.set_column(at, names[at], table.column(at).cast(rng.choice(kinds)))
    if kind == 3:
        rows = list(range(table.num_rows))
        order: Sequence[int] = rng.choice(([], rows[:-1], rows + rows[-1:], rows[::-1], rows * 3))
        return table.take(pa.array(order, pa.int64()))
    values = table.column(at).to_pylist()
    if values:
        where = rng.randrange(len(values))
        values[where] = rng.choice(
            (None, _near(values[where], rng), rng.choice(_VALUES), values[rng.randrange(len(values))])
        )
    try:
        column = pa.array(values, type=table.schema.field(at).type)
    except (pa.ArrowException, TypeError, OverflowError):
        column = pa.array(values)
    return table.set_column(at, names[at], column)


def _safetensors(data: bytes, rng: Random) -> bytes:
    """Change the header, or the length that it declares."""
    if len(data) < 8 or rng.random() < 0.2:
        return _bytes(data, rng)
    length = struct.unpack("<Q", data[:8])[0]
    if rng.random() < 0.2:
        return (
            struct.pack("<Q", rng.choice((0, 1, length - 1, length + 1, 1 << 40, (1 << 64) - 1, 99_999_999))) + data[8:]
        )
    header = _json(data[8 : 8 + length], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


_TREES: dict[str, Callable[[bytes, Random], bytes]] = {
    "json": _json, "jsonl": _json_lines, "yaml": _yaml, "parquet": _parquet, "safetensors": _safetensors,
}  # fmt: skip

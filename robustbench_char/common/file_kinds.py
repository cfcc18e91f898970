"""What a file is that holds no text: told by its first bytes, whatever its name ends in."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

__all__ = ["OPENING", "FileKind", "kind_of", "special_kind"]

OPENING = 1024
"""How many bytes tell the kind of a file."""


class FileKind(NamedTuple):
    """What a file is, with its article, and what to do with it."""

    found: str
    fix: str


def _packed(name: str, command: str) -> FileKind:
    return FileKind(f"{name} file", f"Unpack it first, for example with `{command}`, and give the file that was in it.")


def _table(found: str) -> FileKind:
    return FileKind(found, "Save the table in the format of the task, as text, or as a .parquet table.")


_PARQUET = FileKind("a Parquet table", "Give the file the ending .parquet, by which such tables are known.")
_KINDS = {
    b"\x1f\x8b": _packed("a gzip", "gunzip -k FILE"),
    b"\x1f\x9d": _packed("a compress (.Z)", "gunzip -k FILE"),
    b"BZh": _packed("a bzip2", "bunzip2 -k FILE"),
    b"\xfd7zXZ\x00": _packed("an xz", "unxz -k FILE"),
    b"\x28\xb5\x2f\xfd": _packed("a Zstandard", "unzstd FILE"),
    b"\x04\x22\x4d\x18": _packed("an LZ4", "unlz4 FILE"),
    b"7z\xbc\xaf\x27\x1c": _packed("a 7-Zip", "7z x FILE"),
    b"Rar!\x1a\x07": _packed("a RAR", "unrar x FILE"),
    b"PAR1": _PARQUET,
    b"ARROW1": _table("an Arrow (Feather) table"),
    b"FEA1": _table("a Feather table"),
    b"\xff\xff\xff\xff": _table("an Arrow table, as `datasets` keeps them"),
    b"SQLite format 3\x00": _table("an SQLite database"),
    b"\x89HDF\r\n\x1a\n": _table("an HDF5 file"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": _table("a file of Excel or Word (.xls, .doc)"),
    b"\x93NUMPY": _table("a file of NumPy"),
    b"\x80\x04\x95": _table("a Python pickle"),
    b"%PDF-": FileKind("a PDF", "Give the data as text."),
    b"{\\rtf": FileKind("rich text (RTF)", "Save the file as plain text in UTF-8."),
    b"version https://git-lfs": FileKind("a pointer of Git LFS", "Fetch the file that it stands for: `git lfs pull`."),
}
_ZIP = _packed("a zip", "unzip FILE")
_PAGE = FileKind("an HTML page", "A download saved the web page and not the file; download the file itself.")
_MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def kind_of(opening: bytes) -> FileKind | None:
    """Return what a file is by its first bytes, or None where nothing speaks against UTF-8 text."""
    if opening.startswith(b"PK\x03\x04"):
        sheets = b"[Content_Types].xml" in opening or b"mimetypeapplication/vnd" in opening or b"_rels/" in opening
        return _table("an Excel workbook or another office file") if sheets else _ZIP
    if opening[257:262] == b"ustar":
        return _packed("a tar", "tar -xf FILE")
    text = opening.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return _PAGE
    if kind := next((kind for magic, kind in _KINDS.items() if opening.startswith(magic)), None):
        return kind
    code = next((code for mark, code in _MARKS.items() if opening.startswith(mark)), _wide(opening))
    fix = f"Save it as UTF-8 first, for example with `iconv -f {code} -t UTF-8 FILE > NEW`."
    return FileKind(f"text in {code}", fix) if code else None


def _wide(opening: bytes) -> str | None:
    """Return the encoding of text in UTF-16 or UTF-32 without a mark: the same bytes of each character are often 0."""
    zeros = [opening[at::4].count(0) for at in range(4)]
    little, quarter = zeros[1] + zeros[3] > zeros[0] + zeros[2], len(opening) // 4
    end = "LE" if little else "BE"
    if quarter and quarter == min(zeros[2:] if little else zeros[:2]):
        return f"UTF-32{end}"
    sides = sorted((zeros[0] + zeros[2], zeros[1] + zeros[3]))
    wide = len(opening) % 2 == 0 and not sides[0] and sides[1] >= max(4, quarter // 8)
    text = opening.decode(f"utf-16{end}", "ignore") if wide else ""
    return f"UTF-16{end}" if wide and all(one.isprintable() or one.isspace() for one in text) else None


def special_kind(path: Path) -> FileKind | None:
    """Return what stands at a path that is neither a file nor missing; None for these two."""
    if not path.exists():
        return FileKind("a link to nothing", "Make the link again.") if path.is_symlink() else None
    mode, copy = path.stat().st_mode, "Write what comes out of it into a file, and give that: data are read twice."
    if stat.S_ISDIR(mode):
        return FileKind("a folder", "")
    if stat.S_ISFIFO(mode):
        return FileKind("a pipe", copy)
    if stat.S_ISSOCK(mode):
        return FileKind("a socket", copy)
    return None if stat.S_ISREG(mode) else FileKind("a device", copy)

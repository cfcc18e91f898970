"""Lines of bytes, and the checks that every text file passes before it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from robustbench_char.common.errors import InputError
from robustbench_char.common.file_kinds import OPENING, kind_of
from robustbench_char.common.files import check_file

__all__ = ["BOM", "Line", "check_text_file", "not_utf8", "read_lines", "read_text"]

BOM = "\ufeff"


class Line(NamedTuple):
    """One line: its 1-based number, its text, and what ends it (`\\n`, `\\r\\n`, or nothing at the end of the file)."""

    number: int
    text: str
    end: str


def check_text_file(
    path: Path, *, option: str = "--input", holding: str = "at least one example", magic: bytes | None = None
) -> Path:
    """Return `path` if it is a file with data: UTF-8 text or, with `magic`, what begins with these bytes.

    Raises InputError where it is missing, empty, a saved web page, packed, a table, or text of another encoding.
    """
    with check_file(path, option=option, holding=holding).open("rb") as file:
        opening = file.read(OPENING)
    kind = None if magic and opening.startswith(magic) else kind_of(opening)
    if kind:
        expected = "a data file" + ("" if magic else ", text in UTF-8")
        raise InputError(path, found=kind.found, expected=expected, fix=kind.fix)
    return path


def read_lines(path: Path) -> Iterator[Line]:
    """Read a UTF-8 file line by line. Only a line feed ends a line, so that other line separators stay text.

    Raises InputError that names line and byte where the file is not UTF-8.
    """
    with _opened(path) as file:
        for number, text in enumerate(file, start=1):
            end = "" if text[-1] != "\n" else "\r\n" if text[-2:] == "\r\n" else "\n"
            yield Line(number, text[: len(text) - len(end)], end)


def read_text(path: Path, size: int = 1 << 20) -> Iterator[str]:
    """Read a UTF-8 file by `size` characters, and at its end none. Raises InputError as `read_lines` does."""
    with _opened(path) as file:
        while text := file.read(size):
            yield text
    yield ""


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with check_text_file(path).open(encoding="utf-8", newline="\n") as file:
            yield file
    except UnicodeDecodeError:
        raise _first_bad_byte(path) from None


def _first_bad_byte(path: Path) -> InputError:
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                return not_utf8(path, number, offset + error.start, raw[error.start])
            offset += len(raw)
    raise OSError(f"{path} changed while it was read")


def not_utf8(path: Path, line: int, offset: int, byte: int) -> InputError:
    """Return the error for a byte that is not UTF-8, at a 0-based offset in the file."""
    found = f"byte 0x{byte:02x} at offset {offset}, which is not UTF-8"
    return InputError(f"{path}:{line}", found=found, expected="UTF-8 text",
                      fix="Convert the file to UTF-8 first, for example with iconv.")  # fmt: skip

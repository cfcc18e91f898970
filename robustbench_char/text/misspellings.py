"""Lists of misspellings: a user's own file, and those that installed packages ship, read as data.

A list of a package is read where the package is installed, without importing it; none of it is in this repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.extras import package_folder
from robustbench_char.common.files import check_file
from robustbench_char.common.lines import BOM, Line, read_lines

__all__ = ["PACKAGED", "PackagedList", "misspellings_file", "read_misspellings"]

Pairs = Iterator[tuple[str, str]]
_COLUMNS = "two columns, misspelling TAB correct spelling"


def _codespell_line(line: Line, place: str) -> Pairs:
    """`wrong->right`, or `wrong->right, other, reason` where the reason behind the last comma is often empty."""
    wrong, _, rights = line.text.partition("->")
    listed, comma, _ = rights.rpartition(",")
    for right in (listed if comma else rights).split(","):
        yield wrong.strip(), right.strip()


def _nlpaug_line(line: Line, place: str) -> Pairs:
    """`right wrong wrong ...`, with `_` for a space."""
    right, *wrongs = line.text.split()
    for wrong in wrongs:
        yield wrong.replace("_", " "), right.replace("_", " ")


def _tsv_line(line: Line, place: str) -> Pairs:
    cells = tuple(cell.strip() for cell in line.text.removeprefix(BOM if line.number == 1 else "").split("\t"))
    where, fix = f"{place}:{line.number}", "Correct the line, or leave it out."
    if "\0" in line.text:
        raise InputError(where, found="a zero byte, as binary files have", expected="tab-separated text", fix=fix)
    if len(cells) != 2:
        columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        raise InputError(where, found=columns, expected=_COLUMNS, fix=fix)
    wrong, right = cells
    if not wrong or not right or wrong == right:
        found = "an empty column" if wrong != right or not wrong else f"{wrong!r} twice"
        raise InputError(where, found=found, expected="two spellings that differ", fix=fix)
    yield wrong, right


class PackagedList(NamedTuple):
    """A list that a package ships: its module and file, the licence that the list is under, how a line is read."""

    module: str
    file: str
    licence: str
    read: Callable[[Line, str], Pairs]


PACKAGED = {
    "codespell": PackagedList("codespell_lib", "data/dictionary.txt", "CC-BY-SA-3.0", _codespell_line),
    "nlpaug": PackagedList("nlpaug", "res/word/spelling/spelling_en.txt", "MIT", _nlpaug_line),
}
"""Lists by the name of the package (on PyPI) that brings them."""


def misspellings_file(source: str | Path, *, place: str = "--misspellings") -> Path:
    """Return the file of a list: that of an installed package by name, else a user's own by path.

    Raises InputError for a package that is not installed, or a file that is missing or empty.
    """
    if packaged := PACKAGED.get(str(source)):
        path = package_folder(packaged.module, place) / packaged.file
        return check_file(path, option=place, holding="a list of misspellings")
    if not Path(source).exists():
        expected = f"a file of {_COLUMNS}, or one of {', '.join(PACKAGED)}"
        fix = f"Check the path.{nearest(str(source), PACKAGED)}"
        raise InputError(place, found=f"no file {str(source)!r}", expected=expected, fix=fix)
    return check_file(Path(source), option=place, holding=_COLUMNS)


def read_misspellings(source: str | Path, *, place: str = "--misspellings") -> list[tuple[str, str]]:
    """Return the pairs (misspelling, correct spelling) of a list, in its order, each once; they may hold white space.

    `source` is `codespell` or `nlpaug`, or a path: UTF-8, misspelling TAB correct spelling on a line, blank lines
    ignored. Raises InputError that names the line for a file that is binary, not UTF-8, or has other columns, and for
    one that is missing, empty, or of a package that is not installed.

    >>> ("recieve", "receive") in read_misspellings("codespell")
    True
    """
    path = misspellings_file(source, place=place)
    packaged = PACKAGED.get(str(source))
    read = packaged.read if packaged else _tsv_line
    pairs = dict.fromkeys(pair for line in read_lines(path) if line.text.strip() for pair in read(line, str(path)))
    if not pairs:
        raise InputError(path, found="blank lines alone", expected=_COLUMNS, fix=f"Check the file given to {place}.")
    return [pair for pair in pairs if pair[0] != pair[1]]

"""Files with one token a line and its tags in columns beside it; sentences end at a blank line.

Shared by the CoNLL and the Penn Treebank format. Columns are separated by runs of spaces and tabs, which stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from robustbench_char.common.errors import InputError
from robustbench_char.tasks.base import Attacked
from robustbench_char.tasks.formats.lines import BOM, Line, Pairing, read_lines

__all__ = ["DOCSTART", "Sentence", "TokenRow", "read_sentences", "rewrite_tokens"]

DOCSTART = "-DOCSTART-"
_CELL = re.compile(r"[^ \t]+")


class TokenRow(NamedTuple):
    """One token: the number of its line, and the cells of that line."""

    line: int
    cells: list[str]


Sentence = list[TokenRow]


def read_sentences(path: Path, widths: Sequence[int]) -> Iterator[Sentence]:
    """Read the sentences of a file. `widths` are the allowed numbers of columns; a file keeps to its first line's.

    Raises InputError that names the line without a tag, or with another number of columns.
    """
    sentence: Sentence = []
    width, any_token = 0, False
    for line in read_lines(path):
        cells = _CELL.findall(line.text.removeprefix(BOM) if line.number == 1 else line.text)
        if cells and cells[0] != DOCSTART:
            width = width or _first_width(path, line, len(cells), widths)
            if len(cells) != width:
                raise _wrong_width(path, line, len(cells), f"{width} columns, as in the first line")
            sentence.append(TokenRow(line.number, cells))
        elif sentence:
            yield sentence
            sentence, any_token = [], True
    if sentence:
        yield sentence
    elif not any_token:
        raise InputError(path, found="no token", expected="at least one sentence",
                         fix="Check the file given to --input.")  # fmt: skip


def _first_width(path: Path, line: Line, width: int, widths: Sequence[int]) -> int:
    if width not in widths:
        raise _wrong_width(path, line, width, f"{' or '.join(map(str, widths))} columns")
    return width


def _wrong_width(path: Path, line: Line, width: int, expected: str) -> InputError:
    found = "a token without a tag" if width == 1 else f"{width} columns"
    return InputError(f"{path}:{line.number}", found=found, expected=expected + " (token and tags)",
                      fix="Correct the line; sentences are separated by blank lines.")  # fmt: skip


def rewrite_tokens(path: Path, out: BinaryIO, attacked: Iterable[Attacked], *, field: str) -> None:
    """Write the file with the attacked tokens in the first column; everything else stays byte for byte."""
    pairing, tokens, clean = Pairing(attacked), [], _Sentences()
    for line in read_lines(path):
        head = BOM if line.number == 1 and line.text.startswith(BOM) else ""
        body = line.text.removeprefix(head)
        if clean.starts_token(body):
            if clean.index == 0:
                tokens = list(pairing.take(clean.row).example.fields[field])
            match = _CELL.search(body)
            assert match is not None
            body = body[: match.start()] + _token(tokens, clean.index, match[0]) + body[match.end() :]
            clean.index += 1
        elif clean.index:
            clean.next_sentence(tokens)
        out.write((head + body + line.end).encode("utf-8"))
    pairing.finish()


class _Sentences:
    """Where we are in a file: the row of the sentence and the index of its next token."""

    def __init__(self) -> None:
        self.row, self.index = 0, 0

    def starts_token(self, text: str) -> bool:
        cells = _CELL.findall(text)
        return bool(cells) and cells[0] != DOCSTART

    def next_sentence(self, tokens: Sequence[str]) -> None:
        if len(tokens) != self.index:
            raise ValueError(f"row {self.row}: {len(tokens)} attacked tokens for {self.index}")
        self.row, self.index = self.row + 1, 0


def _token(tokens: Sequence[str], index: int, old: str) -> str:
    new = tokens[index] if index < len(tokens) else ""
    # A token may hold other white space than spaces and tabs (U+00A0); an attack must not bring any in.
    if not new or any(character.isspace() for character in set(new) - set(old)):
        raise ValueError(f"the attacked token {new!r} (for {old!r}) is empty or holds white space of its own")
    return new

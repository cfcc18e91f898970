"""Sentences of files with one token per line, as arrays: where the cells of each line stand in the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common.errors import InputError
from robustbench_char.common.lines import BOM
from robustbench_char.tasks import base
from robustbench_char.tasks.formats._tags import CLOSING, Scheme, is_marked
from robustbench_char.tasks.label_names import MARKS
from robustbench_char.text.columns import ranges, strings

__all__ = ["Cells", "Ints", "Layout", "read_cells"]

Ints = NDArray[np.int64]
DOCSTART = "-DOCSTART-"
_NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")
"""The ids of lines of CoNLL-U that hold no word: a token of several words, a word that is not in the text."""


@dataclass(frozen=True)
class Cells:
    """Whole sentences of a file: `n` tokens in `w` columns.

    `codes`: code points, among which they stand. `starts`, `ends`: (n, w), the cells. `lines`: the number of each
    token's line. `first`: the first token of each sentence, and `n`. `span`: what is theirs of the file. `token`: the
    column of the tokens.
    """

    codes: NDArray[np.uint32]
    starts: Ints
    ends: Ints
    lines: Ints
    first: Ints
    span: tuple[int, int]
    token: int = 0

    @property
    def gaps(self) -> tuple[Ints, Ints]:
        """Starts and lengths of what stands before, between and behind the tokens."""
        starts = np.concatenate([[self.span[0]], self.ends[:, self.token]])
        return starts, np.concatenate([self.starts[:, self.token], [self.span[1]]]) - starts

    def joined(self, columns: slice) -> list[str]:
        """Return the cells of each sentence in some columns, joined by single spaces."""
        starts, ends = self.starts[:, columns], self.ends[:, columns].ravel()
        lengths = ends - starts.ravel() + 1
        flat, behind = self.codes[ranges(starts.ravel(), lengths)], np.cumsum(lengths) - 1
        flat[behind] = ord(" ")
        flat[behind[self.first[1:] * starts.shape[1] - 1]] = ord("\n")
        return flat.tobytes().decode("utf-32-le").split("\n")[:-1]

    def distinct(self, column: int) -> tuple[list[str], Ints]:
        """Return the different cells of a column, and the number of each token's among them."""
        starts = self.starts[:, column]
        cells = strings(self.codes, starts, self.ends[:, column] - starts).dictionary_encode()
        return cells.dictionary.to_pylist(), cells.indices.to_numpy()

    def tags(self, column: int, marked: bool = False) -> tuple[list[str], NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the different tags, the first letter of each token's (0 where it is none), and where a tag does not go
        on with the entity before. With `marked`, ends of entities have marks of their own.
        """
        names, which = self.distinct(column)
        kind = np.array([ord(name[0]) if is_marked(name) else 0 for name in names], np.uint8)[which]
        kinds: dict[str, int] = {}
        entity = np.array([kinds.setdefault(name[1:], len(kinds)) for name in names])[which]
        alone = np.ones(len(which), np.bool_)
        ends = np.isin(kind, list(map(ord, CLOSING))) if marked else np.zeros(len(which), np.bool_)
        alone[1:] = (entity[1:] != entity[:-1]) | (kind[:-1] == ord("O")) | ends[:-1]
        alone[self.first[:-1]] = True
        return names, kind, alone

    def bio2(self, column: int, scheme: Scheme) -> list[str]:
        """Return the tags of each sentence, which are in that scheme, in BIO2, joined by single spaces."""
        _, kind, alone = self.tags(column)
        codes, starts = self.codes.copy(), self.starts[:, column]
        if scheme == "IOB1":
            codes[starts[alone & (kind == ord("I"))]] = ord("B")
        for mark, plain in MARKS.items() if scheme == "marked" else ():
            codes[starts[kind == ord(mark)]] = ord(plain)
        return replace(self, codes=codes).joined(slice(column, column + 1))


class Layout(NamedTuple):
    """What is known of a file before it is read.

    `widths` are the allowed numbers of columns, of which the first line has one that the file keeps to. `token` is the
    column of the tokens; lines of CoNLL-U that hold no word stand in files which number the words before it. `chosen`:
    the user named columns, which white space of any kind divides. `entities`: tags mark entities.
    """

    widths: Sequence[int]
    token: int = 0
    chosen: bool = False
    entities: bool = False


def read_cells(path: Path, pieces: Iterable[str], layout: Layout) -> Iterator[tuple[int, Cells]]:
    """Read the sentences of a file by the block, each with the number of its first one.

    `pieces` are its text, the last one empty. Raises InputError that names the line without a tag, with another number
    of columns, or with a cell that holds white space.
    """
    row, line, left, size = 0, 1, "", base.BLOCK
    for more in pieces:
        end = (left + more).rfind("\n") + 1 if more else len(left)
        text, left = (left + more)[:end], (left + more)[end:]
        cells = _cells(path, text, line, layout)
        count, start = len(cells.first) - 1, 0
        if count:
            layout = layout._replace(widths=cells.starts.shape[1:])
        for number in range(0, count - 1 if more else count, size):
            if more and number + size >= count:
                break  # what is left of the file may go on with the last sentence, and ends it
            part, end = slice(*cells.first[[number, min(number + size, count)]].tolist()), cells.span[1]
            if number + size < count:
                token = cells.first[number + size]
                end = text.rfind("\n", 0, cells.starts[token, 0]) + 1
                line = int(cells.lines[token])
            first = cells.first[number : number + size + 1] - part.start
            cut = cells.starts[part], cells.ends[part], cells.lines[part]
            yield row, Cells(cells.codes, *cut, first, (start, end), cells.token)
            row, start = row + len(first) - 1, end
        left = text[start:] + left
    if not row:
        raise InputError(path, found="no token", expected="at least one sentence",
                         fix="Check the file.")  # fmt: skip


def _cells(path: Path, text: str, line: int, layout: Layout) -> Cells:
    """Return the sentences of a text that begins with that line of a file."""
    codes = np.frombuffer((text + "\n").encode("utf-32-le"), np.uint32)
    feeds = codes == ord("\n")
    apart = feeds | (codes == ord(" ")) | (codes == ord("\t"))
    apart[:-1] |= (codes[:-1] == ord("\r")) & feeds[1:]
    apart[0] |= line == 1 and text.startswith(BOM)
    edges = np.flatnonzero(np.diff(apart, prepend=True))
    starts, ends = edges[::2], edges[1::2]
    lines = np.cumsum(feeds)[starts] + line
    heads = np.flatnonzero(np.diff(lines, prepend=0))
    rows = _Rows(text, codes, starts, ends, lines[heads], heads, np.diff(heads, append=len(lines)))
    width = rows.width(layout.widths)
    tokens, inner = rows.tokens(layout, width)
    if not layout.chosen:
        _check_tabs(path, rows, tokens)
    kept, lines = np.repeat(tokens, rows.counts), rows.lines[tokens]
    if len(wrong := np.flatnonzero(rows.counts[tokens] != width)):
        expected = _widths(layout.widths) if not wrong[0] and line == 1 else f"{width} columns, as in the first line"
        raise _wrong_width(path, rows, int(np.flatnonzero(tokens)[wrong[0]]), width, expected, layout)
    first = np.append(np.flatnonzero(np.diff(lines - np.cumsum(inner)[tokens], prepend=-1) != 1), len(lines))
    starts, ends = starts[kept].reshape(-1, width), ends[kept].reshape(-1, width)
    return Cells(codes, starts, ends, lines, first, (0, len(text)), layout.token)


class _Rows(NamedTuple):
    """The lines of a text that hold anything: their numbers, first cells and numbers of cells, and all cells."""

    text: str
    codes: NDArray[np.uint32]
    starts: Ints
    ends: Ints
    lines: Ints
    heads: Ints
    counts: Ints

    def cells(self, row: int) -> list[str]:
        part = range(self.heads[row], self.heads[row] + self.counts[row])
        return [self.text[self.starts[at] : self.ends[at]] for at in part]

    def line(self, row: int) -> str:
        """Return the line itself, from its beginning to its last cell."""
        last = self.ends[self.heads[row] + self.counts[row] - 1]
        return self.text[self.text.rfind("\n", 0, self.starts[self.heads[row]]) + 1 : last].removeprefix(BOM)

    def width(self, widths: Sequence[int]) -> int:
        """Return the number of columns: that of the first line which may be no comment, where it is allowed."""
        plain = self.codes[self.starts[self.heads]] != ord("#")
        for at in np.flatnonzero((self.ends - self.starts)[self.heads] == len(DOCSTART)).tolist():
            plain[at] &= self.cells(at)[0] != DOCSTART
        first = self.counts[plain][:1].tolist() or self.counts[:1].tolist()
        return first[0] if len(widths) > 1 and first and first[0] in widths else widths[0]

    def tokens(self, layout: Layout, width: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which lines hold a token, and which of the others stand inside of a sentence."""
        tokens, inner = np.ones(len(self.heads), np.bool_), np.zeros(len(self.heads), np.bool_)
        for at in np.flatnonzero((self.ends - self.starts)[self.heads] == len(DOCSTART)).tolist():
            tokens[at] = self.cells(at)[0] != DOCSTART
        for at in np.flatnonzero(self.codes[self.starts[self.heads]] == ord("#")).tolist():
            begins = not at or self.lines[at] != self.lines[at - 1] + 1 or not (tokens[at - 1] or inner[at - 1])
            tokens[at] = not (begins and self.line(at).startswith("#") and self._is_comment(at, layout, width))
        if layout.token:
            wordless = [at for at in range(len(self.heads)) if _NO_WORD.fullmatch(self.cells(at)[0])]
            tokens[wordless], inner[wordless] = False, True
        return tokens, inner

    def _is_comment(self, at: int, layout: Layout, width: int) -> bool:
        """Return whether a line with a # in front, where a sentence begins, is a comment: it is no row of the table."""
        cells, by_tabs = self.cells(at), "\t" in self.text and "\t" not in self.line(at)
        tagged = not layout.entities or any(map(is_marked, cells[1:]))
        return bool(layout.token) or len(cells) != width or by_tabs or not tagged


def _check_tabs(path: Path, rows: _Rows, tokens: NDArray[np.bool_]) -> None:
    """Refuse a cell with white space in a line with as many tabs as those have where tabs alone divide the columns.

    It would shift the columns behind it. Lines may mix tabs and spaces otherwise.
    """
    if "\t" not in rows.text or not len(rows.heads):
        return
    tabs = np.cumsum(rows.codes == ord("\t"))
    between = np.append(tabs[rows.starts[1:]] - tabs[rows.ends[:-1] - 1], 0)
    between[np.append(rows.heads[1:] - 1, len(between) - 1)] = 0  # from line to line
    many, gaps = np.add.reduceat(between, rows.heads), np.add.reduceat((between > 0).astype(np.int64), rows.heads)
    whole = tokens & (many == rows.counts - 1) & (gaps == many) & (many > 0)
    mixed = tokens & (gaps < rows.counts - 1) & (many == many[np.argmax(whole)])
    if mixed.any() and whole.any():
        at = int(np.argmax(mixed))
        cell = next(cell for cell in rows.line(at).split("\t") if " " in cell.strip())
        raise InputError(f"{path}:{rows.lines[at]}", found=f"white space inside of a cell ({cell.strip()!r})",
                         expected="cells of one word, as tabs divide the other lines",
                         fix="Join the words of the cell, or give each a line.")  # fmt: skip


def _widths(widths: Sequence[int]) -> str:
    return f"{' or '.join(map(str, widths))} columns" if len(widths) < 9 else f"at least {widths[0]} columns"


def _wrong_width(path: Path, rows: _Rows, at: int, width: int, expected: str, layout: Layout) -> InputError:
    line, count = rows.line(at), int(rows.counts[at])
    found = "a token without a tag" if count == 1 else f"{count} columns"
    if line[:1] in ("\t", " ") and count < width:
        found = "a tag without a token"
    elif line.startswith("#"):
        found = "a comment inside of a sentence"
    elif "\t\t" in line and count < width:
        found = "an empty cell (two tabs in a row)"
    fix = "Correct the line; sentences are separated by blank lines."
    if count > max(layout.widths) and len(layout.widths) > 1:
        fix = "Say where tokens and tags are, in columns counted from 0: `token_column=` and `tag_column=`."
    return InputError(f"{path}:{rows.lines[at]}", found=found, expected=expected + " (token and tags)", fix=fix)

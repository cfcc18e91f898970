"""CoNLL files: one token per line with its tags in columns, 2, 3 or 4 in all; `-DOCSTART-` and blank lines divide.

Columns are separated by runs of spaces and tabs, which stay. The tag column is the last one that holds entity tags, or
the one that the task's options name. Tags may be written in IOB1 (Ramshaw and Marcus 1995) or BIO2 (B- at the start of
every entity), which is detected for each file; examples always carry BIO2. The Penn Treebank's column files are read
and written here too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common.errors import InputError
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.lines import BOM, read_text
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.tasks import base
from robustbench_char.tasks.base import AttackedBlock, Block, ContentKeys, NativeFile, Task, json_records
from robustbench_char.text.columns import ranges, strings

__all__ = ["Conll"]

Scheme = Literal["BIO2", "IOB1"]
Ints = NDArray[np.int64]
_TAG = re.compile(r"O|[BI]-\S+")
_OTHER_SPACES = [char for char in map(chr, range(0x3001)) if char.isspace() and char != " "]
DOCSTART = "-DOCSTART-"
_CHUNKS = frozenset("NP VP PP ADVP ADJP SBAR PRT CONJP INTJ LST UCP".split())  # noqa: SIM905
"""The types of chunks (Tjong Kim Sang and Buchholz 2000), which are written as entities are."""


class ConllOptions(Frozen):
    """Where the tags are and what they are.

    `tag_column` counts from 0 (from the end where negative). `tags` are entities (`bio`) or taken as they are (`any`).
    `tag_names` names the tag ids of tables that do not name them themselves, in order.
    """

    tag_column: int | None = None
    tags: Literal["bio", "any"] = "bio"
    tag_names: tuple[str, ...] = ()


class TokenFile(NativeFile):
    """A file of one token per line, with its tags in columns."""

    widths: tuple[int, ...] = ()
    """The allowed numbers of columns."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path, self._field = path, task.fields[0]

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the file with the attacked tokens in the first column; everything else stays byte for byte."""
        for block in attacked:
            cells: Cells = block.block.native
            codes, starts, lengths = attacked_tokens(block, self._field)
            parts = np.zeros((2, 2 * len(starts) + 1), np.int64)  # what stands between tokens, and tokens, in turn
            parts[:, ::2], parts[:, 1::2] = cells.gaps, (starts + len(cells.codes), lengths)
            written = np.concatenate([cells.codes, codes])[ranges(*parts)]
            out.write(written.tobytes().decode("utf-32-le").encode("utf-8"))

    def _pieces(self) -> Iterator[str]:
        """Read the text of the file in pieces, the last of which is empty."""
        return read_text(self.path)

    def _blocks(self, tags: Callable[[Cells], Sequence[str]]) -> Iterator[Block]:
        keys = ContentKeys()
        for row, cells in read_cells(self.path, self._pieces(), self.widths):
            texts, labels = {self._field: cells.joined(slice(0, 1))}, tags(cells)
            records, width = json_records(texts, labels, tokens=True), cells.starts.shape[1]
            names = keys.keys(records, records if width == 2 else cells.joined(slice(None)))  # two tell the same
            rows = range(row, row + len(labels))
            yield Block.of_columns(rows, list(map(str, rows)), names, texts, labels, tokens=True, native=cells)


def attacked_tokens(block: AttackedBlock, field: str) -> tuple[NDArray[np.uint32], Ints, Ints]:
    """Return code points, starts and lengths of all tokens of a block after an attack.

    Raises ValueError if one was emptied, split or joined.
    """
    new, old = (" ".join([*texts[field], ""]) for texts in (block.texts, block.block.texts))
    codes = np.frombuffer(new.encode("utf-32-le"), np.uint32)
    ends = np.flatnonzero(codes == ord(" "))
    starts = np.append(0, ends[:-1] + 1)
    if len(ends) != old.count(" ") or (starts == ends).any() or any(space in new for space in _OTHER_SPACES):
        for token, before in zip_longest(new.split(" ")[:-1], old.split(" ")[:-1], fillvalue=""):
            # A token may hold other white space than spaces and tabs (U+00A0); an attack must not bring any in.
            if not token or not before or any(map(str.isspace, set(token) - set(before))):
                raise ValueError(
                    f"the attacked token {token!r} (for {before!r}) is empty or holds white space of its own"
                )
    return codes, starts, ends - starts


class Conll(TokenFile):
    """One CoNLL file. Streams, twice: once to find tag column and scheme, once to read."""

    widths = (2, 3, 4)

    def __init__(self, task: Task, path: Path) -> None:
        super().__init__(task, path)
        self._options = check_mapping(task.format_options, ConllOptions, place=f"task {task.name}: format_options")

    def blocks(self) -> Iterator[Block]:
        """Read the sentences. Raises InputError that names the line of a missing tag or an illegal sequence of tags."""
        iob1, column = self._options.tags == "bio" and self.scheme == "IOB1", self.tag_column
        yield from self._blocks(lambda cells: cells.bio2(column) if iob1 else cells.joined(slice(column, column + 1)))

    @property
    def scheme(self) -> Scheme:
        """The scheme that the tags of the file are written in."""
        return self._surveyed.survey.scheme

    @property
    def tag_column(self) -> int:
        """The 0-based number of the tag column."""
        return self._surveyed.column

    @cached_property
    def _surveyed(self) -> _Column:
        columns: list[_Column] = []
        for _, cells in read_cells(self.path, self._pieces(), self.widths):
            columns = columns or [_Column(at) for at in range(1, cells.starts.shape[1])]
            for column in columns:
                column.add(cells)
        chosen = self._choose(columns)
        if self._options.tags == "bio":
            chosen.check(self.path)
        return chosen

    def _choose(self, columns: list[_Column]) -> _Column:
        named = self._options.tag_column
        if named is None and self._options.tags == "any":
            named = -1
        if named is not None:
            at = named + len(columns) + 1 if named < 0 else named
            if not 1 <= at <= len(columns):
                raise InputError(self.path, found=f"{len(columns) + 1} columns", expected=f"a tag column {named}",
                                 fix="Correct `tag_column` of the task.")  # fmt: skip
            return columns[at - 1]
        # More than half and not all: one misspelt tag must not make the chunk column pass for the entities.
        entities = [column for column in columns if 2 * column.good > column.tokens]
        if not entities:
            raise InputError(self.path, found="no column of entity tags", expected="a column of O, B-x and I-x",
                             fix="Give a file with entity tags, or name the column (`tag_column`).")  # fmt: skip
        if len(entities) == 1 and entities[0].types and entities[0].types <= _CHUNKS:
            raise InputError(self.path, found=f"no column of entity tags (column {entities[0].column} holds chunks)",
                             expected="a column of O, B-x and I-x for entities",
                             fix=f"Give a file with entity tags; to take the chunks, name their column in the options "
                                 f"of a task of your own (`tag_column: {entities[0].column}`).")  # fmt: skip
        return entities[-1]


class _Column:
    """One column as surveyed: how many entity tags it holds, and what is wrong with them."""

    def __init__(self, column: int) -> None:
        self.column, self.tokens, self.good = column, 0, 0
        self.survey, self.types = Survey(), set[str]()
        self._wrong: tuple[int, str, str] | None = None

    def add(self, cells: Cells) -> None:
        names, kind, alone = cells.tags(self.column)
        self.tokens, self.good = self.tokens + len(kind), self.good + int((kind > 0).sum())
        self.types.update(tag[2:] for tag in names if tag != "O" and is_tag(tag))
        marks = kind == 0, alone & (kind == ord("I")), alone & (kind == ord("B"))
        bad, not_bio2, not_iob1 = (np.logical_or.reduceat(mark, cells.first[:-1]) for mark in marks)
        wrong = bad | (not_bio2 & not_iob1)
        if (not_bio2 & ~wrong).any():
            self.survey.scheme = "IOB1"
        if wrong.any() and not self._wrong:
            self._note_sentence(cells, int(np.argmax(wrong)))

    def _note_sentence(self, cells: Cells, number: int) -> None:
        """Note what is wrong in a sentence."""
        tags = cells.joined(slice(self.column, self.column + 1))[number].split(" ")
        lines = cells.lines[cells.first[number] :].tolist()
        if bad := [at for at, tag in enumerate(tags) if not is_tag(tag)]:
            self._note(lines[bad[0]], f"the tag {tags[bad[0]]!r}", "O, B-x or I-x")
        elif (at := Survey().add(tags)) is not None:
            found = f"the tag {tags[at]!r} after {tags[at - 1]!r}" if at else f"the tag {tags[at]!r}"
            self._note(lines[at], found + " in a sentence that is legal neither in IOB1 nor in BIO2",
                       "a legal sequence of tags")  # fmt: skip

    def _note(self, line: int, found: str, expected: str) -> None:
        self._wrong = self._wrong or (line, found, expected)

    def check(self, path: Path) -> None:
        """Raise InputError at the first line that is wrong."""
        if self._wrong:
            line, found, expected = self._wrong
            raise InputError(f"{path}:{line}", found=found, expected=expected, fix="Correct the tags of this sentence.")


@dataclass(frozen=True)
class Cells:
    """Whole sentences of a file: `n` tokens in `w` columns.

    `codes`: code points, among which they stand. `starts`, `ends`: (n, w), the cells. `lines`: the number of each
    token's line. `first`: the first token of each sentence, and `n`. `span`: what is theirs of the file.
    """

    codes: NDArray[np.uint32]
    starts: Ints
    ends: Ints
    lines: Ints
    first: Ints
    span: tuple[int, int]

    @property
    def gaps(self) -> tuple[Ints, Ints]:
        """Starts and lengths of what stands before, between and behind the tokens."""
        starts = np.concatenate([[self.span[0]], self.ends[:, 0]])
        return starts, np.concatenate([self.starts[:, 0], [self.span[1]]]) - starts

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

    def tags(self, column: int) -> tuple[list[str], NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the different tags, the first letter of each token's (0 where it is none), and where a tag does not go
        on with the entity before.
        """
        names, which = self.distinct(column)
        kind = np.array([ord(name[0]) if is_tag(name) else 0 for name in names], np.uint8)[which]
        kinds: dict[str, int] = {}
        entity = np.array([kinds.setdefault(name[1:], len(kinds)) for name in names])[which]
        alone = np.ones(len(which), np.bool_)
        alone[1:] = (entity[1:] != entity[:-1]) | (kind[:-1] == ord("O"))
        alone[self.first[:-1]] = True
        return names, kind, alone

    def bio2(self, column: int) -> list[str]:
        """Return the tags of each sentence, which are in IOB1, in BIO2, joined by single spaces."""
        _, kind, alone = self.tags(column)
        codes = self.codes.copy()
        codes[self.starts[alone & (kind == ord("I")), column]] = ord("B")
        return replace(self, codes=codes).joined(slice(column, column + 1))


def read_cells(path: Path, pieces: Iterable[str], widths: Sequence[int]) -> Iterator[tuple[int, Cells]]:
    """Read the sentences of a file by the block, each with the number of its first one.

    `pieces` are its text, the last one empty; `widths` are the allowed numbers of columns: a file keeps to its first
    line's. Raises InputError that names the line without a tag, or with another number of columns.
    """
    row, line, left, size = 0, 1, "", base.BLOCK
    for more in pieces:
        end = (left + more).rfind("\n") + 1 if more else len(left)
        text, left = (left + more)[:end], (left + more)[end:]
        cells = _cells(path, text, line, widths)
        count, start = len(cells.first) - 1, 0
        if count:
            widths = cells.starts.shape[1:]
        for number in range(0, count - 1 if more else count, size):
            if more and number + size >= count:
                break  # what is left of the file may go on with the last sentence, and ends it
            part, end = slice(*cells.first[[number, min(number + size, count)]].tolist()), cells.span[1]
            if number + size < count:
                token = cells.first[number + size]
                end = text.rfind("\n", 0, cells.starts[token, 0]) + 1
                line = int(cells.lines[token])
            first = cells.first[number : number + size + 1] - part.start
            yield row, Cells(cells.codes, cells.starts[part], cells.ends[part], cells.lines[part], first, (start, end))
            row, start = row + len(first) - 1, end
        left = text[start:] + left
    if not row:
        raise InputError(path, found="no token", expected="at least one sentence",
                         fix="Check the file.")  # fmt: skip


def _cells(path: Path, text: str, line: int, widths: Sequence[int]) -> Cells:
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
    counts = np.diff(heads, append=len(lines))
    tokens = np.ones(len(heads), np.bool_)
    for at in np.flatnonzero((ends - starts)[heads] == len(DOCSTART)).tolist():
        tokens[at] = text[starts[heads[at]] : ends[heads[at]]] != DOCSTART
    kept, counts, lines = np.repeat(tokens, counts), counts[tokens], lines[heads[tokens]]
    width = counts[0] if len(widths) > 1 and len(counts) and counts[0] in widths else widths[0]
    if len(wrong := np.flatnonzero(counts != width)):
        expected = (
            f"{width} columns, as in the first line"
            if wrong[0] or line > 1
            else (f"{' or '.join(map(str, widths))} columns")
        )
        raise _wrong_width(path, int(lines[wrong[0]]), int(counts[wrong[0]]), expected)
    first = np.append(np.flatnonzero(np.diff(lines, prepend=-1) != 1), len(lines))
    return Cells(codes, starts[kept].reshape(-1, width), ends[kept].reshape(-1, width), lines, first, (0, len(text)))


def _wrong_width(path: Path, line: int, width: int, expected: str) -> InputError:
    found = "a token without a tag" if width == 1 else f"{width} columns"
    return InputError(f"{path}:{line}", found=found, expected=expected + " (token and tags)",
                      fix="Correct the line; sentences are separated by blank lines.")  # fmt: skip


def is_tag(value: str) -> bool:
    """Return whether a value is O, B-x or I-x."""
    return _TAG.fullmatch(value) is not None


def to_bio2(tags: Sequence[str], scheme: Scheme) -> tuple[str, ...]:
    """Return the tags of one sentence in BIO2, given the scheme they are written in."""
    if scheme == "BIO2":
        return tuple(tags)
    before = ["O", *tags]
    return tuple("B-" + tag[2:] if tag[0] == "I" and before[at][1:] != tag[1:] else tag for at, tag in enumerate(tags))


class Survey:
    """Detects the scheme of a file, sentence by sentence. BIO2 where both would do."""

    def __init__(self) -> None:
        self.scheme: Scheme = "BIO2"

    def add(self, tags: Iterable[str]) -> int | None:
        """Take in one sentence; return the index of the tag at which it has become illegal in both schemes, or None."""
        legal = {"BIO2", "IOB1"}
        before = "O"
        for at, tag in enumerate(tags):
            continues = before[1:] == tag[1:] and before != "O"
            if tag[0] == "I" and not continues:
                legal.discard("BIO2")
            if tag[0] == "B" and not continues:
                legal.discard("IOB1")
            if not legal:
                return at
            before = tag
        if "BIO2" not in legal:
            self.scheme = "IOB1"
        return None

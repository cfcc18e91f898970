"""CoNLL files: one token per line with its tags in columns, 2, 3 or 4 in all; `-DOCSTART-` and blank lines divide.

Columns are separated by runs of spaces and tabs, which stay, as do comments before a sentence. Tokens stand in the
first column, and tags in the one that holds entity tags (of chunks and entities, the latter); files of other layouts
and with several columns of entities are refused until the options say which columns they are. What was chosen of more
than two columns, or by an option, is logged. Tags may be written in IOB1 (Ramshaw and Marcus 1995) or BIO2 (B- at the
start of every entity), which is detected for each file, or, with the option `convert_tags`, in schemes with marks for
ends; examples always carry BIO2. The Penn Treebank's column files are read and written here too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common.errors import InputError
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.lines import read_text
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.tasks.base import AttackedBlock, Block, ContentKeys, NativeFile, Task, json_records
from robustbench_char.tasks.formats._cells import Cells, Ints, Layout, read_cells
from robustbench_char.tasks.formats._tags import ENDS, Scheme, is_marked, is_tag, wrong_mark
from robustbench_char.text.columns import ranges

__all__ = ["Conll"]

_LOG = logging.getLogger(__name__)
_OURS = Path(__file__).resolve().parents[1] / "mini"
"""Data of the package, whose columns need no word."""
_OTHER_SPACES = [char for char in map(chr, range(0x3001)) if char.isspace() and char != " "]
_CHUNKS = frozenset("NP VP PP ADVP ADJP SBAR PRT CONJP INTJ LST UCP".split())  # noqa: SIM905
"""The types of chunks (Tjong Kim Sang and Buchholz 2000), which are written as entities are."""


class ConllOptions(Frozen):
    """Where the tags are and what they are.

    `token_column` and `tag_column` count from 0 (from the end where negative). `tags` are entities (`bio`) or taken as
    they are (`any`). `convert_tags`: entities may also be marked as in IOBES, BILOU or BMEWO. `tag_names` names the tag
    ids of tables that do not name them themselves, in order.
    """

    token_column: int | None = None
    tag_column: int | None = None
    convert_tags: bool = False
    tags: Literal["bio", "any"] = "bio"
    tag_names: tuple[str, ...] = ()


class TokenFile(NativeFile):
    """A file of one token per line, with its tags in columns."""

    layout: Layout
    """What is known of its columns."""

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
        for row, cells in read_cells(self.path, self._pieces(), self.layout):
            texts, labels = {self._field: cells.joined(slice(cells.token, cells.token + 1))}, tags(cells)
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

    def __init__(self, task: Task, path: Path) -> None:
        super().__init__(task, path)
        self._options = check_mapping(task.format_options, ConllOptions, place=f"task {task.name}: format_options")
        if self._options.convert_tags and self._options.tags == "any":
            raise InputError(f"task {task.name}: format_options.convert_tags", found="true with tags: any",
                             expected="tags: bio, which mark entities", fix="Leave out one of them.")  # fmt: skip

    def blocks(self) -> Iterator[Block]:
        """Read the sentences. Raises InputError that names the line of a missing tag or an illegal sequence of tags."""
        scheme, column = self.scheme if self._options.tags == "bio" else "BIO2", self.tag_column
        yield from self._blocks(
            lambda cells: cells.joined(slice(column, column + 1)) if scheme == "BIO2" else cells.bio2(column, scheme)
        )

    @cached_property
    def layout(self) -> Layout:  # type: ignore[override]
        """Where the tokens are. Raises InputError for a column that the first line lacks."""
        options = self._options
        chosen = options.token_column is not None or options.tag_column is not None
        plain = Layout((2, 3, 4), entities=options.tags == "bio")
        if not chosen:
            return plain
        wide = plain._replace(widths=range(2, 1 << 20), chosen=True)
        token = options.token_column or 0
        if token < 0:
            _, cells = next(read_cells(self.path, self._pieces(), wide))
            token = self._at("token_column", token, cells.starts.shape[1])
        return wide._replace(token=token)

    @property
    def scheme(self) -> Scheme:
        """The scheme that the tags of the file are written in."""
        return self._surveyed.scheme

    @property
    def tag_column(self) -> int:
        """The 0-based number of the tag column."""
        return self._surveyed.column

    @cached_property
    def _surveyed(self) -> _Column:
        columns: list[_Column] = []
        numbered, tokens = True, list[str]()
        for _, cells in read_cells(self.path, self._pieces(), self.layout):
            width = cells.starts.shape[1]
            self._at("token_column", cells.token, width)
            columns = columns or [_Column(at, self._options.convert_tags) for at in range(width)]
            for column in columns[: cells.token] + columns[cells.token + 1 :]:
                column.add(cells)
            names, _ = cells.distinct(cells.token)
            numbered = numbered and all(any(map(str.isdecimal, name)) for name in names)
            tokens = tokens or names[:3]
        numbered = numbered and len(columns) > 2 and self._options.token_column is None
        if numbered and (columns[1].tokens > 1 or tokens[0] in ("0", "1")):  # another number alone may be a word
            raise InputError(self.path, found=f"numbers in the first column ({', '.join(tokens)})", expected="words",
                             fix="Say which column holds the words, from 0: `token_column=` 1 for the second; 0 if the "
                                 "words are these.")  # fmt: skip
        chosen = self._choose(columns)
        if self._options.tags == "bio":
            chosen.check(self.path)
        if (len(columns) > 2 or self.layout.chosen) and not self.path.is_relative_to(_OURS):
            told = "%s: words are read from column %d and tags from column %d of %d, counted from 0"
            _LOG.info(told, self.path.name, self.layout.token, chosen.column, len(columns))
        return chosen

    def _at(self, option: str, named: int, width: int) -> int:
        """Return the number of a named column, from the left. Raises InputError where the file has none."""
        at = named + width if named < 0 else named
        if not 0 <= at < width or (option == "tag_column" and at == self.layout.token):
            what = option.replace("_", " ")
            found = f"{width} columns" + ("" if not 0 <= at < width else f", tokens in column {at}")
            raise InputError(self.path, found=found, expected=f"a {what} {named}",
                             fix=f"Correct `{option}=`, or `{option}` of the task; columns count from 0.")  # fmt: skip
        return at

    def _choose(self, columns: list[_Column]) -> _Column:
        named = self._options.tag_column
        if named is None and self._options.tags == "any":
            named = -1 if self.layout.token != len(columns) - 1 else -2
        if named is not None:
            return columns[self._at("tag_column", named, len(columns))]
        # More than half and not all: one misspelt tag must not make the chunk column pass for the entities.
        entities = [column for column in columns if 2 * column.good > column.tokens > 0]
        if not entities:
            raise InputError(self.path, found="no column of entity tags", expected="a column of O, B-x and I-x",
                             fix="Give a file with entity tags, or name the column (`tag_column=`).")  # fmt: skip
        if len(entities) == 1 and entities[0].chunks:
            raise InputError(self.path, found=f"no column of entity tags (column {entities[0].column} holds chunks)",
                             expected="a column of O, B-x and I-x for entities",
                             fix=f"Give a file with entity tags; to take the chunks, name their column "
                                 f"(`tag_column=` {entities[0].column}).")  # fmt: skip
        entities = [column for column in entities if not column.chunks] or entities
        if not any(column.tagged for column in entities[:-1]) or entities[-1].tagged:
            entities = [column for column in entities if column.tagged] or entities[-1:]  # O alone: no names, no chunks
        if len(entities) > 1:
            places = " and ".join(str(column.column) for column in entities)
            raise InputError(self.path, found=f"entity tags in the columns {places}", expected="one column of them",
                             fix="Say which holds the gold tags, from 0: `tag_column=`.")  # fmt: skip
        return entities[0]


class _Column:
    """One column as surveyed: how many entity tags it holds, and what is wrong with them.

    With `convert`, a file that has marks for ends of entities is read by them.
    """

    def __init__(self, column: int, convert: bool) -> None:
        self.column, self.tokens, self.good, self._convert = column, 0, 0, convert
        self._types, self._iob1, self._bio2 = dict[str, int](), 0, 0
        self._wrong: list[tuple[list[str], Ints] | None] = [None, None]  # by schemes without and with marks for ends
        self._ends = False

    @property
    def tagged(self) -> bool:
        """Whether there are other tags than O."""
        return bool(self._types)

    @property
    def chunks(self) -> bool:
        """Whether most of what is tagged are chunks."""
        return 2 * sum(many for kind, many in self._types.items() if kind in _CHUNKS) > sum(self._types.values())

    @property
    def scheme(self) -> Scheme:
        """The scheme of the tags."""
        return "marked" if self._convert and self._ends else "IOB1" if self._iob1 else "BIO2"

    def add(self, cells: Cells) -> None:
        names, kind, alone = cells.tags(self.column)
        self.tokens, self.good = self.tokens + len(kind), self.good + int((kind > 0).sum())
        for name in names:
            if name != "O" and is_marked(name):
                self._types[name[2:]] = self._types.get(name[2:], 0) + 1
        ends = np.isin(kind, list(map(ord, ENDS)))
        self._ends |= bool(ends.any())
        marks = (kind == 0) | ends, alone & (kind == ord("I")), alone & (kind == ord("B"))
        bad, not_bio2, not_iob1 = (np.logical_or.reduceat(mark, cells.first[:-1]) for mark in marks)
        self._iob1 += int((not_bio2 & ~not_iob1 & ~bad).sum())
        self._bio2 += int((not_iob1 & ~not_bio2 & ~bad).sum())
        self._note(0, cells, bad | (not_bio2 & not_iob1))
        if self._convert:
            _, _, after = cells.tags(self.column, marked=True)
            orphan = after & np.isin(kind, list(map(ord, "IEML")))
            self._note(1, cells, np.logical_or.reduceat((kind == 0) | orphan, cells.first[:-1]))

    def _note(self, which: int, cells: Cells, wrong: NDArray[np.bool_]) -> None:
        """Note the first sentence that is wrong."""
        if wrong.any() and not self._wrong[which]:
            number = int(np.argmax(wrong))
            tags = cells.joined(slice(self.column, self.column + 1))[number].split(" ")
            self._wrong[which] = tags, cells.lines[slice(*cells.first[number : number + 2].tolist())]

    def check(self, path: Path) -> None:
        """Raise InputError at the first line that is wrong."""
        if wrong := self._wrong[self.scheme == "marked"]:
            tags, lines = wrong
            at, found, expected, fix = self._told(tags, lines.tolist())
            raise InputError(f"{path}:{lines[at]}", found=found, expected=expected, fix=fix)

    def _told(self, tags: Sequence[str], lines: Sequence[int]) -> tuple[int, str, str, str]:
        """Return the tag of a wrong sentence that is to blame, what was found and expected, and what to do."""
        fix = "Correct the tags of this sentence."
        known = is_marked if self._convert else is_tag
        if bad := [at for at, tag in enumerate(tags) if not known(tag)]:
            if is_marked(tags[bad[0]]):
                fix = "To read IOBES, BILOU and BMEWO as BIO2, add `convert_tags=`; the file keeps its tags."
            return bad[0], f"the tag {tags[bad[0]]!r}", "O, B-x or I-x", fix
        if self.scheme == "marked":
            at = wrong_mark(tags) or 0
            return at, f"{_after(tags, at)}, which begins no entity", "a tag that begins one (B-, S-, U- or W-)", fix
        inner, begins = illegal(tags)
        at, other = (begins, inner) if self._iob1 > self._bio2 else (inner, begins)
        expected = ("I" if at == begins else "B") + tags[at][1:]
        told = f"{_after(tags, at)} in a sentence that is legal neither in IOB1 nor in BIO2"
        return at, told, f"{expected}, as line {lines[other]} begins an entity by {tags[other]!r}", fix


def illegal(tags: Sequence[str]) -> tuple[int, int]:
    """Return the first tag of a sentence that is illegal in BIO2 (an I- that goes on with nothing), and in IOB1."""
    before = ["O", *tags]
    alone = [at for at, tag in enumerate(tags) if tag != "O" and before[at][1:] != tag[1:]]
    inner, begins = (next(at for at in alone if tags[at][0] == mark) for mark in "IB")
    return inner, begins


def _after(tags: Sequence[str], at: int) -> str:
    return f"the tag {tags[at]!r}" + (f" after {tags[at - 1]!r}" if at else "")

"""CoNLL files: one token per line with its tags in columns, 2, 3 or 4 in all; `-DOCSTART-` and blank lines divide.

Columns are separated by runs of spaces and tabs, which stay. The tag column is the last one that holds entity tags, or
the one that the task's options name. Tags may be written in IOB1 (Ramshaw and Marcus 1995) or BIO2 (B- at the start of
every entity), which is detected for each file; examples always carry BIO2. The Penn Treebank's column files are read
and written here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from robustbench_char.common.errors import InputError
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.lines import BOM, Line, read_lines
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.tasks.base import AttackedBlock, ContentKeys, Example, NativeFile, Task
from robustbench_char.tasks.formats._pairing import Pairing

__all__ = ["Conll"]

Scheme = Literal["BIO2", "IOB1"]
_TAG = re.compile(r"O|[BI]-\S+")
DOCSTART = "-DOCSTART-"
_CELL = re.compile(r"[^ \t]+")
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

    def __init__(self, task: Task, path: Path) -> None:
        self.path, self._field = path, task.fields[0]

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the file with the attacked tokens in the first column; everything else stays byte for byte."""
        pairing, row, index = Pairing.of(attacked), 0, 0
        tokens: Sequence[str] = ()
        for line in read_lines(self.path):
            head = BOM if line.number == 1 and line.text.startswith(BOM) else ""
            body = line.text.removeprefix(head)
            match = _CELL.search(body)
            if match and match[0] != DOCSTART:
                tokens = tokens if index else pairing.take(row).example.fields[self._field]
                body = body[: match.start()] + _token(tokens, index, match[0]) + body[match.end() :]
                index += 1
            elif index:
                if len(tokens) != index:
                    raise ValueError(f"row {row}: {len(tokens)} attacked tokens for {index}")
                row, index = row + 1, 0
            out.write((head + body + line.end).encode("utf-8"))
        pairing.finish()


def tagged_example(
    row: int, field: str, cells: Sequence[Sequence[str]], label: tuple[str, ...], keys: ContentKeys
) -> Example:
    """Return a sentence as an example; `cells` are the columns of each token, the token first."""
    fields: dict[str, str | tuple[str, ...]] = {field: tuple(token for token, *_ in cells)}
    native = "\n".join(map("\t".join, cells))
    return Example(row, str(row), keys.key(fields, label, native), fields, label)


class Conll(TokenFile):
    """One CoNLL file. Streams, twice: once to find tag column and scheme, once to read."""

    def __init__(self, task: Task, path: Path) -> None:
        super().__init__(task, path)
        self._options = check_mapping(task.format_options, ConllOptions, place=f"task {task.name}: format_options")

    def examples(self) -> Iterator[Example]:
        """Read the sentences. Raises InputError that names the line of a missing tag or an illegal sequence of tags."""
        keys, column = ContentKeys(), self.tag_column
        for row, sentence in enumerate(read_sentences(self.path, (2, 3, 4))):
            tags = tuple(token.cells[column] for token in sentence)
            label = to_bio2(tags, self.scheme) if self._options.tags == "bio" else tags
            yield tagged_example(row, self._field, [token.cells for token in sentence], label, keys)

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
        for sentence in read_sentences(self.path, (2, 3, 4)):
            columns = columns or [_Column(at) for at in range(1, len(sentence[0].cells))]
            for column in columns:
                column.add(sentence)
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

    def add(self, sentence: Sentence) -> None:
        tags = [token.cells[self.column] for token in sentence]
        bad = [at for at, tag in enumerate(tags) if not is_tag(tag)]
        self.types.update(tag[2:] for tag in tags if tag != "O" and is_tag(tag))
        self.tokens, self.good = self.tokens + len(tags), self.good + len(tags) - len(bad)
        if bad:
            self._note(sentence[bad[0]].line, f"the tag {tags[bad[0]]!r}", "O, B-x or I-x")
        elif (at := self.survey.add(tags)) is not None:
            found = f"the tag {tags[at]!r} after {tags[at - 1]!r}" if at else f"the tag {tags[at]!r}"
            self._note(sentence[at].line, found + " in a sentence that is legal neither in IOB1 nor in BIO2",
                       "a legal sequence of tags")  # fmt: skip

    def _note(self, line: int, found: str, expected: str) -> None:
        self._wrong = self._wrong or (line, found, expected)

    def check(self, path: Path) -> None:
        """Raise InputError at the first line that is wrong."""
        if self._wrong:
            line, found, expected = self._wrong
            raise InputError(f"{path}:{line}", found=found, expected=expected, fix="Correct the tags of this sentence.")


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
            if not width and len(cells) not in widths:
                raise _wrong_width(path, line, len(cells), f"{' or '.join(map(str, widths))} columns")
            width = width or len(cells)
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
                         fix="Check the file.")  # fmt: skip


def _wrong_width(path: Path, line: Line, width: int, expected: str) -> InputError:
    found = "a token without a tag" if width == 1 else f"{width} columns"
    return InputError(f"{path}:{line.number}", found=found, expected=expected + " (token and tags)",
                      fix="Correct the line; sentences are separated by blank lines.")  # fmt: skip


def _token(tokens: Sequence[str], index: int, old: str) -> str:
    new = tokens[index] if index < len(tokens) else ""
    # A token may hold other white space than spaces and tabs (U+00A0); an attack must not bring any in.
    if not new or any(character.isspace() for character in set(new) - set(old)):
        raise ValueError(f"the attacked token {new!r} (for {old!r}) is empty or holds white space of its own")
    return new


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

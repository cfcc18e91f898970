"""CoNLL files: a token and its tags a line, in 2, 3 or 4 columns; `-DOCSTART-` lines and blank lines divide.

The tag column is the last one that holds entity tags, or the one that the task's options name. Tags may be written in
IOB1 or BIO2, which is found out for each file; examples always carry BIO2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

from robustbench_char.common.errors import InputError
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.tasks.base import Attacked, ContentKeys, Example, Task
from robustbench_char.tasks.formats.bio import Scheme, Survey, is_tag, to_bio2
from robustbench_char.tasks.formats.columns import Sentence, read_sentences, rewrite_tokens

__all__ = ["Conll", "ConllOptions", "Scheme", "to_bio2"]

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


class Conll:
    """One CoNLL file. Streams, twice: once to find tag column and scheme, once to read."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path = path
        self._field = task.fields[0]
        self._options = check_mapping(task.format_options, ConllOptions, place=f"task {task.name}: format_options")

    def examples(self) -> Iterator[Example]:
        """Read the sentences. Raises InputError that names the line of a missing tag or an illegal sequence of tags."""
        keys, column = ContentKeys(), self.tag_column
        for row, sentence in enumerate(read_sentences(self.path, (2, 3, 4))):
            fields: dict[str, str | tuple[str, ...]] = {self._field: tuple(token.cells[0] for token in sentence)}
            tags = tuple(token.cells[column] for token in sentence)
            label = to_bio2(tags, self.scheme) if self._options.tags == "bio" else tags
            native = "\n".join("\t".join(token.cells) for token in sentence)
            yield Example(row, str(row), keys.key(fields, label, native), fields, label)

    def rewrite(self, out: BinaryIO, attacked: Iterable[Attacked]) -> None:
        """Write the file with the attacked tokens in the first column; everything else stays byte for byte."""
        rewrite_tokens(self.path, out, attacked, field=self._field)

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        """Return None: a token is spelled as it is."""
        return None

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
        found = [column for column in columns if 2 * column.good > column.tokens]
        if not found:
            raise InputError(self.path, found="no column of entity tags", expected="a column of O, B-x and I-x",
                             fix="Give a file with entity tags, or name the column (`tag_column`).")  # fmt: skip
        if len(found) == 1 and found[0].types and found[0].types <= _CHUNKS:
            raise InputError(self.path, found=f"no column of entity tags (column {found[0].column} holds chunks)",
                             expected="a column of O, B-x and I-x for entities",
                             fix=f"Give a file with entity tags; to take the chunks, name their column in the options "
                                 f"of a task of your own (`tag_column: {found[0].column}`).")  # fmt: skip
        return found[-1]


class _Column:
    """What the survey of a file learns of one column: how many entity tags it holds, and what is wrong with them."""

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

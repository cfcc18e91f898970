"""JSON whose literals are replaced one by one, so that all other bytes stay; and JSON Lines in the layout of the hub.

Values are `Node`s: `text[node.start : node.end]` is the literal, quotes included.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from json.encoder import encode_basestring, encode_basestring_ascii
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from robustbench_char.common.errors import InputError
from robustbench_char.common.lines import BOM, check_text_file, read_lines
from robustbench_char.tasks.base import Answer, Attacked, AttackedBlock, Example, NativeFile, Task
from robustbench_char.tasks.formats._rows import RowReader, answer_columns, column_of
from robustbench_char.text.edits import Edit, apply_edits, in_order

__all__ = ["JsonLines"]

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_ATOM = re.compile(r"[ \t\n\r:,]*(-?[0-9][-+.0-9eE]*|true|false|null)")
_ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.")
_BLANK = " \t\n\r\v\f"  # white space of ASCII
_HALVES = re.compile(r"\\u[dD][89a-fA-F]")


class JsonLines(NativeFile):
    """One JSON Lines file. Streams, with 8 bytes per row kept to find its line again; blank lines stay as they are."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path, self._task = path, task

    def examples(self) -> Iterator[Example]:
        """Read the rows. Raises InputError that names line and column of what is wrong."""
        yield from RowReader(self._task, {}).examples(self._rows())

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the file with edits made inside its literals, and with starts and texts of the answers replaced."""
        items = chain.from_iterable(block.items for block in attacked)
        for line in read_lines(self.path):
            head = BOM if line.text.startswith(BOM) else ""
            text = line.text.removeprefix(head)
            if not text.strip(_BLANK):
                out.write((line.text + line.end).encode("utf-8"))
                continue
            node = parse(text, self.path, first_line=line.number)
            edits = in_order(_Row(self._task, JsonText(text, self._ascii_only), node.value).edits(next(items)))
            out.write((head + apply_edits(text, edits) + line.end).encode("utf-8"))

    def escaped(self, row: int, field: str) -> bool:
        """Return whether there are escapes anywhere in the file."""
        return self._escapes

    def spells_freely(self) -> bool:
        """Return whether there are escapes anywhere in the file."""
        return self._escapes

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        """Return how a slice of a text is spelled in the file where that differs (JSON escapes), else None."""
        text = self._line(example.row)
        node, offset = parse(text, self.path).value[column_of(self._task, field)], 0
        if isinstance(node.value, list):
            node, offset = _token_at(node.value, start)
        start, end = start - offset, end - offset
        return source_of(text, node, start, end)

    def _rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for line in read_lines(self.path):
            text = line.text.removeprefix(BOM)
            if not text.strip(_BLANK):
                continue
            place = f"{self.path}:{line.number}"
            try:
                row = json.loads(text)
                if _HALVES.search(text):  # `json` lets lone surrogates pass
                    parse(text, self.path, first_line=line.number)
            except (ValueError, RecursionError):
                row = parse(text, self.path, first_line=line.number).value  # says in our words what is wrong
            if not isinstance(row, dict):
                raise InputError(place, found="a line that is not a JSON object", expected="one JSON object per line",
                                 fix="Check that this is a JSON Lines file.")  # fmt: skip
            yield place, row

    @cached_property
    def _ascii_only(self) -> bool:
        with check_text_file(self.path).open("rb") as file:
            return all(line.removeprefix(BOM.encode()).isascii() for line in file)

    @cached_property
    def _escapes(self) -> bool:
        with self.path.open("rb") as file:
            return any(b"\\" in line for line in file)

    @cached_property
    def _offsets(self) -> array[int]:
        offsets, at = array("Q"), 0
        with self.path.open("rb") as file:
            for line in file:
                if line.removeprefix(BOM.encode()).strip():
                    offsets.append(at)
                at += len(line)
        return offsets

    def _line(self, row: int) -> str:
        with self.path.open("rb") as file:
            file.seek(self._offsets[row])
            return file.readline().decode("utf-8").removeprefix(BOM)


class _Row(NamedTuple):
    """One line on its way out."""

    task: Task
    file: JsonText
    columns: Mapping[str, Node]

    def edits(self, item: Attacked) -> Iterator[Edit]:
        """Yield the edits of the line, in any order."""
        for name in self.task.fields:
            node = self.columns[column_of(self.task, name)]
            if isinstance(node.value, list):
                yield from self._tokens(node.value, item.edits.get(name, ()), item.example.fields[name])
            else:
                yield self.file.edited(node, item, name)
        for part, column in answer_columns(self.task).items():
            if column in self.columns and self.columns[column].value is not None:
                yield from self._answers(item, self.columns[column].value, getattr(item.example, part))

    def _tokens(self, nodes: Sequence[Node], edits: Sequence[Edit], new: Sequence[str]) -> Iterator[Edit]:
        local: dict[int, list[Edit]] = {}
        for edit in edits:
            node, offset = _token_at(nodes, edit.start)
            local.setdefault(node.start, []).append(edit._replace(start=edit.start - offset))
        for node, token in zip(nodes, new, strict=True):
            yield self.file.edited_string(node, local.get(node.start, ()), token)

    def _answers(self, item: Attacked, value: Mapping[str, Node], new: Sequence[Answer]) -> Iterator[Edit]:
        context = self.file.edited(self.columns[column_of(self.task, "context")], item, "context")
        for start, text, answer in zip(value["answer_start"].value, value["text"].value, new, strict=True):
            yield from self.file.answer_edits(start, text, answer, context)


class JsonText(NamedTuple):
    """The text of a file whose literals are edited; with `ascii_only` what is new is written in escapes."""

    text: str
    ascii_only: bool

    def edited(self, node: Node, item: Attacked, field: str) -> Edit:
        """Return the edit of the file that edits the text of a field. Raises ValueError where edits and text differ."""
        literal, new = self.text[node.start : node.end], str(item.example.fields[field])
        if item.plain and literal == f'"{_spelled(node.value, self.ascii_only)}"':
            return Edit(node.start, literal, f'"{_spelled(new, self.ascii_only)}"')
        return self.edited_string(node, item.edits.get(field, ()), new)

    def edited_string(self, node: Node, edits: Sequence[Edit], new: str) -> Edit:
        """Return the edit of the file that edits the string of a node. Raises ValueError unless it becomes `new`."""
        literal, ordered = self.text[node.start : node.end], in_order(edits)
        if apply_edits(node.value, ordered) != new:
            raise ValueError(f"the edits of {node.value!r} do not lead to {new!r}")
        return Edit(node.start, literal, _edited_literal(literal, ordered, ascii_only=self.ascii_only))

    def answer_edits(self, start: Node, answer: Node, new: Answer, context: Edit) -> Iterator[Edit]:
        """Yield the edits of the file for one answer: its start, and its text, spelled as its span of the context if
        it was before. `context` is the edit of the context's literal.
        """
        literal = self.text[answer.start : answer.end]
        if new.start != start.value:
            yield Edit(start.start, self.text[start.start : start.end], str(new.start))
        if literal[1:-1] == slice_source(context.removed, start.value, start.value + len(answer.value)):
            inserted = f'"{slice_source(context.inserted, new.start, new.start + len(new.text))}"'
        else:
            inserted = _respelled(literal, answer.value, new.text, ascii_only=self.ascii_only)
        yield Edit(answer.start, literal, inserted)


def source_of(text: str, node: Node, start: int, end: int) -> str | None:
    """Return how a slice of the string of a node is spelled in the file where that differs, else None."""
    spelling = slice_source(text[node.start : node.end], start, end)
    return None if spelling == node.value[start:end] else spelling


def _token_at(nodes: Sequence[Node], position: int) -> tuple[Node, int]:
    """Return the token at a position of the joined text, and where it starts there."""
    start = 0
    for node in nodes:
        if position <= start + len(node.value):
            return node, start
        start += len(node.value) + 1
    raise ValueError(f"position {position} is behind the last token")


class Node(NamedTuple):
    """One value: a string, number, boolean or None; a dict or list of nodes; and the span of its literal."""

    value: Any
    start: int
    end: int


class _Members(list[tuple[str, Any]]):
    """An object as it is written, in which a key may stand twice."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Members)


def parse(text: str, place: object, *, first_line: int = 1) -> Node:
    """Parse one JSON value. Raises InputError with line and column where it is malformed."""
    try:
        value = _DECODER.decode(text)
        for unit in _ESCAPE.finditer(text) if _HALVES.search(text) else ():
            if len(unit[0]) == 6 and 0xD800 <= int(unit[0][2:], 16) <= 0xDFFF:  # which no UTF-8 file can hold
                raise json.JSONDecodeError(f"the lone surrogate {unit[0]}", text, unit.start())
        return _located(text, value, map(re.Match.span, _STRING.finditer(text)), 0)
    except json.JSONDecodeError as error:
        message = "the file ends early" if error.pos >= len(text.rstrip()) else error.msg
        message += f", column {error.colno}"
        if error.colno > 100:  # in a long line a column is hard to find
            message += f", after {text[error.pos - 30 : error.pos]!r}"
        raise InputError(f"{place}:{first_line + error.lineno - 1}",
                         found=f"malformed JSON ({message[:1].lower()}{message[1:]})",
                         expected="valid JSON", fix="Correct the file, or download it again.") from None  # fmt: skip
    except ValueError as error:
        raise InputError(place, found=f"a number that cannot be read ({error})", expected="numbers of some digits",
                         fix="Correct the file, or download it again.") from None  # fmt: skip
    except RecursionError:
        raise InputError(place, found="JSON nested too deeply", expected="the layout of the task's data",
                         fix="Check the file.") from None  # fmt: skip


def _located(text: str, value: Any, strings: Iterator[tuple[int, int]], at: int) -> Node:
    """Return the node of a value from `at` on; `strings` are the spans of the strings there."""
    if isinstance(value, str):
        return Node(value, *next(strings))
    if isinstance(value, _Members):
        start, members = text.index("{", at), dict[str, Node]()
        at = start + 1
        for key, member in value:
            node = members[key] = _located(text, member, strings, next(strings)[1])
            at = node.end
        return Node(members, start, text.index("}", at) + 1)
    if isinstance(value, list):
        start, items = text.index("[", at), list[Node]()
        at = start + 1
        for item in value:
            items.append(_located(text, item, strings, at))
            at = items[-1].end
        return Node(items, start, text.index("]", at) + 1)
    atom = _ATOM.match(text, at)
    if atom is None:  # NaN, which `json` lets pass
        raise json.JSONDecodeError("Expecting value", text, at)
    return Node(value, *atom.span(1))


def _spelled(text: str, ascii_only: bool) -> str:
    return (encode_basestring_ascii if ascii_only else encode_basestring)(text)[1:-1]


@lru_cache(maxsize=4)  # a text is asked for the spelling of each of its edits in turn
def _escapes(literal: str) -> tuple[list[int], list[int]]:
    """Return which code points of a string are escaped in its literal, and how much longer what is before each is."""
    positions, longer = list[int](), [0]
    for match in _ESCAPE.finditer(literal):
        positions.append(match.start() - 1 - longer[-1])
        longer.append(longer[-1] + len(match[0]) - 1)
    return positions, longer


def _offset(literal: str, position: int) -> int:
    """Return where a code point of a string begins in its literal, quotes included."""
    if "\\" not in literal:
        return 1 + position
    positions, longer = _escapes(literal)
    return 1 + position + longer[bisect_left(positions, position)]


def slice_source(literal: str, start: int, end: int) -> str:
    """Return how the code points from `start` to `end` of a string are spelled inside its literal (quotes included)."""
    return literal[_offset(literal, start) : _offset(literal, end)]


def _edited_literal(literal: str, edits: Sequence[Edit], *, ascii_only: bool) -> str:
    """Return a string literal after edits of its text; characters that no edit touches keep their spelling."""
    patches = []
    for edit in edits:
        start, end = _offset(literal, edit.start), _offset(literal, edit.start + len(edit.removed))
        new = _spelled(edit.inserted, ascii_only) if edit.inserted_source is None else edit.inserted_source
        patches.append(Edit(start, literal[start:end], new))
    return apply_edits(literal, patches)


def _respelled(literal: str, old: str, new: str, *, ascii_only: bool) -> str:
    """Return the literal for a new text; what it shares with the old one at either end keeps its spelling."""
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    edit = Edit(head, old[head : len(old) - tail], new[head : len(new) - tail])
    return _edited_literal(literal, [edit], ascii_only=ascii_only)


def _shared(first: str, second: str) -> int:
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))

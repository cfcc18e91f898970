"""JSON Lines in the layout of the hub, one example a line. Written by replacing literals, so all other bytes stay."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from robustbench_char.common.errors import InputError
from robustbench_char.tasks.base import Answer, Attacked, Example, Task
from robustbench_char.tasks.formats.json_text import (
    Node,
    answer_patches,
    edited,
    parse,
    slice_source,
)
from robustbench_char.tasks.formats.lines import BOM, Pairing, check_text_file, read_lines
from robustbench_char.tasks.formats.rows import RowReader, answer_columns, column_of
from robustbench_char.text.edits import Edit, apply_edits, in_order

__all__ = ["JsonLines"]

_HALVES = re.compile(r"\\u[dD][89a-fA-F]")


class JsonLines:
    """One JSON Lines file. Streams, with 8 bytes a line kept to find a line again."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path, self._task = path, task

    def examples(self) -> Iterator[Example]:
        """Read the rows. Raises InputError that names line and column of what is wrong."""
        yield from RowReader(self._task, {}).examples(self._rows())

    def rewrite(self, out: BinaryIO, attacked: Iterable[Attacked]) -> None:
        """Write the file with edits made inside its literals, and with starts and texts of the answers replaced."""
        pairing = Pairing(attacked)
        for row, line in enumerate(read_lines(self.path)):
            head = BOM if line.text.startswith(BOM) else ""
            text = line.text.removeprefix(head)
            node = parse(text, self.path, first_line=line.number)
            edits = in_order(_Row(self._task, text, node, self._ascii_only).edits(pairing.take(row)))
            out.write((head + apply_edits(text, edits) + line.end).encode("utf-8"))
        pairing.finish()

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        """Return how a slice of a text is spelled in the file where that differs (JSON escapes), else None."""
        if not self._escapes:
            return None
        text = self._line(example.row)
        node, place = parse(text, self.path).value[column_of(self._task, field)], 0
        if isinstance(node.value, list):
            node, place = _token_at(node.value, start)
        spelling = slice_source(text[node.start : node.end], start - place, end - place)
        return None if spelling == node.value[start - place : end - place] else spelling

    def _rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for line in read_lines(self.path):
            text = line.text.removeprefix(BOM)
            place = f"{self.path}:{line.number}"
            try:
                row = json.loads(text)
                if _HALVES.search(text):  # `json` lets lone surrogates pass
                    parse(text, self.path, first_line=line.number)
            except (json.JSONDecodeError, RecursionError):
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
        offsets = array("Q", [0])
        with self.path.open("rb") as file:
            for line in file:
                offsets.append(offsets[-1] + len(line))
        return offsets

    def _line(self, row: int) -> str:
        with self.path.open("rb") as file:
            file.seek(self._offsets[row])
            return file.readline().decode("utf-8").removeprefix(BOM)


class _Row:
    """One line on its way out."""

    def __init__(self, task: Task, text: str, node: Node, ascii_only: bool) -> None:
        self.task, self.text, self.columns, self.ascii_only = task, text, node.value, ascii_only

    def edits(self, item: Attacked) -> Iterator[Edit]:
        """Yield the edits of the line, in any order."""
        for name in self.task.fields:
            node = self.columns[column_of(self.task, name)]
            changes, new = item.edits.get(name, ()), item.example.fields[name]
            if isinstance(node.value, list):
                yield from self._tokens(node.value, changes, new)
            else:
                yield self._edited(node, changes, str(new))
        for part, column in answer_columns(self.task).items():
            if column in self.columns and self.columns[column].value is not None:
                yield from self._answers(item, self.columns[column].value, getattr(item.example, part))

    def _tokens(self, nodes: Sequence[Node], edits: Sequence[Edit], new: Sequence[str]) -> Iterator[Edit]:
        local: dict[int, list[Edit]] = {}
        for edit in edits:
            node, place = _token_at(nodes, edit.start)
            local.setdefault(node.start, []).append(edit._replace(start=edit.start - place))
        for node, token in zip(nodes, new, strict=True):
            yield self._edited(node, local.get(node.start, ()), token)

    def _edited(self, node: Node, edits: Sequence[Edit], new: str) -> Edit:
        return edited(self.text, node, edits, new, ascii_only=self.ascii_only)

    def _answers(self, item: Attacked, value: Mapping[str, Node], new: Sequence[Answer]) -> Iterator[Edit]:
        node = self.columns[column_of(self.task, "context")]
        after = self._edited(node, item.edits.get("context", ()), str(item.example.fields["context"])).inserted
        before = self.text[node.start : node.end]
        for start, text, answer in zip(value["answer_start"].value, value["text"].value, new, strict=True):
            yield from answer_patches(self.text, start, text, answer, (before, after), ascii_only=self.ascii_only)


def _token_at(nodes: Sequence[Node], position: int) -> tuple[Node, int]:
    """Return the token at a position of the joined text, and where it starts there."""
    start = 0
    for node in nodes:
        if position <= start + len(node.value):
            return node, start
        start += len(node.value) + 1
    raise ValueError(f"position {position} lies behind the last token")

"""SQuAD's JSON, 1.1 and 2.0. The file is held in memory and written by replacing single literals in its text.

A context is one literal that all its questions share, so it is edited once for all of them. Options of a task: see
`SquadOptions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.lines import BOM, check_text_file, not_utf8
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.tasks.base import Answer, Attacked, AttackedBlock, Example, NativeFile, Task, text_key
from robustbench_char.tasks.formats._rows import check_labelled
from robustbench_char.tasks.formats.json_lines import JsonText, Node, parse, source_of
from robustbench_char.tasks.question_answering import check_answer, check_answerable
from robustbench_char.text.edits import Edit, apply_edits, in_order

__all__ = ["SquadJson"]


_KEYS = ("question", "id", "is_impossible", "plausible_answers")


class SquadOptions(Frozen):
    """Whether questions may be unanswerable, as in SQuAD 2.0."""

    unanswerable: bool = False


class _Question(NamedTuple):
    example: Example
    question: Node
    literals: list[tuple[Node, Node]]  # start and text of each answer, those that only look right last


class _Paragraph(NamedTuple):
    context: Node
    questions: list[_Question]


class SquadJson(NativeFile):
    """One file of questions."""

    def __init__(self, task: Task, path: Path) -> None:
        self.path = path
        self._options = check_mapping(task.format_options, SquadOptions, place=f"task {task.name}: format_options")

    def examples(self) -> Iterator[Example]:
        """Read the questions in file order. Raises InputError that names line or question of what is wrong."""
        for paragraph in self._paragraphs:
            for question in paragraph.questions:
                yield question.example

    def rewrite(self, out: BinaryIO, attacked: Iterable[AttackedBlock]) -> None:
        """Write the file with edits made inside its literals, and with starts and texts of the answers replaced.

        Raises ValueError where the questions of one context disagree about its edits.
        """
        taken, edits = chain.from_iterable(block.items for block in attacked), list[Edit]()
        for paragraph in self._paragraphs:
            items = list(islice(taken, len(paragraph.questions)))
            if items:
                edits += self._edits(paragraph, items)
        out.write(apply_edits(self._text, in_order(edits)).encode("utf-8"))

    def escaped(self, row: int, field: str) -> bool:
        """Return whether a text has JSON escapes in the file."""
        node = self._literal(row, field)
        return node.end - node.start > len(node.value) + 2

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        """Return how a slice of a text is spelled in the file where that differs (JSON escapes), else None."""
        return source_of(self._text, self._literal(example.row, field), start, end)

    def spells_freely(self) -> bool:
        """Return whether there are JSON escapes in the file."""
        return "\\" in self._text

    def _literal(self, row: int, field: str) -> Node:
        paragraph, question = self._rows[row]
        return paragraph.context if field == "context" else question.question

    @cached_property
    def _text(self) -> str:
        data = check_text_file(self.path).read_bytes()
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise not_utf8(self.path, line, error.start, data[error.start]) from None

    @cached_property
    def _json(self) -> JsonText:
        return JsonText(self._text, ascii_only=self._text.removeprefix(BOM).isascii())

    @cached_property
    def _rows(self) -> list[tuple[_Paragraph, _Question]]:
        return [(paragraph, question) for paragraph in self._paragraphs for question in paragraph.questions]

    @cached_property
    def _paragraphs(self) -> list[_Paragraph]:
        paragraphs = list(_Reader(self.path, self._text, self._options).paragraphs())
        if not any(paragraph.questions for paragraph in paragraphs):
            raise InputError(self.path, found="no question", expected="at least one question",
                             fix="Check the file.")  # fmt: skip
        return paragraphs

    def _edits(self, paragraph: _Paragraph, items: list[Attacked]) -> Iterator[Edit]:
        if len({item.example.fields["context"] for item in items}) > 1:
            raise ValueError(f"question {items[0].example.id}: the questions of its context disagree about its edits")
        context = self._json.edited(paragraph.context, items[0], "context")
        yield context
        for question, item in zip(paragraph.questions, items, strict=True):
            yield self._json.edited(question.question, item, "question")
            answers = chain(item.example.answers, item.example.plausible)
            for (start, answer), new in zip(question.literals, answers, strict=True):
                yield from self._json.answer_edits(start, answer, new, context)


class _Reader:
    """Turns the nodes of a file into paragraphs, and checks their layout on the way."""

    def __init__(self, path: Path, text: str, options: SquadOptions) -> None:
        self.path, self.text, self.options = path, text, options
        self.row, self._counts, self._where = 0, list[int](), list[str]()

    def paragraphs(self) -> Iterator[_Paragraph]:
        text = self.text
        root = parse(f" {text[1:]}" if text.startswith(BOM) else text, self.path)
        for article in self._get(root, "data", list):
            self._enter(0, "article", article, "title")
            for paragraph in self._get(article, "paragraphs", list):
                self._enter(1, "paragraph", paragraph)
                context = self._node(paragraph, "context", str)
                key = text_key(context.value)
                questions = [self._question(node, context.value, key) for node in self._get(paragraph, "qas", list)]
                yield _Paragraph(context, questions)

    def _enter(self, level: int, what: str, node: Node, name: str = "") -> None:
        """Note where the reader is, for messages: `article 2 'Rome', paragraph 1, question 3 'q7'`, counted from 1."""
        del self._counts[level + 1 :], self._where[level:]
        self._counts[level:] = [self._counts[level] + 1 if level < len(self._counts) else 1]
        called = node.value.get(name) if isinstance(node.value, dict) else None
        own = f" {called.value!r}" if called and isinstance(called.value, str) else ""
        self._where.append(f"{what} {self._counts[level]}{own}")

    def _question(self, node: Node, context: str, key: str) -> _Question:
        self._enter(2, "question", node, "id")
        name = self._get(node, "id", str)
        place, literals = f"{self.path}: question {name}", list[tuple[Node, Node]]()
        answers = self._answers(node, "answers", place, context, literals)
        impossible = self._get(node, "is_impossible", bool) if "is_impossible" in node.value else None
        labelled = "answers" in node.value
        check_labelled(", ".join([str(self.path), *self._where]), "answers", node.value, taken=_KEYS)
        answerable = check_answerable(place, bool(answers), impossible, labelled, allowed=self.options.unanswerable)
        plausible = self._answers(node, "plausible_answers", place, context, literals)
        question, row, self.row = self._node(node, "question", str), self.row, self.row + 1
        fields = {"question": question.value, "context": context}
        example = Example(row, name, name, fields, None, answers, plausible, answerable, key)
        return _Question(example, question, literals)

    def _answers(
        self, node: Node, key: str, place: str, context: str, literals: list[tuple[Node, Node]]
    ) -> tuple[Answer, ...]:
        answers = []
        for item in self._get(node, key, list) if key in node.value else []:
            start, text = self._node(item, "answer_start", int), self._node(item, "text", str)
            answers.append(check_answer(place, context, Answer(start.value, text.value)))
            literals.append((start, text))
        return tuple(answers)

    def _get(self, node: Node, key: str, kind: type) -> Any:
        return self._node(node, key, kind).value

    def _node(self, node: Node, key: str, kind: type) -> Node:
        keys = isinstance(node.value, dict)
        inner = node.value.get(key) if keys else None
        if inner is None or type(inner.value) is not kind:
            line = f"{self.path}:{self.text.count(chr(10), 0, node.start) + 1}"
            place, hint = ", ".join([line, *self._where]), nearest(key, node.value) if inner is None and keys else ""
            found = f"no {key!r}" if inner is None else f"{key!r} that is a {type(inner.value).__name__}"
            raise InputError(place, found=found, expected=f"{key!r}, a {kind.__name__}, as in SQuAD's JSON",
                             fix=f"Check that this is a file in SQuAD's format.{hint}")  # fmt: skip
        return cast(Node, inner)

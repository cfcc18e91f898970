"""Rows in the layout of the hub: classes and tags as ids or names, answers as lists of starts and texts."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeGuard

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.tasks.base import Answer, Block, ContentKeys, Example, Task, json_records, text_key
from robustbench_char.tasks.formats._tags import ENDS, Survey, is_marked, is_tag, to_bio2, wrong_mark
from robustbench_char.tasks.question_answering import check_answer, check_answerable

Names = Mapping[str, Sequence[str]]


def column_of(task: Task, name: str) -> str:
    """Return the column of a field, of `label` or of `id` in tables: the task's own name for it, else the hub's."""
    own = {"label": {"tagging": "tags", "question_answering": "answers"}.get(task.family, "label")}
    return (own | (task.hub.columns if task.hub else {}) | task.columns).get(name, name)


def class_of(task: Task, spelling: str) -> str | None:
    """Return the class that a label stands for, or None: as the option `labels` spells it, by its name, or by its id.

    A task that spells its labels has no ids beside the spellings.
    """
    classes, spellings = task.labels or (), task.format_options.get("labels", {})
    name = str(spellings.get(spelling, spelling))
    if name in classes:
        return name
    is_id = not spellings and spelling.isascii() and spelling.isdecimal() and int(spelling) < len(classes)
    return classes[int(spelling)] if is_id else None


def wrong_label(task: Task, place: str, spelling: str) -> InputError:
    """Return the error for a label that stands for no class; it names the option that says what labels mean."""
    spellings, classes = task.format_options.get("labels", {}), task.labels or ()
    known = list(dict.fromkeys([*spellings, *classes]))
    fix = f"Correct the label.{nearest(spelling, known)}"
    if task.hub is None:  # a user's own
        fix += (
            f" Or let the task map it to a class: `labels: {{{spelling!r}: CLASS}}` below format_options in its file, "
        )
        fix += "or labels= of rbc.classification."
    ids = "" if spellings else f", or an id below {len(classes)}"
    return InputError(place, found=f"the label {spelling!r}", expected=f"one of {', '.join(known)}{ids}", fix=fix)


def check_labelled(place: str, column: str, names: Iterable[str], *, taken: tuple[str, ...] = ()) -> None:
    """Refuse a column of labels that is missing where another one, not `taken`, has nearly its name."""
    if meant := _misnamed(column, tuple(names), taken):
        fix = f"Did you mean {meant!r}? Rename it, or say its name in `columns` of a task of your own."
        raise InputError(place, found=f"the columns {', '.join(names)}", fix=fix,
                         expected=f"labels, if there are any, in a column {column!r}")  # fmt: skip


@lru_cache(maxsize=256)  # rows of one file have the same columns
def _misnamed(column: str, names: tuple[str, ...], taken: tuple[str, ...]) -> str | None:
    def plain(name: str) -> str:
        return re.sub(r"[\W_]+", "", name.casefold()).removesuffix("s")

    known = {plain(name): name for name in names if name not in taken}
    close = [] if column in names else difflib.get_close_matches(plain(column), known, n=1, cutoff=0.8)
    return known[close[0]] if close else None


def answer_columns(task: Task) -> dict[str, str]:
    """Return the columns that hold answers, by the attribute of an example that they hold."""
    if task.family != "question_answering":
        return {}
    columns = {"answers": column_of(task, "label"), "plausible": "plausible_answers"}
    return columns if task.format_options.get("unanswerable") else {"answers": columns["answers"]}


def names_of_ids(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names behind the ids of each column, from features as `datasets` writes them down."""
    names = {}
    for column, feature in features.items():
        inner = feature[0] if isinstance(feature, list) else feature
        inner = inner.get("feature", inner) if isinstance(inner, Mapping) else inner
        if isinstance(inner, Mapping) and inner.get("names"):
            names[column] = list(inner["names"])
    return names


class RowReader:
    """Turns rows into examples. `names` are those behind the ids of each column, where the table tells them."""

    def __init__(self, task: Task, names: Names) -> None:
        self.task, self._names, self._keys = task, names, ContentKeys()
        self._id = column_of(task, "id")
        self._own_key = task.family == "question_answering" or "id" in task.format_options

    def examples(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Example]:
        """Read rows, each with its location. Raises InputError that names location and column of what is wrong."""
        for number, (place, row) in enumerate(rows):
            yield self._example(number, place, row)

    def block(self, rows: Sequence[int], columns: Mapping[str, Sequence[Any]], labels: Sequence[str | None]) -> Block:
        """Return rows of a classification as a block, from columns and the classes that their labels stand for."""
        texts = {name: columns[column_of(self.task, name)] for name in self.task.fields}
        ids = keys = list(map(str, columns.get(self._id, rows)))
        if not (self._own_key and self._id in columns):
            used, records = {self._id, *(column_of(self.task, name) for name in texts)}, json_records(texts, labels)
            others = [columns[name] for name in sorted(columns) if name not in used]
            natives = map("{}\n{!r}".format, records, zip(*others, strict=True)) if others else records
            keys = self._keys.keys(records, natives)
        return Block.of_columns(rows, ids, keys, texts, labels)

    def _example(self, number: int, place: str, row: Mapping[str, Any]) -> Example:
        fields = {name: self._text(place, row, column_of(self.task, name)) for name in self.task.fields}
        own = str(row[self._id]) if self._id in row else str(number)
        if self.task.family == "question_answering":
            return self._question(number, place, row, own, fields)
        label = self.label(place, row, fields)
        if self._own_key and self._id in row:
            return Example(number, own, own, fields, label)
        # `id` counts rows; GLUE's `idx` stands for the columns of the release that the hub leaves out.
        native = json.dumps({column: row[column] for column in sorted(row) if column != self._id}, default=str)
        return Example(number, own, self._keys.key(fields, label, native), fields, label)

    def _question(
        self, number: int, place: str, row: Mapping[str, Any], own: str, fields: dict[str, str | tuple[str, ...]]
    ) -> Example:
        place, context = f"{place}: question {own}", str(fields["context"])
        parts = {part: self._answers(place, row, column, context) for part, column in answer_columns(self.task).items()}
        answers, plausible = parts["answers"], parts.get("plausible", ())
        allowed = bool(self.task.format_options.get("unanswerable", False))
        self.check_labelled(place, row)
        labelled, impossible = row.get(column_of(self.task, "label")) is not None, row.get("is_impossible")
        if impossible is not None and not isinstance(impossible, bool):
            raise _wrong(place, "is_impossible", impossible, "true or false")
        answerable = check_answerable(place, bool(answers), impossible, labelled, allowed=allowed)
        return Example(number, own, own, fields, None, answers, plausible, answerable, text_key(context))

    def _text(self, place: str, row: Mapping[str, Any], column: str) -> str | tuple[str, ...]:
        if column not in row:
            own = "Rename the column, or say its name in `columns` of the task."
            fix = f"{'Give a table in the layout of the hub.' if self.task.hub else own}{nearest(column, row)}"
            found, expected = f"the columns {', '.join(row)}", f"a column {column!r}"
            raise InputError(place, found=found, expected=expected, fix=fix)
        value = row[column]
        if self.task.family != "tagging" and isinstance(value, str):
            return value
        if self.task.family == "tagging" and isinstance(value, Sequence) and not isinstance(value, str):
            if value and all(isinstance(token, str) and token and not set(" \t\n\r") & set(token) for token in value):
                return tuple(value)
            raise _wrong(place, column, value, "tokens, none empty or with white space inside")
        raise _wrong(place, column, value, "a list of tokens" if self.task.family == "tagging" else "a text")

    def label(self, place: str, row: Mapping[str, Any], fields: Mapping[str, Any]) -> Any:
        """Return class or tags of a row, None where it has none. Raises InputError for what stands for none."""
        column = column_of(self.task, "label")
        value = row.get(column)
        self.check_labelled(place, row)
        if value is None or value == -1:  # the hub's unlabelled test sets hold -1
            return None
        if self.task.family == "classification":
            return self._class(place, column, value)
        if not isinstance(value, list | tuple):
            raise _wrong(place, column, value, "a list of tags")
        names = self._names.get(column) or self.task.format_options.get("tag_names") or ()
        tags = [self._name(place, column, tag, names) for tag in value]
        if len(tags) != len(fields[self.task.fields[0]]):
            raise _wrong(place, column, tags, f"{len(fields[self.task.fields[0]])} tags, one for each token")
        return self._in_bio2(place, column, tags) if self.task.format == "conll" else tuple(tags)

    def check_labelled(self, place: str, row: Mapping[str, Any]) -> None:
        """Raise InputError where the labels are probably in a column of another name."""
        if (column := column_of(self.task, "label")) not in row:
            taken = (self._id, *(column_of(self.task, name) for name in self.task.fields))
            check_labelled(place, column, row, taken=taken)

    def _in_bio2(self, place: str, column: str, tags: list[str]) -> tuple[str, ...]:
        if self.task.format_options.get("tags", "bio") == "any":
            return tuple(tags)
        if self.task.format_options.get("convert_tags") and any(tag[:1] in ENDS for tag in tags):
            if not all(map(is_marked, tags)) or wrong_mark(tags) is not None:
                raise _wrong(place, column, tags, "tags that are legal in IOBES, BILOU or BMEWO")
            return to_bio2(tags, "marked")
        survey = Survey()
        if not all(map(is_tag, tags)) or survey.add(tags) is not None:
            hint = " (or, with `convert_tags=`, in IOBES, BILOU or BMEWO)" if all(map(is_marked, tags)) else ""
            raise _wrong(place, column, tags, f"tags that are legal in IOB1 or BIO2{hint}")
        return to_bio2(tags, survey.scheme)

    def _class(self, place: str, column: str, value: object) -> str:
        name = self._name(place, column, value, self._names.get(column) or self.task.labels or ())
        if (found := class_of(self.task, name)) is None:
            raise wrong_label(self.task, f"{place}: {column}", name)
        return found

    def _name(self, place: str, column: str, value: object, names: Sequence[str]) -> str:
        if isinstance(value, str):
            return value
        if is_int(value) and 0 <= value < len(names):
            return names[value]
        raise _wrong(place, column, value, f"a name, or an id below {len(names)}" if names else "a name, not an id")

    def _answers(self, place: str, row: Mapping[str, Any], column: str, context: str) -> tuple[Answer, ...]:
        value = row.get(column)
        if value is None:
            return ()
        if not isinstance(value, Mapping) or not {"text", "answer_start"} <= set(value):
            raise _wrong(place, column, value, "lists `text` and `answer_start`")
        starts, texts = value["answer_start"], value["text"]
        lists = isinstance(starts, list | tuple) and isinstance(texts, list | tuple) and len(starts) == len(texts)
        if not lists or not all(map(is_int, starts)) or not all(isinstance(text, str) for text in texts):
            raise _wrong(place, column, value, "lists of one length: `text` of texts, `answer_start` of numbers")
        pairs = zip(starts, texts, strict=True)
        return tuple(check_answer(place, context, Answer(start, text)) for start, text in pairs)


def is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(place: str, column: str, value: object, expected: str) -> InputError:
    found = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    return InputError(f"{place}: {column}", found=found, expected=expected, fix="Correct the value, or the task.")


def example_row(task: Task, example: Example) -> dict[str, Any]:
    """Return an example as a row in the hub's layout: classes as ids, tags as names."""
    row: dict[str, Any] = {}
    if task.family == "question_answering" or "id" in task.format_options:
        row[column_of(task, "id")] = example.id
    for name in task.fields:
        value = example.fields[name]
        row[column_of(task, name)] = value if isinstance(value, str) else list(value)
    if task.family == "question_answering":
        for part, column in answer_columns(task).items():
            answers = getattr(example, part)
            # No list says that the answers are not known; an empty one, that there are none.
            row[column] = answers_value(answers) if answers or example.answerable is not None else None
    elif task.family == "tagging":
        row[column_of(task, "label")] = None if example.label is None else list(example.label)
    else:
        row[column_of(task, "label")] = -1 if example.label is None else (task.labels or ()).index(str(example.label))
    return row


def answers_value(answers: Sequence[Answer]) -> dict[str, list[Any]]:
    """Return answers as the hub holds them."""
    return {"text": [answer.text for answer in answers], "answer_start": [answer.start for answer in answers]}

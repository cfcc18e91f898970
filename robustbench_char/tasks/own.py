"""Tasks and data as a user of Python names them: a shipped task, one of their own without a file, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from robustbench_char.metrics.base import METRICS
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.registry import checked, get_task
from robustbench_char.tasks.sources import Input, NamedSource, open_source

__all__ = ["classification", "load", "question_answering", "tagging", "task"]


def task(name: str | Path | Task) -> Task:
    """Return a task by its name, or one of your own by the path of its YAML file; a `Task` is returned as it is.

    Raises InputError for an unknown name, and for a file with mistakes.

    >>> task("mrpc").fields
    ('sentence1', 'sentence2')
    """
    return get_task(name, "task")


def load(input: Input | None = None, *, task: str | Path | Task, **source: Unpack[NamedSource]) -> NativeFile:
    """Return the examples of a task: of a file, a `datasets.Dataset`, a pandas data frame or a list of dictionaries.

    `data="mini"`, `hub=True` and `split` name other sources, as everywhere. Rows in memory are read in the columns of
    the task; whatever their type, the same content has the same hash in a record. Raises InputError for other data.

    >>> [example.label for example in load([{"sentence": "The ferry left.", "label": 1}], task="cola").examples()]
    ['acceptable']
    """
    return open_source(get_task(task, "task"), input=input, option="input", **source)


def classification(
    fields: str | Sequence[str],
    labels: Sequence[str] | Mapping[Any, str],
    *,
    name: str = "classification",
    label: str = "label",
    id: str | None = None,
    columns: Mapping[str, str] | None = None,
    metric: str = "accuracy",
    title: str | None = None,
) -> Task:
    """Return a classification of your own, in tables (CSV, TSV, JSON Lines, Parquet, in memory): a column for each text
    and one for the label.

    `labels` are the class names in the order of their ids, or a mapping from spellings in the data to class names.
    `label` and `id` are the columns of the label and, if there is one, of a name for each example; `columns` maps a
    field to its column where that has another name. `metric` is accuracy, accuracy_f1 or matthews (two classes each).
    Raises InputError for parts that do not fit together.

    >>> reviews = classification("title", {1: "bad", 2: "good"}, label="stars")
    >>> [example.label for example in load([{"title": "Fine tools.", "stars": 2}], task=reviews).examples()]
    ['good']
    """
    options: dict[str, Any] = {} if id is None else {"id": id}
    if isinstance(labels, Mapping):
        options["labels"] = {str(spelling): str(of) for spelling, of in labels.items()}
    named = {"label": label, **({} if id is None else {"id": id}), **(columns or {})}
    classes = tuple(dict.fromkeys(labels.values()) if isinstance(labels, Mapping) else labels)
    fields = (fields,) if isinstance(fields, str) else tuple(fields)
    return _own("classification", name, title, fields, metric, format="csv", format_options=options, columns=named,
                labels=classes)  # fmt: skip


def tagging(
    field: str = "tokens", label: str = "tags", *, name: str = "tagging", entities: bool = True,
    tags: Sequence[str] = (), convert_tags: bool = False, title: str | None = None,
) -> Task:  # fmt: skip
    """Return a tagging of your own: columns `field` (lists of tokens) and `label` (lists of tags), or CoNLL files.

    With `entities`, tags are in IOB1 or BIO2 (with `convert_tags` also in IOBES, BILOU or BMEWO) and the score is F1 of
    entities; else it is accuracy of tags. `tags` names the tag ids of tables that do not name them themselves. Raises
    InputError for a name that is taken.
    """
    options: dict[str, Any] = {"tags": "bio" if entities else "any", "tag_names": list(tags)}
    options |= {"convert_tags": True} if convert_tags else {}
    metric = "entity_f1" if entities else "tag_accuracy"
    return _own("tagging", name, title, (field,), metric, format="conll", format_options=options,
                columns={"label": label})  # fmt: skip


def question_answering(
    *, name: str = "question_answering", unanswerable: bool = False, columns: Mapping[str, str] | None = None,
    title: str | None = None,
) -> Task:  # fmt: skip
    """Return extractive question answering of your own, in the columns of SQuAD on the hub, or its JSON files.

    `columns` maps `question`, `context`, `label` (the answers) and `id` to columns of other names. Raises InputError
    for a name that is taken.
    """
    metric, options = "squad_v2" if unanswerable else "squad_v1", {"unanswerable": unanswerable}
    return _own("question_answering", name, title, ("question", "context"), metric, format="squad_json",
                format_options=options, columns=dict(columns or {}))  # fmt: skip


def _own(family: Any, name: str, title: str | None, fields: tuple[str, ...], metric: str, **parts: Any) -> Task:
    place = f"rbc.{family}"
    headline = METRICS.get(metric, place=f"{place}: metric").headline
    return checked(
        place,
        Task(name=name, title=title or name, family=family, fields=fields, metric=metric, headline=headline, **parts),
    )

"""What predictions are scored against: the labels of examples, by family. No model library is loaded here."""

from __future__ import annotations

from collections.abc import Sequence

from robustbench_char.common import InputError
from robustbench_char.metrics.base import Gold, QaGold
from robustbench_char.tasks.base import Example, NativeFile, Task

__all__ = ["gold_of", "labelled", "may_decline", "place_of"]


def may_decline(task: Task) -> bool:
    """Return whether a task has unanswerable questions, so that a system may answer nothing."""
    return task.metric == "squad_v2"


def place_of(example: Example, file: NativeFile | None = None) -> str:
    """Return the name of an example in messages, with that of its file; rows in memory are `data` (see `RowsFile`)."""
    name = f"row {example.row} (id {example.id})"
    return name if file is None else f"{getattr(file, 'place', file.path)}: {name}"


def gold_of(task: Task, example: Example) -> Gold | None:
    """Return class, tags or answers of an example, or None where it has no label.

    Raises InputError for an unanswerable question where the task has none.
    """
    if task.family == "question_answering":
        return _answers(task, example)
    kind = tuple if task.family == "tagging" else str
    return example.label if isinstance(example.label, kind) else None


def labelled(task: Task, file: NativeFile, examples: Sequence[Example]) -> list[Gold]:
    """Return the gold labels of examples. Raises InputError for an example without label, and for no examples."""
    labels = []
    for example in examples:
        gold = gold_of(task, example)
        if gold is None:
            raise InputError(
                place_of(example, file),
                found="an example without label",
                expected="labelled examples to score",
                fix="Evaluate on the dev file: test files are often released without labels. If the column of labels "
                "has another name than the task expects, say it in `columns` of the task.",
            )
        labels.append(gold)
    if not labels:
        raise InputError(file.path, found="no examples", expected="at least one example", fix="Check the file.")
    return labels


def _answers(task: Task, example: Example) -> QaGold | None:
    """Return the answers of the file; none where it says that the question is unanswerable."""
    if example.answers:
        return QaGold(tuple(answer.text for answer in example.answers))
    if example.answerable is not False:
        return None
    if not may_decline(task):
        fix = "Use the task squad_v2 for such files."
        raise InputError(place_of(example), found="an unanswerable question", expected="at least one answer", fix=fix)
    return QaGold(())

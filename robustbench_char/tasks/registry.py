"""The tasks by name, a user's own from a YAML file, and how the labels of any task follow an attack.

To add a task, write its record and register it here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from robustbench_char.common.errors import InputError
from robustbench_char.common.registry import Registry
from robustbench_char.common.yaml_model import load_yaml_model
from robustbench_char.tasks import classification, question_answering, tagging
from robustbench_char.tasks._checks import check_parts, check_scores
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.classification import COLA, MRPC, QNLI, QQP
from robustbench_char.tasks.formats import FORMATS
from robustbench_char.tasks.question_answering import SQUAD_V1, SQUAD_V2
from robustbench_char.tasks.tagging import CONLL2003, PTB_POS
from robustbench_char.text.edits import Edit, Moves

__all__ = ["TASKS", "follow", "get_task"]

TASKS: Registry[Task] = Registry("task")
for _task in (SQUAD_V1, SQUAD_V2, COLA, MRPC, QQP, QNLI, CONLL2003, PTB_POS):
    TASKS.register(_task.name, _task)


def get_task(name: str | Path | Task, place: object = "TASK") -> Task:
    """Return a task by its name, or a user's own by the path of a YAML file; a `Task` is returned as it is.

    Raises InputError: for an unknown name with the nearest one, for a file with all its mistakes.
    """
    if isinstance(name, Task):
        return name
    if not str(name).endswith((".yaml", ".yml")):
        return TASKS.get(str(name), place=place)
    path = Path(name)
    if not path.is_file():
        raise InputError(place, found=f"no file {name}", expected="a task's YAML file", fix="Check the path.")
    task = load_yaml_model(path, Task)
    return checked(path, task)


def checked(place: object, task: Task) -> Task:
    """Return a task of a user's own; `place` is how messages call it.

    Refuses what the model of a task cannot see: parts that do not fit together, options that the format lacks.
    """

    def wrong(key: str, found: str, expected: str, hint: str = "") -> InputError:
        return InputError(f"{place}: {key}", found=found, expected=expected, fix=f"Correct the task.{hint}")

    if not re.fullmatch(r"[A-Za-z0-9_-]+", task.name) or task.name in TASKS:
        raise wrong("name", repr(task.name), "letters, digits, _ or -, and no shipped task's name")
    check_parts(task, wrong)
    try:
        FORMATS.get(task.format)(task, Path(str(place)))  # checks the options of the format; nothing is read
    except InputError as error:
        at = error.place.replace(f"task {task.name}", str(place))
        raise InputError(at, found=error.found, expected=error.expected, fix=error.fix) from None
    check_scores(task, wrong)
    return task


def follow(
    task: Task,
    example: Example,
    attacked_fields: Mapping[str, str | tuple[str, ...]],
    edits_by_field: Mapping[str, Sequence[Edit]],
    known: dict[tuple[object, object], Moves] | None = None,
) -> Example:
    """Return the attacked example: its texts replaced, its labels where they now belong.

    `edits_by_field` counts in code points of the clean texts. `known` is a memory for the contexts that the questions
    of one attack share. Raises ValueError where tokens were split or joined.
    """
    if task.family == "question_answering":
        return question_answering.follow(example, attacked_fields, edits_by_field, {} if known is None else known)
    if task.family == "tagging":
        return tagging.follow(example, attacked_fields, edits_by_field)
    return classification.follow(example, attacked_fields, edits_by_field)

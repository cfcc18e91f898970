"""The head that a base may have already: a new one takes its place, unless nothing is trained and it fits the task."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from robustbench_char.common.errors import InputError
from robustbench_char.models.bases import Base, heads_in, labels_in
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.label_names import map_labels
from robustbench_char.training.options import Settings

__all__ = ["kept_labels", "tell_dropped"]

_LOG = logging.getLogger(__name__)


def kept_labels(
    base: Base, system: type[System], settings: Settings, task: Task, labels: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the labels of the base's own head in its order, where that is kept; None where a new head is made.

    It is kept when nothing is trained (`epochs` 0) and it says the labels of the task, for systems whose head is that
    of Transformers.
    """
    if settings.epochs or settings.layers or system.any_type or task.family not in heads_in(base.config).values():
        return None
    if task.family == "question_answering":
        return ()
    try:
        meant = map_labels(task, labels_in(base.config)).meant
    except InputError:
        return None
    fits = None not in meant and len(set(meant)) == len(meant) and set(labels) <= {*meant}
    return tuple(map(str, meant)) if fits else None


def tell_dropped(given: str, base: Base, task: Task, kept: bool) -> None:
    """Say that the head of a base that was fine-tuned already is dropped, and how to measure the model as it is."""
    head = next(iter(heads_in(base.config)), None)
    if head is None or kept:
        return
    line = f"robustbench-char check {given} --task {task.name} --input FILE --output DIR"
    told = f"{given} is fine-tuned already ({head}): its head is dropped, and a new one is trained for {task.name}."
    _LOG.warning("%s To measure the model as it is: `%s`.", told, line)

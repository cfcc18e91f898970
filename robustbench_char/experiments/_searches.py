"""The searches for the worst case that a spec asks for, looked up before any work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from robustbench_char.attack_sets.stream import Attack
from robustbench_char.attacks.engine import Batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.search import spaces
from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.options import Option
from robustbench_char.experiments._mistakes import Mistakes
from robustbench_char.experiments._worst_case import WorstCasePart
from robustbench_char.experiments.spec import Benchmark, Ready
from robustbench_char.inference.worst_case import Plan, plan_of
from robustbench_char.tasks.base import Task

__all__ = ["Search", "check_fields", "resolve_searches"]

_LABELS_ALONE = ("predictor", "chat", "unbound")


class Search(NamedTuple):
    """A search on one task: as the spec has it, what it may edit, and how it goes."""

    part: WorstCasePart
    attack: Attack
    plan: Plan


def resolve_searches(
    spec: Benchmark, tasks: Mapping[str, Task], ready: Mapping[tuple[str, str], Ready], wrong: Mistakes
) -> dict[tuple[str, str], Search]:
    """Return the searches of a spec by name and key of task; all that is wrong with them is a mistake."""
    searches = {}
    for key, part in spec.worst_case.items():
        own = {name: tasks[name] for name in part.tasks or tasks if name in tasks}
        if isinstance(part.fields, tuple) and own:
            check_fields(f"worst_case.{key}.fields", part.fields, own, wrong)
        for name, task in own.items():
            try:
                searches[key, name] = search = _resolved(f"worst_case.{key}", part, task, spec.tasks[name].fields)
            except InputError as error:
                _add(f"worst_case.{key}", error, wrong)
                continue
            blind = [one for one in part.systems or spec.systems if _gives_labels_alone(ready.get((one, name)))]
            if search.plan.search.guided and blind:
                wrong.add(f"worst_case.{key}.search", f"{search.plan.name}, and {blind[0]}, which gives labels alone",
                          "exhaustive, for a model without scores", "Write `search: exhaustive`, within a `budget` if"
                          " need be, or leave it out of `systems`.")  # fmt: skip
    return searches


def _gives_labels_alone(model: Ready | None) -> bool:
    return model is not None and model.identity["kind"] in _LABELS_ALONE


def _resolved(place: str, part: WorstCasePart, task: Task, usual: tuple[str, ...] | None) -> Search:
    """Return a search on a task. Raises InputError for a suite whose edits cannot be listed, and as `plan_of` does."""
    fields = part.fields_of(task.name, task.fields) or usual
    attack = Attack.of(task, part.suite, 0, fields, option=f"{place}.{{}}")
    keys = text_keys(["word"], seed=0, family=attack.suite.family, task=task.name)
    spaces(Batch(["word"], keys, task.family == "tagging"), attack.suite)
    return Search(part, attack, plan_of(part.searching, part.suite))


def _add(place: str, error: InputError, wrong: Mistakes) -> None:
    """Add an error as a mistake of the option that it names, else of the suite."""
    if isinstance(error.place, Option):
        wrong.add(f"{place}.{error.place.keyword}", error.found, error.expected, error.fix)
    elif str(error.place).startswith(place):
        wrong.add(error.place, error.found, error.expected, error.fix)
    else:
        wrong.add(f"{place}.suite", f"in {error.place}, {error.found}", error.expected, error.fix)


def check_fields(place: str, fields: Iterable[str], tasks: Mapping[str, Task], wrong: Mistakes) -> None:
    """Check that each field is one of some task."""
    known = list(dict.fromkeys(field for task in tasks.values() for field in task.fields))
    for name in fields:
        if name not in known:
            wrong.add(place, f"unknown field {name!r}", f"fields of {', '.join(tasks)}: {', '.join(known)}",
                      f"Correct the name.{nearest(name, known)}")  # fmt: skip

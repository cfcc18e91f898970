"""Systems of other people: Python callables that a package registers by an entry point (see docs/your_model.md).

Nothing of a package is imported before its predictor is asked for.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from robustbench_char.common import InputError, nearest
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.records.evaluation import PredictorInfo, SystemInfo
from robustbench_char.tasks.base import Task

__all__ = ["Predictor", "identity", "kind_of", "load_predictor", "registered"]

GROUP = "robustbench_char.predictors"
"""The group of entry points that names predictors."""

EXTERNAL = "external"
"""What records name as the base of a predictor."""

_EXPECTED = {"tasks": "a list of names of tasks", "parameters": "a whole number"}
_FIX = "Correct the package (see docs/your_model.md)."


class _Declared(Frozen):
    """What a predictor may say of itself, as attributes."""

    name: str | None = None
    version: str | None = None
    tasks: tuple[str, ...] | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Predictor:
    """A loaded predictor. `tasks` are those that it serves, None for all; `call` goes from a batch to predictions."""

    call: Callable[[list[dict[str, Any]]], Any]
    tasks: tuple[str, ...] | None
    system: SystemInfo

    @property
    def name(self) -> str:
        """The name it is registered by."""
        return self.system.name

    def check_serves(self, task: Task) -> None:
        """Raise InputError for a task that the predictor does not serve."""
        if self.tasks is not None and task.name not in self.tasks:
            expected = f"a task that it serves: {', '.join(self.tasks) or 'none'}"
            fix = "Choose another predictor or task, or correct its `tasks`."
            raise InputError(f"predictor {self.name}", found=f"the task {task.name}", expected=expected, fix=fix)


def registered() -> list[tuple[str, str]]:
    """Return the name of each registered predictor, sorted, with the distribution that registers it."""
    return sorted((point.name, _distribution(point)) for point in entry_points(group=GROUP))


def load_predictor(name: str) -> Predictor:
    """Import a predictor, and make it where a class or factory is registered.

    Raises InputError for an unknown name with the nearest one, a name that two distributions register or that is one of
    our systems', and what cannot be imported, made or called.
    """
    point = _entry_point(name)
    target = _loaded(point)
    made = _made(point, target)
    call = made if made is target else getattr(made, "predict", None)
    if not callable(call):
        found = f"{point.value} gives {kind_of(made)} without a method `predict`"
        raise _wrong(point, found, "an object with `predict(batch)`")
    declared = _declared(point, made)
    return Predictor(call, declared.tasks, _system(point, declared))


def identity(name: str) -> list[str]:
    """Return what a predictor is known by without importing it: name, entry point, distribution and its version.

    Raises InputError for an unknown name, and for one that two distributions register.
    """
    point = _entry_point(name)
    return [point.name, point.value, *((point.dist.name, point.dist.version) if point.dist else ())]


def _entry_point(name: str) -> EntryPoint:
    points = list(entry_points(group=GROUP))
    matching = sorted((point for point in points if point.name == name), key=_distribution)
    if not matching:
        known = sorted({point.name for point in points})
        expected = f"one of {', '.join(known)}" if known else f"a package that registers one as {GROUP}"
        fix = f"Correct the name, or install its package.{nearest(name, known)}"
        raise InputError("--predictor", found=f"unknown predictor {name!r}", expected=expected, fix=fix)
    if len(matching) > 1:
        several = ", ".join(map(_distribution, matching))
        found = f"{len(matching)} distributions that register the name: {several}"
        raise _wrong(matching[0], found, "one", fix="Uninstall all but one of them.")
    if name in SYSTEMS:
        raise _wrong(matching[0], "the name of one of the shipped systems", "a name of its own")
    return matching[0]


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise _wrong(point, f"{point.value} fails to import ({_message(error)})", "`module:attribute`") from error


def _made(point: EntryPoint, target: Any) -> Any:
    """Return a function that takes a batch as it is, and what a class or a factory makes."""
    if not callable(target):
        raise _wrong(point, f"{point.value} is {kind_of(target)}", "a function `predict(batch)`, a class or a factory")
    if not isinstance(target, type) and _takes_a_batch(target):
        return target
    try:
        return target()
    except Exception as error:
        found = f"{point.value}() fails ({_message(error)})"
        raise _wrong(point, found, "a call without arguments that works") from error


def _takes_a_batch(target: Callable[..., Any]) -> bool:
    try:
        inspect.signature(target).bind([])
    except TypeError:
        return False
    except ValueError:  # a function without signature, as some in C
        return True
    return True


def _declared(point: EntryPoint, made: Any) -> _Declared:
    """Read the optional attributes; a method of such a name (a model's `parameters()`) says nothing here."""
    values = {name: value for name in _Declared.model_fields if not callable(value := getattr(made, name, None))}
    try:
        return _Declared.model_validate(values, strict=False)
    except ValidationError as error:
        attribute = str(error.errors()[0]["loc"][0])
        raise _wrong(point, f"`{attribute}` = {values[attribute]!r}", _EXPECTED.get(attribute, "a string")) from None


def _system(point: EntryPoint, declared: _Declared) -> SystemInfo:
    if declared.name is not None and declared.name in SYSTEMS:
        raise _wrong(point, f"`name` = {declared.name!r}, one of the shipped systems", "a name of its own")
    info = PredictorInfo(
        distribution=point.dist.name if point.dist else "",
        distribution_version=point.dist.version if point.dist else "",
        entry_point=point.value,
        version=declared.version,
    )
    identity = json.dumps([point.name, info.model_dump(mode="json")])
    return SystemInfo(
        name=point.name,
        base=EXTERNAL,
        parameters=declared.parameters,
        training_seed=None,
        training_sha256=None,
        settings={},
        weights_sha256=hashlib.sha256(identity.encode()).hexdigest(),
        label=declared.name,
        predictor=info,
    )


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"


def kind_of(value: object) -> str:
    """Return how an error calls a value of the wrong type."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _wrong(point: EntryPoint, found: str, expected: str, *, fix: str = _FIX) -> InputError:
    return InputError(f"predictor {point.name} (of {_distribution(point)})", found=found, expected=expected, fix=fix)

"""Systems of other people: Python callables, by `module:function`, `path.py:function`, a package's entry point, or as
they are (see docs/your_model.md).

Nothing of a user or a package is imported before its predictor is asked for.
"""

from __future__ import annotations

import inspect
import json
import secrets
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robustbench_char.common import InputError, nearest
from robustbench_char.common.files import sha256_bytes
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.records._predictor_code import Code, find_code, installed_code, source_sha256
from robustbench_char.records.evaluation import PredictorInfo, SystemInfo
from robustbench_char.tasks.base import Task

__all__ = ["Predictor", "absolute_name", "identity", "kind_of", "load_predictor", "predictor_of", "registered"]

GROUP = "robustbench_char.predictors"
"""The group of entry points that names predictors."""

EXTERNAL = "external"
"""What records name as the base of a predictor."""

_EXPECTED = {"tasks": "a list of names of tasks", "parameters": "a whole number"}
_FIX = "Correct it (see docs/your_model.md)."


class _Declared(Frozen):
    """What a predictor may say of itself, as attributes."""

    name: str | None = None
    version: str | None = None
    tasks: tuple[str, ...] | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Predictor:
    """A loaded predictor. `call` goes from a batch, and the task if it wants that, to predictions.

    `tasks` are those that it serves, None for all. `identity` is what decides its predictions, as JSON (None: not
    known); `code` is where it was loaded from.
    """

    call: Callable[..., Any]
    tasks: tuple[str, ...] | None
    system: SystemInfo
    identity: dict[str, Any] | None = None
    code: Code | None = None

    @property
    def name(self) -> str:
        """The name it is known by."""
        return self.system.name

    def check_serves(self, task: Task) -> None:
        """Raise InputError for a task that the predictor does not serve."""
        if self.tasks is not None and task.name not in self.tasks:
            expected = f"a task that it serves: {', '.join(self.tasks) or 'none'}"
            fix = "Choose another predictor or task, or correct its `tasks`."
            raise InputError(f"predictor {self.name}", found=f"the task {task.name}", expected=expected, fix=fix)

    def __call__(self, batch: list[dict[str, Any]], task: Task) -> Any:
        """Return what the callable returns for a batch; what it prints goes to standard error."""
        with redirect_stdout(sys.stderr), self.code.importable() if self.code else nullcontext():
            return self.call(batch, task) if _wants_task(self.call) else self.call(batch)


def registered() -> list[tuple[str, str]]:
    """Return the name of each registered predictor, sorted, with the distribution that registers it."""
    return sorted((point.name, _distribution(point)) for point in entry_points(group=GROUP))


def identity(name: str) -> dict[str, Any]:
    """Return what decides the predictions of a named predictor, with a hash of its source, without importing it.

    Raises InputError for an unknown name, and for a file or module that cannot be read.
    """
    return _identity(*_found(name))


def absolute_name(name: str) -> str:
    """Return the name of a predictor as it holds in any working directory, where it is that of a file."""
    where, _, attribute = name.rpartition(":")
    return f"{Path(where).expanduser().resolve()}:{attribute}" if where.endswith(".py") else name


def load_predictor(name: str) -> Predictor:
    """Import a predictor, and make it where the name is that of a class or factory.

    `name` is `module:function`, `path.py:function`, or an entry point's. Raises InputError for an unknown name with the
    nearest one, a name that two distributions register or that is one of our systems', and what cannot be imported,
    made or called.
    """
    known, code = _found(name)
    place = f"predictor {known} (of {' '.join(code.distribution)})" if code.distribution[0] else f"predictor {name}"
    try:
        with redirect_stdout(sys.stderr):
            target = code.load()
    except (Exception, SystemExit) as error:  # a script may end by itself
        found = f"{code.target} fails to import ({_message(error)})"
        raise _wrong(place, found, "`module:attribute`") from error
    with redirect_stdout(sys.stderr), code.importable():
        call, made = _made(place, code.target, target)
    declared = _declared(place, made)
    info = PredictorInfo(
        distribution=code.distribution[0],
        distribution_version=code.distribution[1],
        entry_point=code.target,
        version=declared.version,
        source_sha256=code.sha256,
    )
    decides = _identity(known, code)
    system = _system(place, known, declared.name, declared.parameters, info, decides)
    return Predictor(call, declared.tasks, system, decides, code)


def predictor_of(function: Callable[..., Any], *, name: str | None = None, version: str | None = None) -> Predictor:
    """Return a callable as a predictor; without a version its source decides.

    Raises InputError for what cannot be called or named.
    """
    written = str(getattr(function, "__name__", type(function).__name__))
    place = f"predictor {name or written}"
    call, made = _made(place, written, function)
    declared = _declared(place, made)
    own, version = name or declared.name or written, version or declared.version
    if own == "<lambda>":
        raise _wrong(place, "a function without a name", "a name", fix="Give one: predictor(..., name=...).")
    source = None if version else _source(function)
    target = f"{function.__module__}:{getattr(function, '__qualname__', written)}"
    info = PredictorInfo(entry_point=target, version=version, source_sha256=source)
    decides = {"name": own, "target": target, "version": version, "source_sha256": source}
    return Predictor(call, declared.tasks, _system(place, own, own, declared.parameters, info, decides), decides)


def _source(function: Callable[..., Any]) -> str:
    """Return a hash of a function's source and of the file it stands in; a new one where that does not tell all."""
    plain = inspect.unwrap(function) if inspect.isfunction(function) else type(function)
    try:
        text, file = inspect.getsource(plain), Path(inspect.getsourcefile(plain) or "")
    except (OSError, TypeError):
        return secrets.token_hex(32)
    held = [cell.cell_contents for cell in getattr(plain, "__closure__", None) or ()]
    if not inspect.isfunction(function) or not all(isinstance(value, str | int | float | None) for value in held):
        return secrets.token_hex(32)
    of_file = source_sha256(file.resolve(), file.resolve().parent) if file.is_file() else None
    return sha256_bytes(json.dumps([text, of_file, held]).encode())


def _found(name: str) -> tuple[str, Code]:
    """Return what records call a named predictor, and its code."""
    if ":" in name or name.endswith(".py"):
        code = find_code(name)
        return code.name, code
    point = _entry_point(name)
    distribution = (point.dist.name, point.dist.version) if point.dist else ("", "")
    return point.name, installed_code(point.module, point.attr, distribution)


def _entry_point(name: str) -> EntryPoint:
    points = list(entry_points(group=GROUP))
    matching = sorted((point for point in points if point.name == name), key=_distribution)
    if not matching:
        known = sorted({point.name for point in points})
        expected = "module:function, path/to/file.py:function, or " + (
            f"one of {', '.join(known)}" if known else f"a package that registers one as {GROUP}"
        )
        fix = f"Correct the name, or install its package.{nearest(name, known)}"
        raise InputError(name, found="unknown predictor", expected=expected, fix=fix)
    place = f"predictor {name} (of {_distribution(matching[0])})"
    if len(matching) > 1:
        several = ", ".join(map(_distribution, matching))
        found = f"{len(matching)} distributions that register the name: {several}"
        raise _wrong(place, found, "one", fix="Uninstall all but one of them.")
    if name in SYSTEMS:
        raise _wrong(place, "the name of one of the shipped systems", "a name of its own")
    return matching[0]


def _made(place: str, target: str, given: Any) -> tuple[Callable[..., Any], Any]:
    """Return what is called with a batch, and the object that it belongs to.

    A function that takes a batch is called as it is; a class or a factory is called for an object with `predict`.
    """
    if callable(given) and not isinstance(given, type) and _takes_a_batch(given):
        return given, given
    ready = not isinstance(given, type) and hasattr(given, "predict")
    made = given if ready else _instance(place, target, given)
    call = getattr(made, "predict", None)
    if not callable(call):
        found = f"{target} gives {kind_of(made)} without a method `predict`"
        raise _wrong(place, found, "an object with `predict(batch)`")
    return call, made


def _instance(place: str, target: str, given: Any) -> Any:
    if not callable(given):
        found = f"{target} is {kind_of(given)}"
        raise _wrong(place, found, "a function `predict(batch)`, a class or a factory")
    try:
        return given()
    except Exception as error:
        found = f"{target}() fails ({_message(error)})"
        raise _wrong(place, found, "a call without arguments that works") from error


def _takes_a_batch(target: Callable[..., Any]) -> bool:
    return _binds(target, []) or _binds(target, [], None)


def _wants_task(call: Callable[..., Any]) -> bool:
    """Return whether a second argument is needed, or one is called `task`."""
    if not _binds(call, [], None):
        return False
    try:
        second = list(inspect.signature(call).parameters.values())[1:2]
    except ValueError:
        return False
    return not _binds(call, []) or bool(second and second[0].name == "task")


def _binds(target: Callable[..., Any], *arguments: Any) -> bool:
    """Return whether a callable takes so many arguments; one whose signature is not known takes one."""
    try:
        inspect.signature(target).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a function without signature, as some in C
        return len(arguments) == 1
    return True


def _declared(place: str, made: Any) -> _Declared:
    """Read the optional attributes; a method of such a name (a model's `parameters()`) says nothing here."""
    values = {name: value for name in _Declared.model_fields if not callable(value := getattr(made, name, None))}
    try:
        return _Declared.model_validate(values, strict=False)
    except ValidationError as error:
        attribute = str(error.errors()[0]["loc"][0])
        raise _wrong(place, f"`{attribute}` = {values[attribute]!r}", _EXPECTED.get(attribute, "a string")) from None


def _identity(name: str, code: Code) -> dict[str, Any]:
    distribution = list(code.distribution)
    return {"name": name, "target": code.target, "distribution": distribution, "source_sha256": code.sha256}


def _system(
    place: str, name: str, label: str | None, parameters: int | None, info: PredictorInfo, decides: dict[str, Any]
) -> SystemInfo:
    for own in (name, label):
        if own in SYSTEMS:
            raise _wrong(place, f"`name` = {own!r}, one of the shipped systems", "a name of its own")
    return SystemInfo(
        name=name,
        base=EXTERNAL,
        parameters=parameters,
        training_seed=None,
        training_sha256=None,
        settings={},
        weights_sha256=sha256_bytes(json.dumps([decides, info.version], sort_keys=True).encode()),
        label=None if label == name else label,
        predictor=info,
    )


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"


def kind_of(value: object) -> str:
    """Return how an error calls a value of the wrong type."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _wrong(place: str, found: str, expected: str, *, fix: str = _FIX) -> InputError:
    return InputError(place, found=found, expected=expected, fix=fix)

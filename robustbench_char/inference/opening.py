"""What a user names as a model, for every command and for Python: a folder, a hub id, a predictor, a chat model.

Each kind of model stands in a file of its own, which is imported when such a model is named. To add one, say in
`kind_of_model` how its names look, and in `_functions_of` where its two functions stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from robustbench_char.common import InputError
from robustbench_char.inference.options import ModelOptions
from robustbench_char.records.predictors import registered

if TYPE_CHECKING:
    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.tasks.base import Task

__all__ = ["Kind", "Unbound", "identify_model", "kind_of_model", "open_model"]

Kind: TypeAlias = Literal["saved", "transformers", "predictor", "chat"]
_Open: TypeAlias = "Callable[[str, Task | None, ModelOptions], PredictionSource]"
_Identify: TypeAlias = "Callable[[str, Task | None, ModelOptions], dict[str, Any]]"
SYSTEM = "system.json"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@runtime_checkable
class Unbound(Protocol):
    """A model made in Python that is bound to no task yet, as `rbc.chat` returns it; `name` is what it is called."""

    @property
    def name(self) -> str:
        """The name in records."""
        ...

    def bind(self, task: Task, options: ModelOptions) -> PredictionSource:
        """Return it as a source of predictions for a task."""
        ...

    def identify(self, task: Task, options: ModelOptions) -> dict[str, Any]:
        """Return what decides its predictions, as JSON."""
        ...


def kind_of_model(name: Path | str) -> Kind:
    """Return of what kind a named model is, by its name and what stands on disk alone.

    Raises InputError for a name that can be none: a path without a folder.
    """
    text, path = str(name), Path(name).expanduser()
    if path.is_dir():
        return "saved" if (path / SYSTEM).is_file() else "transformers"
    if text.startswith("openai:"):
        return "chat"
    if ":" in text or text in {point for point, _ in registered()}:
        return "predictor"
    if not path.exists() and _HUB_ID.fullmatch(text):
        return "transformers"
    found = "a file" if path.exists() else "no such folder"
    expected = "a model: a folder, an id on the Hugging Face hub, openai:NAME, or a predictor (see `list predictors`)"
    raise InputError(text, found=found, expected=expected, fix="Check the path.")


def open_model(
    name: Path | str | PredictionSource | Unbound, task: Task | None = None, *, options: ModelOptions | None = None
) -> PredictionSource:
    """Return the source of predictions that `name` stands for; a source that is ready is returned as it is.

    `task` is what it shall predict (None: a saved system's own). Raises InputError for what cannot be opened.
    """
    if isinstance(name, Unbound):
        return name.bind(_given(task), options or ModelOptions())
    if not isinstance(name, Path | str):
        return name
    open_named, _ = _functions_of(kind_of_model(name))
    return open_named(str(name), task, options or ModelOptions())


def identify_model(
    name: Path | str | PredictionSource | Unbound, task: Task | None = None, *, options: ModelOptions | None = None
) -> dict[str, Any]:
    """Return what decides the predictions of a model, as JSON, with its `kind`.

    Nothing of the model is loaded, and no module of a user is imported. Raises InputError for what cannot be opened.
    """
    if isinstance(name, Unbound):
        return {"kind": "unbound", **name.identify(_given(task), options or ModelOptions())}
    if not isinstance(name, Path | str):
        return {"kind": "ready", "system": name.info.model_dump(mode="json")}
    kind = kind_of_model(name)
    _, identify_named = _functions_of(kind)
    return {"kind": kind, **identify_named(str(name), task, options or ModelOptions())}


def _given(task: Task | None) -> Task:
    if task is None:
        raise InputError("--task", found="none", expected="the task of the data", fix="Name it: --task TASK.")
    return task


def _functions_of(kind: Kind) -> tuple[_Open, _Identify]:
    """Import the file of a kind of model, which may need a model library."""
    if kind == "saved":
        from robustbench_char.inference import systems

        return systems.open_named, systems.identify_named
    if kind == "predictor":
        from robustbench_char.inference import predictors

        return predictors.open_named, predictors.identify_named
    if kind == "chat":
        from robustbench_char.inference.chat import opening

        return opening.open_named, opening.identify_named
    from robustbench_char.inference import transformers_models

    return transformers_models.open_named, transformers_models.identify_named

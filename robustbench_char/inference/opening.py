"""What a user names as a model, for every command and for Python: a folder, a hub id, a predictor, a chat model.

Each kind of model stands in a file of its own, which is imported when such a model is opened. To add one, say in
`kind_of_model` how its names look, in `_IDENTIFY` what decides its predictions, and in `_opener` what opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from robustbench_char.common import InputError
from robustbench_char.common.extras import needed
from robustbench_char.common.files import read_json
from robustbench_char.common.options import Option, fields_of, keywords_of
from robustbench_char.common.yaml_model import check_mapping
from robustbench_char.inference._identities import (
    SYSTEM,
    identify_fine_tuned,
    identify_predictor,
    identify_saved,
    task_of,
)
from robustbench_char.inference.options import CHAT, ChatOptions, ModelOptions
from robustbench_char.models.bases import HUB_ID
from robustbench_char.models.folders import CONFIG
from robustbench_char.models.kinds import refuse_other_folder
from robustbench_char.records.predictors import registered
from robustbench_char.tasks.base import Task

if TYPE_CHECKING:
    from robustbench_char.inference.evaluate import PredictionSource

__all__ = ["Kind", "Unbound", "identify_model", "kind_of_model", "open_model", "task_of_model", "without_chat_options"]

Kind: TypeAlias = Literal["saved", "transformers", "predictor", "chat"]
_Open: TypeAlias = "Callable[[str, Task | None, ModelOptions], PredictionSource]"
_Identify: TypeAlias = "Callable[[str, Task | None, ModelOptions], dict[str, Any]]"


def _identify_chat(name: str, task: Task | None, options: ModelOptions) -> dict[str, Any]:
    from robustbench_char.inference.chat.opening import identify_named

    return identify_named(name, task, options)


_IDENTIFY: dict[Kind, _Identify] = {
    "saved": identify_saved,
    "transformers": identify_fine_tuned,
    "predictor": identify_predictor,
    "chat": _identify_chat,
}


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
        if not (path / SYSTEM).is_file() and not (path / CONFIG).is_file():
            if text in {point for point, _ in registered()}:  # a folder of data or code may have the name, too
                return "predictor"
            refuse_other_folder(path, text)
            expected = "a folder that `finetune` wrote, or one with a fine-tuned model of Transformers"
            raise InputError(text, found=f"neither {SYSTEM} nor {CONFIG}", expected=expected, fix="Check the path.")
        return "saved" if (path / SYSTEM).is_file() else "transformers"
    if text.startswith(CHAT):
        return "chat"
    if ":" in text or text.endswith(".py") or text in {point for point, _ in registered()}:
        return "predictor"
    if not path.exists() and HUB_ID.fullmatch(text):
        return "transformers"
    found = "a file" if path.exists() else "no such folder"
    expected = "a model: a folder, an id on the Hugging Face hub, openai:NAME, or a predictor (file.py:function)"
    raise InputError(text, found=found, expected=expected, fix="Check the path.")


def task_of_model(name: Path | str | PredictionSource | Unbound) -> Task | None:
    """Return the task of a model that says it by itself: what `finetune` wrote, or a source that is ready.

    Raises InputError for a `system.json` that is damaged, and for what is no model, such as a plain function.
    """
    if isinstance(name, Unbound):
        return None
    if not isinstance(name, Path | str):
        if not hasattr(name, "info"):
            expected = "a name, or what rbc.load_model, rbc.predictor or rbc.chat returned"
            fix = "Wrap a function: rbc.predictor(function). Save a model to a folder and name that."
            raise InputError("model", found=f"a value of type {type(name).__name__}", expected=expected, fix=fix)
        return name.task
    if kind_of_model(name) != "saved":
        return None
    path = Path(name).expanduser() / SYSTEM
    return check_mapping(read_json(path).get("task", {}), Task, place=f"{path}: task")


def open_model(
    name: Path | str | PredictionSource | Unbound,
    task: Task | None = None,
    *,
    options: ModelOptions | None = None,
    kind: Kind | None = None,
) -> PredictionSource:
    """Return the source of predictions that `name` stands for; a source that is ready is returned as it is.

    `task` is what it shall predict (None: a saved system's own), `kind` what the name is of (None: what it looks like).
    Raises InputError for what cannot be opened.
    """
    options = options or ModelOptions()
    _refuse_unused(name, options, kind)
    if isinstance(name, Unbound):
        return name.bind(task_of(task), options)
    if not isinstance(name, Path | str):
        return name
    return _opener(kind or kind_of_model(name))(str(name), task, options)


def identify_model(
    name: Path | str | PredictionSource | Unbound,
    task: Task | None = None,
    *,
    options: ModelOptions | None = None,
    kind: Kind | None = None,
) -> dict[str, Any]:
    """Return what decides the predictions of a model, as JSON, with its `kind`.

    Nothing of the model is loaded, and no module of a user is imported. Raises InputError for what cannot be opened.
    """
    options = options or ModelOptions()
    _refuse_unused(name, options, kind)
    if isinstance(name, Unbound):
        return {"kind": "unbound", **name.identify(task_of(task), options)}
    if not isinstance(name, Path | str):
        return {"kind": "ready", "system": name.info.model_dump(mode="json")}
    kind = kind or kind_of_model(name)
    return {"kind": kind, **_IDENTIFY[kind](str(name), task, options)}


def without_chat_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords of `ModelOptions` without those that chat models alone have."""
    return {name: value for name, value in options.items() if name not in {field.keyword for field in _OF_CHAT}}


_OF_CHAT = tuple(fields_of(ChatOptions))


def _refuse_unused(name: Any, options: ModelOptions, kind: Kind | None) -> None:
    """Raise InputError for options that a model would leave unread."""
    given = keywords_of(options)
    if isinstance(name, Path | str):
        if (kind or kind_of_model(name)) == "chat" or given == without_chat_options(given):
            return
        unread, found = set(given) - set(without_chat_options(given)), f"an option of chat models, with {name}"
        expected, fix = "a chat model, openai:NAME", "Leave it out, or name a chat model."
    else:
        unread = set(given) - ({"labels", "defence"} if isinstance(name, Unbound) else set())
        found, expected = "an option beside a model that is made already", "none that it would not read"
        fix = "Give it where the model is made."
    if unread:
        raise InputError(Option(min(unread)), found=found, expected=expected, fix=fix)


@needed()
def _opener(kind: Kind) -> _Open:
    """Import the file of a kind of model, which may need a model library."""
    if kind == "saved":
        from robustbench_char.inference import systems

        return systems.open_named
    if kind == "predictor":
        from robustbench_char.inference import predictors

        return predictors.open_named
    if kind == "chat":
        from robustbench_char.inference.chat import opening

        return opening.open_named
    from robustbench_char.inference import transformers_models

    return transformers_models.open_named

"""A chat model by its name, `openai:NAME`, and as `rbc.chat` returns it: what must fit before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.extras import require
from robustbench_char.common.options import Option, options_of
from robustbench_char.inference._defended import defended
from robustbench_char.inference._identities import defence_identity, task_of
from robustbench_char.inference.chat.client import DEFAULT_KEY, read_key
from robustbench_char.inference.chat.prompts import Prompt, load_prompt
from robustbench_char.inference.chat.source import ChatSource, chat_info, read_price
from robustbench_char.inference.evaluate import PredictionSource
from robustbench_char.inference.options import CHAT, ModelOptions
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.formats.ptb import PTB_TAGS
from robustbench_char.tasks.label_names import given_labels

__all__ = ["ChatModel", "chat", "identify_named", "open_named"]

_PATH = "/chat/completions"


@dataclass(frozen=True)
class ChatModel:
    """A chat model that is bound to no task yet."""

    name: str
    options: ModelOptions

    def bind(self, task: Task, options: ModelOptions) -> PredictionSource:
        """Return it as a source of predictions for a task, with the labels and the defence of `options`."""
        return open_named(self.name, task, self._with(options))

    def identify(self, task: Task, options: ModelOptions) -> dict[str, Any]:
        """Return what decides its predictions, as JSON."""
        return identify_named(self.name, task, self._with(options))

    def _with(self, options: ModelOptions) -> ModelOptions:
        return self.options.model_copy(update={"labels": options.labels, "defence": options.defence})


def chat(
    url: str,
    *,
    model: str,
    parallel: int = 16,
    cache: Path | str | None = None,
    prompt: Path | str | None = None,
    key_env: str = DEFAULT_KEY,
    timeout: float = 60.0,
    retries: int = 6,
    price: str | None = None,
    yes: bool = False,
) -> ChatModel:
    """Return a chat model behind the OpenAI-compatible endpoint `url`, for `evaluate` and `check`.

    `parallel` requests are sent at once; each answer is kept in the folder `cache` (default: the user's cache), so that
    nothing is asked twice. `prompt` is a YAML file (default: the shipped one of the task's family), `key_env` the
    environment variable with the key, `timeout` in seconds, `retries` the further tries of a request, `price` that of a
    million input and of a million output tokens ("0.15,0.60"); `yes` lets more than 2,000 requests be sent without a
    limit. Raises InputError for options that cannot work.

    >>> chat("http://127.0.0.1:8000/v1", model="tiny").name
    'openai:tiny'
    """
    given = {
        "endpoint": url, "prompt": prompt, "key_env": key_env, "parallel": parallel, "timeout": timeout,
        "retries": retries, "price": price, "cache": cache, "yes": yes,
    }  # fmt: skip
    (options,) = options_of(given, ModelOptions)
    endpoint_of(options.endpoint)
    return ChatModel(CHAT + model, options)


def open_named(name: str, task: Task | None, options: ModelOptions) -> PredictionSource:
    """Return a chat model by its name. Raises InputError for options that cannot work, and without the extra `llm`."""
    model, endpoint, prompt = _parts(name, task, options)
    return defended(ChatSource(model, endpoint, prompt, options), options)


def identify_named(name: str, task: Task | None, options: ModelOptions) -> dict[str, Any]:
    """Return what decides the predictions of a chat model and their cost, as JSON. Raises InputError as above."""
    model, endpoint, prompt = _parts(name, task, options)
    info = chat_info(model, endpoint, prompt).model_dump(mode="json")
    decided = {"unanswerable": prompt.file.unanswerable, "price": read_price(options.price)}
    return {**info, **decided, "defence": defence_identity(options)}


def _parts(name: str, task: Task | None, options: ModelOptions) -> tuple[str, str, Prompt]:
    require("openai", place=name)
    read_key(options.key_env)
    model = name.removeprefix(CHAT).strip()
    if not model:
        raise InputError(name, found="no name", expected="openai:NAME", fix="Name the model as its endpoint does.")
    task = task_of(task)
    return model, endpoint_of(options.endpoint), load_prompt(options.prompt, task, _choices(task, options))


def endpoint_of(url: str | None) -> str:
    """Return the base URL of an endpoint. Raises InputError for none, and for one that is not a plain URL.

    Keys in a URL would be written into records, so it may hold neither a user nor a query.
    """
    fix = "Name it: `endpoint=` http://127.0.0.1:8000/v1 (OpenAI's own: https://api.openai.com/v1)."
    if not url:
        raise InputError(Option("endpoint"), found="none", expected="the URL of the endpoint of a chat model", fix=fix)
    if any(mark in url for mark in "@?#"):
        raise InputError(
            Option("endpoint"),
            found="a URL with a user, a query or a fragment",
            expected="a plain one: it is written into records",
            fix="Put the key into an environment variable and name it with `key_env=`.",
        )
    try:
        parts = urlsplit(url.strip())
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets of an address, a port that is not a number
        named = False
    if not named:
        expected = "a URL: http(s)://HOST[:PORT]/PATH"
        raise InputError(Option("endpoint"), found=repr(url), expected=expected, fix=fix)
    return url.strip().rstrip("/").removesuffix(_PATH).rstrip("/")


def _choices(task: Task, options: ModelOptions) -> tuple[str, ...]:
    """Return the labels of a classification, or the types of spans or words of a tagging; `labels=` names those."""
    given = given_labels(options.labels)
    if task.family != "tagging":
        return _as_in_task(task, given)
    known = given or task.format_options.get("tag_names", ()) or (sorted(PTB_TAGS) if task.format == "ptb" else ())
    if not known:
        fix = "Name them: --labels PER,ORG,LOC (types of spans, or tags of words)."
        found = f"none for {task.name}, which lists no tags"
        raise InputError(Option("labels"), found=found, expected="the tags that a chat model may use", fix=fix)
    if task.metric != "entity_f1":
        return tuple(known)
    types = (tag[2:] if tag[1:2] == "-" else tag for tag in known)
    return tuple(dict.fromkeys(kind for kind in types if kind != "O"))


def _as_in_task(task: Task, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels of a classification, in the order given. Raises InputError for others, and for a question's."""
    known = task.labels or ()
    odd = [label for label in given if label not in known]
    if odd or (given and len(set(given)) < len(known)):
        expected = f"the labels of {task.name}, in any order: {', '.join(known)}" if known else "none"
        fix = f"Leave `labels=` out.{nearest(odd[0], known) if odd else ''}"
        raise InputError(Option("labels"), found=", ".join(given), expected=expected, fix=fix)
    return given or known

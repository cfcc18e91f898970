"""Prompts: what a chat model is asked for an example, from a YAML file of the folder `prompts/` or of the user's.

Placeholders in braces are replaced in one pass, so text of an example is never read as a placeholder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from robustbench_char.common import InputError, nearest
from robustbench_char.common.files import find_declaration, sha256_bytes, shipped
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.yaml_model import load_yaml_model
from robustbench_char.tasks.base import Example, Family, Task, token_text
from robustbench_char.tasks.labels import may_decline

__all__ = ["FOLDER", "Prompt", "PromptFile", "load_prompt", "load_prompt_file", "prompt_names"]

FOLDER = "prompts"
"""Where shipped prompts stand."""

Messages = list[dict[str, str]]
"""What one request holds: a role and a content each."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NEEDED: Mapping[Family, tuple[str, ...]] = {
    "classification": ("labels",),
    "tagging": ("types", "text"),
    "question_answering": ("question", "context"),
}


class PromptFile(Frozen):
    """One prompt; prompts/README.md explains each key."""

    schema_version: Literal[1] = Field(1, alias="schema")
    family: Family
    about: str = ""
    system: str = ""
    user: str = Field(min_length=1)
    unanswerable: str = ""

    @property
    def sha256(self) -> str:
        """The hash of all that a model is told; comments and `about` do not count."""
        told = self.model_dump(mode="json", exclude={"about", "schema_version"})
        return sha256_bytes(json.dumps(told, sort_keys=True).encode())

    def placeholders(self) -> set[str]:
        """Return the placeholders of both messages."""
        return set(_PLACEHOLDER.findall(self.system + self.user))


@dataclass(frozen=True)
class Prompt:
    """A prompt for one task: `choices` are the labels, or the types of spans or words, that an answer may name."""

    name: str
    file: PromptFile
    task: Task
    choices: tuple[str, ...]

    def messages(self, example: Example) -> Messages:
        """Return the messages of one example; its label is not looked at."""
        texts = {field: token_text(example.fields[field]) for field in self.task.fields}
        values = {**texts, "task": self.task.title, **self._values(texts)}
        filled = {role: self._filled(getattr(self.file, role), values) for role in ("system", "user")}
        return [{"role": role, "content": text} for role, text in filled.items() if text]

    def _values(self, texts: Mapping[str, str]) -> dict[str, str]:
        if self.file.family == "tagging":  # a tag may be a comma, and has no space
            return {"types": " ".join(self.choices), "text": next(iter(texts.values()))}
        if self.file.family == "classification":
            return {
                "labels": ", ".join(self.choices),
                "fields": "\n".join(f"{name}: {text}" for name, text in texts.items()),
            }
        return {"unanswerable": self.file.unanswerable if may_decline(self.task) else ""}

    @staticmethod
    def _filled(template: str, values: Mapping[str, str]) -> str:
        text = _PLACEHOLDER.sub(lambda match: values[match[1]], template).strip()
        return text.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be sent


def prompt_names() -> list[str]:
    """Return the names of the shipped prompts."""
    return list(shipped(FOLDER))


def load_prompt_file(name: str, *, place: str = "--prompt") -> PromptFile:
    """Read a prompt by its shipped name or path. Raises InputError, also for a placeholder that is missing."""
    path = find_declaration(FOLDER, name, place=place)
    file = load_yaml_model(path, PromptFile)
    missing = [name for name in _NEEDED[file.family] if name not in file.placeholders()]
    if missing:
        raise _incomplete(str(path), file, missing)
    return file


def load_prompt(name: str | None, task: Task, choices: tuple[str, ...]) -> Prompt:
    """Return a prompt (default: the one of the task's family) for a task.

    Raises InputError for one of another family, and for placeholders that are missing or that the task does not fill.
    """
    default = "tagging_words" if task.family == "tagging" and task.metric != "entity_f1" else task.family
    file = load_prompt_file(name or default)
    if file.family != task.family:
        found = f"the prompt {name}, which is for {file.family}"
        expected = f"one for {task.family}, the family of {task.name}"
        raise InputError("--prompt", found=found, expected=expected, fix=f"Start from prompts/{default}.yaml.")
    own = {"labels", "fields", *task.fields} if task.family == "classification" else set(_NEEDED[task.family])
    known = own | {"task"} | ({"unanswerable"} if task.family == "question_answering" else set())
    if missing := list(_missing(file, task)):
        raise _incomplete(name or default, file, missing)
    for odd in sorted(file.placeholders() - known):
        expected = f"one of {', '.join(f'{{{one}}}' for one in sorted(known))}"
        fix = f"Correct the placeholder.{nearest(odd, known)}"
        raise InputError(f"{name}: user", found=f"the placeholder {{{odd}}}", expected=expected, fix=fix)
    return Prompt(name or default, file, task, choices)


def _missing(file: PromptFile, task: Task) -> Iterator[str]:
    """Yield the fields of a classification that the model would not see."""
    if task.family == "classification" and "fields" not in file.placeholders():
        yield from (name for name in task.fields if name not in file.placeholders())


def _incomplete(place: str, file: PromptFile, missing: list[str]) -> InputError:
    names = ", ".join(f"{{{name}}}" for name in missing)
    hints = "".join(nearest(name, file.placeholders() - {*_NEEDED[file.family]}) for name in missing[:1])
    hint = hints.replace("Did you mean", "It has").replace("?", ".")
    fix = f"Write the placeholder into `user` (see prompts/README.md).{hint}"
    return InputError(
        f"{place}: user", found=f"no placeholder {names}", expected="all that the model must see", fix=fix
    )

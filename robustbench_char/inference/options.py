"""Options of the models that a user names: each is declared once, for commands, specs and Python. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

from pydantic import BeforeValidator, Field

from robustbench_char.common.options import Called, Options

__all__ = ["CHAT", "ChatOptions", "CheckKeywords", "CheckOptions", "ModelKeywords", "ModelOptions"]

CHAT = "openai:"
"""How the names of chat models begin."""


def _listed(value: Any) -> Any:
    """Return one text as a list: names parted by commas, or a file."""
    if isinstance(value, str | Path):
        return (str(value),)
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


class ChatOptions(Options):
    """Where a chat model (`openai:NAME`) is asked, how, and what its answers cost."""

    endpoint: str | None = Field(
        None, description="Chat models: URL of the OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1."
    )
    prompt: Annotated[str | None, BeforeValidator(_text)] = Field(
        None, description="Chat models: a prompt's .yaml file (default: that of the task's family, see `list prompts`)."
    )
    key_env: str = Field(
        "OPENAI_API_KEY",
        description="Chat models: the environment variable with the key, which is written nowhere; a local server may"
        " need none.",
    )
    parallel: int = Field(16, ge=1, le=1024, description="Chat models: requests at once.")
    timeout: float = Field(60.0, gt=0, description="Chat models: seconds to wait for an answer.")
    retries: int = Field(6, ge=0, description="Chat models: further tries of a request, with growing pauses.")
    price: str | None = Field(
        None, description="Chat models: price of a million input tokens and of a million output tokens: 0.15,0.60."
    )
    cache: Annotated[str | None, BeforeValidator(_text)] = Field(
        None,
        description="Chat models: folder of answers, so that nothing is asked twice (default: in the user's cache).",
    )
    yes: Annotated[bool, Called(flag="--yes")] = Field(
        False, description="Chat models: send more than 2,000 requests without --limit."
    )


class CheckOptions(ChatOptions):
    """How a model that is not ours is read."""

    labels: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (),
        description="What each class id of the model means, in order: a,b,c or a file with one name per line;"
        " - for what the task does not have. Chat models: the types of spans, or tags of words, of a task that lists"
        " none.",
    )


class ModelOptions(CheckOptions):
    """How a model is read, and what stands before it."""

    defence: str | None = Field(
        None,
        description="Put a defence before the model: a folder that `train-defence` wrote, or a ready one (see `list`).",
    )


class CheckKeywords(TypedDict, total=False):
    """The keywords of `CheckOptions`, which say what they mean; None stands for the default."""

    endpoint: str | None
    prompt: Path | str | None
    key_env: str | None
    parallel: int | None
    timeout: float | None
    retries: int | None
    price: str | None
    cache: Path | str | None
    yes: bool | None
    labels: Sequence[str] | str | None


class ModelKeywords(CheckKeywords, total=False):
    """The keywords of `ModelOptions`."""

    defence: str | None

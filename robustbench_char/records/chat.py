"""What a record says of a chat model behind an endpoint."""

from __future__ import annotations

from robustbench_char.common.frozen import Frozen

__all__ = ["ChatInfo"]


class ChatInfo(Frozen):
    """A chat model behind an endpoint, and the prompt that it is asked by: its name, hash and messages.

    `choices` are the labels or types that an answer may name; `parameters` are those of each request.
    """

    endpoint: str
    model: str
    prompt: str
    prompt_sha256: str
    messages: dict[str, str]
    choices: tuple[str, ...]
    parameters: dict[str, float]

"""The options of building a noisy channel. Quick to import: commands are described by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from pydantic import Field

from robustbench_char.common.options import Options

__all__ = ["ChannelKeywords", "ChannelOptions", "Ends"]

Ends = Literal["kept", "free"]
"""Whether the first and the last character of a word may be wrong: free; or never are: kept."""


class ChannelOptions(Options):
    """Options of building a channel."""

    max_edits: Literal[1, 2] = Field(2, description="Noisy channel: the most edits of a word that are undone.")
    ends: Ends = Field(
        "free", description="Noisy channel: free, first and last character of a word may be wrong too; or kept, never."
    )
    misspellings: tuple[str, ...] = Field(
        (),
        description="Noisy channel: estimate the error model from misspellings: a TSV file (wrong, right), `codespell`,"
        " or an attacked set; may be repeated (default: all edits are equally likely).",
    )
    dictionary: bool = Field(True, description="Noisy channel: know the words of symspellpy's English dictionary too.")
    vocabulary: int = Field(150_000, ge=1, le=2_000_000, description="Known words: the most frequent.")
    limit: int | None = Field(None, ge=1, description="Read the first lines of the text only.")


class ChannelKeywords(TypedDict, total=False):
    """The keywords of `ChannelOptions`, which says what they mean; None stands for the default."""

    max_edits: Literal[1, 2] | None
    ends: Ends | None
    misspellings: Sequence[str] | None
    dictionary: bool | None
    vocabulary: int | None
    limit: int | None

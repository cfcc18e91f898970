"""Options of a search for the worst case: each is declared once, for the command, specs and Python. No torch here."""

from __future__ import annotations

from typing import TypedDict

from pydantic import Field

from robustbench_char.attacks.search.searches import SEARCHES
from robustbench_char.common.options import Options

__all__ = ["SearchKeywords", "SearchOptions"]


class SearchOptions(Options):
    """How the worst case is searched for; None: as the suite says, else one edit, exhaustively."""

    edits: int | None = Field(None, ge=1, le=64, description="Worst case: the most edits of a text.")
    search: str | None = Field(
        None,
        description=f"Worst case: {', '.join(SEARCHES)}, or beam:N. Default: the suite's own, else exhaustive for one"
        " edit and greedy for more.",
    )
    positions: int | None = Field(None, ge=1, description="Worst case: places that charmer tries (default: 20).")
    budget: int | None = Field(
        None, ge=1, description="Worst case: the most queries to the model per example (default: any number)."
    )
    certify: int | None = Field(
        None,
        ge=1,
        description="Worst case, behind spell or channel: bound any attack of one edit in each of --edits words by all"
        " texts that the defence can make, where these are at most so many.",
    )


class SearchKeywords(TypedDict, total=False):
    """The keywords of `SearchOptions`, which say what they mean; None stands for the default."""

    edits: int | None
    search: str | None
    positions: int | None
    budget: int | None
    certify: int | None

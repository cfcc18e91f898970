"""What a suite's file says of its search for the worst case, and a manifest of one that was made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from robustbench_char.common.frozen import Frozen

__all__ = ["SearchFile", "SearchInfo"]


class SearchFile(Frozen):
    """How a suite is searched for the worst case by default: a search by its name, its size, the edits of a text."""

    search: str
    edits: int = Field(1, ge=1)
    size: int | None = Field(None, ge=1)


class SearchInfo(Frozen):
    """A search for the worst case, and the model that it is the worst case of.

    `name`: how records call the model, behind its defence; `model_sha256`: of the weights of both. `size`: the width of
    a beam, or the positions that are tried; `budget`: the most questions an example (None: any number). `edits` are the
    most that a text gets. `guided_by`: what the model gives. `seed`: of the order in which a budget is spent. `limit`:
    how many examples were attacked (None: all).
    """

    name: str
    model_sha256: str
    search: str
    edits: int
    size: int
    budget: int | None
    guided_by: Literal["scores", "labels"]
    seed: int = 0
    limit: int | None = None

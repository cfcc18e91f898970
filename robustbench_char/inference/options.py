"""Options of the models that a user names: each is declared once, for commands, specs and Python. No torch here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from robustbench_char.common.options import Options

__all__ = ["ModelOptions"]


def _listed(value: Any) -> Any:
    """Return one text as a list: names parted by commas, or a file."""
    return (value,) if isinstance(value, str) else value


class ModelOptions(Options):
    """How a model that is not ours is read, and what stands before it."""

    labels: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (),
        description="What each class id of the model means, in order: a,b,c or a file with one name per line;"
        " - for what the task does not have.",
    )
    defence: str | None = Field(
        None, description="Put a defence before the model: the folder that `train-recogniser` wrote."
    )

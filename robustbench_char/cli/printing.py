"""Printing what may hold text of somebody else's data: nothing of it commands the terminal, or hides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from robustbench_char.common.errors import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment

__all__ = ["echo", "visible_console"]


def echo(text: object, *, err: bool = False) -> None:
    """Print a line, its control characters as escapes."""
    typer.echo(visible(str(text)), err=err)


def visible_console(**options: Any) -> Console:
    """Return a console of rich that prints what it is given as it is, its control characters as escapes.

    So `[b]` in the name of a model is no markup.
    """
    from rich.console import Console

    class Visible(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=visible(segment.text))

    return Visible(markup=False, emoji=False, **options)

"""`show`: print attacked examples with the edits coloured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["show"]

_STYLES = {"same": "", "removed": "red strike", "inserted": "green bold"}
_PLAIN = {"same": "{}", "removed": "[-{}-]", "inserted": "{{+{}+}}"}


def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `attack` wrote.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of texts.")] = 10,
    all_texts: Annotated[bool, typer.Option("--all", help="Include texts without an edit.")] = False,
) -> None:
    """Print attacked texts with the edits marked: coloured in a terminal, as [-removed-]{+inserted+} elsewhere."""
    from rich.console import Console
    from rich.text import Text

    import robustbench_char as rbc

    console = Console(soft_wrap=True, highlight=False)
    for shown in rbc.shown_examples(folder, count=count, only_edited=not all_texts):
        line = Text(f"{shown.id} {shown.field}: ", style="dim")
        for kind, text in shown.pieces:
            line.append(text if console.is_terminal else _PLAIN[kind].format(text), style=_STYLES[kind])
        console.print(line)

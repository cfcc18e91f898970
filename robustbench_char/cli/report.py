"""`report`: turn records into a page, tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Output, Overwrite

__all__ = ["report"]


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders that `evaluate` wrote, or folders of such folders.")
    ],
    output: Output = Path("report"),
    examples: Annotated[
        bool, typer.Option(help="Show twenty examples; --no-examples for data whose text must not be published.")
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Write one self-contained HTML page, the same as Markdown, and every table and figure as files."""
    import robustbench_char as rbc

    typer.echo(rbc.report(folders, output, examples=examples, overwrite=overwrite).absolute())

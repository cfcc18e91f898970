"""`mini`: write a generated data set as a native file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Overwrite

__all__ = ["mini"]


def mini(
    task: Annotated[str, typer.Argument(metavar="TASK", help="One of the shipped tasks (see `list`).")],
    output: Annotated[Path, typer.Option("--output", help="Output directory.")],
    overwrite: Overwrite = False,
) -> None:
    """Write the small generated data set of a task (train, dev, test) in the task's native format."""
    import robustbench_char as rbc

    files = rbc.write_mini(task, output, overwrite=overwrite)
    typer.echo(f"{output}: {', '.join(file.name for file in files)}")

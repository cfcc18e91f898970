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
    from robustbench_char.common.files import output_folder
    from robustbench_char.tasks.sources import MINI_SPLITS, mini_path

    files = [mini_path(task, split) for split in MINI_SPLITS]
    with output_folder(output, overwrite=overwrite) as folder:
        for file in files:
            (folder / file.name).write_bytes(file.read_bytes())
    typer.echo(f"{output}: {', '.join(file.name for file in files)}")

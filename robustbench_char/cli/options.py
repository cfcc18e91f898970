"""Options that several commands share, and how they become a task and a source of examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from robustbench_char.tasks.base import NativeFile, Task

__all__ = ["Data", "DataDir", "Hub", "Input", "Output", "Overwrite", "Split", "TaskName", "source_of"]

TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="A task (see `list`), or the path of your own task's .yaml file.")
]
Input = Annotated[
    Path | None,
    typer.Option("--input", help="A file in the task's native format, or .jsonl or .parquet in the hub's layout."),
]
Data = Annotated[str | None, typer.Option("--data", help="`mini`: the small generated data set of the task.")]
Hub = Annotated[bool, typer.Option("--hub", help="The task's data set on the Hugging Face hub.")]
Split = Annotated[
    str | None,
    typer.Option(
        "--split", help="train, dev or test, of --hub, --data mini and --data-dir; default: dev (finetune: train)."
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="ptb_pos: the treebank's folder of sections (LDC99T42); all its sections by default (finetune: train).",
    ),
]
Output = Annotated[Path, typer.Option("--output", help="The folder to write; it appears whole or not at all.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output folder that has other content.")]


def source_of(
    task: Task,
    *,
    input: Path | None,
    data: str | None,
    hub: bool,
    split: str | None,
    data_dir: Path | None,
    option: str = "--input",
) -> NativeFile:
    """Open the one source that was named. Raises InputError when none or more than one is."""
    from robustbench_char.tasks.sources import open_source

    return open_source(task, input=input, data=data, hub=hub, split=split, data_dir=data_dir, option=option)

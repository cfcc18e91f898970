"""`check`: models from their names to a report, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Input, Limit, Seeds, Suites, command
from robustbench_char.cli.results import show_run
from robustbench_char.inference.options import CheckOptions
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.reports.results import Results

__all__ = ["check"]


def _print(results: Results) -> None:
    show_run(results.folders[0].parent, results.attrs["errors"])


@command("check", _print)
def check(
    *,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Models: folders, ids on the Hugging Face hub, predictors (module:function, file.py:function), chat"
            " models (openai:NAME).",
        ),
    ],
    task: Annotated[
        str | None, typer.Option(help="Task (see `list`), or a .yaml file; known for a folder that `finetune` wrote.")
    ] = None,
    input: Input = None,
    source: SourceOptions,
    suites: Suites = None,
    seeds: Seeds = None,
    limit: Limit = None,
    options: CheckOptions,
    defences: Annotated[
        list[str] | None,
        typer.Option(
            "--defence",
            metavar="NAME",
            help="Check each model behind a defence too: a folder that `train-defence` wrote, or a ready one (see"
            " `list`; may be repeated).",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Output directory for records, report and logs (default: below runs/).")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Result cache, shared by all runs.")] = None,
    executor: Annotated[str | None, typer.Option(help="local, processes or ray (default: processes).")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Parallel jobs (default: as many as CPUs or GPUs allow; 1 for predictors)."),
    ] = None,
) -> None:
    """Attack a test set, score models on it clean and attacked, and write a report. A rerun goes on after a stop.

    Prints what was found, one table, and the path of the report. Exit code 1: a job failed; its log is named.
    """

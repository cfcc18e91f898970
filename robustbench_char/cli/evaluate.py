"""`evaluate`: score a model on a data set, clean or attacked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Input, Json, Limit, Overwrite, Seeds, Suites, command
from robustbench_char.cli.printing import echo
from robustbench_char.cli.results import show_evaluation, show_numbers
from robustbench_char.inference.options import ModelOptions
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.inference.results import Evaluation
    from robustbench_char.reports.results import Results

__all__ = ["evaluate"]


def _print(result: Evaluation | Results, output: Path | None) -> None:
    from robustbench_char.inference.results import Evaluation

    if isinstance(result, Evaluation):
        show_evaluation(result)
    else:
        show_numbers(result.folders[0], opened=True)
    if output is None:
        echo("nothing was written: add --output DIR for the record and the predictions", err=True)
    else:
        echo(output)


@command("evaluate", _print)
def evaluate(
    *,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A folder, an id on the Hugging Face hub, openai:NAME, or a predictor (file.py:function).",
        ),
    ] = None,
    predictor: Annotated[
        str | None,
        typer.Option(
            help="Instead of MODEL: a function, as file.py:function or module:function, or a registered name."
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Task (see `list`), or a .yaml file; known for a folder that `finetune` wrote.")
    ] = None,
    input: Input = None,
    source: SourceOptions,
    suites: Suites = None,
    seeds: Seeds = None,
    limit: Limit = None,
    options: ModelOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Output directory for record, predictions and counts (written atomically)."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Batch size; does not affect the scores of a saved system.")] = 32,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Score a model on a data set, clean or attacked; with --suite on both, and with a folder of sets on each.

    Leave an attacked file in the folder that `attack` wrote: its manifest tells the record about the attack.
    """

"""`evaluate`: score a saved system, or a predictor of another package, on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Input, Json, Overwrite, command
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.inference.results import Evaluation

__all__ = ["evaluate"]


def _print(result: Evaluation, output: Path | None) -> None:
    record = result.record
    scores = ", ".join(f"{name} {value:.2f}" for name, value in record.scores.items())
    if output is None:
        typer.echo("nothing was written: add --output DIR for the record and the predictions", err=True)
    typer.echo(f"{record.task}, {record.condition}, {record.data.examples:,} examples: {scores}")


@command("evaluate", _print)
def evaluate(
    *,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A folder that `finetune` wrote.")] = None,
    predictor: Annotated[
        str | None,
        typer.Option(help="Instead of DIR: a function, as file.py:function or module:function, or a registered name."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Task; inferred from DIR, and checked if given.")] = None,
    input: Input = None,
    source: SourceOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Output directory for record, predictions and counts (written atomically)."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Batch size; does not affect the scores of a saved system.")] = 32,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Score a saved system, or a predictor, on a data set, clean or attacked.

    Leave an attacked file in the folder that `attack` wrote: its manifest tells the record about the attack.
    """

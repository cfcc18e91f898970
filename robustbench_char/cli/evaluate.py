"""`evaluate`: score a saved system, or a predictor of another package, on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Input, Json, Overwrite, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.tasks.sources import SourceOptions

__all__ = ["evaluate"]


@with_options
def evaluate(
    *,
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A folder that `finetune` wrote.")] = None,
    predictor: Annotated[
        str | None, typer.Option(help="Instead of DIR: a predictor that another package registers (see `list`).")
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
    import robustbench_char as rbc

    record = rbc.evaluate(
        folder,
        predictor=predictor,
        task=task,
        input=input,
        output=output,
        batch_size=batch_size,
        overwrite=overwrite,
        **keywords_of(source),
    ).record
    if json:
        typer.echo(record.model_dump_json(by_alias=True, indent=2))
        return
    scores = ", ".join(f"{name} {value:.2f}" for name, value in record.scores.items())
    if output is None:
        typer.echo("nothing was written: add --output DIR for the record and the predictions", err=True)
    typer.echo(f"{record.task}, {record.condition}, {record.data.examples:,} examples: {scores}")

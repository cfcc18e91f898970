"""`evaluate`: score a saved system on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Overwrite, Split, source_of

__all__ = ["evaluate"]


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `finetune` wrote.")],
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The folder for record, predictions and counts."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Examples at once; does not change the result.")] = 32,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Score a saved system on any native file, clean or attacked; --output keeps record, predictions, counts.

    Leave an attacked file in the folder that `attack` wrote: the record takes the attack from there.
    """
    from robustbench_char.training.evaluate import evaluate as run
    from robustbench_char.training.system_files import read_system

    source = source_of(read_system(folder).task, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    record = run(
        folder,
        source,
        output=output,
        source="mini" if data else None,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    if json:
        typer.echo(record.model_dump_json(by_alias=True, indent=2))
        return
    scores = ", ".join(f"{name} {value:.2f}" for name, value in record.scores.items())
    if output is None:
        typer.echo("nothing was kept: add --output DIR for the record and the predictions", err=True)
    typer.echo(f"{record.task}, {record.condition}, {record.data.examples:,} examples: {scores}")

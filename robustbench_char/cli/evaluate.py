"""`evaluate`: score a saved system, or a predictor of another package, on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Overwrite, Split, source_of

if TYPE_CHECKING:
    from robustbench_char.inference.evaluate import PredictionSource
    from robustbench_char.tasks.base import Task

__all__ = ["evaluate"]


def evaluate(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A folder that `finetune` wrote.")] = None,
    predictor: Annotated[
        str | None, typer.Option(help="Instead of DIR: a predictor that another package registers (see `list`).")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Task; inferred from DIR, and checked if given.")] = None,
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Output directory for record, predictions and counts (written atomically)."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Batch size; does not affect the scores of a saved system.")] = 32,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Score a saved system, or a predictor, on a data set, clean or attacked.

    Leave an attacked file in the folder that `attack` wrote: its manifest tells the record about the attack.
    """
    from robustbench_char.inference.evaluate import evaluate as run
    from robustbench_char.tasks.registry import get_task

    asked = get_task(task, "--task") if task else None
    source = _source(folder, predictor, asked)
    file = source_of(source.task, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    name = "mini" if data else None
    evaluation = run(source, file, task=asked, name=name, batch_size=batch_size, output=output, overwrite=overwrite)
    record = evaluation.record
    if json:
        typer.echo(record.model_dump_json(by_alias=True, indent=2))
        return
    scores = ", ".join(f"{name} {value:.2f}" for name, value in record.scores.items())
    if output is None:
        typer.echo("nothing was written: add --output DIR for the record and the predictions", err=True)
    typer.echo(f"{record.task}, {record.condition}, {record.data.examples:,} examples: {scores}")


def _source(folder: Path | None, predictor: str | None, task: Task | None) -> PredictionSource:
    """Return the one source of predictions that was named."""
    from robustbench_char.common import InputError

    if (folder is None) == (predictor is None):
        raise InputError(
            "evaluate",
            found="DIR and --predictor" if folder else "neither DIR nor --predictor",
            expected="one of them",
            fix="Give a folder that `finetune` wrote, or --predictor NAME.",
        )
    if folder is not None:
        from robustbench_char.inference.systems import load_system

        return load_system(folder)
    from robustbench_char.inference.predictors import PredictorSource

    if task is None:
        raise InputError("--task", found="none", expected="the task of the data", fix="Name it: --task TASK.")
    return PredictorSource.load(str(predictor), task)

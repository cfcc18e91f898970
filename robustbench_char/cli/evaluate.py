"""`evaluate`: score a saved system, or a predictor of another package, on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Overwrite, Split, source_of

if TYPE_CHECKING:
    from robustbench_char.records.evaluation import Record

__all__ = ["evaluate"]


def evaluate(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A folder that `finetune` wrote.")] = None,
    predictor: Annotated[
        str | None, typer.Option(help="In place of DIR: a predictor that another package registers (see `list`).")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="The task of the data; of a system in DIR it is known, and checked.")
    ] = None,
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="The folder for record, predictions and counts."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Examples at once; does not change the result of a system.")] = 32,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Score a saved system on any native file, clean or attacked; --output keeps record, predictions, counts.

    Leave an attacked file in the folder that `attack` wrote: the record takes the attack from there.
    """
    sources: dict[str, Any] = {"input": input, "data": data, "hub": hub, "split": split, "data_dir": data_dir}
    wanted = {"output": output, "source": "mini" if data else None, "batch_size": batch_size, "overwrite": overwrite}
    if folder is not None and predictor is None:
        record = _of_system(folder, task, sources, wanted)
    elif predictor is not None and folder is None:
        record = _of_predictor(predictor, task, sources, wanted)
    else:
        raise _not_one("DIR and --predictor" if folder else "neither DIR nor --predictor")
    if json:
        typer.echo(record.model_dump_json(by_alias=True, indent=2))
        return
    scores = ", ".join(f"{name} {value:.2f}" for name, value in record.scores.items())
    if output is None:
        typer.echo("nothing was kept: add --output DIR for the record and the predictions", err=True)
    typer.echo(f"{record.task}, {record.condition}, {record.data.examples:,} examples: {scores}")


def _of_system(folder: Path, task: str | None, sources: dict[str, Any], wanted: dict[str, Any]) -> Record:
    from robustbench_char.inference.evaluate import evaluate as run
    from robustbench_char.tasks.registry import get_task
    from robustbench_char.training.saved_system import read_system

    asked = get_task(task, "--task") if task else None
    return run(folder, source_of(read_system(folder).task, **sources), task=asked, **wanted)


def _of_predictor(name: str, task: str | None, sources: dict[str, Any], wanted: dict[str, Any]) -> Record:
    from robustbench_char.common import InputError
    from robustbench_char.inference.outside import evaluate_predictor
    from robustbench_char.tasks.registry import get_task

    if task is None:
        raise InputError("--task", found="none", expected="the task of the data", fix="Name it: --task TASK.")
    record = get_task(task, "--task")
    return evaluate_predictor(name, record, source_of(record, **sources), **wanted)


def _not_one(found: str) -> Exception:
    from robustbench_char.common import InputError

    return InputError(
        "evaluate", found=found, expected="one of them", fix="Give a folder that `finetune` wrote, or --predictor NAME."
    )

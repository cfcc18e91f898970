"""`finetune`: train one system on one task."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Output, Overwrite, Split, TaskName, source_of

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["Precision", "finetune"]


class Precision(StrEnum):
    """Arithmetic of training."""

    auto = "auto"
    bf16 = "bf16"
    fp32 = "fp32"


def finetune(
    task: TaskName,
    output: Output,
    train: Annotated[Path | None, typer.Option(help="The training file, in the task's native format.")] = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    system: Annotated[str, typer.Option(help="What to train (see `list`).")] = "bert",
    base: Annotated[str, typer.Option(help="minilm (extra `offline`), a model folder, or a hub id.")] = "minilm",
    layers: Annotated[int | None, typer.Option(min=1, help="Keep the first layers of the base only.")] = None,
    epochs: Annotated[float, typer.Option(help="Passes over the training data.")] = 3.0,
    lr: Annotated[
        float, typer.Option(help="Highest learning rate; 1e-4 suits MiniLM, 2e-5 to 5e-5 larger encoders.")
    ] = 1e-4,
    batch_size: Annotated[int, typer.Option(help="Examples a step.")] = 16,
    max_length: Annotated[
        int | None, typer.Option(help="Sub-words an input; default 128, or 384 for question answering.")
    ] = None,
    doc_stride: Annotated[
        int, typer.Option(help="Sub-words that neighbouring windows share (question answering).")
    ] = 128,
    seed: Annotated[int, typer.Option(help="The seed of training.")] = 0,
    precision: Annotated[
        Precision, typer.Option(help="auto: bf16 where the hardware computes it, else fp32.")
    ] = Precision.auto,
    limit: Annotated[int | None, typer.Option(help="Train on the first examples only.")] = None,
    store: Annotated[Path | None, typer.Option(help="Where checkpoints of unfinished runs are kept.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune a system; after a stop, the same command goes on from the last checkpoint."""
    from robustbench_char.tasks.attack_files import source_sha256
    from robustbench_char.tasks.registry import get_task
    from robustbench_char.training.finetune import finetune as run

    record = get_task(task)
    source = source_of(
        record,
        input=train,
        data=data,
        hub=hub,
        split=split if train else split or "train",
        data_dir=data_dir,
        option="--train",
    )
    bf16: bool | Literal["auto"] = "auto" if precision is Precision.auto else precision is Precision.bf16
    folder = run(
        record,
        train=source,
        train_sha256=source_sha256(source.path),
        output=output,
        system=system,
        base=base,
        layers=layers,
        epochs=epochs,
        learning_rate=lr,
        batch_size=batch_size,
        max_length=max_length,
        doc_stride=doc_stride,
        seed=seed,
        bf16=bf16,
        limit=limit,
        store=store,
        overwrite=overwrite,
    )
    typer.echo(f"{folder}: trained; score it with `robustbench-char evaluate {folder} --input FILE --output DIR`")

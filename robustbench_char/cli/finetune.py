"""`finetune`: train one system on one task."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Overwrite, Split, TaskName, source_of

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
    output: Annotated[
        Path | None, typer.Option(help="The folder to write; by default one in the store, named by its hash.")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="The training file, in the task's native format.")] = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    system: Annotated[str, typer.Option(help="What to train (see `list`).")] = "bert",
    base: Annotated[
        str, typer.Option(help="minilm (extra `offline`), a model folder, a hub id, or what `pretrain` wrote.")
    ] = "minilm",
    label: Annotated[
        str | None, typer.Option(help="How reports call this variant; by default by the system's name.")
    ] = None,
    recogniser: Annotated[
        Path | None, typer.Option(help="Put this recogniser in front (see `train-recogniser`), before any system.")
    ] = None,
    augment: Annotated[
        str | None, typer.Option(help="Train on attacked copies too: a suite, also as NAME@STRENGTH; for any system.")
    ] = None,
    augment_share: Annotated[float, typer.Option(help="Share of the examples that get an attacked copy.")] = 1.0,
    augment_seed: Annotated[
        int | None, typer.Option(help="Seed of that attack; no evaluation of the system may use it. Default 1000.")
    ] = None,
    augment_without: Annotated[
        list[str] | None, typer.Option(help="Leave this operator out of the suite; may be repeated.")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Keep the first layers of the base only.")] = None,
    epochs: Annotated[float, typer.Option(help="Passes over the training data.")] = 3.0,
    lr: Annotated[
        float, typer.Option(help="Highest learning rate; 1e-4 suits MiniLM, 2e-5 to 5e-5 larger encoders.")
    ] = 1e-4,
    new_lr: Annotated[
        float | None, typer.Option(help="That of the head and of what a plain encoder lacks; by default as --lr.")
    ] = None,
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
    store: Annotated[
        Path | None, typer.Option(help="Where unfinished runs, and results without --output, are kept.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune a system; after a stop, the same command goes on from the last checkpoint."""
    from robustbench_char.attack_sets.attack import source_sha256
    from robustbench_char.tasks.registry import get_task
    from robustbench_char.training.augmentation import augmentation_asked
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
        label=label,
        recogniser=recogniser,
        augmentation=augmentation_asked(
            system, augment, record, share=augment_share, seed=augment_seed, without=augment_without or ()
        ),
        layers=layers,
        epochs=epochs,
        learning_rate=lr,
        new_learning_rate=new_lr,
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

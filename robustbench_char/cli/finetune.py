"""`finetune`: train one system on one task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Overwrite, TaskName, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.tasks.sources import SourceOptions
from robustbench_char.training.options import AugmentOptions, FinetuneOptions

__all__ = ["finetune"]


@with_options
def finetune(
    *,
    task: TaskName,
    output: Annotated[
        Path | None, typer.Option(help="Output directory (default: one in the store, named by its hash).")
    ] = None,
    train: Annotated[Path | None, typer.Option(help="Training file in the task's native format.")] = None,
    source: SourceOptions,
    system: Annotated[str, typer.Option(help="System to train (see `list`).")] = "bert",
    base: Annotated[
        str, typer.Option(help="minilm (extra `offline`), a model folder, a hub id, or the output of `pretrain`.")
    ] = "minilm",
    label: Annotated[str | None, typer.Option(help="Name in reports (default: the system's).")] = None,
    recogniser: Annotated[
        Path | None, typer.Option(help="Put this recogniser (see `train-recogniser`) before the system.")
    ] = None,
    augment: AugmentOptions,
    options: FinetuneOptions,
    seed: Annotated[int, typer.Option(help="Random seed of training.")] = 0,
    store: Annotated[
        Path | None, typer.Option(help="Directory for unfinished runs, and for results without --output.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fine-tune a system; rerun the same command to resume after a stop."""
    import robustbench_char as rbc

    saved = rbc.finetune(
        task,
        train=train,
        output=output,
        system=system,
        base=base,
        label=label,
        recogniser=recogniser,
        seed=seed,
        store=store,
        overwrite=overwrite,
        **keywords_of(source, augment, options),
    )
    typer.echo(
        f"{saved.folder}: trained; score it with `robustbench-char evaluate {saved.folder} --input FILE --output DIR`"
    )

"""`pretrain`: train one system on plain text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Output, Overwrite, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.training.pretraining.options import PretrainOptions

__all__ = ["pretrain"]


@with_options
def pretrain(
    *,
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="bert_mlm, advbert or charbert.")],
    text: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Plain text in UTF-8, one paragraph per line; may be repeated.")
    ],
    output: Output,
    base: Annotated[
        str, typer.Option(help="minilm (extra `offline`), a model folder, a hub id, or an earlier output to continue.")
    ] = "minilm",
    heldout: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Held-out text (default: every 100th line of --text).")
    ] = None,
    options: PretrainOptions,
    seed: Annotated[int, typer.Option(help="Random seed of noise, masks and training.")] = 0,
    store: Annotated[Path | None, typer.Option(help="Directory for checkpoints of unfinished runs.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Pre-train a system; rerun the same command to resume after a stop."""
    import robustbench_char as rbc

    folder = rbc.pretrain(
        system,
        text=text,
        output=output,
        base=base,
        heldout=heldout,
        seed=seed,
        store=store,
        overwrite=overwrite,
        **keywords_of(options),
    ).folder
    typer.echo(
        f"{folder}: pre-trained; fine-tune it with `robustbench-char finetune TASK --system {system} --base {folder}`"
    )

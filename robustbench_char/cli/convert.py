"""`convert`: a checkpoint of the reference implementation to ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robustbench_char.cli.options import Output, Overwrite

__all__ = ["convert"]


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT_DIR",
            help="A folder with config.json and pytorch_model.bin or model.safetensors.",
        ),
    ],
    output: Output,
    char_vocab: Annotated[
        Path | None,
        typer.Option(help="The reference's character list; saves a processor, from the folder's tokenizer files too."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert a released CharBERT checkpoint (BERT or RoBERTa layout), and say what became of each key."""
    import robustbench_char as rbc

    report = rbc.convert(checkpoint, output, char_vocab=char_vocab, overwrite=overwrite)
    for key, names in report.used.items():
        typer.echo(f"used       {key} -> {', '.join(names)}")
    for key in report.left_over:
        typer.echo(f"left over  {key}")
    for name in report.missing:
        typer.echo(f"missing    {name}")
    for warning in report.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(
        f"{output}: converted ({report.base_type}, {report.head}); {len(report.used)} keys used,"
        f" {len(report.left_over)} left over, {len(report.missing)} missing"
    )

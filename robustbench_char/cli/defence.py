"""`train-defence` and `defence-price`: defences to put before a model, and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Attacked, DataTask, Input, Json, Output, Overwrite, command
from robustbench_char.cli.printing import echo, visible_console
from robustbench_char.defences.train import DefenceOptions
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.records.defence_price import PriceRecord

__all__ = ["defence_price", "train_defence"]


def _print_trained(folder: Path, kind: str) -> None:
    if kind != "wordrec":
        line = f"robustbench-char check MODEL --defence {folder}"
        echo(f"{folder}: built; put it before a model with `{line}`, measure it with `defence-price {folder}`")
        return
    from robustbench_char.defences.wordrec import Recogniser

    training = Recogniser.load(folder).file.training or {}
    echo(
        f"{folder}: trained; on {training['held_out_words']:,} held-out words, wrong before correction "
        f"{training['wer_before']:.2f}%, after {training['wer_after']:.2f}%; clean words changed "
        f"{training['clean_changed']:.2f}%"
    )
    if training["wer_after"] >= training["wer_before"]:
        warning = "it makes as many words wrong as it corrects, or more: train it for longer or on more text"
        echo(f"warning: {warning}", err=True)


@command("train_defence", _print_trained)
def train_defence(
    *,
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="wordrec: a word recogniser (ScRNN); channel: a noisy channel.")
    ],
    output: Output,
    text: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A file of plain text (repeat for more).")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Read this task's texts (see `list`), from one source of data (channel: beside --text)."),
    ] = None,
    input: Input = None,
    source: SourceOptions,
    options: DefenceOptions,
    overwrite: Overwrite = False,
) -> None:
    """Train or build a defence from plain text, or from the texts of a task (channel: or both)."""


def _print_price(result: PriceRecord) -> None:
    from rich.table import Table

    price = result.errors
    table = Table("", "in lower case", "with capitals", "of words", title="words in percent")
    rows: tuple[tuple[str, float | None, float | None, int], ...] = (
        ("wrong in the attacked text", price.wer_before, price.wer_before_cased, price.words),
        ("wrong after correction", price.wer_after, price.wer_after_cased, price.words),
        ("clean words changed", price.clean_changed, price.clean_changed_cased, price.words),
        ("entity words wrong, attacked", price.entity_before, None, price.entity_words),
        ("entity words wrong, corrected", price.entity_after, None, price.entity_words),
        ("clean entity words changed", price.entity_changed, None, price.entity_words),
    )
    for label, lower, cased, count in rows:
        if count:
            shown = ("" if value is None else f"{value:.2f}" for value in (lower, cased))
            table.add_row(label, *shown, f"{count:,}")
    visible_console().print(table)
    echo(f"{result.words_per_second:,.0f} words per second and core")


@command("defence_price", _print_price)
def defence_price(
    *,
    defence: Annotated[
        str, typer.Argument(metavar="DEFENCE", help="A folder that `train-defence` wrote, or a ready one (see `list`).")
    ],
    task: DataTask,
    attacked: Attacked,
    input: Input = None,
    source: SourceOptions,
    output: Annotated[
        Path | None, typer.Option("--output", help="The folder for defence_price.json, which reports show.")
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure what a defence repairs on attacked text, and what it breaks on clean text."""

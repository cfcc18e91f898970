"""`train-recogniser` and `recogniser-price`: the word recogniser in front of a system, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Attacked, DataTask, Input, Json, Output, Overwrite, command
from robustbench_char.defences.wordrec.options import BackOff, RecogniserOptions
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.records.recogniser_cost import PriceRecord

__all__ = ["recogniser_price", "train_recogniser"]


def _print_trained(folder: Path) -> None:
    from robustbench_char.defences.wordrec import Recogniser

    training = Recogniser.load(folder).file.training or {}
    typer.echo(
        f"{folder}: trained; on {training['held_out_words']:,} held-out words, wrong before correction "
        f"{training['wer_before']:.2f}%, after {training['wer_after']:.2f}%; clean words changed "
        f"{training['clean_changed']:.2f}%"
    )
    if training["wer_after"] >= training["wer_before"]:
        warning = "it makes as many words wrong as it corrects, or more: train it for longer or on more text"
        typer.echo(f"warning: {warning}", err=True)


@command("train_recogniser", _print_trained)
def train_recogniser(
    *,
    output: Output,
    text: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A file of plain text (repeat for more).")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Train on the texts of this task instead (see `list`), with one source of data.")
    ] = None,
    input: Input = None,
    source: SourceOptions,
    options: RecogniserOptions,
    seed: Annotated[int, typer.Option(help="Random seed of training and of its attack.")] = 0,
    back_off: Annotated[
        BackOff, typer.Option(help="For unknown words: the word as given, `a`, or a second recogniser's answer.")
    ] = "pass_through",
    background: Annotated[Path | None, typer.Option(help="The second recogniser, of `--back-off background`.")] = None,
    keep_case: Annotated[
        bool, typer.Option("--keep-case/--lower-case", help="Write answers in the given word's pattern of capitals.")
    ] = True,
    leave_numbers_and_punctuation: Annotated[
        bool,
        typer.Option("--leave-numbers-and-punctuation/--correct-all", help="Leave words without a letter as they are."),
    ] = True,
    overwrite: Overwrite = False,
) -> None:
    """Train a word recogniser (ScRNN) from plain text, or from the texts of a task."""


def _print_price(result: PriceRecord) -> None:
    from rich.console import Console
    from rich.table import Table

    price = result.errors
    table = Table("", "in lower case", "with capitals", "of words", title="words in percent")
    rows: tuple[tuple[str, float | None, float | None, int], ...] = (
        ("wrong in the attacked text", price.wer_before, price.wer_before_cased, price.words),
        ("wrong after correction", price.wer_after, price.wer_after_cased, price.words),
        ("clean words changed", price.clean_changed, price.clean_changed_cased, price.words),
        ("clean words of entities changed", price.entity_changed, None, price.entity_words),
    )
    for label, lower, cased, count in rows:
        if count:
            shown = ("" if value is None else f"{value:.2f}" for value in (lower, cased))
            table.add_row(label, *shown, f"{count:,}")
    Console().print(table)


@command("recogniser_price", _print_price)
def recogniser_price(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `train-recogniser` wrote.")],
    task: DataTask,
    attacked: Attacked,
    input: Input = None,
    source: SourceOptions,
    output: Annotated[
        Path | None, typer.Option("--output", help="The folder for recogniser_price.json, which reports show.")
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure what a recogniser repairs on attacked text, and what it breaks on clean text."""

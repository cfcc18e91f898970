"""`train-recogniser` and `recogniser-price`: the word recogniser in front of a system, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Attacked, DataTask, Input, Json, Output, Overwrite, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.defences.wordrec.options import BackOff, RecogniserOptions
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.records.recogniser_cost import WordErrors

__all__ = ["recogniser_price", "train_recogniser"]


@with_options
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
    import robustbench_char as rbc
    from robustbench_char.defences.wordrec import Recogniser

    folder = rbc.train_recogniser(
        output=output,
        text=text or (),
        task=task,
        input=input,
        seed=seed,
        back_off=back_off,
        background=background,
        keep_case=keep_case,
        leave_numbers_and_punctuation=leave_numbers_and_punctuation,
        overwrite=overwrite,
        **keywords_of(options, source),
    )
    typer.echo(f"{folder}: trained; {_results(Recogniser.load(folder).file.training or {})}")


def _results(training: dict[str, float]) -> str:
    return (
        f"on {training['held_out_words']:,} held-out words, wrong before correction {training['wer_before']:.2f}%, "
        f"after {training['wer_after']:.2f}%; clean words changed {training['clean_changed']:.2f}%"
    )


@with_options
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
    import robustbench_char as rbc

    price = rbc.recogniser_price(
        folder, task=task, attacked=attacked, input=input, output=output, overwrite=overwrite, **keywords_of(source)
    )
    if json:
        typer.echo(price.model_dump_json(by_alias=True, indent=2))
    else:
        _print_table(price.errors)


def _print_table(price: WordErrors) -> None:
    from rich.console import Console
    from rich.table import Table

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

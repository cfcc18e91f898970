"""`train-recogniser` and `recogniser-price`: the word recogniser in front of a system, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import (
    Data,
    DataDir,
    Hub,
    Input,
    Output,
    Overwrite,
    Split,
    source_of,
    with_options,
)
from robustbench_char.common.options import keywords_of
from robustbench_char.defences.wordrec.options import BackOff, RecogniserOptions

if TYPE_CHECKING:
    from robustbench_char.records.recogniser_cost import WordErrors

__all__ = ["recogniser_price", "train_recogniser"]


@with_options
def train_recogniser(
    *,
    output: Output,
    text: Annotated[list[Path] | None, typer.Option(help="A file of plain text (repeat for more).")] = None,
    task: Annotated[
        str | None, typer.Option(help="Train on the texts of this task instead (see `list`), with one source of data.")
    ] = None,
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
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
    from robustbench_char.defences.wordrec import Recogniser
    from robustbench_char.defences.wordrec import train_recogniser as train
    from robustbench_char.tasks.registry import get_task

    record = get_task(task, "--task") if task is not None else None
    source = None
    if record is not None:
        source = source_of(record, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    else:
        _refuse_without_task(input, data, hub, split, data_dir)
    folder = train(
        output=output,
        text=text or (),
        task=record,
        source=source,
        seed=seed,
        **keywords_of(options),
        back_off=back_off,
        background=background,
        keep_case=keep_case,
        leave_numbers_and_punctuation=leave_numbers_and_punctuation,
        overwrite=overwrite,
    )
    typer.echo(f"{folder}: trained; {_results(Recogniser.load(folder).file.training or {})}")


def _refuse_without_task(*sources: object) -> None:
    from robustbench_char.common import InputError

    if any(sources):
        raise InputError(
            "--task",
            found="a data set without a task",
            expected="the task that the data belong to",
            fix="Add --task TASK, or give plain text by --text.",
        )


def _results(training: dict[str, float]) -> str:
    return (
        f"on {training['held_out_words']:,} held-out words, wrong before correction {training['wer_before']:.2f}%, "
        f"after {training['wer_after']:.2f}%; clean words changed {training['clean_changed']:.2f}%"
    )


def recogniser_price(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `train-recogniser` wrote.")],
    task: Annotated[str, typer.Option(help="The task of the data (see `list`).")],
    attacked: Annotated[Path, typer.Option(help="The folder that `attack` wrote for these data.")],
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The folder for recogniser_price.json, which reports show.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure what a recogniser repairs on attacked text, and what it breaks on clean text."""
    from robustbench_char.defences.wordrec import Recogniser
    from robustbench_char.inference.recogniser_cost import measure_price
    from robustbench_char.tasks.registry import get_task

    record = get_task(task, "--task")
    source = source_of(record, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    price = measure_price(Recogniser.load(folder), source, attacked, record, output=output, overwrite=overwrite)
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

"""`attack`: write an attacked test set with its ledger and manifest."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Output, Overwrite, Split, TaskName, source_of

__all__ = ["Format", "attack"]


class Format(StrEnum):
    """How the attacked set is written."""

    native = "native"
    jsonl = "jsonl"
    parquet = "parquet"


def attack(
    task: TaskName,
    output: Output,
    suite: Annotated[
        str, typer.Option(help="A suite (see `list`), the path of a .yaml file, or either with a strength: drop@0.3.")
    ],
    input: Input = None,
    data: Data = None,
    hub: Hub = False,
    split: Split = None,
    data_dir: DataDir = None,
    seed: Annotated[int, typer.Option(help="The seed of the attack.")] = 0,
    fields: Annotated[
        list[str] | None,
        typer.Option(help="Fields to attack (repeat, or separate by commas); default: the suite's, else all."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the result has the same bytes for any number.")] = 1,
    format: Annotated[Format, typer.Option(help="native: the format of the input.")] = Format.native,
    overwrite: Overwrite = False,
) -> None:
    """Attack a data set: the attacked file, edits.parquet (the ledger) and manifest.json go to --output.

    A suite with a sweep writes one folder a strength below --output.
    """
    from robustbench_char.attack_sets.write import attack_file
    from robustbench_char.attacks.suites import load_suites
    from robustbench_char.cli.validate import check_task_names
    from robustbench_char.tasks.registry import get_task

    record = get_task(task)
    suites = load_suites(suite, task=record.name)
    check_task_names(suite, record.name)
    source = source_of(record, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    asked = [name.strip() for part in fields or [] for name in part.split(",") if name.strip()]
    for one in suites:
        folder = output if len(suites) == 1 else output / one.name
        manifest = attack_file(
            record,
            source,
            one,
            seed=seed,
            output=folder,
            fields=asked,
            workers=workers,
            file_format=format.value,
            overwrite=overwrite,
        )
        counts = manifest.counts
        share = (
            "no eligible word"
            if manifest.strength.effective is None
            else f"{manifest.strength.effective:.1%} of the eligible words"
        )
        typer.echo(
            f"{folder}: {one.name}, {counts.edited_words:,} of {counts.words:,} words edited ({share}), "
            f"{manifest.output.rows:,} examples"
        )

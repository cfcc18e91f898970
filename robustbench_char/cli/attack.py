"""`attack`: write an attacked test set with its ledger and manifest."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.options import Data, DataDir, Hub, Input, Output, Overwrite, Split, TaskName

if TYPE_CHECKING:
    from pathlib import Path

    from robustbench_char.attack_sets import Manifest

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
    seed: Annotated[int, typer.Option(help="Seed of the attack.")] = 0,
    fields: Annotated[
        list[str] | None,
        typer.Option(help="Fields to attack (repeat, or separate by commas); default: the suite's, else all."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes; does not affect the result.")] = 1,
    format: Annotated[Format, typer.Option(help="native: the format of the input.")] = Format.native,
    overwrite: Overwrite = False,
) -> None:
    """Attack a data set: the attacked file, edits.parquet (the ledger) and manifest.json go to --output.

    A suite with a sweep writes one folder per strength below --output.
    """
    from robustbench_char.attack_sets import attack_file
    from robustbench_char.attack_sets.stream import suites_of
    from robustbench_char.tasks import get_task, open_source

    record = get_task(task)
    suites = suites_of(suite, record)
    source = open_source(record, input=input, data=data, hub=hub, split=split, data_dir=data_dir)
    asked = [name.strip() for part in fields or [] for name in part.split(",") if name.strip()]
    for resolved in suites:
        folder = output if len(suites) == 1 else output / resolved.name
        manifest = attack_file(
            record,
            source,
            suite=resolved,
            output=folder,
            seed=seed,
            fields=asked,
            workers=workers,
            format=format.value,
            overwrite=overwrite,
        )
        typer.echo(_summary(folder, manifest))


def _summary(folder: Path, manifest: Manifest) -> str:
    counts, effective = manifest.counts, manifest.strength.effective
    share = "no eligible word" if effective is None else f"{effective:.1%} of the eligible words"
    return (
        f"{folder}: {manifest.suite.name}, {counts.edited_words:,} of {counts.words:,} words edited ({share}), "
        f"{manifest.output.rows:,} examples"
    )

"""`attack`: write an attacked test set with its ledger and manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from robustbench_char.cli.options import Input, Output, Overwrite, TaskName, with_options
from robustbench_char.common.options import keywords_of
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from pathlib import Path

    from robustbench_char.attack_sets import Manifest

__all__ = ["attack"]


@with_options
def attack(
    *,
    task: TaskName,
    output: Output,
    suite: Annotated[
        str, typer.Option(help="A suite (see `list`), the path of a .yaml file, or either with a strength: drop@0.3.")
    ],
    input: Input = None,
    source: SourceOptions,
    seed: Annotated[int, typer.Option(help="Seed of the attack.")] = 0,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Fields to attack (repeat, or separate by commas); default: the suite's, else all."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes; does not affect the result.")] = 1,
    format: Annotated[
        Literal["native", "jsonl", "parquet"], typer.Option(help="native: the format of the input.")
    ] = "native",
    overwrite: Overwrite = False,
) -> None:
    """Attack a data set: the attacked file, edits.parquet (the ledger) and manifest.json go to --output.

    A suite with a sweep writes one folder per strength below --output.
    """
    import robustbench_char as rbc
    from robustbench_char.attack_sets.stream import suites_of
    from robustbench_char.tasks import get_task

    suites = suites_of(suite, get_task(task))
    asked = [name.strip() for part in fields or [] for name in part.split(",") if name.strip()]
    for resolved in suites:
        folder = output if len(suites) == 1 else output / resolved.name
        manifest = rbc.attack_file(
            task,
            input,
            suite=resolved,
            output=folder,
            seed=seed,
            fields=asked,
            workers=workers,
            format=format,
            overwrite=overwrite,
            **keywords_of(source),
        )
        typer.echo(_summary(folder, manifest))


def _summary(folder: Path, manifest: Manifest) -> str:
    counts, effective = manifest.counts, manifest.strength.effective
    share = "no eligible word" if effective is None else f"{effective:.1%} of the eligible words"
    return (
        f"{folder}: {manifest.suite.name}, {counts.edited_words:,} of {counts.words:,} words edited ({share}), "
        f"{manifest.output.rows:,} examples"
    )

"""`attack`, `verify`, `show` and `mini`: attacked test sets, and the generated data to try them on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import robustbench_char as rbc
from robustbench_char.cli.options import Input, Output, Overwrite, TaskName, command
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.attack_sets import Manifest
    from robustbench_char.attack_sets.show import Shown

__all__ = ["attack", "mini", "show", "verify"]

_STYLES = {"same": "", "removed": "red strike", "inserted": "green bold"}
_PLAIN = {"same": "{}", "removed": "[-{}-]", "inserted": "{{+{}+}}"}


def _attack(
    *, task: str, suite: str, output: Path, fields: list[str] | None = None, **options: Any
) -> Iterator[tuple[Path, Manifest]]:
    """Yield folder and manifest of each strength of a suite."""
    from robustbench_char.attack_sets.stream import suites_of
    from robustbench_char.tasks import get_task

    suites = suites_of(suite, get_task(task))
    names = [name.strip() for part in fields or [] for name in part.split(",") if name.strip()]
    for resolved in suites:
        folder = output if len(suites) == 1 else output / resolved.name
        yield folder, rbc.attack_file(task, suite=resolved, output=folder, fields=names, **options)


def _print_attacks(attacks: Iterator[tuple[Path, Manifest]]) -> None:
    for folder, manifest in attacks:
        counts, effective = manifest.counts, manifest.strength.effective
        share = "no eligible word" if effective is None else f"{effective:.1%} of the eligible words"
        typer.echo(
            f"{folder}: {manifest.suite.name}, {counts.edited_words:,} of {counts.words:,} words edited ({share}), "
            f"{manifest.output.rows:,} examples"
        )


@command(_attack, _print_attacks)
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


def _print_verified(manifest: Manifest, folder: Path) -> None:
    typer.echo(f"{folder}: verified, {manifest.counts.edits:,} edits in {manifest.output.rows:,} examples")


@command("verify", _print_verified)
def verify(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `attack` wrote.")],
    input: Input = None,
    source: SourceOptions,
) -> None:
    """Replay the ledger both ways, and check labels, offsets, tags and hashes; name the first mismatch."""


def _shown(folder: Path, count: int, all_texts: bool) -> list[Shown]:
    return rbc.shown_examples(folder, count=count, only_edited=not all_texts)


def _print_shown(examples: list[Shown]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    for shown in examples:
        line = Text(f"{shown.id} {shown.field}: ", style="dim")
        for kind, text in shown.pieces:
            line.append(text if console.is_terminal else _PLAIN[kind].format(text), style=_STYLES[kind])
        console.print(line)


@command(_shown, _print_shown)
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `attack` wrote.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of texts.")] = 10,
    all_texts: Annotated[bool, typer.Option("--all", help="Include texts without an edit.")] = False,
) -> None:
    """Print attacked texts with the edits marked: coloured in a terminal, as [-removed-]{+inserted+} elsewhere."""


def _print_files(files: list[Path], output: Path) -> None:
    typer.echo(f"{output}: {', '.join(file.name for file in files)}")


@command("write_mini", _print_files)
def mini(
    task: Annotated[str, typer.Argument(metavar="TASK", help="One of the shipped tasks (see `list`).")],
    output: Annotated[Path, typer.Option("--output", help="Output directory.")],
    overwrite: Overwrite = False,
) -> None:
    """Write the small generated data set of a task (train, dev, test) in the task's native format."""

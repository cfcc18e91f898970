"""`attack`, `verify`, `show` and `mini`: attacked test sets, and the generated data to try them on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import robustbench_char as rbc
from robustbench_char.cli.options import Input, Output, Overwrite, TaskName, command, split_names
from robustbench_char.cli.printing import echo, visible_console
from robustbench_char.common import InputError
from robustbench_char.common.errors import visible
from robustbench_char.common.options import fields_of
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.worst_case.options import SearchOptions
from robustbench_char.tasks.sources import SourceOptions

if TYPE_CHECKING:
    from robustbench_char.attack_sets import Manifest
    from robustbench_char.attack_sets.show import Shown

__all__ = ["attack", "mini", "show", "verify"]

_Sets = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder that `attack` wrote, with one attacked set or several.")
]
_STYLES = {"same": "", "removed": "red strike", "inserted": "green bold"}
_PLAIN = {"same": "{}", "removed": "[-{}-]", "inserted": "{{+{}+}}"}


def _attack(*, task: str, suite: list[str], output: Path, **options: Any) -> Iterator[tuple[Path, Manifest]]:
    """Yield folder and manifest of each suite, one per strength."""
    from robustbench_char.attack_sets.stream import suites_of
    from robustbench_char.tasks import get_task

    record = get_task(task)
    options = _without_model(options)
    if "operations" in options:
        if len(suite) > 1:
            raise InputError("--suite", found=f"{len(suite)} suites with --operations", expected="one",
                             fix="Import each file of operations by itself.")  # fmt: skip
        yield output, rbc.attack_file(task, suite=suite[0], output=output, **options)
        return
    suites = [resolved for name in suite for resolved in suites_of(name, record)]
    for resolved, folder in zip(suites, _folders(output, [one.name for one in suites]), strict=True):
        yield folder, rbc.attack_file(task, suite=resolved, output=folder, **options)


def _folders(output: Path, names: Sequence[str]) -> list[Path]:
    """Return the folder of each set: the output itself, or one below it for each of several."""
    from robustbench_char.attack_sets import is_set

    if twice := [name for name in names if names.count(name) > 1]:
        fix = "Name each once; of two files with the same name, rename one."
        raise InputError("--suite", found=f"{twice[0]} twice", expected="suites of different names", fix=fix)
    if len(names) > 1 and is_set(output):
        found, fix = "an attacked set, where several would go below it", "Choose another --output."
        raise InputError(output, found=found, expected="a folder for a folder per suite", fix=fix)
    return [output] if len(names) == 1 else [output / name for name in names]


def _worst(*, task: str, suite: list[str], output: Path, worst_case: str, **options: Any) -> Iterator[Any]:
    """Yield folder, manifest and what was found of each suite."""
    from robustbench_char.attack_sets.stream import suites_of
    from robustbench_char.attacks.suites import only_suite
    from robustbench_char.tasks import get_task

    if "operations" in options:
        raise InputError("--operations", found="operations with --worst-case", expected="one of them",
                         fix="Operations are made already; leave one out.")  # fmt: skip
    names = [only_suite(suites_of(name, get_task(task))).name for name in suite]
    for name, folder in zip(suite, _folders(output, names), strict=True):
        yield folder, *rbc.worst_case(task, model=worst_case, suite=name, output=folder, **options)


_OF_MODELS = {
    "limit": None, "batch_size": 32,
    **{field.keyword: field.info.default for model in (SearchOptions, ModelOptions) for field in fields_of(model)},
}  # fmt: skip


def _without_model(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an attack that asks no model. Raises InputError for one that only a search has."""
    given = [name for name in _OF_MODELS if options.get(name) not in (_OF_MODELS[name], None, [])]
    if given:
        raise InputError(f"--{given[0].replace('_', '-')}", found="no model to search the worst case of",
                         expected="--worst-case MODEL beside it", fix="Name the model, or leave it out.")  # fmt: skip
    return {name: value for name, value in options.items() if name not in _OF_MODELS}


def _print_attacks(attacks: Iterator[Any]) -> None:
    for folder, manifest, *found in attacks:
        echo(_line(folder, manifest))
        for one in found:
            echo(one)


def _line(folder: Path, manifest: Manifest) -> str:
    counts = manifest.counts
    return (
        f"{folder}: {manifest.suite.name}, {counts.edited_words:,} of {counts.words:,} words edited "
        f"({manifest.strength}), {manifest.output.rows:,} examples{_restored(manifest)}"
    )


def _restored(manifest: Manifest) -> str:
    """Return what is known of the set that operations restore."""
    if manifest.suite.operations is None:
        return ""
    known = "as published" if manifest.suite.operations.md5 else "(none given to compare with)"
    return f", MD5 {manifest.restored_md5} {known}"


def _asked(**options: Any) -> Iterator[Any]:
    return _worst(**options) if "worst_case" in options else _attack(**options)


@command(_asked, _print_attacks)
def attack(
    *,
    task: TaskName,
    output: Output,
    suite: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="A suite (see `list`), a .yaml file, or either with a strength: drop@0.3 (repeat for several).",
            callback=split_names,
        ),
    ],
    input: Input = None,
    source: SourceOptions,
    operations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Published edit operations to import, with the suite of their name or `operations` (tagging).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the attack.")] = 0,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Fields to attack (repeat, or separate by commas); default: the suite's, else all.",
            callback=split_names,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes; does not affect the result.")] = 1,
    format: Annotated[
        Literal["native", "jsonl", "parquet"], typer.Option(help="native: the format of the input.")
    ] = "native",
    overwrite: Overwrite = False,
    worst_case: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Search for the edits within the suite that hurt this model most: a folder, a hub id, a predictor.",
        ),
    ] = None,
    searching: SearchOptions,
    limit: Annotated[int | None, typer.Option(min=1, help="Worst case: attack the first examples only.")] = None,
    batch_size: Annotated[int, typer.Option(help="Worst case: batch size; does not affect the result.")] = 32,
    asking: ModelOptions,
) -> None:
    """Attack a data set: the attacked file, edits.parquet (the ledger) and manifest.json go to --output.

    Several suites, and a suite with a sweep, write one folder per suite and strength below --output. With --worst-case
    edits are not drawn but searched for, each example by itself; what was found is in worst_case.json.
    """


def _verified(folder: Path, **source: Any) -> Iterator[tuple[Path, Manifest]]:
    from robustbench_char.attack_sets import sets_below

    return ((path, rbc.verify(path, **source)) for path in sets_below(folder))


def _print_verified(verified: Iterator[tuple[Path, Manifest]]) -> None:
    for folder, manifest in verified:
        echo(f"{folder}: verified, {manifest.counts.edits:,} edits in {manifest.output.rows:,} examples")


@command(_verified, _print_verified)
def verify(*, folder: _Sets, input: Input = None, source: SourceOptions) -> None:
    """Replay the ledger both ways, and check labels, offsets, tags and hashes; name the first mismatch."""


def _shown(folder: Path, count: int, all_texts: bool) -> dict[Path, list[Shown]]:
    from robustbench_char.attack_sets import sets_below

    return {path: rbc.shown_examples(path, count=count, only_edited=not all_texts) for path in sets_below(folder)}


def _print_shown(sets: dict[Path, list[Shown]]) -> None:
    from rich.text import Text

    from robustbench_char.attack_sets import read_manifest

    console = visible_console(soft_wrap=True, highlight=False)
    for folder, examples in sets.items():
        console.print(Text(_line(folder, read_manifest(folder)), style="bold"))
        for shown in examples:
            line = Text(visible(f"{shown.id} {shown.field}: "), style="dim")
            for kind, hidden in shown.pieces:
                text = visible(hidden)
                line.append(text if console.is_terminal else _PLAIN[kind].format(text), style=_STYLES[kind])
            console.print(line)


@command(_shown, _print_shown)
def show(
    folder: _Sets,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of texts.")] = 10,
    all_texts: Annotated[bool, typer.Option("--all", help="Include texts without an edit.")] = False,
) -> None:
    """Print attacked texts with the edits marked: coloured in a terminal, as [-removed-]{+inserted+} elsewhere."""


def _print_files(files: list[Path], output: Path) -> None:
    echo(f"{output}: {', '.join(file.name for file in files)}")


@command("write_mini", _print_files)
def mini(
    task: Annotated[str, typer.Argument(metavar="TASK", help="One of the shipped tasks (see `list`).")],
    output: Annotated[Path, typer.Option("--output", help="Output directory.")],
    overwrite: Overwrite = False,
) -> None:
    """Write the small generated data set of a task (train, dev, test) in the task's native format."""

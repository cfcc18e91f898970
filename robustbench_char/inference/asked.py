"""What is asked of models in one command: the task, one file or several attacked sets, attacks by suite and seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Unpack

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attack_sets.manifest import read_manifest, sets_below
from robustbench_char.attack_sets.stream import suites_of
from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.options import Options, fields_of, options_of
from robustbench_char.common.seeds import SEEDS, as_whole, is_seed
from robustbench_char.inference._identities import task_of
from robustbench_char.inference.opening import task_of_model
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import Input, NamedSource, SourceOptions, as_read, open_source

__all__ = ["attacked_files", "attacks_of", "files_of", "parted", "seeds_of", "task_named"]

MOST = 1000
"""The most seeds that are asked for by their number."""


def parted(keywords: Mapping[str, Any], *models: type[Options]) -> tuple[Any, ...]:
    """Return the keywords that name data, and the options of each of the models. Raises InputError as `options_of`."""
    names = {field.keyword for field in fields_of(SourceOptions)}
    options = options_of({name: value for name, value in keywords.items() if name not in names}, *models)
    return {name: value for name, value in keywords.items() if name in names}, *options


def task_named(task: Task | Path | str | None, models: Iterable[Any]) -> Task:
    """Return a task by its name, or else that of the first model which tells its own.

    Raises InputError where there is neither, and for a model of another task.
    """
    own = [known for known in map(task_of_model, models) if known is not None]
    chosen = task_of(next(iter(own), None)) if task is None else get_task(task, "--task")
    if other := next((known.name for known in own if known.name != chosen.name), None):
        raise InputError("--task", found=f"data of the task {chosen.name}", expected=f"{other}, which the system was"
                         " fine-tuned on", fix="Choose the system or the file of the same task.")  # fmt: skip
    return chosen


def files_of(task: Task, input: Input | None, **source: Unpack[NamedSource]) -> dict[str, NativeFile]:
    """Return the one file that is named, or the attacked sets that stand in a folder, by their folders below it.

    Raises InputError as `open_source` does, and for a folder without attacked sets.
    """
    if not isinstance(input, str | Path) or not Path(input).is_dir():
        return {"clean": open_source(task, input=input, **source)}
    sets = {path.relative_to(input).as_posix(): (path, read_manifest(path)) for path in sets_below(Path(input))}
    return {
        name: open_native(as_read(task, made.task_record.format_options), path / made.output.name)
        for name, (path, made) in sets.items()
    }


def attacks_of(task: Task, suites: Sequence[str], seeds: int | str | Sequence[int] | None) -> list[tuple[Suite, int]]:
    """Return each suite, one per strength, with each seed. Raises InputError for an unknown suite or a wrong seed."""
    resolved = {suite.name: suite for name in suites for suite in suites_of(name, task)}
    return [(suite, seed) for suite in resolved.values() for seed in seeds_of(seeds)]


def seeds_of(seeds: int | str | Sequence[int] | None) -> tuple[int, ...]:
    """Return the seeds of attacks: the first so many from 1, or those listed (in a text by commas); one by default."""
    try:
        given: Any = (
            seeds if not isinstance(seeds, str) else int(seeds) if "," not in seeds else map(int, seeds.split(","))
        )
        whole = as_whole(given)
        if type(whole) is int:
            return tuple(range(1, whole + 1)) if 1 <= whole <= MOST else _wrong_seeds(seeds)
        listed = tuple(map(as_whole, [1] if given is None else given))
    except (TypeError, ValueError):  # neither a number nor several
        listed = ()
    good = listed and all(map(is_seed, listed)) and len(set(listed)) == len(listed)
    return listed if good else _wrong_seeds(seeds)


def _wrong_seeds(seeds: object) -> NoReturn:
    expected = f"how many seeds (3, at most {MOST}), or different ones (4,5,6) from 0 to {SEEDS}"
    raise InputError("--seeds", found=str(seeds), expected=expected, fix="Correct the number.")


def attacked_files(
    task: Task, file: NativeFile, attacks: Iterable[tuple[Suite, int]], folder: Path, *, overwrite: bool
) -> Iterator[tuple[str, NativeFile]]:
    """Attack a file, and yield the name of each attack with the attacked file, which stands below `folder`."""
    for suite, seed in attacks:
        name = f"{suite.name}/seed_{seed}"
        manifest = attack_file(task, file, suite=suite, seed=seed, output=folder / name, overwrite=overwrite)
        yield name, open_native(task, folder / name / manifest.output.name)

"""Options that several commands share, how they become a source of examples, and commands made of option models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_origin

import typer

from robustbench_char.common.errors import InputError
from robustbench_char.common.options import Options, fields_of, options_of, spelled

if TYPE_CHECKING:
    from robustbench_char.tasks.base import NativeFile, Task

__all__ = ["Data", "DataDir", "Hub", "Input", "Output", "Overwrite", "Split", "TaskName", "source_of", "with_options"]

TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="A task (see `list`), or the path of your own task's .yaml file.")
]
Input = Annotated[
    Path | None,
    typer.Option("--input", help="A file in the task's native format, or .jsonl or .parquet in the hub's layout."),
]
Data = Annotated[str | None, typer.Option("--data", help="`mini`: the small generated data set of the task.")]
Hub = Annotated[bool, typer.Option("--hub", help="The task's data set on the Hugging Face hub.")]
Split = Annotated[
    str | None,
    typer.Option(
        "--split", help="train, dev or test, of --hub, --data mini and --data-dir; default: dev (finetune: train)."
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="ptb_pos: the treebank's folder of sections (LDC99T42); all its sections by default (finetune: train).",
    ),
]
Output = Annotated[Path, typer.Option("--output", help="Output directory (written atomically).")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output folder that has other content.")]


def source_of(
    task: Task,
    *,
    input: Path | None,
    data: str | None,
    hub: bool,
    split: str | None,
    data_dir: Path | None,
    option: str = "--input",
) -> NativeFile:
    """Open the one source that was named. Raises InputError when none or more than one is."""
    from robustbench_char.tasks.sources import open_source

    return open_source(task, input=input, data=data, hub=hub, split=split, data_dir=data_dir, option=option)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command in which a parameter that is annotated with a model of options stands for all of them.

    The command gets the model; an InputError names options as the command line does.
    """
    declared = inspect.signature(command, eval_str=True).parameters.values()
    models: dict[str, type[Options]] = {
        one.name: one.annotation
        for one in declared
        if isinstance(one.annotation, type) and issubclass(one.annotation, Options)
    }
    spelling = {field.keyword: field.flag.partition("/")[0] for model in models.values() for field in fields_of(model)}

    @wraps(command)
    def run(**given: Any) -> None:
        try:
            keywords = {
                name: {field.keyword: given.pop(field.keyword) for field in fields_of(model)}
                for name, model in models.items()
            }
            chosen = {name: options_of(keywords[name], model)[0] for name, model in models.items()}
            command(**given, **chosen)
        except InputError as error:
            raise spelled(error, lambda keyword: spelling.get(keyword, f"--{keyword.replace('_', '-')}")) from error

    expanded = [part for one in declared for part in (_parameters(models[one.name]) if one.name in models else [one])]
    keyword_only = [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in expanded]
    vars(run)["__signature__"] = inspect.Signature(keyword_only)
    run.__annotations__ = {part.name: part.annotation for part in keyword_only}
    return run


def _parameters(model: type[Options]) -> Iterator[inspect.Parameter]:
    """Yield the options of a model as parameters of a command."""
    for field in fields_of(model):
        kind: Any = field.info.annotation
        default = field.info.default
        if get_origin(kind) is tuple:
            kind, default = list[str], list(default)
        option = typer.Option(field.flag, help=field.info.description)
        yield inspect.Parameter(
            field.keyword, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
        )

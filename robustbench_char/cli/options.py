"""Options that several commands share, and commands made of option models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from robustbench_char.common.errors import InputError
from robustbench_char.common.options import Options, fields_of, options_of, spelled

__all__ = ["Attacked", "DataTask", "Input", "Json", "Output", "Overwrite", "TaskName", "with_options"]

TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="A task (see `list`), or the path of your own task's .yaml file.")
]
DataTask = Annotated[str, typer.Option("--task", help="The task of the data (see `list`), or a .yaml file.")]
Attacked = Annotated[Path, typer.Option("--attacked", help="The folder that `attack` wrote for these data.")]
Json = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Input = Annotated[
    Path | None,
    typer.Option("--input", help="A file in the task's native format, or .jsonl or .parquet in the hub's layout."),
]
Output = Annotated[Path, typer.Option("--output", help="Output directory (written atomically).")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output folder that has other content.")]


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
        metavar = "TEXT" if kind == list[str] else None
        option = typer.Option(field.flag, help=field.info.description, metavar=metavar)
        yield inspect.Parameter(
            field.keyword, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
        )

"""Options that several commands share, and commands made of option models."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

import robustbench_char as rbc
from robustbench_char.cli.checks import CHECKS
from robustbench_char.cli.printing import echo
from robustbench_char.common.errors import InputError
from robustbench_char.common.options import Options, fields_of, spelled
from robustbench_char.inference.options import ModelOptions

__all__ = [
    "Attacked", "DataTask", "Defence", "Input", "Json", "Limit", "Output", "Overwrite", "Seeds", "Suites", "TaskName",
    "command", "split_names",
]  # fmt: skip


def split_names(parts: list[str] | None) -> list[str] | None:
    """Return names that were given one by one, or separated by commas; a file may have commas in its name."""
    split = [[part] if Path(part).is_file() else part.split(",") for part in parts or []]
    names = [name.strip() for some in split for name in some if name.strip()]
    if parts and not names:
        raise typer.BadParameter("found no name")
    return names or None


TaskName = Annotated[
    str, typer.Argument(metavar="TASK", help="A task (see `list`), or the path of your own task's .yaml file.")
]
DataTask = Annotated[str, typer.Option("--task", help="The task of the data (see `list`), or a .yaml file.")]
Attacked = Annotated[Path, typer.Option("--attacked", help="The folder that `attack` wrote for these data.")]
Defence = Annotated[str | None, typer.Option("--defence", help=ModelOptions.model_fields["defence"].description)]
Json = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Input = Annotated[
    Path | None,
    typer.Option(
        "--input", help="A file in the task's native format, or .csv, .jsonl or .parquet in the hub's layout."
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Score the first examples only.")]
Suites = Annotated[
    list[str] | None,
    typer.Option(
        "--suite",
        metavar="NAME",
        help="Attack with this suite (see `list`), a .yaml file, or either with a strength: keyboard@0.1 (repeat for"
        " several).",
        callback=split_names,
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="N", help="Attack with the seeds 1 to N, or with those listed: 4,5,6 (default: 1)."),
]
Output = Annotated[Path, typer.Option("--output", help="Output directory (written atomically).")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output folder that has other content.")]


def command(function: str | Callable[..., Any], show: Callable[..., None]) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that makes a command of a declaration: it calls a function, and shows the result.

    `function` is one of the public API by name, or takes the options by name as such a one does; those left out are
    not given. `show` gets the result, and those options that it names; `--json` prints the record in its stead. A
    parameter that is annotated with a model of options stands for all of them. An InputError names options as the
    command line does.
    """

    def decorate(declaration: Callable[..., None]) -> Callable[..., None]:
        declared = inspect.signature(declaration, eval_str=True).parameters.values()
        spelling, expanded = dict[str, str](), list[inspect.Parameter]()
        for part in declared:
            if isinstance(part.annotation, type) and issubclass(part.annotation, Options):
                spelling |= {field.keyword: field.flag.partition("/")[0] for field in fields_of(part.annotation)}
                expanded += _parameters(part.annotation)
            else:
                expanded.append(part.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        shown = {*inspect.signature(show).parameters}

        @wraps(declaration)
        def run(**given: Any) -> None:
            keywords = {name: value for name, value in given.items() if value is not None and name != "json"}
            try:
                with _told():
                    if isinstance(function, str) and function in CHECKS:
                        CHECKS[function](keywords)
                    made = getattr(rbc, function) if isinstance(function, str) else function
                    result = made(**keywords)
                    if given.get("json") and "json" not in shown:
                        echo(getattr(result, "record", result).model_dump_json(by_alias=True, indent=2))
                    else:
                        show(result, **{name: value for name, value in given.items() if name in shown})
            except InputError as error:
                raise spelled(error, lambda keyword: spelling.get(keyword, f"--{keyword.replace('_', '-')}")) from error

        vars(run)["__signature__"] = inspect.Signature(expanded)
        run.__annotations__ = {part.name: part.annotation for part in expanded}
        return run

    return decorate


class _Echo(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._told = set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        kind = "note" if record.levelno == logging.INFO else "warning"
        line = f"{kind}: {self.format(record)}"  # with the traceback of what a user wrote, if any
        if line not in self._told:  # a file is opened more than once
            self._told.add(line)
            echo(line, err=True)


@contextmanager
def _told() -> Iterator[None]:
    """Print what the package logs for its user, such as a warning, to stderr; what others log goes its way."""
    logger, handler = logging.getLogger("robustbench_char"), _Echo()
    before, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = propagate


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

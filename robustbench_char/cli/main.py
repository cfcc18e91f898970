"""The entry point: the app with its sub-commands, and the one place where bad input becomes a message and code 2."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from robustbench_char._version import __version__
from robustbench_char.cli.attack import attack, mini, show, verify
from robustbench_char.cli.check import check
from robustbench_char.cli.compare import compare, report
from robustbench_char.cli.defence import defence_price, train_defence
from robustbench_char.cli.evaluate import evaluate
from robustbench_char.cli.listing import list_names, validate
from robustbench_char.cli.printing import echo
from robustbench_char.cli.run import run
from robustbench_char.cli.sensitivity import fragility, sensitivity
from robustbench_char.cli.training import convert, finetune, pretrain
from robustbench_char.common import InputError
from robustbench_char.common.extras import needed
from robustbench_char.common.files import machine_error

__all__ = ["app", "main"]


EARLIER = {"train-recogniser": ("train-defence", "wordrec"), "recogniser-price": ("defence-price",)}
"""Commands by their names in an earlier version, which go with the next one."""


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; the earlier name of a command stands for the one of today."""
        if args and args[0] in EARLIER:
            today = EARLIER[args[0]]
            echo(f"note: `{args[0]}` is `{' '.join(today)}` now; this name goes with the next version", err=True)
            args = [*today, *args[1:]]
        return list(super().parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an interrupt, which Typer ends without a word, says how to go on."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            echo("interrupted; rerun the same command to resume", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Group,
    name="robustbench-char",
    help="How much does an NLP model break when people mistype, and which defence helps?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _command, _short in (
    ("check", check, "Models from their names to a report, in one command."),
    ("attack", attack, "Attack a data set with typos."),
    ("verify", verify, "Check attacked sets against their clean data."),
    ("show", show, "Print attacked texts with the edits marked."),
    ("evaluate", evaluate, "Score a model on a data set, clean or attacked."),
    ("report", report, "Write a page on results, with tables and figures."),
    ("compare", compare, "What changed between two sets of results beyond noise."),
    ("run", run, "Run a benchmark from one file, training included."),
    ("finetune", finetune, "Fine-tune a system on a task."),
    ("pretrain", pretrain, "Pre-train an encoder on plain text."),
    ("train-defence", train_defence, "Train a defence to put before any model."),
    ("defence-price", defence_price, "Measure what a defence repairs, and what it breaks."),
    ("sensitivity", sensitivity, "How much an attack shifts representations of words."),
    ("fragility", fragility, "How often a tokenizer splits words, and after a typo."),
    ("convert", convert, "Convert a released CharBERT checkpoint."),
    ("list", list_names, "List tasks, suites, benchmarks, systems, prompts, ..."),
    ("validate", validate, "Check suites, tasks, prompts and benchmarks of your own."),
    ("mini", mini, "Write the small generated data set of a task."),
):
    app.command(_name, short_help=_short)(_command)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line. An InputError ends with its message on standard error and its exit code.

    So do a disk that is full, fails or may not be written to, and memory that does not suffice, wherever that shows.
    """
    try:
        with needed():
            app()
    except InputError as error:
        _refuse(error)
    except (OSError, MemoryError, RuntimeError) as error:
        told = machine_error(error)
        if told is None:
            raise
        _refuse(told)


def _refuse(error: InputError) -> NoReturn:
    echo(f"error: {error}", err=True)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

"""The entry point: the app with its sub-commands, and the one place where bad input becomes a message and code 2."""

from __future__ import annotations

import sys

import typer

from robustbench_char._version import __version__
from robustbench_char.cli.attack import attack, mini, show, verify
from robustbench_char.cli.check import check
from robustbench_char.cli.compare import compare, report
from robustbench_char.cli.evaluate import evaluate
from robustbench_char.cli.listing import list_names, validate
from robustbench_char.cli.recogniser import recogniser_price, train_recogniser
from robustbench_char.cli.run import run
from robustbench_char.cli.sensitivity import fragility, sensitivity
from robustbench_char.cli.training import convert, finetune, pretrain
from robustbench_char.common import InputError
from robustbench_char.common.extras import needed

__all__ = ["app", "main"]

app = typer.Typer(
    name="robustbench-char",
    help="How much does an NLP model break when people mistype, and which defence helps?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _command in (
    ("list", list_names),
    ("attack", attack),
    ("verify", verify),
    ("show", show),
    ("mini", mini),
    ("pretrain", pretrain),
    ("convert", convert),
    ("train-recogniser", train_recogniser),
    ("recogniser-price", recogniser_price),
    ("finetune", finetune),
    ("evaluate", evaluate),
    ("sensitivity", sensitivity),
    ("fragility", fragility),
    ("report", report),
    ("check", check),
    ("run", run),
    ("compare", compare),
    ("validate", validate),
):
    app.command(_name)(_command)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line. An InputError ends with its message on standard error and its exit code."""
    try:
        with needed():
            app()
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("interrupted; rerun the same command to resume", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()

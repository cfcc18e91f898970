"""`list`: what can be named on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

__all__ = ["list_names"]


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="tasks, suites, benchmarks, operators, systems, predictors, layouts, alphabets or splitters."
        ),
    ] = None,
) -> None:
    """List the tasks, attack suites, benchmarks, operators, systems, registered predictors, layouts, and so on."""
    kinds = _kinds()
    if kind is not None and kind not in kinds:
        from robustbench_char.common import InputError, nearest

        raise InputError(
            "list",
            found=f"unknown kind {kind!r}",
            expected=", ".join(kinds),
            fix=f"Correct the name.{nearest(kind, kinds)}",
        )
    for title, entries in kinds.items():
        if kind in (None, title):
            typer.echo(f"{title}:")
            for name, text in entries:
                typer.echo(f"  {name:<28}{text}".rstrip())


def _kinds() -> dict[str, list[tuple[str, str]]]:
    from robustbench_char.attacks.operators import OPERATORS
    from robustbench_char.common.systems import SYSTEMS
    from robustbench_char.records.predictors import registered
    from robustbench_char.tasks.registry import TASKS
    from robustbench_char.text.letters import ALPHABETS, LAYOUTS
    from robustbench_char.text.words import SPLITTERS

    return {
        "tasks": [(name, TASKS.get(name).title) for name in TASKS],
        "suites": list(_suites()),
        "benchmarks": list(_benchmarks()),
        "operators": _plain(OPERATORS),
        "systems": _plain(SYSTEMS),
        "predictors": registered(),
        "layouts": _plain(LAYOUTS),
        "alphabets": _plain(ALPHABETS),
        "splitters": _plain(SPLITTERS),
    }


def _suites() -> Iterable[tuple[str, str]]:
    from robustbench_char.attacks.suites import load_suite_file, suite_names

    for name in suite_names():
        yield name, load_suite_file(name).description.partition(". ")[0].removesuffix(".")


def _benchmarks() -> Iterable[tuple[str, str]]:
    from robustbench_char.common.files import shipped
    from robustbench_char.experiments.spec import SPECS, load_spec

    for name in shipped(SPECS):
        _, spec, _ = load_spec(name)
        yield name, spec.about if spec else ""


def _plain(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, "") for name in names]

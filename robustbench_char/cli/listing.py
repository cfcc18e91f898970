"""`list` and `validate`: what can be named on the command line, and whether a declaration is right."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robustbench_char.cli.printing import echo
from robustbench_char.common import InputError, MissingExtra, nearest

if TYPE_CHECKING:
    from robustbench_char.attacks.suites import SuiteFile

__all__ = ["list_names", "validate"]


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help="tasks, suites, benchmarks, operators, systems, defences, predictors, prompts, layouts, alphabets or"
            " splitters.",
        ),
    ] = None,
) -> None:
    """List tasks, attack suites, benchmarks, operators, systems, ready defences, predictors, prompts, and so on."""
    kinds = _kinds()
    if kind is not None and kind not in kinds:
        raise InputError(
            "list",
            found=f"unknown kind {kind!r}",
            expected=", ".join(kinds),
            fix=f"Correct the name.{nearest(kind, kinds)}",
        )
    for title, entries in kinds.items():
        if kind in (None, title):
            echo(f"{title}:")
            for name, text in entries or [("none", "")]:
                echo(f"  {name:<28}{text}".rstrip())


def _kinds() -> dict[str, list[tuple[str, str]]]:
    from robustbench_char.attacks.operators import OPERATORS
    from robustbench_char.attacks.suites import OPERATIONS, OperationsFile, load_suite_file, suite_names
    from robustbench_char.common.files import shipped
    from robustbench_char.common.systems import SYSTEMS
    from robustbench_char.common.yaml_model import load_yaml_model
    from robustbench_char.defences.opening import READY
    from robustbench_char.experiments.spec import SPECS, load_spec
    from robustbench_char.inference.chat.prompts import load_prompt_file, prompt_names
    from robustbench_char.records.predictors import registered
    from robustbench_char.tasks.registry import TASKS
    from robustbench_char.text.letters import ALPHABETS, LAYOUTS
    from robustbench_char.text.words import SPLITTERS

    suites = {name: load_suite_file(name).description.partition(". ")[0] for name in suite_names()}
    published = {name: load_yaml_model(path, OperationsFile) for name, path in shipped(OPERATIONS).items()}
    suites |= {name: f"{file.description.removesuffix('.')} (--operations)" for name, file in published.items()}
    benchmarks = {name: load_spec(name)[1] for name in shipped(SPECS)}
    return {
        "tasks": [(name, TASKS.get(name).title) for name in TASKS],
        "suites": [(name, text.removesuffix(".")) for name, text in suites.items()],
        "benchmarks": [(name, spec.about if spec else "") for name, spec in benchmarks.items()],
        "operators": _plain(OPERATORS),
        "systems": _plain(SYSTEMS),
        "defences": _plain(READY),
        "predictors": registered(),
        "prompts": [(name, load_prompt_file(name).about) for name in prompt_names()],
        "layouts": _plain(LAYOUTS),
        "alphabets": _plain(ALPHABETS),
        "splitters": _plain(SPLITTERS),
    }


def _plain(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, "") for name in names]


def validate(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Attack suites, tasks, prompts or benchmarks, as .yaml files."),
    ] = None,
    all_shipped: Annotated[bool, typer.Option("--all", help="Check all declarations that are shipped.")] = False,
) -> None:
    """Check attack suites, tasks, prompts and the form of benchmarks; every suite against every task."""
    if not files and not all_shipped:
        raise InputError(
            "validate", found="nothing to check", expected="files or --all", fix="Name a .yaml file, or add --all."
        )
    lines = [f"ok  {_file(path)}" for path in files or []]
    if all_shipped:
        lines += _shipped()
    for line in lines:
        echo(line)


def _file(path: Path) -> str:
    """Check one file, told by its keys: a task has a metric, a benchmark systems, a prompt a user message, published
    operations MD5s; else it is a suite.
    """
    from robustbench_char.attacks.suites import OperationsFile, load_suite_file
    from robustbench_char.common.files import check_file
    from robustbench_char.common.yaml_model import load_yaml_model, read_yaml
    from robustbench_char.inference.chat.prompts import load_prompt_file
    from robustbench_char.tasks.registry import get_task

    value = read_yaml(check_file(path, option="validate"))
    if "metric" in value:
        return f"{path}: task {get_task(str(path), place='validate').name}"
    if "systems" in value:
        return _benchmark(str(path))
    if "user" in value:
        return f"{path}: prompt for {load_prompt_file(str(path)).family}"
    if "md5" in value:
        load_yaml_model(path, OperationsFile)
        return f"{path}: suite of published operations"
    _suite(str(path), load_suite_file(str(path), place="validate"))
    return f"{path}: attack suite"


def _benchmark(name: str) -> str:
    """Check the form of a benchmark; `run --plan` checks what it names too, which needs its data and models."""
    from robustbench_char.common.yaml_model import all_at_once
    from robustbench_char.experiments.spec import load_spec

    path, _, mistakes = load_spec(name)
    if mistakes:
        raise all_at_once(path, mistakes)
    return f"{name}: benchmark (its form; `run {name} --plan` checks the rest)"


def _suite(name: str, file: SuiteFile) -> None:
    """Check that a suite resolves for every task, and that the tasks and fields it names exist."""
    from robustbench_char.attack_sets.stream import check_task_names, chosen_fields
    from robustbench_char.attacks.suites import load_suites
    from robustbench_char.tasks.registry import TASKS

    check_task_names(name)
    for task in TASKS:
        for suite in load_suites(name, task=task, place="validate"):
            if suite.fields is not None and (task in file.tasks or file.fields is None):
                chosen_fields(TASKS.get(task), suite, None, place=f"{name}: tasks.{task}.fields")


def _shipped() -> list[str]:
    from robustbench_char.attacks.suites import OPERATIONS, OperationsFile, load_suite_file, suite_names
    from robustbench_char.common.files import shipped
    from robustbench_char.common.yaml_model import load_yaml_model
    from robustbench_char.experiments.spec import SPECS
    from robustbench_char.inference.chat.prompts import load_prompt_file, prompt_names
    from robustbench_char.tasks.registry import TASKS

    unchecked = {}
    for name in suite_names():
        try:
            _suite(name, load_suite_file(name))
        except MissingExtra as missing:
            unchecked[f"suite {name}"] = missing
    published = {name: load_yaml_model(path, OperationsFile) for name, path in shipped(OPERATIONS).items()}
    for task in TASKS:
        TASKS.get(task)
    benchmarks = [_benchmark(name) for name in shipped(SPECS)]
    prompts = [f"prompt {name} for {load_prompt_file(name).family}" for name in prompt_names()]
    suites, tasks = (f"suite {name}" for name in (*suite_names(), *published)), (f"task {name}" for name in TASKS)
    checked = [f"ok  {line}" for line in (*benchmarks, *suites, *tasks, *prompts) if line not in unchecked]
    return [*checked, *(f"--  {line}: not checked: found {why.found}. {why.fix}" for line, why in unchecked.items())]

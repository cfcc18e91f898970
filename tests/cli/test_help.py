"""The help of each command as users read it, held by golden files, and its agreement with the public API.

After a wanted change: `UPDATE_HELP=1 pytest tests/cli/test_help.py`, then read the difference.
"""

from __future__ import annotations

import inspect
import os
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import robustbench_char as rbc
from robustbench_char.cli.main import app
from robustbench_char.common.options import Options, fields_of
from robustbench_char.defences.train import DefenceOptions
from robustbench_char.inference.options import CheckOptions, ModelOptions
from robustbench_char.inference.worst_case.options import SearchOptions
from robustbench_char.tasks.sources import LayoutOptions, SourceKeywords, SourceOptions
from robustbench_char.training.options import AugmentOptions, FinetuneOptions
from robustbench_char.training.pretraining.options import PretrainOptions

GOLDEN = Path(__file__).with_name("help")
COMMANDS = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]

FUNCTIONS: dict[str, Any] = {
    "attack": rbc.attack_file,
    "verify": rbc.verify,
    "show": rbc.shown_examples,
    "mini": rbc.write_mini,
    "pretrain": rbc.pretrain,
    "convert": rbc.convert,
    "train-defence": rbc.train_defence,
    "defence-price": rbc.defence_price,
    "finetune": rbc.finetune,
    "evaluate": rbc.evaluate,
    "sensitivity": rbc.sensitivity,
    "fragility": rbc.fragility,
    "report": rbc.report,
    "run": rbc.run,
    "check": rbc.check,
    "compare": rbc.compare,
}
"""The function that each command calls; `list` and `validate` only print names."""

SEARCHING = {"attack": rbc.worst_case}
"""The function that a command calls where it is given a model, which is an option of the function's name."""

MODELS: dict[str, tuple[type[Options], ...]] = {
    "attack": (SourceOptions, SearchOptions, ModelOptions),
    "check": (CheckOptions, SourceOptions),
    "evaluate": (ModelOptions, SourceOptions),
    "finetune": (LayoutOptions, FinetuneOptions, AugmentOptions),
    "pretrain": (PretrainOptions,),
    "train-defence": (DefenceOptions,),
}
PRINTING = {"json", "plan", "explain", "all_texts"}
"""Options that say what is printed, or that another function serves (`plan`)."""
PYTHON = {
    "progress", "callbacks", "train_sha256", "weights", "examples", "only_edited", "save_seconds", "label", "given",
}  # fmt: skip
"""What Python alone can give or ask for."""


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_as_it_was_agreed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    text = CliRunner().invoke(app, [*([name] if name else []), "--help"], prog_name="robustbench-char").output
    golden = GOLDEN / f"{name or 'robustbench-char'}.txt"
    if os.environ.get("UPDATE_HELP"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def python_names(name: str) -> dict[str, Any]:
    """Return the parameters of a command's function with their defaults, keywords of its options among them."""
    names: dict[str, Any] = {}
    searching = inspect.signature(SEARCHING[name]).parameters if name in SEARCHING else {}
    for parameter in (inspect.signature(FUNCTIONS[name]).parameters | searching).values():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            names[parameter.name] = parameter.default
            continue
        models = MODELS.get(name, ())
        names |= {field.keyword: field.info.default for model in models for field in fields_of(model)}
        if not models:
            names |= {
                key: {"hub": False, "convert_tags": False}.get(key) for key in typing.get_type_hints(SourceKeywords)
            }
    if name in SEARCHING:
        names[SEARCHING[name].__name__] = names.pop("model", None)
    return names


def plain(value: Any) -> Any:
    """Return a default without what the two sides write differently: paths, nothing, empty lists."""
    value = None if value in (inspect.Parameter.empty, (), [], None) or "Sentinel" in repr(value) else value
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_command_and_its_function_share_names_and_defaults(name: str) -> None:
    command = {parameter.name: plain(parameter.default) for parameter in COMMANDS[name].params}
    function = {key: plain(value) for key, value in python_names(name).items()}
    for unlike in PRINTING | {"help"}:
        command.pop(unlike, None)
    for unlike in PYTHON - set(command):
        function.pop(unlike, None)
    assert command == function


def test_sources_are_declared_once() -> None:
    assert {field.keyword for field in fields_of(SourceOptions)} | {"input"} == set(
        typing.get_type_hints(SourceKeywords)
    )


def test_every_public_name_is_there_and_described() -> None:
    for name in rbc.__all__:
        value = getattr(rbc, name)
        assert name == "__version__" or inspect.getdoc(value)
    assert set(rbc.__all__) == set(dir(rbc))
    with pytest.raises(AttributeError, match="no attribute 'attak'"):
        rbc.attak  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", [name for name in rbc.__all__ if inspect.isfunction(getattr(rbc, name))])
def test_a_path_may_be_a_text_or_a_path(name: str) -> None:
    """So may the file of a task, a suite or a benchmark."""
    files = {"Path", "Task", "Suite", "Benchmark"}
    for parameter in inspect.signature(getattr(rbc, name)).parameters.values():
        words = set(re.findall(r"\w+", str(parameter.annotation)))
        if words & files:
            assert {"str", "Path"} <= words, f"{name}({parameter.name}: {parameter.annotation})"

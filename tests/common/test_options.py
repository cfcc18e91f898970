"""Options are declared once: commands, Python keywords and specs have the same ones, and errors name them as given."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from robustbench_char.cli.main import app
from robustbench_char.common import InputError
from robustbench_char.common.options import Option, Options, fields_of, flags, keywords_of, options_of, spelled
from robustbench_char.defences.train import DefenceKeywords, DefenceOptions
from robustbench_char.defences.wordrec.options import RecogniserOptions
from robustbench_char.experiments.spec import FinetunePart, PretrainPart, RecogniserPart
from robustbench_char.training.options import AugmentOptions, FinetuneKeywords, FinetuneOptions
from robustbench_char.training.pretraining.options import PretrainKeywords, PretrainOptions

MODELS: dict[str, tuple[type[Options], ...]] = {
    "finetune": (FinetuneOptions, AugmentOptions),
    "pretrain": (PretrainOptions,),
    "train-defence": (DefenceOptions,),
}
KEYWORDS = {"finetune": FinetuneKeywords, "pretrain": PretrainKeywords, "train-defence": DefenceKeywords}


@pytest.mark.parametrize("command", MODELS)
def test_python_has_the_options_of_the_models(command: str) -> None:
    declared = {field.keyword: field.info.annotation for model in MODELS[command] for field in fields_of(model)}
    assert set(get_type_hints(KEYWORDS[command])) == set(declared)


@pytest.mark.parametrize("command", MODELS)
def test_a_command_has_the_options_of_the_models_with_default_and_help(command: str) -> None:
    parameters = {param.name: param for param in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]
    for model in MODELS[command]:
        for field in fields_of(model):
            option = parameters[field.keyword]
            assert field.info.description
            assert option.help == field.info.description
            assert "/".join((*option.opts, *option.secondary_opts)) == field.flag
            default = field.info.default
            assert option.default == (list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize(
    ("part", "model", "more"),
    [
        (FinetunePart, FinetuneOptions, set()),
        (PretrainPart, PretrainOptions, {"processes"}),
        (RecogniserPart, RecogniserOptions, {"text"}),
    ],
)
def test_a_spec_has_the_options_of_the_models(part: Any, model: type[Options], more: set[str]) -> None:
    assert set(part.model_fields) == set(model.model_fields) | more
    assert {getattr(part(), name) for name in model.model_fields} == {None}


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"epochs": -1}, "epochs=: found -1; expected at least 0 and at most 1000000.0. Correct the number."),
        ({"epochs": float("nan")}, "epochs=: found nan"),
        ({"epochs": "2"}, "epochs=: found '2'"),
        ({"batch_size": 1.5}, "batch_size=: found 1.5; expected at least 1"),
        ({"precision": "fp23"}, "precision=: found 'fp23'; expected one of auto, bf16, fp32.*Did you mean 'fp32'"),
        ({"epoch": 2}, "epoch=: found an unknown option.*Did you mean 'epochs'"),
    ],
)
def test_wrong_options(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        options_of(keywords, FinetuneOptions, AugmentOptions)


def test_options_and_keywords_are_each_others_inverse() -> None:
    asked = {"epochs": 2.0, "learning_rate": 2e-5, "augment": "swap", "augment_without": ("drop",)}
    finetune, augment = options_of(
        {**asked, "max_length": None, "augment_without": ["drop"]}, FinetuneOptions, AugmentOptions
    )
    assert (finetune.epochs, finetune.max_length, augment.suite) == (2.0, None, "swap")
    assert keywords_of(finetune, augment) == asked
    assert flags(PretrainOptions, {"learning_rate": 0.1, "character_positions": False, "suite": "drop"}) == [
        "--suite=drop",
        "--lr=0.1",
        "--no-character-positions",
    ]


def test_an_error_names_options_as_they_were_given() -> None:
    error = InputError(Option("max_length"), found="3", expected="more", fix="Raise `max_length=` or `new_lr=`.")
    again = copy.deepcopy(error)  # as through a worker process
    assert str(again) == "max_length=: found 3; expected more. Raise `max_length=` or `new_lr=`."
    there = spelled(again, lambda keyword: f"finetune.{keyword}")
    assert str(there) == "finetune.max_length: found 3; expected more. Raise finetune.max_length or finetune.new_lr."


def test_the_command_line_names_its_own_spelling(tmp_path: Path) -> None:
    command = ["finetune", "cola", "--data", "mini", "--lr", "7", "--output", str(tmp_path / "out")]
    with pytest.raises(InputError, match=r"^--lr: found 7\.0; expected more than 0 and at most 1"):
        CliRunner().invoke(app, command, catch_exceptions=False)

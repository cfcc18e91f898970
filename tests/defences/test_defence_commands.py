"""The commands of defences, as the command line runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attacks.suites import load_suites
from robustbench_char.cli.main import app
from robustbench_char.common import InputError
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source

QUICK = ["--vocabulary", "50", "--hidden-size", "8", "--batch-words", "64", "--epochs", "1"]


def run(*arguments: object) -> str:
    """Return what a command prints; bad input is raised."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_train_and_price(tmp_path: Path) -> None:
    clean = tmp_path / "train.txt"
    sentence = "Anna NNP O B-PER\nwatches VBZ O O\nwindows NNS O O\n. . O O\n\n"
    clean.write_text(sentence * 40)
    task = get_task("conll2003")
    (suite,) = load_suites("mixed", task=task.name)
    attack_file(task, open_source(task, input=clean), suite=suite, seed=1, output=tmp_path / "attacked")
    folder = tmp_path / "recogniser"
    said = run("train-defence", "wordrec", "--task", "conll2003", "--input", clean, "--output", folder, *QUICK)
    assert "on 8 held-out words, wrong before correction 75.00%" in said
    wrong = float(re.findall(r"after ([0-9.]+)%", said)[0])
    assert ("warning: it makes as many words wrong as it corrects" in said) == (wrong >= 75)
    price = ["defence-price", folder, "--task", "conll2003", "--input", clean, "--attacked", tmp_path / "attacked"]
    numbers = json.loads(run(*price, "--output", tmp_path / "price", "--json"))["errors"]
    assert json.loads((tmp_path / "price" / "defence_price.json").read_text())["errors"] == numbers
    assert numbers["words"] == 160
    assert numbers["entity_words"] == 40
    assert 0 <= numbers["wer_after"] <= 100
    table = run(*price)
    assert "clean words of entities changed" in table
    assert f"{numbers['wer_before']:.2f}" in table


def test_train_from_text_with_every_option(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\n" * 60)
    run("train-defence", "wordrec", "--text", text, "--output", tmp_path / "second", *QUICK)
    options = ["--suite", "keyboard@0.5", "--steps", "1", "--limit", "200", "--lr", "0.01", "--seed", "4", "--see-case"]
    options += ["--splitter", "unicode", "--back-off", "background", "--background", tmp_path / "second"]
    options += ["--lower-case", "--correct-all"]
    run("train-defence", "wordrec", "--text", text, "--text", text, "--output", tmp_path / "first", *QUICK, *options)
    file = json.loads((tmp_path / "first" / "recogniser.json").read_text())
    assert (file["splitter"], file["back_off"], file["lower"]) == ("unicode", "background", False)
    assert (file["keep_case"], file["leave_numbers_and_punctuation"]) == (False, False)
    settings = file["training"]["settings"]
    asked = {"suite": "keyboard@0.5", "steps": 1, "limit": 200, "learning_rate": 0.01, "seed": 4, "vocabulary": 50}
    assert asked.items() <= settings.items()
    assert (tmp_path / "first" / "background" / "recogniser.json").is_file()


def test_refuses_data_without_a_task(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--task: found a data set without a task"):
        run("train-defence", "wordrec", "--data", "mini", "--output", tmp_path / "out")
    with pytest.raises(InputError, match="--text: found neither text nor a task"):
        run("train-defence", "wordrec", "--output", tmp_path / "out")

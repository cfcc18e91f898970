"""Commands say which columns of a CoNLL file they read, where there is a choice."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import Run

ATTACK = ("attack", "conll2003", "--suite", "drop,swap", "--output", "out", "--input")
WIDE, NARROW = "Greta N B-PER\nlaughed V O\n", "Greta B-PER\nlaughed O\n"
TOLD = "note: {}: words are read from column {} and tags from column {} of {}, counted from 0\n"


@pytest.fixture
def files(run: Run) -> None:
    """Write a file of two columns and one of three, and a predictor."""
    Path("narrow.txt").write_text(NARROW)
    Path("wide.txt").write_text(WIDE)
    Path("rule.py").write_text("def predict(batch, task):\n    return [['O'] * len(one['tokens']) for one in batch]")


@pytest.mark.usefixtures("files")
def test_an_attack_says_so_once(run: Run) -> None:
    code, output, told = run(*ATTACK, str(Path("wide.txt").absolute()))
    assert (code, told) == (0, TOLD.format("wide.txt", 0, 2, 3))
    assert "out/swap: swap, " in output


@pytest.mark.usefixtures("files")
def test_two_columns_leave_no_choice_but_an_option_makes_one(run: Run) -> None:
    assert run(*ATTACK, "narrow.txt")[2] == ""
    assert run(*ATTACK, "narrow.txt", "--tag-column", "-1", "--overwrite")[2] == TOLD.format("narrow.txt", 0, 1, 2)


def test_data_of_the_package_need_no_word(run: Run) -> None:
    assert run(*ATTACK[:-1], "--data", "mini")[2] == ""


@pytest.mark.usefixtures("files")
def test_an_evaluation_says_so(run: Run) -> None:
    line = "evaluate", "rule.py:predict", "--task", "conll2003", "--input", "wide.txt", "--output", "record"
    code, _, told = run(*line, "--token-column", "1", "--tag-column", "-1")
    assert code == 0
    assert told.count("note:") == told.count(TOLD.format("wide.txt", 1, 2, 3)) == 1


@pytest.mark.models
@pytest.mark.usefixtures("files")
def test_a_training_says_so(run: Run, tiny_base: str) -> None:
    line = "finetune", "conll2003", "--train", "wide.txt", "--base", tiny_base, "--output", "system", "--epochs", "1"
    code, _, told = run(*line, "--precision", "fp32")
    assert code == 0, told
    assert told.count("read from column") == told.count(TOLD.format("wide.txt", 0, 2, 3)) == 1

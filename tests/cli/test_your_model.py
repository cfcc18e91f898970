"""The page on your own model: its package, installed as written there, is listed, evaluated and reported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.records.evaluation import read_counts, read_predictions, read_record

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "your_model.md").read_text(encoding="utf-8")
PROGRAM = Path(sys.executable).with_name("robustbench-char")
HEAVY = ("torch", "transformers", "accelerate")


@pytest.fixture
def path(install: Any) -> dict[str, str]:
    """Return an environment in which the package of the page is installed."""
    (toml,), (*_, code) = (re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S) for kind in ("toml", "py"))
    project = tomllib.loads(toml)["project"]
    points = project["entry-points"]["robustbench_char.predictors"]
    attributes = {name: value.partition(":")[2] for name, value in points.items()}
    site = install(code, attributes, name="my_predictors", version=project["version"])
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(site / "cache")}


def run(path: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, env=path, check=False)


def succeeds(path: dict[str, str], *arguments: object) -> str:
    done = run(path, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(path: dict[str, str], *arguments: object) -> str:
    done = run(path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_commands_of_the_page(path: dict[str, str], tmp_path: Path) -> None:
    assert re.search(r"^  overlap +my_predictors 0\.1\.0$", succeeds(path, "list", "predictors"), re.M)
    (commands,) = re.findall(r"^```sh\n(robustbench-char attack.*?)^```", PAGE, re.M | re.S)
    for line in commands.splitlines():
        program, *arguments = line.split()
        assert program == "robustbench-char"
        succeeds(path, *(tmp_path / one if "/" in one else one for one in arguments))
    scores = tmp_path / "steps"
    clean, attacked = (read_record(scores / name / "record.json") for name in ("clean", "drop"))
    assert clean.scores["accuracy"] > attacked.scores["accuracy"]
    assert attacked.data.attack is not None
    assert (attacked.condition, attacked.data.attack.clean_sha256) == ("drop", clean.data.sha256)
    page = (tmp_path / "steps-report" / "index.html").read_text(encoding="utf-8")
    assert "overlap" in page
    assert "external" in page


@pytest.mark.models
@pytest.mark.parametrize(("name", "task"), [("capitals", "conll2003"), ("nearest", "squad_v2")])
def test_tagging_and_answers(path: dict[str, str], tmp_path: Path, name: str, task: str) -> None:
    attack = ("attack", task, "--data", "mini", "--split", "test", "--suite", "charbert_2020", "--seed", 1)
    succeeds(path, *attack, "--output", tmp_path / "attacked")
    manifest = json.loads((tmp_path / "attacked" / "manifest.json").read_text())
    evaluate = ("evaluate", "--predictor", name, "--task", task)
    file = tmp_path / "attacked" / manifest["output"]["name"]
    shown = succeeds(path, *evaluate, "--input", file, "--output", tmp_path / "out", "--batch-size", 7, "--json")
    record = read_record(tmp_path / "out" / "record.json")
    assert json.loads(shown)["scores"] == record.scores
    assert record.scores["f1"] > 5
    assert ("best_f1" in record.scores) == (task == "squad_v2")
    table, counts = read_predictions(tmp_path / "out", record), read_counts(tmp_path / "out", record)
    assert table is not None
    assert counts is not None
    assert table["edits"].str.len().max() > 2
    expected = {"all", "operator", "text_length"} | ({"word_length", "entity_type"} if task == "conll2003" else set())
    assert set(counts["dimension"]) == expected


def test_plain_answers_have_no_best_threshold(install: Any, tmp_path: Path) -> None:
    site = install("def say(batch):\n    return ['' for one in batch]\n", {"silent": "say"})
    path = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    arguments = (
        "evaluate",
        "--predictor",
        "silent",
        "--task",
        "squad_v2",
        "--data",
        "mini",
        "--output",
        tmp_path / "o",
    )
    succeeds(path, *arguments)
    scores = read_record(tmp_path / "o" / "record.json").scores
    assert scores["NoAns_f1"] == 100.0
    assert not [key for key in scores if key.startswith("best_")]
    (site / "baselines_module.py").write_text("def say(batch):\n    return ['x' for one in batch]\n")
    assert "other content" in fails(path, *arguments)
    succeeds(path, *arguments, "--overwrite")


def test_no_model_library_is_loaded(path: dict[str, str]) -> None:
    code = f"""
import sys
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.predictors import PredictorSource

task = get_task("qnli")
evaluate(PredictorSource.load("overlap", task), open_source(task, data="mini"), progress=False)
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=path, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_refused(path: dict[str, str], tmp_path: Path) -> None:
    data = ("--data", "mini", "--output", tmp_path / "out")
    cases = {
        "evaluate: found neither MODEL nor --predictor; expected one of them": ("--task", "qnli"),
        "evaluate: found MODEL and --predictor; expected one of them": (tmp_path, "--predictor", "overlap"),
        "--task: found none; expected the task of the data": ("--predictor", "overlap"),
        "Did you mean 'qnli'?": ("--predictor", "overlap", "--task", "qnlii"),
        "Did you mean 'overlap'?": ("--predictor", "overlapp", "--task", "qnli"),
        "predictor capitals: found the task qnli; expected a task that it serves: conll2003": (
            "--predictor", "capitals", "--task", "qnli"),
    }  # fmt: skip
    for expected, arguments in cases.items():
        message = fails(path, "evaluate", *arguments, *data)
        assert expected in message
        assert not (tmp_path / "out").exists()
    done = run(path, "evaluate", "--predictor", "overlap", "--task", "cola", *data)  # its own traceback is shown
    assert done.returncode == 2
    assert "error: system overlap: found no usable prediction for any of 32 examples; row 0" in done.stderr
    assert "KeyError: 'question'; expected predictions of the task" in done.stderr

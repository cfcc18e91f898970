"""A predictor beside a system of ours: one report of both, on the same clean and attacked data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import robustbench_char as rbc
from robustbench_char.analysis.statistics import statistics_of
from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.predictors import PredictorSource
from robustbench_char.inference.systems import load_system
from robustbench_char.reports.evidence import read_evidence
from robustbench_char.reports.page import write_report
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source
from robustbench_char.training.finetune import finetune

pytestmark = pytest.mark.models

CODE = """
class Capitals:
    name = "capital letters"
    def predict(self, batch):
        return [["B-LOC" if token[:1].isupper() else "O" for token in example["tokens"]] for example in batch]
"""


@pytest.fixture
def predictor(install: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(install(CODE, {"capitals": "Capitals"}, name="capitals"))
    return "capitals"


def test_one_report_of_both(predictor: str, tiny_base: str, tmp_path: Path) -> None:
    task = get_task("conll2003")
    clean = open_source(task, data="mini", split="test")
    (suite,) = load_suites("charbert_2020", task=task.name)
    manifest = attack_file(task, clean, suite=suite, seed=1, output=tmp_path / "attacked")
    attacked = open_native(task, tmp_path / "attacked" / manifest.output.name)
    options: Any = {"base": tiny_base, "limit": 64, "epochs": 1, "precision": "fp32", "progress": False}
    system = finetune(task, data="mini", output=tmp_path / "system", store=tmp_path / "store", **options).folder
    for name, file in (("clean", clean), ("attacked", attacked)):
        evaluate(load_system(system), file, output=tmp_path / "scores" / "bert" / name, progress=False)
        source = PredictorSource.load(predictor, task)
        evaluate(source, file, output=tmp_path / "scores" / "own" / name, progress=False)
    evidence = read_evidence([tmp_path / "scores"], examples=True)
    assert set(evidence.frame["label"]) == {"bert", "capital letters"}
    cells = evidence.cells.groupby("dimension")["label"].agg(set)
    assert cells["pieces"] == {"bert"}
    assert cells["word_length"] == {"bert", "capital letters"}
    found = statistics_of(evidence.pairs).systems(task.name, "charbert_2020")
    assert set(found) == {("bert", "tiny-bert"), ("capital letters", "external")}
    page = write_report([tmp_path / "scores"], tmp_path / "report").read_text(encoding="utf-8")
    for text in ("external", "unknown device", "capital letters (capitals_module:Capitals of capitals 0.1.0, source "):
        assert text in page
    assert "Fairness" not in page  # of one system alone something is known
    with pytest.raises(InputError, match="--task: found data of the task qnli; expected conll2003, which the system"):
        rbc.evaluate(system, task="qnli", data="mini")


def test_a_file_of_another_task(predictor: str, tmp_path: Path) -> None:
    task = get_task("ptb_pos")
    (suite,) = load_suites("drop", task=task.name)
    source = open_source(task, data="mini", split="test")
    manifest = attack_file(task, source, suite=suite, seed=1, output=tmp_path / "attacked")
    file = open_native(task, tmp_path / "attacked" / manifest.output.name)
    with pytest.raises(InputError, match=r"found data of the task ptb_pos; expected conll2003, as --task says"):
        evaluate(PredictorSource.load(predictor, get_task("conll2003")), file)

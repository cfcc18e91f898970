"""A base that is fine-tuned already: its head is dropped aloud, or kept where nothing is trained."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import robustbench_char as rbc
from robustbench_char.cli.main import app
from robustbench_char.inference.systems import load_system
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source
from robustbench_char.training.finetune import finetune

pytestmark = pytest.mark.models

TAGS = ("B-PER", "I-PER", "O", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
CONLL = get_task("conll2003")
OPTIONS: dict[str, Any] = {"data": "mini", "limit": 40, "precision": "fp32", "progress": False}


@pytest.fixture
def base(fine_tuned: Any, tmp_path: Path) -> Path:
    folder: Path = fine_tuned(tmp_path / "my-ner", "Bert", "tagging", TAGS)
    return folder


def test_a_dropped_head_is_said(base: Path, tmp_path: Path) -> None:
    line = ["finetune", "conll2003", "--data", "mini", "--base", str(base), "--epochs", "0.1", "--limit", "40"]
    line += ["--precision", "fp32", "--store", str(tmp_path / "store"), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, line, catch_exceptions=False)
    assert done.exit_code == 0
    told = (
        f"warning: {base} is fine-tuned already (BertForTokenClassification): its head is dropped, and a new one is"
        f" trained for conll2003. To measure the model as it is: `robustbench-char check {base} --task conll2003"
    )
    assert told in done.stderr
    result = rbc.evaluate(tmp_path / "out", data="mini", progress=False)
    assert result.record.system.dropped_head == "BertForTokenClassification"


def test_a_plain_base_drops_nothing(
    tiny_base: str, make_file: Any, train_tiny: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "robustbench_char"):
        folder = train_tiny("tagging", make_file("tagging"), epochs=0.1)
    assert caplog.text == ""
    assert load_system(folder).file.base.dropped_head is None


def test_nothing_trained_keeps_a_head_that_fits(base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = finetune("conll2003", base=base, epochs=0, max_length=96, output=tmp_path / "out",
                      store=tmp_path / "store", **OPTIONS).folder  # fmt: skip
    assert "head" not in caplog.text
    ours, theirs = load_system(folder), rbc.load_model(base, "conll2003")
    assert ours.file.labels == TAGS
    assert ours.file.base.dropped_head is None
    examples = list(open_source(CONLL, data="mini").examples())[:20]
    bare = [[tag and tag[2:] for tag in tags] for tags in ours.predict(examples, progress=False).values]  # type: ignore[union-attr]
    same = [[tag and tag[2:] for tag in tags] for tags in theirs.predict(examples, progress=False).values]  # type: ignore[union-attr]
    assert bare == same


def test_nothing_trained_has_a_new_head_where_none_fits(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = finetune("mrpc", base=base, epochs=0, output=tmp_path / "out", store=tmp_path / "store", **OPTIONS).folder
    assert "its head is dropped, and a new one is trained for mrpc" in caplog.text
    system = load_system(folder)
    assert system.file.labels == ("not_equivalent", "equivalent")
    encoder, plain = system.model.base_model.state_dict(), rbc.load_model(base, "conll2003").model.base_model  # type: ignore[attr-defined]
    assert all(bool((weight == encoder[name]).all()) for name, weight in plain.state_dict().items())


@pytest.mark.parametrize(("family", "task"), [("classification", "mrpc"), ("question_answering", "squad_v1")])
def test_heads_of_all_families_are_kept(fine_tuned: Any, tmp_path: Path, family: str, task: str) -> None:
    names = ("1", "0") if family == "classification" else ()
    base = fine_tuned(tmp_path / "base", "Roberta", family, names)
    options = {**OPTIONS, "doc_stride": 8, "output": tmp_path / "out", "store": tmp_path / "store"}
    folder = finetune(task, base=base, epochs=0, **options).folder
    system = load_system(folder)
    assert system.file.base.dropped_head is None
    assert system.file.labels == (("equivalent", "not_equivalent") if names else ())

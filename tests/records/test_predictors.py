"""Predictors of other packages: what is registered, what is loaded, and what they may return."""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustbench_char.common import InputError
from robustbench_char.inference.predictors import PredictorSource
from robustbench_char.inference.results import Predictions
from robustbench_char.metrics.base import QaPrediction
from robustbench_char.records.predictors import Predictor, load_predictor, registered
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.registry import TASKS

CODE = """
raise_on_import = False

def yes(batch):
    return ["acceptable"] * len(batch)

class Model:
    name, version, tasks, parameters = "my model", "2", ["cola", "qnli"], 7
    def __init__(self): self.label = "acceptable"
    def predict(self, batch): return [self.label] * len(batch)

def make(label="acceptable"):
    class Made:
        def predict(self, batch): return [label]
    return Made()

def make_plain(): return Model()
def make_none(): return None
class Demanding:
    def __init__(self, path): self.path = path
class Wrong:
    tasks = "cola"
    def predict(self, batch): return []
class Bert(Model): name = "bert"
constant = 3

class Module(Model):
    parameters = lambda self: iter(())
"""
POINTS = {
    "yes": "yes", "model": "Model", "factory": "make_plain", "ambiguous": "make", "none": "make_none",
    "demanding": "Demanding", "wrong": "Wrong", "constant": "constant", "missing": "nothing", "bert": "yes",
    "masked": "Bert", "module": "Module",
}  # fmt: skip


@pytest.fixture
def site(install: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the package with all these predictors for one test."""
    folder: Path = install(CODE, POINTS)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "baselines_module", raising=False)
    return folder


def test_functions_classes_and_factories(site: Path) -> None:
    assert [load_predictor(name).call([{}, {}]) for name in ("yes", "model", "factory")] == [["acceptable"] * 2] * 3
    info = load_predictor("model").system
    assert (info.name, info.shown, info.base, info.parameters) == ("model", "my model", "external", 7)
    assert info.predictor is not None
    assert info.predictor.model_dump() == {
        "distribution": "baselines",
        "distribution_version": "0.1.0",
        "entry_point": "baselines_module:Model",
        "version": "2",
    }
    plain = load_predictor("yes").system
    assert (plain.shown, plain.parameters, plain.training_seed) == ("yes", None, None)


def test_the_hash_is_that_of_name_and_versions(site: Path, install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: load_predictor(name).system.weights_sha256 for name in ("model", "factory", "yes")}
    assert len(set(before.values())) == 3
    assert load_predictor("model").system.weights_sha256 == before["model"]
    (site / "baselines-0.1.0.dist-info").rename(site / "baselines-0.2.0.dist-info")
    metadata = site / "baselines-0.2.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("0.1.0", "0.2.0"))
    assert load_predictor("model").system.weights_sha256 != before["model"]


def test_listing_imports_nothing(site: Path) -> None:
    assert ("model", "baselines 0.1.0") in registered()
    assert "baselines_module" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("modell", r"--predictor: found unknown predictor 'modell'; expected one of .*Did you mean 'model'\?"),
        (
            "none",
            r"predictor none \(of baselines 0\.1\.0\): found .*:make_none gives None without a method `predict`",
        ),
        ("demanding", r"predictor demanding .*Demanding\(\) fails \(TypeError: .*'path'.*without arguments"),
        ("wrong", r"predictor wrong .*found `tasks` = 'cola'; expected a list of names of tasks"),
        ("constant", r"predictor constant .*constant is a value of type int; expected a function `predict\(batch\)`"),
        ("missing", r"predictor missing .*nothing fails to import \(AttributeError: .*expected `module:attribute`"),
        ("bert", r"predictor bert .*found the name of one of the shipped systems; expected a name of its own"),
        ("masked", r"predictor masked .*found `name` = 'bert', one of the shipped systems; expected a name of its own"),
    ],
)
def test_what_cannot_be_loaded(site: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_predictor(name)


def test_what_takes_an_argument_is_called_with_the_batch(site: Path) -> None:
    with pytest.raises(InputError, match=r"predictor ambiguous, row 0 .*type Made; expected a list of predictions"):
        predict(load_predictor("ambiguous"), TASKS.get("cola"), [example(sentence="A.")])


def test_a_models_method_parameters_is_no_number(site: Path) -> None:
    assert load_predictor("module").system.parameters is None


def test_a_package_that_fails_to_import(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install("import no_such_library", {"broken": "x"}, name="broken"))
    with pytest.raises(InputError, match=r"fails to import \(ModuleNotFoundError: .*no_such_library") as caught:
        load_predictor("broken")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_two_distributions_with_one_name(site: Path, install: Any) -> None:
    install(CODE, {"model": "Model"}, name="others", version="3.0")
    with pytest.raises(InputError, match=r"2 distributions .*: baselines 0\.1\.0, others 3\.0; expected one\."):
        load_predictor("model")


def test_no_predictor_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.records.predictors.entry_points", lambda group: ())
    with pytest.raises(InputError, match=r"expected a package that registers one as robustbench_char\.predictors"):
        load_predictor("model")


def test_a_task_that_is_not_served(site: Path) -> None:
    model = load_predictor("model")
    model.check_serves(TASKS.get("cola"))
    load_predictor("yes").check_serves(TASKS.get("squad_v1"))
    with pytest.raises(InputError, match=r"predictor model: found the task mrpc; expected .*serves: cola, qnli"):
        model.check_serves(TASKS.get("mrpc"))


def example(row: int = 0, **fields: Any) -> Example:
    return Example(row, f"x{row}", f"k{row}", fields, "label-that-no-predictor-sees")


def predict(predictor: Predictor, task: Task, examples: list[Example], *, batch_size: int = 32) -> Predictions:
    return PredictorSource(predictor, task).predict(examples, batch_size=batch_size, progress=False)


def made(call: Callable[[list[dict[str, Any]]], Any], site: Path) -> Predictor:
    return Predictor(call, None, load_predictor("yes").system)


FIELDS: dict[str, dict[str, Any]] = {
    "cola": {"sentence": "A ship sailed."},
    "conll2003": {"tokens": ("Anna", "sailed")},
    "ptb_pos": {"tokens": ("Anna", "sailed")},
    "squad_v1": {"question": "Who sailed?", "context": "Anna sailed."},
    "squad_v2": {"question": "Who sailed?", "context": "Anna sailed."},
}


def test_batches_hold_fields_and_nothing_else(site: Path) -> None:
    seen: list[list[dict[str, Any]]] = []

    def call(batch: list[dict[str, Any]]) -> list[list[str]]:
        seen.append(deepcopy(batch))
        for one in batch:
            one["tokens"].append("changed")
        return [["O", "O"] for _ in batch]

    examples = [example(row, **FIELDS["conll2003"]) for row in range(5)]
    said = predict(made(call, site), TASKS.get("conll2003"), examples, batch_size=2)
    assert [len(batch) for batch in seen] == [2, 2, 1]
    assert seen[0][0] == {"tokens": ["Anna", "sailed"]}
    assert examples[0].fields["tokens"] == ("Anna", "sailed")
    assert said.values == [("O", "O")] * 5
    assert said.seconds > 0


def test_answers_with_and_without_scores(site: Path) -> None:
    task = TASKS.get("squad_v2")
    examples = [example(row, **FIELDS["squad_v2"]) for row in range(3)]
    scored = predict(made(lambda batch: [("Anna", -1), ("Anna", 0.0), ("Anna", np.float32(2.5))], site), task, examples)
    assert scored.values == [
        QaPrediction("Anna", "Anna", -1.0),
        QaPrediction("Anna", "Anna", 0.0),
        QaPrediction("", "Anna", 2.5),
    ]
    assert scored.no_answer_scores
    plain = predict(made(lambda batch: ["Anna", "", ("Anna", 1)], site), task, examples)
    assert [one.text for one in plain.values if isinstance(one, QaPrediction)] == ["Anna", "", ""]
    assert not plain.no_answer_scores


@pytest.mark.parametrize(
    ("task", "value", "message"),
    [
        ("cola", "accetable", r"row 0 \(id x0\): found the label 'accetable'; expected one of the task's labels: .*"
                              r"Did you mean 'acceptable'\?"),
        ("cola", 1, r"found a value of type int; expected one of the task's labels: unacceptable, acceptable"),
        ("cola", None, r"found None; expected one of"),
        ("conll2003", ["O"], r"found 1 tags for 2 tokens; expected one tag per token"),
        ("conll2003", "OO", r"found a value of type str; expected a list of tags"),
        ("conll2003", ["O", 3], r"found a tag that is a value of type int; expected a tag, or None"),
        ("conll2003", ["O", "PER"], r"found the tag 'PER'; expected O, B-TYPE or I-TYPE"),
        ("squad_v1", ("Anna", 0.5), r"found a value of type tuple; expected the text of the answer\."),
        ("squad_v2", ("Anna", float("nan")), r"found \('Anna', nan\); expected .*\(text, no-answer score\)"),
        ("squad_v2", ("Anna",), r"found \('Anna',\); expected the text of the answer, or"),
        ("squad_v2", None, r"found None; expected the text of the answer, or"),
    ],
)  # fmt: skip
def test_odd_predictions(site: Path, task: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"predictor yes, .*{message}"):
        predict(made(lambda batch: [value], site), TASKS.get(task), [example(**FIELDS[task])])


def test_the_odd_example_is_named(site: Path) -> None:
    values = iter(["acceptable", "acceptable", "acceptable", "no"])
    examples = [example(row, **FIELDS["cola"]) for row in range(4)]
    with pytest.raises(InputError, match=r"predictor yes, row 3 \(id x3\): found the label 'no'"):
        predict(made(lambda batch: [next(values) for _ in batch], site), TASKS.get("cola"), examples, batch_size=3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            ["acceptable"],
            r"row 0 \(id x0\) to row 1 \(id x1\): found 1 predictions for 2 examples; expected one per ex",
        ),
        (("acceptable",) * 2, r"found a value of type tuple; expected a list of predictions"),
        (None, r"found None; expected a list of predictions"),
    ],
)
def test_odd_batches(site: Path, value: Any, message: str) -> None:
    examples = [example(row, **FIELDS["cola"]) for row in range(2)]
    with pytest.raises(InputError, match=message):
        predict(made(lambda batch: value, site), TASKS.get("cola"), examples)


def test_an_exception_inside(site: Path) -> None:
    def call(batch: list[dict[str, Any]]) -> list[str]:
        if batch[0]["sentence"] == "3":
            raise ConnectionError("the service is down")
        return ["acceptable"] * len(batch)

    examples = [example(row, sentence=str(row)) for row in range(5)]
    with pytest.raises(InputError, match=r"row 3 \(id x3\) to row 4 .*ConnectionError: the service is down") as caught:
        predict(made(call, site), TASKS.get("cola"), examples, batch_size=3)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_ptb_tags_are_free_and_may_be_missing(site: Path) -> None:
    said = predict(made(lambda batch: [["NNP", None]], site), TASKS.get("ptb_pos"), [example(**FIELDS["ptb_pos"])])
    assert said.values == [("NNP", None)]


def test_batches_need_a_size(site: Path) -> None:
    with pytest.raises(InputError, match="--batch-size: found 0; expected at least 1"):
        predict(load_predictor("yes"), TASKS.get("cola"), [], batch_size=0)

"""Predictors that packages register: what is listed, and what is loaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.records.predictors import identity, load_predictor, registered
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
        "source_sha256": identity("model")["source_sha256"],
    }
    plain = load_predictor("yes").system
    assert (plain.shown, plain.parameters, plain.training_seed) == ("yes", None, None)


def test_the_hash_is_that_of_name_versions_and_source(
    site: Path, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: load_predictor(name).system.weights_sha256 for name in ("model", "factory", "yes")}
    assert len(set(before.values())) == 3
    assert load_predictor("model").system.weights_sha256 == before["model"]
    (site / "baselines-0.1.0.dist-info").rename(site / "baselines-0.2.0.dist-info")
    metadata = site / "baselines-0.2.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("0.1.0", "0.2.0"))
    assert load_predictor("model").system.weights_sha256 != before["model"]


def test_an_edited_package_is_another_predictor(site: Path) -> None:
    before = load_predictor("yes").system.weights_sha256
    (site / "baselines_module.py").write_text(CODE.replace('["acceptable"]', '["unacceptable"]'))
    loaded = load_predictor("yes")
    assert loaded.system.weights_sha256 != before
    assert loaded.call([{}]) == ["unacceptable"]


def test_listing_imports_nothing(site: Path) -> None:
    assert ("model", "baselines 0.1.0") in registered()
    assert "baselines_module" not in sys.modules


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("modell", r"modell: found unknown predictor; expected .*one of .*Did you mean 'model'\?"),
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
    assert type(load_predictor("ambiguous")([], TASKS.get("cola"))).__name__ == "Made"


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
    with pytest.raises(InputError, match=r"or a package that registers one as robustbench_char\.predictors"):
        load_predictor("model")


def test_a_task_that_is_not_served(site: Path) -> None:
    model = load_predictor("model")
    model.check_serves(TASKS.get("cola"))
    load_predictor("yes").check_serves(TASKS.get("squad_v1"))
    with pytest.raises(InputError, match=r"predictor model: found the task mrpc; expected .*serves: cola, qnli"):
        model.check_serves(TASKS.get("mrpc"))

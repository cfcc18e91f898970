"""Predictors without packaging: functions of files and modules, and callables as they are; what their hash covers."""

from __future__ import annotations

import functools
import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.records.predictors import absolute_name, identity, load_predictor, predictor_of
from robustbench_char.tasks.registry import TASKS

CODE = """
import helper
WORD = "a"

def predict(batch):
    return [helper.said(WORD)] * len(batch)

class Model:
    name, version = "my model", "3"
    def predict(self, batch, task): return [task.labels[0]] * len(batch)
"""
HELPER = "def said(word): return word + word\n"
TASK = TASKS.get("cola")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with a file of predictors and a module beside it."""
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "helper.py").write_text(HELPER)
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["mine.py:predict", "mine:predict"])
def test_a_function_of_a_file_or_module(folder: Path, name: str) -> None:
    path = list(sys.path)
    decides = identity(name)
    assert "mine" not in sys.modules
    loaded = load_predictor(name)
    assert loaded([{}, {}], TASK) == ["aa", "aa"]
    assert sys.path == path
    info = loaded.system
    assert (info.name, info.shown, info.base) == ("mine.predict", "mine.predict", "external")
    assert info.predictor is not None
    assert info.predictor.model_dump() == {
        "distribution": "", "distribution_version": "", "entry_point": name, "version": None,
        "source_sha256": decides["source_sha256"],
    }  # fmt: skip
    assert "mine" not in sys.modules


def test_a_class_of_a_file_has_a_name_and_is_told_the_task(folder: Path) -> None:
    loaded = load_predictor("mine.py:Model")
    assert (loaded.system.shown, loaded.system.predictor and loaded.system.predictor.version) == ("my model", "3")
    assert loaded([{}], TASK) == ["unacceptable"]


def test_modules_that_the_session_has_stay_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.syspath_prepend(folder)
    theirs = importlib.import_module("helper")
    (folder / "helper.py").write_text(HELPER.replace("word + word", "word.upper()"))
    assert load_predictor("mine.py:predict")([{}], TASK) == ["A"]
    assert sys.modules["helper"] is theirs
    assert sys.modules["json"] is json


@pytest.mark.parametrize("name", ["mine.py:predict", "mine:predict"])
@pytest.mark.parametrize("edited", ["mine.py", "helper.py"])
def test_an_edited_source_is_another_predictor_and_runs(folder: Path, name: str, edited: str) -> None:
    """Also of the same size and within the same second, and where it is a module that the file imports."""
    before = load_predictor(name)
    assert before([{}], TASK) == ["aa"]
    text = (folder / edited).read_text()
    (folder / edited).write_text(text.replace('"a"', '"b"').replace("word + word", "word.upper()"))
    assert identity(name) != before.identity
    assert load_predictor(name)([{}], TASK) == (["bb"] if edited == "mine.py" else ["A"])
    (folder / edited).write_text(text)
    assert identity(name) == before.identity


@given(st.lists(st.sampled_from(["from . import b", "from .sub import c", "import pkg.sub.c", "x = 1"]), unique=True))
def test_the_hash_covers_what_a_module_imports(tmp_path_factory: pytest.TempPathFactory, statements: list[str]) -> None:
    """And nothing else."""
    root = tmp_path_factory.mktemp("package")
    files = {"pkg/__init__.py": "", "pkg/b.py": "", "pkg/sub/__init__.py": "", "pkg/sub/c.py": "import json\n"}
    files |= {"pkg/a.py": "\n".join([*statements, "def predict(batch): return batch\n"]), "json.py": "", "d.py": ""}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    covered = {"pkg/a.py"}
    covered |= {"pkg/b.py", "pkg/__init__.py"} & {"pkg/b.py" if "from . import b" in statements else ""}
    if {"from .sub import c", "import pkg.sub.c"} & set(statements):
        covered |= {"pkg/sub/__init__.py", "pkg/sub/c.py", "json.py"}
    if "import pkg.sub.c" in statements:
        covered |= {"pkg/__init__.py"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        before = identity("pkg.a:predict")
        for name, text in files.items():
            (root / name).write_text(text + "\n# edited\n")
            assert (identity("pkg.a:predict") != before) == (name in covered), name
            (root / name).write_text(text)
    assert not [name for name in sys.modules if name == "pkg" or name.startswith("pkg.")]


def test_two_folders_have_modules_of_one_name(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "mine.py").write_text(CODE + "\ndef late(batch):\n    import helper\n    return [helper.said('c')]\n")
    (other / "helper.py").write_text(HELPER.replace("word + word", "word + '!'"))
    first, second = load_predictor("mine.py:predict"), load_predictor("other/mine.py:predict")
    assert [first([{}], TASK), second([{}], TASK), first([{}], TASK)] == [["aa"], ["a!"], ["aa"]]
    assert load_predictor("other/mine.py:late")([{}], TASK) == ["c!"]
    assert "helper" not in sys.modules
    assert first.identity != second.identity


def test_a_file_is_named_from_any_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, before = absolute_name("mine.py:predict"), identity("mine.py:predict")
    monkeypatch.chdir("/")
    assert identity(name) == before
    assert absolute_name("mine:predict") == "mine:predict"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.py", r"mine\.py: found a file alone; .* Name the function in it: mine\.py:FUNCTION"),
        ("none.py:predict", r"none\.py: found no such file; expected an existing file\. Check .* MODEL"),
        ("mine.py:predit", r"mine\.py: found no 'predit'; expected .* classes: predict, Model\. .* 'predict'\?"),
        ("mine.py:", r"mine\.py:: found no function of that name; expected a function: module:function or path"),
        ("mine:predit", r"mine\.py: found no 'predit'"),
        ("mien:predict", r"found no module 'mien'; expected .*; a module of the working directory or an installed"),
        ("mine.sub:predict", r"found no module 'mine\.sub'"),
        ("a-b:predict", r"found no module 'a-b'"),
        ("sys:path", r"found no module 'sys'"),
        ("broken.py:predict", r"broken\.py:2: found .*; expected a file in Python\. Correct the file"),
        ("mine.py:WORD", r"predictor mine\.py:WORD: found mine\.py:WORD is a value of type str; expected a function"),
        ("raising.py:predict", r"raising\.py:predict fails to import \(ZeroDivisionError: division by zero\)"),
        ("raising.py:predict.x", r"fails to import"),
        ("script.py:predict", r"script\.py:predict fails to import \(SystemExit: 2\)"),
    ],
)
def test_what_cannot_be_used(folder: Path, name: str, message: str) -> None:
    (folder / "broken.py").write_text("x = 1\ndef predict(batch:\n")
    (folder / "raising.py").write_text("1 / 0\ndef predict(batch): pass\n")
    (folder / "script.py").write_text("import sys\ndef predict(batch): pass\nsys.exit(2)\n")
    with pytest.raises(InputError, match=message):
        load_predictor(name)


def test_names_that_are_made_elsewhere_are_believed(folder: Path) -> None:
    (folder / "star.py").write_text("from mine import *\n")
    (folder / "made.py").write_text("globals()['predict'] = lambda batch: ['made']\n")
    assert load_predictor("star.py:predict")([{}], TASK) == ["aa"]
    assert load_predictor("made:predict")([{}], TASK) == ["made"]


class Holder:
    """An object, whose state no source tells."""

    def __init__(self, label: str) -> None:
        self.label = label

    def predict(self, batch: list[dict[str, Any]]) -> list[str]:
        return [self.label] * len(batch)


def always(batch: list[dict[str, Any]]) -> list[str]:
    return ["acceptable"] * len(batch)


def closed(label: Any) -> Callable[[list[dict[str, Any]]], list[Any]]:
    def predict(batch: list[dict[str, Any]]) -> list[Any]:
        return [label] * len(batch)

    return predict


def test_any_callable_with_a_version() -> None:
    made = rbc.predictor(lambda batch: ["acceptable"], name="mine", version="2")
    assert made([{}], TASK) == ["acceptable"]
    assert (made.name, made.system.predictor and made.system.predictor.source_sha256) == ("mine", None)
    assert made.system == predictor_of(lambda batch: ["acceptable"], name="mine", version="2").system
    assert made.system.weights_sha256 != predictor_of(always, name="mine", version="3").system.weights_sha256


def test_without_a_version_the_source_decides() -> None:
    assert predictor_of(always).identity == predictor_of(always).identity
    assert predictor_of(always).name == "always"
    assert predictor_of(always).identity != predictor_of(always, name="other").identity
    assert predictor_of(closed("a")).identity == predictor_of(closed("a")).identity
    assert predictor_of(closed("a")).identity != predictor_of(closed("b")).identity


def test_an_object_is_another_each_time_it_is_made() -> None:
    """Nothing tells whether it was trained in between."""
    holder = Holder("acceptable")
    for call in (holder, holder.predict, closed(holder), functools.partial(always), eval("lambda batch: ['a']")):
        first, second = predictor_of(call, name="held"), predictor_of(call, name="held")
        assert first.identity != second.identity
        assert predictor_of(call, name="held", version="1") == predictor_of(call, name="held", version="1")
    assert predictor_of(Holder("a"), name="held")([{}], TASK) == ["a"]


@pytest.mark.parametrize(
    ("function", "name", "message"),
    [
        (lambda batch: batch, None, r"predictor <lambda>: found a function without a name; expected a name\. Give one"),
        (3, "three", r"predictor three: found int is a value of type int; expected a function `predict\(batch\)`"),
        (always, "bert", r"predictor bert: found `name` = 'bert', one of the shipped systems; expected a name of its"),
        (Holder, None, r"predictor Holder: found Holder\(\) fails \(TypeError: .*'label'"),
    ],
)
def test_what_is_not_a_predictor(function: Any, name: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        predictor_of(function, name=name)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("lambda batch: told", False),
        ("lambda batch, task: told", True),
        ("lambda batch, about: told", True),
        ("lambda batch, task=None: told", True),
        ("lambda batch, size=8: told", False),
        ("lambda batch, *, task=None: told", False),
        ("lambda *batch: told", False),
    ],
)
def test_who_is_told_the_task(source: str, told: bool) -> None:
    seen: list[int] = []
    call = eval(re.sub("told$", "None", source))

    @functools.wraps(call)
    def counting(*arguments: Any) -> None:
        seen.append(len(arguments))

    predictor_of(counting, name="x", version="1")([], TASK)
    assert seen == [2 if told else 1]


def test_an_identity_imports_nothing(folder: Path) -> None:
    code = "import sys; from robustbench_char.records.predictors import identity; identity('mine:predict'); " \
           "print([name for name in ('mine', 'helper', 'torch') if name in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    assert done.stdout.strip() == "[]"

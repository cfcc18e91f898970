"""`check`: models from their names to a report, stopped and resumed, and what is refused before any work."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.chat_server import ChatServer, Reply

import robustbench_char as rbc
from robustbench_char.cli.main import main
from robustbench_char.common import InputError
from robustbench_char.experiments._jobs import Call
from robustbench_char.experiments._stages import STAGES, Stage
from robustbench_char.experiments.check import SUITES, _named
from robustbench_char.experiments.view import View

PROGRAM = Path(sys.executable).with_name("robustbench-char")
FEW: dict[str, Any] = {"task": "cola", "data": "mini", "suites": ["drop", "keyboard@0.1"], "limit": 12}


@pytest.fixture(scope="module")
def model(shared_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a classifier as a user's Trainer saves one."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    names = {0: "unacceptable", 1: "acceptable"}
    folder = tmp_path_factory.mktemp("models") / "mine"
    made = AutoModelForSequenceClassification.from_pretrained(shared_bert, num_labels=2, id2label=names)
    made.save_pretrained(folder)
    AutoTokenizer.from_pretrained(shared_bert).save_pretrained(folder)
    return folder


def check(model: Any, tmp_path: Path, **changes: Any) -> rbc.Results:
    where = {"output": tmp_path / "out", "store": tmp_path / "store", "executor": "local"}
    return rbc.check(model, **{**FEW, **where, **changes})


def made(store: Path) -> dict[str, int]:
    """Return when each result was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in store.glob("*/*/job.json")}


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes most time, where the page is not looked at."""

    def write(call: Call, output: Path) -> None:
        output.mkdir()
        (output / "index.html").write_text("")

    monkeypatch.setitem(STAGES._entries, "report", Stage(write, heavy=False))


@pytest.fixture(scope="module")
def checked(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, rbc.Results]:
    """Return the folder of a check of the model, and its results."""
    folder = tmp_path_factory.mktemp("checked")
    return folder, check(model, folder, seeds=2)


def test_a_model_from_its_folder_to_a_report(model: Path, checked: tuple[Path, rbc.Results]) -> None:
    folder, results = checked
    assert set(results["system"]) == {"mine"}
    assert sorted(results["condition"]) == ["clean", "drop", "drop", "keyboard@0.1", "keyboard@0.1"]
    assert set(results["examples"]) == {12}
    assert results.attrs["errors"] == {}
    run = json.loads((folder / "out" / "run.json").read_text())
    assert run["name"] == "mine-cola"
    assert run["spec"]["about"] == "mine on cola"
    assert {job["state"] for job in run["jobs"].values()} == {"done"}
    assert (folder / "out" / "report" / "index.html").is_file()
    alone = rbc.evaluate(model, task="cola", data="mini", limit=12, progress=False)
    assert results.set_index("condition").loc["clean", "score"] == alone.scores["matthews"]


def test_the_same_command_again_does_nothing(model: Path, checked: tuple[Path, rbc.Results]) -> None:
    before = made(checked[0] / "store")
    assert len(check(model, checked[0], seeds=2)) == 5
    assert made(checked[0] / "store") == before


@pytest.mark.usefixtures("no_page")
def test_a_stop_and_the_same_command_again(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def stop(self: View, text: str) -> None:
        said.append(text)
        if len(said) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(View, "say", stop)
        with pytest.raises(KeyboardInterrupt):
            check(model, tmp_path)
    done = made(tmp_path / "store")
    assert len(done) == 4
    assert len(check(model, tmp_path)) == 3
    assert made(tmp_path / "store").items() >= done.items()


@pytest.mark.usefixtures("no_page")
def test_models_and_data_of_this_process(model: Path, tmp_path: Path) -> None:
    rows = [{"sentence": "The harbour was quiet.", "label": 1}, {"sentence": "Quiet the was.", "label": 0}]
    source = rbc.load_model(model, "cola")
    results = check(source, tmp_path, data=None, input=rows, executor=None, suites=["drop"])
    assert results["examples"].tolist() == [2, 2]
    assert source.info.label is None


@pytest.mark.usefixtures("no_page")
def test_a_model_in_a_spec(model: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "schema: 1\ndata: mini\nsuites: [drop]\nsensitivity: {suites: [drop], limit: 3}\n"
        f"systems: {{theirs: {{model: {model}}}}}\ntasks: {{cola: {{test_limit: 5}}}}\n"
    )
    done = rbc.run(str(spec), output=tmp_path / "out", store=tmp_path / "store", executor="local")
    assert done.errors == {}
    assert "sensitivity/models/theirs/cola/drop" in done.jobs
    assert rbc.load_results(tmp_path / "out")["system"].tolist() == ["theirs", "theirs"]


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ("{x: {model: MODEL, predictor: y}}", r"systems\.x: found model and predictor with a system that is ready"),
        ("{x: {model: MODEL, finetune: {epochs: 1}}}", r"systems\.x: found finetune with a system that is ready"),
        ("{bert: {labels: [a, b]}}", r"systems\.bert: found labels without a model"),
        ("{x: {model: MODEL, labels: [a, b]}}", r"systems\.x\.model: found .*"),
        ("{x: {model: /no/such/folder}}", r"systems\.x\.model: found no such folder"),
    ],
)
def test_mistakes_in_a_spec(model: Path, tmp_path: Path, systems: str, message: str) -> None:
    spec = tmp_path / "spec.yaml"
    systems = systems.replace("MODEL", str(model))
    spec.write_text(f"schema: 1\ndata: mini\nsuites: [drop]\nsystems: {systems}\ntasks: {{cola: {{}}}}\n")
    with pytest.raises(InputError, match=message):
        rbc.plan(str(spec), store=tmp_path / "store")


def test_names_tell_models_apart(tmp_path: Path) -> None:
    for name in ("a/ner", "b/ner", "c/b-ner"):
        (tmp_path / name).mkdir(parents=True)
    models = [tmp_path / "a/ner", str(tmp_path / "b/ner"), tmp_path / "c/b-ner", "org/ner", "openai:gpt-x", "x.py:tag"]
    assert list(_named([*models, models[0]], {}, [])) == ["a-ner", "b-ner", "b-ner-2", "org/ner", "gpt-x", "x.tag"]
    behind = _named(["org/ner"], {"labels": ["a"]}, ["a/scrnn", "b/scrnn"])
    assert list(behind) == ["org/ner", "org/ner+scrnn", "org/ner+scrnn-2"]
    assert behind["org/ner+scrnn"] == ("org/ner", {"labels": ["a"], "defence": "a/scrnn"})


CASES = (
    ("--task: found none", {"task": None}),
    ("TASK|--task: found unknown task 'colaa'", {"task": "colaa"}),
    ("--suite: found unknown name 'drp'.*Did you mean 'drop'", {"suites": ["drp"]}),
    ("no.tsv: found no such file", {"data": None, "input": "no.tsv"}),
    ("--input: found no data", {"data": None}),
    ("--executor: found unknown executor 'x'", {"executor": "x"}),
    ("/no/model: found no such folder", {"models": "/no/model"}),
    ("notes: found a folder with other content", {"output": "notes"}),
)


def test_bad_input_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x.txt").write_text("mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    code = f"""
import re, sys
import robustbench_char as rbc
for message, changes in {CASES!r}:
    try:
        rbc.check(**{{"models": "model", "store": "store", **{FEW!r}, **changes}})
    except rbc.InputError as error:
        assert re.search(message, str(error)), (message, str(error))
    else:
        raise AssertionError(message)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "model"}


COUNTING = """
import pathlib

CALLS = pathlib.Path(__file__).with_name("calls")

def predict(batch):
    if BAD and any(word in example["sentence"] for example in batch for word in BAD):
        raise ValueError("no")
    with CALLS.open("a") as calls:
        calls.write("x" * len(batch))
    return ["acceptable" for example in batch]
"""


@pytest.mark.usefixtures("no_page")
def test_a_failed_job_has_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A predictor that is edited so that it answers nothing any more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("BAD = ()\n" + COUNTING)
    line = ["check", "mine.py:predict", "--task", "cola", "--data", "mini", "--suite", "drop", "--limit", "30"]
    line += ["--output", "out", "--store", "store", "--executor", "local"]

    def run(code: int) -> str:
        monkeypatch.setattr("sys.argv", ["robustbench-char", *line])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert (stopped.value.code or 0) == code
        return "".join(capsys.readouterr())

    assert "failed: " not in run(0)
    (tmp_path / "mine.py").write_text("BAD = ('a', 'e', 'i', 'o', 'u')\n" + COUNTING)
    failed = run(1)
    assert "no score" in failed
    assert "Traceback" not in failed


@pytest.mark.usefixtures("no_page")
def test_a_chat_model_whose_quota_ends_goes_on_later(chat_server: ChatServer, tmp_path: Path) -> None:
    """What is done stays, the other jobs say why, and the same call asks for the rest."""
    asked = itertools.count()
    empty = Reply.error(429, "no quota left", code="insufficient_quota")
    chat_server.answer = lambda request: "acceptable" if next(asked) < 15 else empty
    options = {"endpoint": chat_server.url, "cache": str(tmp_path / "cache"), "executor": "local"}
    results = check("openai:tiny", tmp_path, **options)
    assert results["condition"].tolist() == ["clean"]
    assert len(results.attrs["errors"]) == 2
    assert all("quota is used up" in error for error in results.attrs["errors"].values())
    chat_server.answer = lambda request: "acceptable"
    before = len(chat_server.asked)
    assert check("openai:tiny", tmp_path, **options).attrs["errors"] == {}
    assert 0 < len(chat_server.asked) - before < 24


def test_many_requests_are_not_sent_unasked(chat_server: ChatServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"limit=: found 2,\d\d\d requests planned"):
        check("openai:tiny", tmp_path, endpoint=chat_server.url, limit=None, suites=SUITES)
    assert chat_server.asked == []
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_command_prints_numbers_and_then_the_path(model: Path, tmp_path: Path) -> None:
    line = ["check", model, "--task", "cola", "--data", "mini", "--suite", "keyboard@0.1", "--limit", "30"]
    line += ["--output", tmp_path / "out", "--store", tmp_path / "store", "--workers", "1"]
    done = subprocess.run([PROGRAM, *map(str, line)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *numbers, page = done.stdout.splitlines()
    assert page == str(tmp_path / "out" / "report" / "index.html")
    text = "\n".join(numbers)
    for part in ("Left out: mine on cola, ", "labels of mine: those of the task"):
        assert part in text
    assert len(SUITES) == 6


def test_options_of_chat_models_are_theirs_alone() -> None:
    labels, options = {"labels": ("a", "b")}, {"endpoint": "http://127.0.0.1:1/v1", "labels": ("a", "b")}
    named = _named(["openai:tiny", "some/model"], options, ["wordrec"])
    behind = {"defence": "wordrec"}
    assert [own for _, own in named.values()] == [options, options | behind, labels, labels | behind]


def test_an_option_of_chat_models_without_one_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="endpoint=: found an option of chat models"):
        check(model, tmp_path, endpoint="http://127.0.0.1:1/v1")

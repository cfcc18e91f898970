"""Benchmarks of predictors: no training file, nothing imported by the plan, an edit is another result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.experiments import run as benchmark
from robustbench_char.records.evaluation import Record, find_records
from robustbench_char.tasks.sources import mini_path

SPEC = """
schema: 1
systems: {mine: {predictor: "mine.py:predict"}}
tasks: {qnli: {test: test.tsv, test_limit: 12}}
suites: [drop]
"""
MINE = """
import pathlib
STATE = pathlib.Path(__file__).with_name("state")

def predict(batch, task):
    if "broken" in STATE.read_text() and any("7" in one["sentence"] for one in batch):
        raise ValueError("no sevens")
    with STATE.with_name("asked").open("a") as file:
        file.write("".join("x" for _ in batch))
    return [task.labels[len(one["sentence"]) % 2] for one in batch]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "state").write_text("broken")
    lines = mini_path("qnli", "test").read_text().splitlines(keepends=True)
    (tmp_path / "test.tsv").write_text("".join(lines[:13]))
    return tmp_path


def asked(folder: Path) -> int:
    path = folder / "asked"
    number = len(path.read_text()) if path.exists() else 0
    path.unlink(missing_ok=True)
    return number


def run(folder: Path) -> dict[str, Record]:
    where: dict[str, Any] = {"data_dir": folder, "store": folder / "store", "executor": "local"}
    assert not benchmark.run("spec.yaml", output=folder / "out", **where).errors
    return {record.condition: record for _, record in find_records([folder / "out"])}


@pytest.mark.slow
def test_failed_examples_are_asked_again_and_an_edit_asks_for_all(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(folder)
    failed = sum(record.counts.get("failed_examples", 0) for record in first.values())
    assert {record.system.shown for record in first.values()} == {"mine"}
    assert 0 < failed < 24
    assert asked(folder) == 24 - failed
    assert 'raise ValueError("no sevens")' in caplog.text
    report = (folder / "out/report/report.md").read_text()
    (folder / "state").write_text("")
    second = run(folder)
    assert asked(folder) == failed
    assert not any("failed_examples" in record.counts for record in second.values())
    assert (folder / "out/report/report.md").read_text() != report
    run(folder)
    assert asked(folder) == 0
    (folder / "mine.py").write_text(MINE.replace("% 2", "% 1"))
    edited = run(folder)
    assert asked(folder) == 24
    assert edited["clean"].system.weights_sha256 != second["clean"].system.weights_sha256


def test_the_plan_imports_no_predictor(folder: Path) -> None:
    (folder / "mine.py").write_text("raise SystemExit\ndef predict(batch): ...\n")
    before = set(sys.modules)
    planned = benchmark.plan("spec.yaml", data_dir=folder, store=folder / "store")
    assert "score/external/mine/qnli/clean" in planned.waiting
    assert not [name for name in set(sys.modules) - before if "mine" in name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.py:predict", r"systems\.mine\.predictor: found .*no such file"),
        ("mine.py:predit", r"systems\.mine\.predictor: found no 'predit' \(.*mine\.py\); .*'predict'\?"),
        ("unknown", r"systems\.mine\.predictor: found unknown predictor \(unknown\)"),
    ],
)
def test_what_cannot_be_used_is_a_mistake_of_the_spec(folder: Path, name: str, message: str) -> None:
    (folder / "spec.yaml").write_text(SPEC.replace("mine.py:predict", name))
    with pytest.raises(InputError, match=message):
        benchmark.plan("spec.yaml", data_dir=folder, store=folder / "store")


def test_an_edit_during_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = benchmark._check_budget

    def edit(planned: benchmark.Planned, slots: int) -> None:
        (folder / "mine.py").write_text(MINE + "\n")
        check(planned, slots)

    monkeypatch.setattr(benchmark, "_check_budget", edit)
    result = benchmark.run(
        "spec.yaml", output=folder / "out", data_dir=folder, store=folder / "store", executor="local"
    )
    assert len(result.errors) == 2
    assert "found a source that was edited during the run" in next(iter(result.errors.values()))

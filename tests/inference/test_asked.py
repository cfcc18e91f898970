"""`evaluate` of any model: on one set, on attacks that it makes itself, on a folder of attacked sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import robustbench_char as rbc
from robustbench_char.cli.main import app, main
from robustbench_char.common import InputError
from robustbench_char.inference.asked import seeds_of

RULE = """
def predict(batch):
    return ["acceptable" if example["sentence"][:3] == "The" else "unacceptable" for example in batch]
"""
COLA: dict[str, Any] = {"task": "cola", "data": "mini", "progress": False}


@pytest.fixture
def rule(tmp_path: Path) -> str:
    """Return the name of a predictor that stands in a file."""
    (tmp_path / "rule.py").write_text(RULE)
    return f"{tmp_path / 'rule.py'}:predict"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """Return a function that runs a command here, and returns what it prints and says; it must go well."""

    def run(*line: object, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["robustbench-char", *map(str, line)])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        assert (stopped.value.code or 0) == code, shown.err
        return shown.out, shown.err

    assert app
    return run


def test_suites_are_scored_clean_and_attacked(rule: str, tmp_path: Path) -> None:
    results = rbc.evaluate(rule, suites=["drop", "keyboard@0.1"], seeds=2, limit=40, **COLA)
    assert isinstance(results, rbc.Results)
    assert sorted(results["condition"]) == ["clean", "drop", "drop", "keyboard@0.1", "keyboard@0.1"]
    assert sorted(results["attack_seed"].dropna()) == [1, 1, 2, 2]
    assert set(results["examples"]) == {40}
    folder = results.folders[0]
    assert results.frame()["suite"].tolist() == ["drop", "keyboard@0.1"]
    del results
    assert not folder.exists()  # it was temporary
    kept = rbc.evaluate(rule, suites=["drop"], output=tmp_path / "out", **COLA)
    alone = rbc.evaluate(rule, output=tmp_path / "alone", **COLA)
    assert isinstance(alone, rbc.inference.Evaluation)  # type: ignore[attr-defined]
    assert kept.set_index("condition").loc["clean", "score"] == alone.scores["matthews"]
    again = rbc.evaluate(rule, suites=["drop"], output=tmp_path / "out", **COLA)
    assert again["score"].tolist() == kept["score"].tolist()


def test_a_folder_of_attacked_sets(rule: str, tmp_path: Path) -> None:
    for suite in ("drop@0.1", "drop@0.5"):
        rbc.attack_file("cola", data="mini", suite=suite, output=tmp_path / "sweep" / suite)
    results = rbc.evaluate(rule, tmp_path / "sweep", task="cola", output=tmp_path / "out", progress=False)
    assert sorted(results["condition"]) == ["drop@0.1", "drop@0.5"]
    one = rbc.evaluate(rule, tmp_path / "sweep" / "drop@0.1", task="cola", progress=False)
    assert one.record.condition == "drop@0.1"
    with pytest.raises(InputError, match="--suite: found suites, and attacked sets to score"):
        rbc.evaluate(rule, tmp_path / "sweep", task="cola", suites=["drop"])


def test_rows_in_memory(rule: str) -> None:
    rows = [{"sentence": "The harbour was quiet.", "label": 1}, {"sentence": "Quiet the was.", "label": 0}]
    result = rbc.evaluate(rule, rows, task="cola", progress=False)
    assert result.scores["accuracy"] == 100.0


def test_what_the_command_prints(rule: str, tmp_path: Path, command: Callable[..., tuple[str, str]]) -> None:
    out, err = command("evaluate", rule, "--task", "cola", "--data", "mini", "--limit", 30)
    assert out.startswith("cola, clean, 30 examples: matthews ")
    assert "nothing was written" in err
    line = (
        "evaluate",
        rule,
        "--task",
        "cola",
        "--data",
        "mini",
        "--suite",
        "drop",
        "--suite",
        "swap",
        "--seeds",
        "4,5",
    )
    out, _ = command(*line, "--output", tmp_path / "out")
    *said, path = out.splitlines()
    assert path == str(tmp_path / "out")
    assert said[-1].startswith("Left out: rule.predict on cola, Matthews correlation ")
    assert {path.parent.name for path in (tmp_path / "out").glob("*/*/record.json")} == {"seed_4", "seed_5"}
    out, _ = command("evaluate", rule, "--task", "cola", "--input", tmp_path / "out" / "attacked")
    assert len(out.splitlines()) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "evaluate: found neither MODEL nor --predictor"),
        ({"task": None}, "--task: found none"),
        ({"suites": ["drp"]}, "--suite: found unknown name 'drp'"),
        ({"suites": ["drop"], "seeds": "x"}, "--seeds: found x"),
        ({"data": None, "input": "no.tsv"}, "no.tsv: found no such file"),
        ({"paralel": 3}, r"paralel=: found an unknown option.*Did you mean 'parallel'"),
    ],
)
def test_what_is_refused(rule: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rbc.evaluate(**{"model": rule, **COLA, **changes})


def test_seeds_are_a_number_or_a_list() -> None:
    assert seeds_of(None) == seeds_of(1) == seeds_of("1") == (1,)
    assert seeds_of(3) == seeds_of("3") == (1, 2, 3)
    assert seeds_of("4,5") == seeds_of([4, 5]) == (4, 5)
    for wrong in (0, "x", "1,1", [-1]):
        with pytest.raises(InputError, match="--seeds: found"):
            seeds_of(wrong)

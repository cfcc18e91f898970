"""`compare` as a user runs it, on committed results: what it prints, and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from robustbench_char.common.files import write_json
from robustbench_char.records.evaluation import find_records

RESULTS = Path(__file__).resolve().parents[2] / "reports" / "results"
SMALL, LARGE = (RESULTS / name / "records" / "bert" for name in ("six_systems", "six_systems_gpu"))


def compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "robustbench_char.cli.main", "compare"]
    return subprocess.run([*program, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_nothing_changed() -> None:
    done = compare(SMALL, SMALL)
    assert done.returncode == 0, done.stderr
    assert "12 compared: 0 differ beyond noise, 0 within noise, 12 the same." in done.stdout
    assert "made with" not in done.stdout
    assert "\x1b" not in done.stdout


def test_something_changed() -> None:
    done = compare(SMALL, LARGE)
    assert done.returncode == 1, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    (clean,) = (line for line in lines if line.startswith("conll2003 bert clean"))
    assert clean.startswith("conll2003 bert clean 3,453 80.05 85.72 +5.67 +4.")
    assert clean.endswith(" differs")
    only = "qnli, bert, minilm, training seed 1: clean, add (1), charbert_2020 (1), drop (1), keyboard (1), swap (1)"
    assert only in lines
    assert "settings.epochs: 1.0 -> 3.0, and 1 more (12 of 12 results)" in lines
    assert "device: cpu -> NVIDIA H200 (12 of 12 results)" in lines


def test_the_same_as_json() -> None:
    done = compare(SMALL, LARGE, "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["equal"] is False
    assert (found["matched"], len(found["rows"]), found["only_a"]) == (12, 12, [])
    clean = found["rows"][0]
    ((_, record),) = find_records([SMALL / "conll2003" / "seed_0" / "clean"])
    assert (clean["task"], clean["condition"], clean["a"]) == ("conll2003", "clean", record.scores["f1"])


def test_what_neither_side_has_learnt_is_named_and_has_no_row() -> None:
    folder = RESULTS / "cpu_six_systems" / "records" / "minilm"
    done = compare(folder / "charbert" / "mrpc", folder / "charbert" / "mrpc")
    assert done.returncode == 0, done.stderr
    heading, first, *_ = done.stdout.splitlines()
    assert heading.startswith("left out, not learnt in A or in B")
    assert first == "  mrpc, charbert, minilm, clean: A 68.63, B 68.63, same"
    assert "0 differ beyond noise, 0 within noise" in done.stdout
    assert " verdict" not in done.stdout
    assert "left out" not in compare(folder / "bert" / "mrpc", folder / "bert" / "mrpc").stdout


def test_results_without_counts_cannot_be_compared() -> None:
    done = compare(RESULTS / "first_comparison", SMALL)
    assert done.returncode == 1, done.stderr
    expected = "conll2003, bert, minilm, training seed 0, clean: no counts of examples beside one of them"
    assert expected in done.stdout
    assert "(A 85.39, B 80.05)" in done.stdout


@pytest.mark.parametrize(
    ("schema", "message"),
    [(2, "record.json: schema: found 2, of a newer version of robustbench-char"), (None, "found no such folder")],
)
def test_bad_input_ends_with_one_message(schema: int | None, message: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    if schema:
        other.mkdir()
        _, record = find_records([SMALL])[0]
        write_json(other / "record.json", record.model_dump(mode="json", by_alias=True) | {"schema": schema})
    done = compare(SMALL, other)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1

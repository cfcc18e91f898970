"""Two systems of one name that were trained in different ways: two rows, wherever results are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import robustbench_char as rbc
from robustbench_char.analysis.compare_runs import compare
from robustbench_char.records.evaluation import read_record, write_record
from robustbench_char.reports.page import report_tables, write_report
from robustbench_char.reports.summary import read_summary

Make = Callable[..., Path]
SHORT, LONG = "bert (training examples 300, epochs 1)", "bert (training examples 600, epochs 4)"


def _trained(root: Path, seed: int, *, examples: int, epochs: float) -> None:
    for path in root.rglob(f"*-bert-{seed}-*/record.json"):
        record = read_record(path)
        settings = {"epochs": epochs, "training_examples": examples, "seed": seed}
        system = record.system.model_copy(update={"settings": settings})
        write_record(path.parent, record.model_copy(update={"system": system}))


@pytest.fixture
def root(make_runs: Make) -> Path:
    """Four runs of what is called bert: two seeds on 300 examples, two on 600."""
    for seed in range(4):
        folder = make_runs(suites=("drop",), seed=seed, counts=True)
        _trained(folder, seed, examples=300 if seed < 2 else 600, epochs=1.0 if seed < 2 else 4.0)
    return folder


def test_each_has_a_row_of_its_own_in_every_table(root: Path, tmp_path: Path) -> None:
    rows = rbc.load_results(root)
    means = rows[rows["condition"] == "drop"].groupby("system")["score"].mean()
    assert set(means.index) == {SHORT, LONG}
    frame = rbc.load_results(root).frame().set_index("system")
    assert frame["runs"].to_dict() == {SHORT: 2, LONG: 2}
    assert frame["attacked"].to_dict() == pytest.approx(means.to_dict())
    tables: dict[str, Any] = report_tables([root])
    for name, column in (("summary", "label"), ("scores_qnli", "label"), ("seeds_qnli", "system"), ("costs", "system"),
                         ("all_scores_qnli", "system"), ("systems", "system"), ("by_operator", "system"),
                         ("by_text_length", "system")):  # fmt: skip
        assert set(tables.get(name, pd.DataFrame({column: [SHORT, LONG]}))[column]) == {SHORT, LONG}, name
    page = write_report([root], tmp_path / "out", examples=True).read_text(encoding="utf-8")
    assert SHORT in page
    assert LONG in page
    text = read_summary([root]).text()
    assert SHORT in text
    assert LONG in text


def test_one_seed_twice_by_other_weights(make_runs: Make) -> None:
    root = make_runs(suites=("drop",), counts=True)
    again = make_runs(suites=("drop",), counts=True, attack_seed=2)
    for path in again.rglob("*-2/record.json"):
        record = read_record(path)
        system = record.system.model_copy(update={"weights_sha256": "f" * 64})
        data = record.data.model_copy(update={"sha256": record.data.sha256.replace("2-drop", "1-drop")})
        write_record(path.parent, record.model_copy(update={"system": system, "data": data}))
    names = set(rbc.load_results(root)["system"])
    assert len(names) == 2
    assert "bert (weights ffffffff)" in names


def test_sets_are_compared_system_by_system(root: Path, make_runs: Make) -> None:
    compared = compare(root, root)
    assert {(row.system, row.runs) for row in compared.rows} == {(SHORT, 2), (LONG, 2)}
    assert compared.equal

"""docs/metrics.md defines every score, count and column, and its examples run."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_char.analysis.pairs import comparison_table
from robustbench_char.metrics.base import METRICS, QaGold, QaPrediction, score
from robustbench_char.records.evaluation import Record

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
EXAMPLES = {
    "classes": (["0", "1"], ["0", "1"]),
    "entity_f1": ([("B-LOC", "O")], [("B-LOC", None)]),
    "tag_accuracy": ([("B-LOC", "O")], [("B-LOC", None)]),
    "squad_v1": ([QaGold(("x",))], [QaPrediction("x", "x")]),
    "squad_v2": ([QaGold(("x",)), QaGold(())], [QaPrediction("x", "x"), QaPrediction("", "x")]),
}


def _named() -> set[str]:
    return set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("metric", list(METRICS))
def test_scores_and_counts_are_defined(metric: str) -> None:
    golds, said = EXAMPLES.get(metric, EXAMPLES["classes"])
    result = score(metric, golds, said, labels=("0", "1"))
    assert {metric, *result.scores, *result.counts} <= _named()


def test_columns_are_defined(make_record: Callable[..., Record]) -> None:
    assert set(comparison_table([]).columns) <= _named()


def test_the_examples_run() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried > 0
    assert failed == 0

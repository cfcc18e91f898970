"""Counts of examples add up to the scores that `evaluate` reports."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS, Floats, QaGold, QaPrediction, Scores, score
from robustbench_char.metrics.tagging import entities

pytestmark = pytest.mark.models

HEADLINES = {"matthews": "matthews", "entity_f1": "f1", "squad_v1": "f1", "squad_v2": "f1"}
CLASSES = ("no", "yes")
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
ANSWERS = ("the", "Oslo", "in Oslo", "a river", "")


def pairs(metric: str) -> st.SearchStrategy[list[tuple[Any, Any]]]:
    """Return a strategy of gold and predicted labels of one metric."""
    if metric in ("entity_f1", "tag_accuracy"):
        words = st.tuples(st.sampled_from(TAGS), st.sampled_from([*TAGS, None]))
        one = st.lists(words, min_size=1, max_size=6).map(lambda both: tuple(zip(*both, strict=True)))
    elif metric.startswith("squad"):
        least = 1 if metric == "squad_v1" else 0
        gold = st.lists(st.sampled_from(ANSWERS[:4]), min_size=least, max_size=2).map(lambda some: QaGold(tuple(some)))
        one = st.tuples(gold, st.sampled_from(ANSWERS).map(lambda text: QaPrediction(text, text)))
    else:
        one = st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES))
    return st.lists(one, min_size=1, max_size=12)


def example_counts(result: Scores, columns: int) -> Floats:
    """Return the counts of each example [N, K]."""
    table = np.zeros((len(result.per_example), columns))
    for unit in result.units:
        table[unit.row] += unit.counts
    return table


@pytest.mark.parametrize("metric", list(METRICS))
def test_the_counts_of_all_examples_give_the_headline(metric: str) -> None:
    labels = CLASSES if metric in ("accuracy", "matthews", "accuracy_f1") else None

    @given(pairs(metric))
    def check(both: Sequence[tuple[Any, Any]]) -> None:
        golds, predictions = zip(*both, strict=True)
        counted, result = METRICS.get(metric), score(metric, golds, predictions, labels=labels)
        counts = example_counts(result, len(counted.columns(labels)))
        assert counts.shape == (len(golds), len(counted.columns(labels)))
        expected = result.scores[HEADLINES.get(metric, "accuracy")]
        assert counted.score(counts.sum(0)) == pytest.approx(expected, abs=1e-9)

    check()


def test_entities_are_those_of_the_official_reading(conll_entities: ModuleType) -> None:
    @given(st.lists(st.sampled_from([*TAGS, None]), max_size=12))
    def check(tags: list[str | None]) -> None:
        assert entities(tags) == {(kind, first, last + 1) for kind, first, last in conll_entities.entities(tags)}

    check()


@pytest.mark.parametrize("metric", list(METRICS))
def test_many_sums_are_scored_at_once_and_none_is_zero(metric: str) -> None:
    labels = CLASSES if metric in ("accuracy", "matthews", "accuracy_f1") else None
    counted = METRICS.get(metric)
    sums = np.arange(1.0, 1 + 2 * 3 * len(counted.columns(labels))).reshape(2, 3, -1)
    found = counted.score(sums)
    assert found.shape == (2, 3)
    assert found[1, 2] == counted.score(sums[1, 2])
    assert counted.score(np.zeros(sums.shape[-1])) == 0.0


def test_matthews_counts_by_class() -> None:
    with pytest.raises(InputError, match="labels: found none; expected the classes of the task"):
        score("matthews", ["no"], ["no"])

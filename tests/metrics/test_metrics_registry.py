"""What holds for every registered metric, and the errors of `score`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS, QaGold, QaPrediction, score

RIGHT = {
    "matthews": (["0", "1", "1"], ["0", "1", "1"]),
    "accuracy_f1": (["0", "1", "1"], ["0", "1", "1"]),
    "accuracy": (["0", "1"], ["0", "1"]),
    "entity_f1": ([("O", "B-LOC")], [("O", "B-LOC")]),
    "tag_accuracy": ([("NN", "VB")], [("NN", "VB")]),
    "squad_v1": ([QaGold(("mill",))], [QaPrediction("mill", "mill")]),
    "squad_v2": (
        [QaGold(("mill",)), QaGold(())],
        [QaPrediction("mill", "mill", -1.0), QaPrediction("", "x", 1.0)],
    ),
}


def test_every_metric_has_a_case() -> None:
    assert set(METRICS) == set(RIGHT)


@pytest.mark.parametrize("metric", list(METRICS))
def test_right_predictions_score_100(metric: str) -> None:
    golds, said = RIGHT[metric]
    result = score(metric, golds, said, labels=("0", "1"))
    assert all(value == 100 for name, value in result.scores.items() if "thresh" not in name)
    assert result.per_example == [1.0] * len(golds)
    assert result.counts["examples"] == len(golds)
    assert all(type(value) is float for value in [*result.scores.values(), *result.per_example])
    assert all(type(value) is int for value in result.counts.values())


@pytest.mark.parametrize("metric", list(METRICS))
def test_the_errors_of_an_example_count_what_is_wrong(metric: str) -> None:
    golds, said = RIGHT[metric]
    wrong: Any = {"O": "B-PER", "NN": "VB"}
    for right in (True, False):
        first = said[0]
        if not right and isinstance(first, QaPrediction):
            first = QaPrediction("dam", "dam", -1.0)
        elif not right:
            first = "1" if isinstance(first, str) else tuple(wrong.get(tag, tag) for tag in first)
        units = list(METRICS.get(metric).units(golds[:1], [first], ("0", "1")))
        errors = METRICS.get(metric).errors(np.sum([unit.counts for unit in units], axis=0))[0]
        assert errors == 0 if right else errors > 0


@given(order=st.permutations(range(6)))
def test_order_of_examples_does_not_matter(order: list[int]) -> None:
    golds = [QaGold(("red",)), QaGold(()), QaGold(("old mill",)), QaGold(()), QaGold(("dam",)), QaGold(("x",))]
    said = ["red", "y", "mill", "", "dam", "z"]
    predictions = [QaPrediction(text, text, odds) for odds, text in enumerate(said)]
    mixed = score("squad_v2", [golds[i] for i in order], [predictions[i] for i in order])
    assert mixed.scores == pytest.approx(score("squad_v2", golds, predictions).scores)


@pytest.mark.parametrize("metric", list(METRICS))
def test_no_label_no_score(metric: str) -> None:
    golds, said = RIGHT[metric]
    with pytest.raises(InputError, match=r"row 0: found no gold \w+; expected a gold .* Score a labelled file"):
        score(metric, [None, *golds[1:]], said, labels=("0", "1"))  # type: ignore[list-item]


@pytest.mark.parametrize("metric", list(METRICS))
def test_the_form_must_be_the_metrics(metric: str) -> None:
    golds, said = RIGHT["accuracy" if "squad" in metric or isinstance(RIGHT[metric][0][0], tuple) else "squad_v1"]
    with pytest.raises(InputError, match=r"row 0: found a gold .* of type"):
        score(metric, golds, said, labels=("0", "1"))


def test_lengths_and_emptiness() -> None:
    with pytest.raises(InputError, match="found 1 predictions for 2 examples; expected one prediction per example"):
        score("accuracy", ["a", "b"], ["a"])
    with pytest.raises(InputError, match="examples: found none; expected at least one example"):
        score("accuracy", [], [])


def test_an_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown metric 'mathews'.*Did you mean 'matthews'"):
        score("mathews", ["a"], ["a"])

"""The score of the best constant answer against scoring every constant answer there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.metrics.base import METRICS, Metric, QaGold, QaPrediction, score, sums_of

CLASSES = ("no", "yes")
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
GOLDS = {
    "classes": st.sampled_from(CLASSES),
    "tags": st.lists(st.sampled_from(TAGS), min_size=1, max_size=6).map(tuple),
    "answers": st.lists(st.sampled_from(["Oslo", "a river", "the sea"]), max_size=2).map(
        lambda some: QaGold(tuple(some))
    ),
}
FORMS = {"entity_f1": "tags", "tag_accuracy": "tags", "squad_v1": "answers", "squad_v2": "answers"}


def _constants(metric: str, golds: Sequence[Any]) -> list[list[Any]]:
    if FORMS.get(metric) == "tags":
        return [[(tag,) * len(gold) for gold in golds] for tag in TAGS]
    answers: Sequence[Any] = CLASSES if metric not in FORMS else [QaPrediction("", "")]
    return [[answer] * len(golds) for answer in answers]


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS.get(name).constants is not Metric.constants])
@given(data=st.data())
def test_it_is_the_best_of_all_constant_answers(name: str, data: st.DataObject) -> None:
    metric, form = METRICS.get(name), GOLDS[FORMS.get(name, "classes")]
    golds = data.draw(st.lists(form, min_size=1, max_size=8))
    if name == "squad_v1":
        golds = [gold if gold.answers else QaGold(("Oslo",)) for gold in golds]
    scored = [score(name, golds, answers, labels=CLASSES) for answers in _constants(name, golds)]
    for of in metric.scores:
        if name == "entity_f1" and of != "f1":
            continue  # precision and recall alone can be had by other constants
        best = metric.best_constant(metric.constants(golds, CLASSES), of)
        assert best == pytest.approx(max(each.scores[of] for each in scored))
    _regrouped(name, metric, golds, scored[0].counts)


def _regrouped(name: str, metric: Metric, golds: Sequence[Any], counts: dict[str, int]) -> None:
    """Whatever was predicted, counts that tell the gold labels give the same constant."""
    wrong = {"no": "yes", "yes": "no"}
    predicted = [QaPrediction("x", "x") if isinstance(gold, QaGold) else wrong.get(gold, gold) for gold in golds]
    sums = sums_of(list(metric.units(golds, predicted, CLASSES))) if FORMS.get(name) != "tags" else np.zeros(3)
    known = metric.best_constant(metric.regrouped(sums, counts), metric.headline)
    if name in ("accuracy", "entity_f1", "tag_accuracy"):
        assert known is None
    else:
        assert known == pytest.approx(metric.best_constant(metric.constants(golds, CLASSES), metric.headline))

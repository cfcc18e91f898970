"""An example without a prediction counts as wrong under every metric, as a certainly wrong prediction does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.metrics.base import METRICS, QaGold, QaPrediction, score

CLASSES = ("no", "yes")
TAGS = ("O", "B-PER", "I-PER", "B-LOC")
ANSWERS = ("the", "Oslo", "in Oslo", "a river")
OTHER = {"no": "yes", "yes": "no"}


def golds(metric: str) -> st.SearchStrategy[Any]:
    if metric in ("entity_f1", "tag_accuracy"):
        return st.lists(st.sampled_from(TAGS), min_size=1, max_size=5).map(tuple)
    if metric.startswith("squad"):
        least = 1 if metric == "squad_v1" else 0
        return st.lists(st.sampled_from(ANSWERS), min_size=least, max_size=2).map(lambda some: QaGold(tuple(some)))
    return st.sampled_from(CLASSES)


def predictions(metric: str, gold: Any) -> st.SearchStrategy[Any]:
    if metric in ("entity_f1", "tag_accuracy"):
        return st.tuples(*[st.sampled_from(TAGS)] * len(gold))
    if metric.startswith("squad"):
        return st.builds(
            lambda text, best, odds: QaPrediction(text, best, odds),
            st.sampled_from([*ANSWERS, ""]), st.sampled_from(ANSWERS), st.floats(-3, 3),
        )  # fmt: skip
    return st.sampled_from(CLASSES)


def wrong(metric: str, gold: Any) -> Any:
    """Return a prediction that is certainly wrong: nothing is right in it."""
    if metric in ("entity_f1", "tag_accuracy"):
        return (None,) * len(gold)
    return QaPrediction("elsewhere", "elsewhere", 99.0) if metric.startswith("squad") else OTHER[gold]


def cases(metric: str) -> st.SearchStrategy[list[tuple[Any, Any, bool]]]:
    """Return a strategy of gold, prediction and whether the system failed on the example; it never failed on all."""
    one = golds(metric).flatmap(lambda gold: st.tuples(st.just(gold), predictions(metric, gold), st.booleans()))
    return st.lists(one, min_size=2, max_size=8).filter(lambda some: not all(failed for *_, failed in some))


@pytest.mark.parametrize("metric", list(METRICS))
def test_a_failed_example_is_a_wrong_one(metric: str) -> None:
    labels = CLASSES if metric in ("accuracy", "matthews", "accuracy_f1") else None

    @given(cases(metric))
    def check(some: Sequence[tuple[Any, Any, bool]]) -> None:
        right = [gold for gold, *_ in some]
        failing = [None if failed else said for _, said, failed in some]
        wrongly = [wrong(metric, gold) if failed else said for gold, said, failed in some]
        missed, bad = (score(metric, right, said, labels=labels) for said in (failing, wrongly))
        skipped = {name for name in bad.scores if name.startswith("best_")}
        assert {name: value for name, value in missed.scores.items() if name not in skipped} == pytest.approx(
            {name: value for name, value in bad.scores.items() if name not in skipped}
        )
        assert missed.units == bad.units
        assert missed.per_example == bad.per_example
        assert all(missed.per_example[row] == 0 for row, (*_, failed) in enumerate(some) if failed)
        cut = {"truncated_words", "truncated_entities"}
        assert {key: value for key, value in missed.counts.items() if key not in cut} == {
            key: value for key, value in bad.counts.items() if key not in cut
        }
        assert [missed.counts.get(key, 0) for key in cut] == [0, 0]

    check()


@given(cases("squad_v2"))
def test_no_threshold_makes_a_failed_question_right(some: Sequence[tuple[QaGold, QaPrediction, bool]]) -> None:
    said = [None if failed else prediction for _, prediction, failed in some]
    whole = score("squad_v2", [gold for gold, *_ in some], said).scores
    kept = [(gold, prediction) for gold, prediction, failed in some if not failed]
    part = score("squad_v2", *map(list, zip(*kept, strict=True))).scores
    for name in ("best_exact", "best_f1"):
        assert whole[name] * len(some) == pytest.approx(part[name] * len(kept))
        assert whole[f"{name}_thresh"] == part[f"{name}_thresh"]


@given(cases("matthews"))
def test_matthews_of_three_classes_takes_each_wrong_class_in_equal_parts(
    some: Sequence[tuple[str, str, bool]],
) -> None:
    labels = ("no", "yes", "maybe")
    right = [gold for gold, *_ in some]
    said = [None if failed else prediction for _, prediction, failed in some]
    twice = [
        [label for label in labels if label != gold][turn] if failed else prediction
        for turn in (0, 1)
        for gold, prediction, failed in some
    ]
    result, expected = score("matthews", right, said, labels=labels), score("matthews", right * 2, twice, labels=labels)
    assert result.scores == pytest.approx(expected.scores)


def test_failing_on_everything_is_zero() -> None:
    for metric, gold in {"accuracy": "yes", "entity_f1": ("B-PER",), "squad_v2": QaGold(())}.items():
        result = score(metric, [gold, gold], [None, None])
        assert set(result.scores.values()) == {0.0}
        assert result.per_example == [0.0, 0.0]

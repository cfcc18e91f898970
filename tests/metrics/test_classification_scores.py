"""Matthews correlation, accuracy and F1 against the formulas of the textbooks."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS, score

LABELS = ("0", "1")
columns = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30)


def _confusion(pairs: list[tuple[str, str]]) -> tuple[int, int, int, int]:
    """Return true positives, true negatives, false positives, false negatives."""
    return tuple(pairs.count(pair) for pair in (("1", "1"), ("0", "0"), ("0", "1"), ("1", "0")))  # type: ignore[return-value]


@given(pairs=columns)
def test_matthews_is_the_formula(pairs: list[tuple[str, str]]) -> None:
    tp, tn, fp, fn = _confusion(pairs)
    below = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = score("matthews", [gold for gold, _ in pairs], [said for _, said in pairs], labels=LABELS)
    assert result.scores["matthews"] == pytest.approx(100 * (tp * tn - fp * fn) / below if below else 0.0)
    assert result.scores["accuracy"] == pytest.approx(100 * (tp + tn) / len(pairs))
    assert list(result.scores) == ["matthews", "accuracy"]


@given(pairs=columns)
def test_f1_is_that_of_the_second_label(pairs: list[tuple[str, str]]) -> None:
    tp, tn, fp, fn = _confusion(pairs)
    golds, said = [gold for gold, _ in pairs], [said for _, said in pairs]
    result = score("accuracy_f1", golds, said, labels=LABELS)
    assert result.scores["f1"] == pytest.approx(200 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)
    assert result.scores["accuracy"] == score("accuracy", golds, said).scores["accuracy"]
    other = score("accuracy_f1", golds, said, labels=LABELS[::-1]).scores["f1"]
    assert other == pytest.approx(200 * tn / (2 * tn + fp + fn) if tn + fp + fn else 0.0)


def test_counts_and_shares_of_examples() -> None:
    result = score("accuracy", ["a", "b", "c"], ["a", "c", "c"])
    assert result.scores == {"accuracy": pytest.approx(200 / 3)}
    assert result.counts == {"examples": 3, "correct": 2}
    assert result.per_example == [1.0, 0.0, 1.0]


def test_matthews_of_three_classes() -> None:
    # Gorodkin (2004): (c s - sum p t) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)), c right of s, p and t class counts.
    golds, said = ["a", "a", "b", "b", "c", "c"], ["a", "b", "b", "b", "c", "a"]
    expected = 100 * (4 * 6 - (2 * 2 + 3 * 2 + 1 * 2)) / math.sqrt((36 - (4 + 9 + 1)) * (36 - 12))
    assert score("matthews", golds, said, labels=("a", "b", "c")).scores["matthews"] == pytest.approx(expected)


def test_f1_needs_two_labels() -> None:
    with pytest.raises(InputError, match=r"labels: found 0 labels; expected two, .* positive class"):
        score("accuracy_f1", ["a"], ["a"])
    with pytest.raises(InputError, match="found 3 labels"):
        score("accuracy_f1", ["a"], ["a"], labels=("a", "b", "c"))


@pytest.mark.parametrize("metric", ["accuracy", "matthews", "accuracy_f1"])
def test_a_class_outside_the_labels_is_refused(metric: str) -> None:
    with pytest.raises(InputError, match="row 1: found the gold label 'maybe'; expected one of 0, 1"):
        score(metric, ["0", "maybe"], ["0", "1"], labels=LABELS)
    with pytest.raises(InputError, match="row 0: found the predicted label 'maybe'"):
        score(metric, ["0"], ["maybe"], labels=LABELS)


@given(pairs=st.lists(st.tuples(*[st.sampled_from("abc")] * 2), min_size=1, max_size=40))
def test_scores_are_those_of_scikit_learn_to_the_last_digit(pairs: list[tuple[str, str]]) -> None:
    golds, said = [gold for gold, _ in pairs], [said for _, said in pairs]
    matthews = matthews_corrcoef(golds, said) if len({*golds, *said}) > 1 else 0.0
    assert score("matthews", golds, said, labels=("a", "b", "c")).scores["matthews"] == 100 * matthews
    two = [["ab"[label == "b"] for label in column] for column in (golds, said)]
    f1 = f1_score(*two, pos_label="b", zero_division=0) if "b" in two[0] + two[1] else 0.0
    assert score("accuracy_f1", *two, labels=("a", "b")).scores["f1"] == 100 * f1


def test_labels_may_hold_the_bar_that_parts_cells() -> None:
    """`a` taken for `b|c` and `a|b` taken for `c` are two cells of the table, with two names."""
    labels = ("a", "b|c", "a|b", "c", "a\\|b")
    golds, said = ["a", "a|b", "c", "a"], ["b|c", "c", "c", "a"]
    found = score("matthews", golds, said, labels=labels)
    assert found.scores["matthews"] == pytest.approx(100 * matthews_corrcoef(golds, said))
    assert found.scores["accuracy"] == 50.0
    names = METRICS.get("matthews").columns(labels)
    assert len(set(names)) == len(names) == 25


@pytest.mark.parametrize("failed", range(12))
def test_thirds_of_examples_round_to_no_warning(failed: int) -> None:
    """Of four classes a failed example is a third of each wrong one: sums of thirds may differ by rounding."""
    said = ["no"] * failed + [None] + ["no"] * (11 - failed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score("matthews", ["no"] * 12, said, labels=("no", "yes", "maybe", "other"))
    assert found.scores["matthews"] == pytest.approx(0.0, abs=1e-5)

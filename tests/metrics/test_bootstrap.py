"""Intervals over examples are those of the plain bootstrap, and there is none where none can be told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.bootstrap import interval, percentiles, resampled_sums


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def entity_counts(examples: int = 400) -> Floats:
    """Counts of entities in made-up sentences: right ones, predicted ones, gold ones."""
    draw = generator(1)
    gold = draw.integers(0, 4, examples)
    right = draw.binomial(gold, 0.7)
    return np.column_stack([right, right + draw.binomial(2, 0.2, examples), gold]).astype(np.float64)


def answer_counts(examples: int = 60) -> Floats:
    """F1 and exact match of made-up questions, all different."""
    f1 = generator(2).beta(2, 1, examples)
    return np.column_stack([f1, f1 > 0.9, np.ones(examples)]).astype(np.float64)


@pytest.mark.parametrize(
    ("metric", "counts"), [("entity_f1", entity_counts()), ("squad_v1", answer_counts()), ("squad_v2", answer_counts())]
)
def test_it_is_the_interval_of_scipy(metric: str, counts: Floats) -> None:
    """Rows drawn by weights (few distinct ones) and one by one agree with scipy but for the draws."""
    score = METRICS.get(metric).score
    expected = stats.bootstrap(
        (np.arange(len(counts)),),
        lambda rows, axis: score(counts[rows].sum(-2)),
        method="percentile",
        n_resamples=20_000,
        vectorized=True,
        batch=500,
        rng=generator(3),
    ).confidence_interval
    found = interval(counts, score, resamples=20_000)
    width = expected.high - expected.low
    assert found.value == pytest.approx(score(counts.sum(0)))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03 * width)


@pytest.mark.parametrize("repeats", [1, 30])
def test_sums_have_the_distribution_of_all_resamples(repeats: int) -> None:
    """Few examples one by one, and many with few distinct rows by weights: right mean, right covariance."""
    counts = np.repeat(np.array([[1.0, 0.0], [0.5, 2.0], [3.0, 1.0], [0.0, 5.0]]), repeats, axis=0)
    sums = resampled_sums(counts, resamples=40_000)
    expected = np.cov(counts.T, bias=True) * len(counts)
    assert sums.mean(0) == pytest.approx(counts.sum(0), rel=0.02)
    assert np.cov(sums.T) == pytest.approx(expected, rel=0.05, abs=0.02 * expected.max())


def test_probabilities_are_exact() -> None:
    """Three examples: each of the 27 resamples is as likely as it should be."""
    counts = np.array([[1.0], [2.0], [4.0]])
    sums = resampled_sums(counts, resamples=27_000).ravel().tolist()
    outcomes = [sum(rows) for rows in itertools.product((1.0, 2.0, 4.0), repeat=3)]
    for value in set(outcomes):
        assert sums.count(value) == pytest.approx(1000 * outcomes.count(value), rel=0.15)


@given(st.lists(st.sampled_from([(1.0, 1.0), (0.0, 1.0), (0.25, 1.0)]), min_size=2, max_size=80), st.randoms())
def test_the_order_of_examples_plays_no_part(rows: list[tuple[float, float]], random: object) -> None:
    shuffled = sorted(rows)
    one, other = (resampled_sums(np.array(table), resamples=20, seed=5) for table in (rows, shuffled))
    assert one.tolist() == other.tolist()
    assert one.tolist() != resampled_sums(np.array(rows), resamples=20, seed=6).tolist() or len(set(rows)) == 1


def test_many_resamples_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = answer_counts()
    whole = resampled_sums(counts, resamples=50)
    monkeypatch.setattr("robustbench_char.metrics.bootstrap._CHUNK", 7 * len(counts))
    assert resampled_sums(counts, resamples=50) == pytest.approx(whole, rel=1e-12)


def test_paired_examples_stay_paired() -> None:
    """Two systems that differ by a constant on each example: their difference has no spread, each of them has."""
    one = answer_counts()
    other = one + np.array([0.5, 0.0, 0.0])
    score = METRICS.get("squad_v1").score
    found = interval(np.hstack([one, other]), lambda sums: score(sums[..., 3:]) - score(sums[..., :3]))
    assert (found.value, found.low, found.note) == (pytest.approx(50.0), None, "no spread")
    assert interval(one, score).low is not None


def _tags(*words: tuple[int, int]) -> Floats:
    return np.array(words, dtype=np.float64)


@pytest.mark.parametrize(
    ("metric", "counts", "value", "note"),
    [
        ("accuracy", np.zeros((0, 2)), None, "no examples"),
        ("accuracy", _tags((1, 1)), 100.0, "one example"),
        ("accuracy", _tags((1, 1), (1, 1)), 100.0, "no spread"),
        ("accuracy", _tags((0, 1), (0, 1)), 0.0, "no spread"),
        ("tag_accuracy", _tags((5, 5), (7, 7), (2, 2)), 100.0, "no spread"),
        ("tag_accuracy", _tags((0, 5), (0, 7), (0, 2)), 0.0, "no spread"),
        ("entity_f1", np.array([[2.0, 3.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), 80.0, "one example"),
        ("matthews", np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]]), 0.0, "no spread"),
    ],
)
def test_there_is_none_where_examples_show_no_spread(
    metric: str, counts: Floats, value: float | None, note: str
) -> None:
    found = interval(counts, METRICS.get(metric).score)
    assert (found.value, found.low, found.high, found.note) == (value, None, None, note)


def test_there_is_none_where_the_value_is_often_not_defined() -> None:
    counts = np.ones((30, 1))
    assert percentiles(float("nan"), counts, np.ones(10)).note == "not defined"
    resampled = np.arange(100.0)
    resampled[:6] = np.nan
    assert percentiles(50.0, counts, resampled) == (50.0, None, None, "often not defined")
    resampled[0] = 0.0
    assert percentiles(50.0, counts, resampled).low == pytest.approx(np.nanquantile(resampled, 0.025))

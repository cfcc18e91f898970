"""Tests between systems agree with exact enumeration, scipy, and each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.significance import holm, permutation_test

ENTITIES = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)).map(
    lambda drawn: (min(drawn), drawn[1], drawn[2])
)


def by_enumeration(one: Floats, other: Floats, statistic: Callable[[Floats], Floats]) -> float:
    """Return p by going through every swap of every example."""
    observed = abs(statistic(one.sum(0)) - statistic(other.sum(0)))
    larger = []
    for swaps in itertools.product((False, True), repeat=len(one)):
        swap = np.array(swaps)[:, None]
        first, second = np.where(swap, other, one).sum(0), np.where(swap, one, other).sum(0)
        larger.append(abs(statistic(first) - statistic(second)) >= observed - 1e-9)
    return float(np.mean(larger))


@given(st.lists(st.tuples(ENTITIES, ENTITIES), min_size=1, max_size=6))
@settings(max_examples=40)
def test_few_examples_give_the_exact_p(pairs: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
    one, other = (np.array(rows, dtype=np.float64) for rows in zip(*pairs, strict=True))
    score = METRICS.get("entity_f1").score
    assert permutation_test(one, other, score) == pytest.approx(by_enumeration(one, other, score))


def answers(examples: int, better: float) -> tuple[Floats, Floats]:
    """F1 of made-up questions for two systems, all different; the second is better by so much on average."""
    draw = np.random.Generator(np.random.PCG64(4))
    one, noise = draw.random(examples), draw.normal(0.0, 0.3, examples)
    first, second = (
        np.column_stack([f1, f1 > 0.9, np.ones(examples)]) for f1 in (one, one + noise - noise.mean() + better)
    )
    return first, second


def test_many_examples_give_the_p_of_scipy() -> None:
    one, other = answers(60, 0.07)
    expected = stats.permutation_test(
        (one[:, 0], other[:, 0]),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        permutation_type="samples",
        n_resamples=50_000,
        vectorized=True,
        rng=np.random.Generator(np.random.PCG64(5)),
    ).pvalue
    assert 0.01 < expected < 0.2
    found = permutation_test(one, other, METRICS.get("squad_v1").score, permutations=50_000)
    assert found == pytest.approx(expected, abs=0.005)


def test_groups_are_drawn_as_examples_are() -> None:
    """Each difference occurs three times: drawn as a binomial number, p is that of all differences drawn alone."""
    one, other = (np.repeat(table, 3, axis=0) for table in answers(20, 0.1))
    score = METRICS.get("squad_v1").score
    nudge = np.linspace(0, 1e-7, len(one))[:, None] * [1.0, 0.0, 0.0]
    grouped, alone = (permutation_test(one + shift, other, score, permutations=40_000) for shift in (0.0, nudge))
    assert grouped == pytest.approx(alone, abs=0.006)


def test_it_is_never_zero_and_one_for_equal_systems() -> None:
    one, other = answers(60, 0.8)
    score = METRICS.get("squad_v1").score
    assert permutation_test(one, other, score, permutations=999) == 1 / 1000
    assert permutation_test(one, one, score) == 1.0
    assert permutation_test(one[:0], one[:0], score) == 1.0


@given(st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=30)
def test_for_accuracy_it_is_mcnemars_exact_test(first: int, second: int) -> None:
    right = np.array([1.0] * first + [0.0] * second + [1.0] * 5), np.array([0.0] * first + [1.0] * second + [1.0] * 5)
    one, other = (np.column_stack([column, np.ones(len(column))]) for column in right)
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert permutation_test(one, other, METRICS.get("accuracy").score) == pytest.approx(expected)


def test_p_values_under_the_null_are_even() -> None:
    """Of 200 pairs of systems that differ by chance alone, about one in ten has a p below 0.1."""
    draw = np.random.Generator(np.random.PCG64(6))
    score = METRICS.get("tag_accuracy").score
    low = 0
    for _ in range(200):
        tokens = draw.integers(3, 9, 30)
        one, other = (np.column_stack([draw.binomial(tokens, 0.6), tokens]).astype(np.float64) for _ in range(2))
        low += permutation_test(one, other, score, permutations=199) <= 0.1
    assert 8 <= low <= 34


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_never_lowers(values: list[float]) -> None:
    corrected = holm(values)
    assert all(value <= found <= 1 for value, found in zip(values, corrected, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [corrected[place] for place in order] == sorted(corrected)

"""Printed numbers: rounding, signs, missing values; the interval is held against SciPy's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from robustbench_char.analysis.scores import wilson
from robustbench_char.reports import _formatting as formatting


@given(st.integers(1, 5000), st.data())
def test_interval_is_wilsons(trials: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, trials))
    expected = binomtest(right, trials).proportion_ci(method="wilson")
    assert wilson(right / trials, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("value", "text"), [(90.74, "90.7"), (-1.25, "−1.2"), (-0.04, "0.0"), (0, "0.0"), (None, "–"), (np.nan, "–")]
)
def test_scores_have_one_decimal(value: float | None, text: str) -> None:
    assert formatting.score(value) == text


def test_shares_are_printed_in_percent() -> None:
    assert formatting.percent(0.69876) == "69.9%"
    assert formatting.percent(-0.00004) == "0.0%"
    assert formatting.percent(None, missing="not defined") == "not defined"


def test_counts_seeds_and_times() -> None:
    assert formatting.count(1234567) == "1,234,567"
    assert formatting.plain(12345) == "12345"
    assert formatting.plain(pd.NA) == "–"
    assert [formatting.seconds(value) for value in (1.26, 75, 3725)] == ["1.3 s", "1 min 15 s", "1 h 02 min"]
    assert formatting.plural(1, "example") == "1 example"
    assert formatting.plural(1365, "example") == "1,365 examples"


def test_names_of_scores() -> None:
    assert formatting.score_title("matthews") == "Matthews correlation"
    assert formatting.score_title("f1") == "F1"
    assert formatting.score_title("HasAns_exact") == "HasAns exact"

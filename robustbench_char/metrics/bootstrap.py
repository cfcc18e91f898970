"""Intervals by resampling examples: the paired percentile bootstrap (Efron and Tibshirani 1993, chapter 13).

A statistic here is a function of sums of counts over examples (see `base`). Examples with equal counts are
exchangeable, so drawing N examples with replacement is drawing how often each *distinct* row of counts comes up, from a
multinomial distribution: exact, and cheap where few rows are distinct. Results of several systems or of clean and
attacked data on the same examples stand side by side in one row, which keeps them paired.

Shape legend: N examples, K counts, R resamples, M distinct rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common.seeds import seed_of
from robustbench_char.metrics.base import Floats

__all__ = ["RESAMPLES", "Interval", "interval", "percentiles", "resampled_sums"]

RESAMPLES = 2_000
LEVEL = 0.95
_CHUNK = 1 << 22  # drawn numbers held at a time
_MULTINOMIAL_COST = 20.0
"""Cost of drawing the weight of one distinct row, in draws of one example (measured: benchmarks/speed/bootstrap.py)."""
_EQUAL = 1e-9


class Interval(NamedTuple):
    """A value and its interval; where there is none, `low` and `high` are None and `note` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


def resampled_sums(counts: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the sums [R, K] of `resamples` draws of N of the N examples [N, K], with replacement.

    The result depends on the counts, in whatever order examples stand, and on the seed alone. Beside the counts and the
    result, memory does not grow with N or R.
    """
    distinct, times = np.unique(counts, axis=0, return_counts=True)
    generator = np.random.Generator(np.random.PCG64(seed_of(seed)))
    sums = np.empty((resamples, counts.shape[1]))
    draw = _multinomial if len(distinct) * _MULTINOMIAL_COST < len(counts) else _drawn
    step = max(1, _CHUNK // max(1, len(distinct)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        sums[start : start + size] = draw(generator, times, size) @ distinct
    return sums


def _multinomial(generator: np.random.Generator, times: NDArray[np.intp], size: int) -> Floats:
    """Return how often each distinct row comes up [size, M]."""
    total = int(times.sum())
    return generator.multinomial(total, times / total, size=size).astype(np.float64)


def _drawn(generator: np.random.Generator, times: NDArray[np.intp], size: int) -> Floats:
    """The same, drawn example by example: cheaper where many rows are distinct."""
    of_example = np.repeat(np.arange(len(times)), times)
    total = len(of_example)
    weights = np.empty((size, len(times)))
    for row in weights:  # one resample at a time stays in the cache
        row[:] = np.bincount(of_example[generator.integers(0, total, total, dtype=np.int32)], minlength=len(times))
    return weights


def interval(
    counts: Floats, statistic: Callable[[Floats], Floats], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return a statistic of summed counts, and its 95% interval over examples.

    `statistic` takes sums [..., K] to values [...]; NaN stands for a value that is not defined.
    """
    if not len(counts):
        return Interval(None, note="no examples")
    value = float(statistic(counts.sum(0)))
    if np.isnan(value):
        return Interval(None, note="not defined")
    return percentiles(value, counts, statistic(resampled_sums(counts, resamples=resamples, seed=seed)))


def percentiles(value: float, counts: Floats, resampled: Floats) -> Interval:
    """Return the interval between the percentiles of resampled values [R], or the reason why there is none.

    There is none for a value that is not defined (NaN), over one example that counts (a row of zeros does not), where
    all resamples give one value (all right, or all wrong: that shows no spread, which is not to say that there is
    none), and where the value is not defined in more than 1 of 20 resamples; the others then stand for all.
    """
    if np.isnan(value):
        return Interval(None, note="not defined")
    if counts.any(axis=1).sum() < 2:
        return Interval(value, note="one example")
    defined = resampled[~np.isnan(resampled)]
    if len(defined) < LEVEL * len(resampled):
        return Interval(value, note="often not defined")
    if np.ptp(defined) <= _EQUAL:
        return Interval(value, note="no spread")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))

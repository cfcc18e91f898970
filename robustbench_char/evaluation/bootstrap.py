"""Intervals by resampling examples: the paired percentile bootstrap (Efron and Tibshirani 1993, chapter 13).

A statistic here is a function of sums of counts over examples (see `counted`). Examples with equal counts are
exchangeable, so drawing N examples with replacement is drawing how often each *distinct* row of counts comes up, from a
multinomial distribution: exact, and cheap where few rows are distinct. Results of several systems or of clean and
attacked data on the same examples stand side by side in one row, which keeps them paired.

Shape legend: N examples, K counts, R resamples, M distinct rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from robustbench_char.evaluation.counted import Floats

__all__ = ["LEVEL", "RESAMPLES", "Interval", "interval", "percentiles", "resampled_sums"]

RESAMPLES = 2_000
LEVEL = 0.95
_CHUNK = 1 << 22  # drawn numbers held at a time
_MULTINOMIAL_COST = 12.0
"""What one draw of a multinomial cell costs, in draws of one example (measured: benchmarks/speed/bootstrap.py)."""


class Interval(NamedTuple):
    """A value and its interval; where there is none, `low` and `high` are None and `note` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


def resampled_sums(counts: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the sums [R, K] of `resamples` draws of N of the N examples [N, K], with replacement.

    The result depends on the counts, in whatever order examples stand, and on the seed alone. Memory is flat.
    """
    distinct, times = np.unique(counts, axis=0, return_counts=True)
    generator = np.random.Generator(np.random.PCG64(seed))
    sums = np.empty((resamples, counts.shape[1]))
    few = len(distinct) * _MULTINOMIAL_COST < len(counts)
    step = max(1, _CHUNK // (len(distinct) if few else len(counts)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = _multinomial(generator, times, size) if few else _drawn(generator, times, size)
        sums[start : start + size] = weights @ distinct
    return sums


def _multinomial(generator: np.random.Generator, times: np.ndarray, size: int) -> Floats:
    """Return how often each distinct row comes up [size, M]."""
    total = int(times.sum())
    return generator.multinomial(total, times / total, size=size).astype(np.float64)


def _drawn(generator: np.random.Generator, times: np.ndarray, size: int) -> Floats:
    """The same, drawn example by example: cheaper where most rows are distinct."""
    of_example = np.repeat(np.arange(len(times)), times)
    drawn = of_example[generator.integers(0, len(of_example), (size, len(of_example)), dtype=np.int32)]
    drawn += len(times) * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * len(times)).reshape(size, -1).astype(np.float64)


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

    There is none over one example, over examples that are all alike (all right, or all wrong: resampling them shows no
    spread, which is not to say that there is none), and where the value is not defined in more than 1 of 20 resamples.
    """
    if len(counts) < 2:
        return Interval(value, note="one example")
    if (counts == counts[0]).all():
        return Interval(value, note="all examples alike")
    defined = resampled[~np.isnan(resampled)]
    if len(defined) < LEVEL * len(resampled):
        return Interval(value, note="often not defined")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))

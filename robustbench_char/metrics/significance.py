"""Is one system better than another on the same examples? Permutation test, Holm's correction.

Shape legend: N examples, K counts, R permutations, M distinct differences, P permutations at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common.seeds import seed_of
from robustbench_char.metrics.base import Floats

__all__ = ["PERMUTATIONS", "holm", "permutation_test"]

PERMUTATIONS = 10_000
_EXACT = 20_000
"""Up to this many distinct outcomes all swaps are gone through, each with its probability."""
_CHUNK = 1 << 20  # drawn numbers held at a time
_BITS = 64
_EQUAL = 1e-9
"""Differences (in points) below which two statistics are equal but for rounding."""


def permutation_test(
    first: Floats,
    second: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """Return the two-sided p of the difference between two systems' statistics of summed counts [N, K].

    Under the null hypothesis the two results of an example may be swapped (Noreen 1989, approximate randomisation).
    What a swap changes is the difference of the two rows, so examples with equal differences are swapped as a group, a
    binomial number of them. All outcomes are gone through where they are few, which gives the exact p; else
    `permutations` are drawn, and p is (1 + those with as large a difference) / (1 + R). Two systems with the same
    counts have p = 1.
    """
    start, rows, times = _changes(first, second)
    total = first.sum(0) + second.sum(0)
    observed = abs(float(statistic(first.sum(0)) - statistic(second.sum(0))))

    def as_large(swaps: Floats) -> NDArray[np.bool_]:
        sums = start + swaps @ rows
        return np.abs(statistic(sums) - statistic(total - sums)) >= observed - _EQUAL

    if math.prod((times + 1).tolist()) <= _EXACT:
        swaps, shares = _outcomes(times)
        return min(1.0, float(shares[as_large(swaps)].sum()))
    larger = sum(int(as_large(swaps).sum()) for swaps in _drawn_swaps(times, permutations, seed))
    return (1 + larger) / (1 + permutations)


def _changes(first: Floats, second: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return the sums [K] to start from, the distinct changes by a swap [M, K], and how often each occurs [M].

    Where a change is the opposite of another, its examples start out swapped, so that both are the same.
    """
    change = (second - first)[(second != first).any(1)]
    leading = np.take_along_axis(change, (change != 0).argmax(1)[:, None], axis=1)
    swapped = np.where(leading < 0, change, 0.0)
    return first.sum(0) + swapped.sum(0), *np.unique(change - 2 * swapped, axis=0, return_counts=True)


def _outcomes(times: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return every number of swaps of each group [P, M], and the probability of each [P]."""
    swaps, shares = np.zeros((1, 0)), np.ones(1)
    for number in times.tolist():
        each = np.arange(number + 1.0)
        swaps = np.column_stack([np.repeat(swaps, number + 1, axis=0), np.tile(each, len(swaps))])
        shares = np.outer(shares, _binomial(number)).ravel()
    return swaps, shares


def _binomial(number: int) -> list[float]:
    """Return the probability of each number of heads among so many throws, rounded once."""
    shares, ways = [], 1
    for heads in range(number + 1):
        shares.append(ways / (1 << number))
        ways = ways * (number - heads) // (heads + 1)
    return shares


def _drawn_swaps(times: NDArray[np.intp], permutations: int, seed: int) -> Iterator[Floats]:
    """Yield drawn numbers of swaps of each group, some permutations at a time [P, M].

    A number is the count of ones among as many random bits as the group has examples: binomial, and quick to draw.
    """
    generator = np.random.Generator(np.random.PCG64(seed_of(seed)))
    words = -(-times // _BITS)
    starts = np.cumsum(words) - words
    unused = np.zeros(int(words.sum()), dtype=np.uint64)  # bits of the last word of each group
    unused[starts + words - 1] = words * _BITS - times
    step = max(1, _CHUNK // len(unused))
    for start in range(0, permutations, step):
        size = min(step, permutations - start)
        bits = generator.integers(0, 1 << _BITS, (size, len(unused)), dtype=np.uint64) >> unused
        yield np.add.reduceat(np.bitwise_count(bits), starts, axis=1, dtype=np.float64)


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for being several, in the order given (Holm 1979): at most 1, none below its own."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    corrected, largest = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected

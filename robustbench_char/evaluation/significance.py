"""Is one system better than another on the same examples? Permutation test, McNemar's test, Holm's correction.

Shape legend: N examples, K counts, R permutations.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from robustbench_char.evaluation.counted import Floats

__all__ = ["PERMUTATIONS", "holm", "mcnemar", "permutation_test"]

PERMUTATIONS = 2_000
_EXACT = 12
"""Up to this many differing examples all permutations are gone through."""
_CHUNK = 1 << 22  # drawn numbers held at a time


def permutation_test(
    one: Floats,
    other: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """Return the two-sided p of the difference between two systems' statistics of summed counts [N, K].

    Under the null hypothesis the two results of an example may be swapped (Noreen 1989, approximate randomisation). All
    swaps are gone through where few examples differ; else `permutations` of them are drawn, and p is
    (1 + as large a difference) / (1 + R). Two systems that are right on the same examples have p = 1.
    """
    differs = (one != other).any(1)
    base, change = one.sum(0), (other - one)[differs]
    count = len(change)
    total = base + other.sum(0)
    observed = abs(float(statistic(base) - statistic(total - base)))
    if not count:
        return 1.0
    exact = count <= _EXACT
    larger = drawn = 0
    for swaps in _all_swaps(count) if exact else _drawn_swaps(count, permutations, seed):
        first = base + swaps @ change
        differences = np.abs(statistic(first) - statistic(total - first))
        larger += int((differences >= observed - 1e-9).sum())
        drawn += len(swaps)
    return larger / drawn if exact else (1 + larger) / (1 + drawn)


def _all_swaps(count: int) -> list[Floats]:
    return [np.array(list(itertools.product((0.0, 1.0), repeat=count)))]


def _drawn_swaps(count: int, permutations: int, seed: int) -> list[Floats] | itertools.starmap[Floats]:
    generator = np.random.Generator(np.random.PCG64(seed))
    step = max(1, _CHUNK // count)
    sizes = [(min(step, permutations - start),) for start in range(0, permutations, step)]
    return itertools.starmap(lambda size: generator.integers(0, 2, (size, count)).astype(np.float64), sizes)


def mcnemar(one: Floats, other: Floats) -> float:
    """Return the exact two-sided p of McNemar's test (1947) for two systems that are right (1) or wrong (0) [N].

    It looks at the examples on which one alone is right; where there is none, p is 1.
    """
    from scipy.stats import binomtest

    first, second = int((one > other).sum()), int((other > one).sum())
    return float(binomtest(first, first + second).pvalue) if first + second else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for being several, in the order given (Holm 1979): at most 1, none below its own."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    corrected, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = largest
    return corrected

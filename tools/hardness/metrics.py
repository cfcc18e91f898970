"""Every metric against two oracles each on random cases; a case is made from seed, check and number alone.

Run as `python -m tools.hardness.metrics --count N --seed S [--only CHECK]`: exit code 1 on a difference.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from tools.hardness import _scores as scores
from tools.hardness import _statistics as statistics
from tools.hardness._scores import Found

EQUAL = 1e-9
"""Largest difference of two numbers, in shares of the larger one, and of 1 below that."""


class Check(NamedTuple):
    """What is checked, against which two oracles, and for one of how many cases that are asked for."""

    cases: Callable[[Random], Iterator[Found]]
    oracles: str
    every: int = 1


CHECKS: dict[str, Check] = {
    "squad_v1": Check(scores.squad_v1, "rules of evaluate-v1.1, written twice"),
    "squad_v2": Check(scores.squad_v2, "rules of evaluate-v2.0, written twice"),
    "entity_f1": Check(scores.entity_f1, "rules of conlleval; seqeval"),
    "tag_accuracy": Check(scores.tag_accuracy, "scikit-learn; a count"),
    "matthews": Check(scores.matthews, "scikit-learn; covariances in fractions"),
    "accuracy_f1": Check(scores.accuracy_f1, "scikit-learn; fractions"),
    "accuracy": Check(scores.accuracy, "scikit-learn; a count"),
    "word_errors": Check(scores.spelling, "a loop; arrays"),
    "bootstrap": Check(statistics.bootstrap, "all resamples; scipy"),
    "permutation": Check(statistics.permutation, "all swaps; scipy"),
    "permutation_drawn": Check(statistics.permutation_drawn, "convolution; scipy", 10),
    "mcnemar": Check(statistics.mcnemar, "scipy; binomial coefficients"),
    "holm": Check(statistics.holm_correction, "closed testing; running maximum"),
    "cosine": Check(statistics.cosine, "scipy; a loop"),
    "sensitivity": Check(statistics.sensitivity, "a loop; pandas", 10),
    "fragility": Check(statistics.fragility, "bags by removal; arrays"),
    "error_rate": Check(statistics.error_rate, "Levenshtein by definition; nltk", 50),
}


def same(ours: object, other: object) -> bool:
    """Tell whether two things are equal, numbers but for rounding."""
    if isinstance(ours, float) or isinstance(other, float):
        numbers = isinstance(ours, int | float) and isinstance(other, int | float)
        return numbers and abs(ours - other) <= EQUAL * max(1.0, abs(other))  # type: ignore[operator,arg-type]
    if isinstance(ours, Mapping) and isinstance(other, Mapping):
        return ours.keys() == other.keys() and all(same(ours[name], other[name]) for name in ours)
    if isinstance(ours, list | tuple) and isinstance(other, list | tuple):
        return len(ours) == len(other) and all(map(same, ours, other))
    return ours == other


def differences(name: str, count: int, seed: int) -> Iterator[str]:
    """Yield what differs in `count` cases of one check."""
    for number in range(count):
        for found in CHECKS[name].cases(Random(f"{seed}/{name}/{number}")):
            if not same(found.ours, found.oracle):
                yield f"{name} {number}, {found.what}: {found.ours} for {found.oracle}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, and each difference; return 1 if there is one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="cases of each check (of dear ones a part)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=CHECKS, help="one check alone")
    options = parser.parse_args(arguments)
    total = 0
    for name in [options.only] if options.only else CHECKS:
        cases, start, found = -(-options.count // CHECKS[name].every), time.monotonic(), 0
        for line in differences(name, cases, options.seed):
            found += 1
            if found <= 10:
                sys.stdout.write(f"  {line}\n")
        total += found
        seconds = time.monotonic() - start
        sys.stdout.write(f"{name:18} {cases:7,} cases, {found} differ, {seconds:6.0f} s  ({CHECKS[name].oracles})\n")
        sys.stdout.flush()
    return min(total, 1)


if __name__ == "__main__":
    raise SystemExit(main())

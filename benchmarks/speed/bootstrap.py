"""Seconds for intervals over examples: resamples of made-up counts, clean and attacked side by side.

Four kinds of counts, from few to as many distinct rows as examples, and two ways over them:
  ours   `resampled_sums`: distinct rows with multinomial weights where they are few, else examples one by one
  plain  every resample gathers the rows of the examples that it drew, and adds them up (measured on 20 resamples)

    python benchmarks/speed/bootstrap.py [--examples N] [--resamples R]

Times are of the process (CPU seconds), which what else the machine does disturbs less; the wall clock stands beside
them. Also printed: the permutation test between two systems, and what a draw of a distinct row's weight costs in draws
of an example, the constant that `bootstrap` chooses its way by.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from robustbench_char.metrics import bootstrap
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.significance import PERMUTATIONS, permutation_test

FEW, MANY = 10.0, 60.0
"""Targets in seconds, for up to 2,000 distinct rows and for more."""


def made_up(kind: str, examples: int, draw: np.random.Generator) -> Floats:
    """Return counts [N, 2K] of one kind, clean beside attacked."""
    if kind == "accuracy":
        return np.hstack([np.column_stack([draw.random(examples) < p, np.ones(examples)]) for p in (0.9, 0.7)])
    if kind == "tag accuracy":
        tokens = np.minimum(60, 5 + draw.geometric(0.06, examples))
        return np.hstack([np.column_stack([draw.binomial(tokens, p), tokens]) for p in (0.97, 0.9)]).astype(np.float64)
    if kind == "entity F1":
        gold = draw.geometric(0.5, examples) - 1
        right = [draw.binomial(gold, p) for p in (0.9, 0.4)]
        return np.hstack([np.column_stack([one, one + draw.binomial(1, 0.2, examples), gold]) for one in right]) * 1.0
    f1 = draw.random((examples, 2))
    return np.hstack([np.column_stack([one, one > 0.9, np.ones(examples)]) for one in f1.T])


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU seconds and wall seconds."""
    started = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - started[0], time.perf_counter() - started[1]


def plain(counts: Floats, resamples: int, draw: np.random.Generator) -> Floats:
    """Return sums of resamples, gathered row by row."""
    return np.array([counts[draw.integers(0, len(counts), len(counts))].sum(0) for _ in range(resamples)])


def cost_of_a_weight(examples: int, draw: np.random.Generator) -> float:
    """Return what a multinomial cell costs in draws of one example, at 2,000 distinct rows."""
    times = np.bincount(draw.integers(0, 2000, examples), minlength=2000)
    cell = seconds(lambda: bootstrap._multinomial(draw, times, 500))[0] / (500 * len(times))
    one = seconds(lambda: bootstrap._drawn(draw, times, 500))[0] / (500 * examples)
    return cell / one


def main() -> None:
    """Measure and print; exit code 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=50_000)
    parser.add_argument("--resamples", type=int, default=10_000)
    options = parser.parse_args()
    draw = np.random.Generator(np.random.PCG64(0))
    missed = False
    print(f"{options.resamples:,} resamples of {options.examples:,} examples; seconds CPU (wall)")
    for kind, metric in {"accuracy": "accuracy", "tag accuracy": "tag_accuracy", "entity F1": "entity_f1",
                         "SQuAD F1": "squad_v1"}.items():  # fmt: skip
        counts = made_up(kind, options.examples, draw)
        rows = len(np.unique(counts, axis=0))
        cpu, wall = seconds(lambda table=counts: bootstrap.resampled_sums(table, resamples=options.resamples))
        slow = seconds(lambda table=counts: plain(table, 20, draw))[0] / 20 * options.resamples
        half = counts.shape[1] // 2
        score = METRICS.get(metric).score
        test = seconds(lambda table=counts, k=half, by=score: permutation_test(table[:, :k], table[:, k:], by))[0]
        missed |= cpu > (FEW if rows <= 2000 else MANY)
        print(f"{kind:>14}: {rows:>6,} distinct rows  ours {cpu:6.2f} ({wall:.2f})  plain {slow:7.1f}, "
              f"{slow / cpu:,.0f} times as long  permutation test ({PERMUTATIONS:,}) {test:.2f}")  # fmt: skip
    print(f"a weight costs {cost_of_a_weight(options.examples, draw):.0f} draws of an example")
    sys.exit(missed)


if __name__ == "__main__":
    main()

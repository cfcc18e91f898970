"""Prediction as `evaluate` does it against a bare forward pass over batches of like length.

Ours goes from examples in memory to predictions: a defence would stand in between, texts become windows, windows
batches of like length, logits predictions. The bare pass has the same batches ready as tensors. Both run in one process
and take turns on a few hundred examples; `share` is the time of the bare pass divided by that of ours, median and range
over turns. CharBERT spells the pieces of each turn anew.

    python benchmarks/speed/prediction.py [--systems S ...] [--families F ...] [--input TASK FILE] [--turns N] [--quick]

Exit code 1 where a median share of prediction is below 90%.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import torch
from _systems import CLOCKS, Contestant, contestant, parser_of, spread

LEAST = 0.90


def loaded(given: Contestant) -> Any:
    """Return ours with its model in place, as `load_system` does."""
    from robustbench_char.inference._models import LoadedModel

    ours = LoadedModel()
    ours.kind, ours.recipe = given.kind, given.recipe
    ours.place(given.model)
    return ours


@torch.inference_mode()
def bare(model: Any, batches: Sequence[dict[str, torch.Tensor]]) -> None:
    """Compute the logits of batches."""
    for batch in batches:
        outputs = model(**batch)
        [table.cpu() for name, table in outputs.items() if name.endswith("logits")]


def measure(given: Contestant, options: argparse.Namespace) -> tuple[list[float], float]:
    """Return the share of each turn, and the sub-words a second of ours. Each turn has other examples, if there are."""
    ours, shares, pieces, seconds = loaded(given), [], 0, 0.0
    for turn in range(options.turns + 1):
        first = turn * options.some % max(1, len(given.examples) - options.some)
        examples = given.examples[first : first + options.some]
        windows = list(ours.recipe.windows(given.kind, examples))
        times = turn_of(ours, examples, padded(ours, windows, options.batch_size), options, bool(turn % 2))
        if turn:  # what is loaded at first use is no cost of either
            shares.append(times["bare"] / times["ours"])
            pieces, seconds = pieces + sum(len(one.inputs["input_ids"]) for one in windows), seconds + times["ours"]
    return shares, pieces / seconds


def turn_of(ours: Any, examples: Any, batches: Any, options: argparse.Namespace, reverse: bool) -> dict[str, float]:
    """Return the seconds of both, in an order that changes from turn to turn."""
    work = {
        "bare": lambda: bare(ours.model, batches),
        "ours": lambda: ours.predict(examples, batch_size=options.batch_size, progress=False),
    }
    times, clock = {}, CLOCKS[options.clock]
    for name in sorted(work, reverse=reverse):
        if hasattr(ours.kind, "processor"):
            ours.kind.processor._spellings.clear()
        started = clock()
        work[name]()
        times[name] = clock() - started
    return times


def padded(ours: Any, windows: Sequence[Any], batch_size: int) -> list[dict[str, torch.Tensor]]:
    """Return windows as batches, longest first."""
    from robustbench_char.models.inputs import pad

    order = sorted(windows, key=lambda window: -len(window.inputs["input_ids"]))
    parts = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    tables = (pad([window.inputs for window in part], ours.kind.padding()) for part in parts)
    device = ours.model.device
    return [{name: torch.from_numpy(one).to(device) for name, one in table.items()} for table in tables]


def main() -> None:
    """Read the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--some", type=int, default=128, help="examples of each turn")
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()
    if options.quick:
        options.turns, options.some, options.examples = 2, 8, 32
    torch.set_num_threads(options.threads)
    missed = False
    print(f"share of a bare pass, at least {LEAST:.0%}; {options.turns} turns, {options.threads} threads")
    for family in options.families:
        for system in options.systems:
            shares, rate = measure(contestant(system, family, "test", options), options)
            missed |= statistics.median(shares) < LEAST
            print(f"{family:19} {system:9} share {spread(shares)}; {rate:,.0f} sub-words a second", flush=True)
    sys.exit(int(missed))


if __name__ == "__main__":
    main()

"""Fine-tuning as `finetune` does it against a bare loop over the same batches.

The bare loop has its batches ready as tensors, and the model, attention, optimiser, schedule, clipping and precision of
ours: what it lacks is reading examples, order and collation, the Trainer, its log and progress, checkpoints. Both train
in one process and take turns every few steps, ours through `Loop.train`; `share` is the time of the bare loop divided
by that of ours over the same batches, median and range over turns.

    python benchmarks/speed/training.py [--systems S ...] [--families F ...] [--input TASK FILE] [--turns N] [--quick]

What is done once stands beside it, as a share of a bare epoch: reading examples into windows, start and end of the
Trainer. A checkpoint is written every two minutes; its seconds are printed too. Exit code 1 where a median share is
below 95%.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from _systems import CLOCKS, Contestant, contestant, parser_of, spread
from transformers import TrainerCallback, get_linear_schedule_with_warmup

LEAST = 0.95
SAVE_SECONDS = 120
"""Between checkpoints, by default."""


class Bare:
    """A loop of PyTorch: batches in memory in, nothing out."""

    def __init__(self, model: Any, batches: Sequence[dict[str, torch.Tensor]], settings: Any, steps: int) -> None:
        self.model, self.batches = model.train(), iter(batches)
        decayed = [weight for weight in model.parameters() if weight.ndim > 1]
        others = [weight for weight in model.parameters() if weight.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
        self.schedule = get_linear_schedule_with_warmup(self.optimiser, math.ceil(settings.warmup * steps), steps)
        self.device, self.bf16 = next(model.parameters()).device, settings.bf16

    def step(self) -> None:
        """Train on the next batch."""
        batch = {name: table.to(self.device) for name, table in next(self.batches).items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()


class Turns(TrainerCallback):
    """Take the time of ours every few steps, then that of the bare loop over the same batches.

    `checkpoint` is that of writing one, which is done once, in the middle, and in no turn.
    """

    def __init__(self, bare: Bare, steps: int, clock: Callable[[], float]) -> None:
        self.bare, self.steps, self.clock, self.started = bare, steps, clock, 0.0
        self.ours: list[float] = []
        self.theirs: list[float] = []
        self.begun, self.ended, self.checkpoint = 0.0, 0.0, 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if not state.global_step:
            self.begun = self.started = self.clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step % self.steps:
            return
        now = self.clock()
        self.ours.append(now - self.started)
        for _ in range(self.steps):
            self.bare.step()
        self.theirs.append(self.clock() - now)
        control.should_save = control.should_log = len(self.ours) == 1
        self.started = self.ended = self.clock()

    def on_log(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.saving = self.clock()

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self.started = self.clock()
        self.checkpoint = self.started - self.saving


class Result(NamedTuple):
    """Shares of each turn; what is done once, in bare epochs; seconds of a checkpoint; sub-words a second of ours."""

    shares: list[float]
    reading: float
    around: float
    checkpoint: float
    rate: float


def measure(given: Contestant, options: argparse.Namespace) -> Result:
    """Train both, and return how they compare; the first turn, with what is loaded at first use, does not count."""
    from robustbench_char.training.features import training_set

    clock = CLOCKS[options.clock]
    started = clock()
    data = training_set(given.recipe, given.kind, given.examples, None)
    reading = clock() - started
    turns, around, pieces = race(given, data, options.turns, options.steps, clock)
    epoch = statistics.median(turns.theirs) / options.steps * len(data.samples) / given.settings.batch_size
    shares = [bare / ours for ours, bare in zip(turns.ours, turns.theirs, strict=True)][1:]
    return Result(shares, reading / epoch, around / epoch, turns.checkpoint, pieces / sum(turns.ours))


def race(given: Contestant, data: Any, turns: int, steps: int, clock: Callable[[], float]) -> tuple[Turns, float, int]:
    """Train both. Returns the turns, seconds before and after the steps of ours, and sub-words that each has seen."""
    from robustbench_char.models.attention import attention_for_training
    from robustbench_char.training.batches import Collator
    from robustbench_char.training.families import IGNORED
    from robustbench_char.training.loop import Loop

    collator = Collator({**given.kind.padding(), "labels": IGNORED})
    size, total = given.settings.batch_size, turns * steps
    epoch = data.steps(1, size)
    settings = given.settings.model_copy(update={"epochs": total / epoch})
    batches = list(collated(data.samples, size, total, collator))
    taken = Turns(Bare(deepcopy(given.model), batches, settings, total), steps, clock)
    with tempfile.TemporaryDirectory() as folder, attention_for_training(taken.bare.model, bf16=settings.bf16):
        started = clock()
        Loop(Path(folder), math.inf, False, (taken,)).train(given.model, data, collator, settings)
        ended = clock()
    around = taken.begun - started + ended - taken.ended
    return taken, around, sum(int(batch["attention_mask"].sum()) for batch in batches)


def collated(samples: Sequence[Any], size: int, steps: int, collator: Any) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the batches that ours trains on, in its order."""
    from robustbench_char.training.batches import LengthGroupedSampler, length_of

    sampler, left = LengthGroupedSampler([length_of(sample) for sample in samples], size, 0), steps
    for epoch in range(steps):
        sampler.set_epoch(epoch)
        order = list(sampler)
        for start in range(0, len(order), size):
            if not left:
                return
            left -= 1
            yield collator([samples[index] for index in order[start : start + size]])


def main() -> None:
    """Read the command line."""
    parser = parser_of(__doc__)
    parser.add_argument("--turns", type=int, default=21)
    parser.add_argument("--steps", type=int, default=4, help="of each turn")
    options = parser.parse_args()
    if options.quick:
        options.turns, options.steps, options.examples = 3, 1, 64
    torch.set_num_threads(options.threads)
    missed = False
    print(f"share of a bare loop, at least {LEAST:.0%}; {options.turns} turns of {options.steps} steps")
    for family in options.families:
        for system in options.systems:
            result = measure(contestant(system, family, "train", options), options)
            missed |= statistics.median(result.shares) < LEAST
            print(
                f"{family:19} {system:9} share {spread(result.shares)}; {result.rate:,.0f} sub-words a second; once, in"
                f" epochs: reading {result.reading:.3f}, start and end {result.around:.3f}; a checkpoint"
                f" {result.checkpoint:.2f} s ({result.checkpoint / SAVE_SECONDS:.1%} of the time between two)",
                flush=True,
            )
    sys.exit(int(missed))


if __name__ == "__main__":
    main()

"""Augmentation: attacked copies of training examples, the defence that practitioners reach for first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from robustbench_char.attack_sets.stream import Attack, Tally, attack_blocks, chosen_fields, suites_of
from robustbench_char.attacks.suites import Suite, only_suite
from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.options import Option, within
from robustbench_char.common.seeds import SEEDS
from robustbench_char.common.systems import Traits
from robustbench_char.records.training import AugmentInfo
from robustbench_char.tasks.base import Example, ExampleSource, Task
from robustbench_char.training.options import AugmentOptions

__all__ = ["AUGMENT_SEED", "copy_seeds", "resolve_augmentation"]

IndexArray = npt.NDArray[np.int64]

AUGMENT_SEED = 1000
"""Default seed of attacks in training, away from the small numbers of evaluations; `evaluate` refuses an equal one."""


@dataclass(frozen=True)
class Augmentation:
    """What is added: a `share` of the examples once more, attacked by `suite`; with several `seeds`, one per epoch.

    `consistency` is the weight of the divergence between predictions in clean and attacked copy.
    """

    suite: Suite
    share: float
    seeds: range
    without: tuple[str, ...] = ()
    fresh: bool = False
    consistency: float = 0.0

    def info(self) -> AugmentInfo:
        """Return what records say about it."""
        return AugmentInfo(
            suite=self.suite.name,
            suite_sha256=self.suite.sha256,
            operators=tuple(self.suite.operators),
            without=self.without,
            share=self.share,
            seed=self.seeds.start,
            fresh=self.fresh,
            seeds=len(self.seeds),
            consistency=self.consistency,
        )

    def decides(self) -> dict[str, Any]:
        """Return what decides the copies, as keys of stored results hold it."""
        info = self.info()
        later = {name: AugmentInfo.model_fields[name].default for name in ("fresh", "seeds", "consistency")}
        return {name: value for name, value in info.model_dump(mode="json").items() if later.get(name, ...) != value}

    def chosen(self, count: int, seed: int) -> IndexArray:
        """Return the positions of the examples that get a copy, in order."""
        generator = np.random.Generator(np.random.PCG64(seed))
        return np.sort(generator.permutation(count)[: round(self.share * count)])

    def copies(self, task: Task, examples: Sequence[Example], seed: int) -> list[Example]:
        """Return the attacked copies of the `chosen` examples, their labels still true."""
        attack = Attack(task, self.suite, seed, chosen_fields(task, self.suite, None))
        source = _InMemory([examples[index] for index in self.chosen(len(examples), seed)])
        blocks = attack_blocks(attack, source, Tally(), lambda ledger: None, strength_only=True)
        return [example for block in blocks for example in block.examples()]


@dataclass(frozen=True)
class _InMemory(ExampleSource):
    """Examples as a source to attack."""

    held: Sequence[Example]

    def examples(self) -> Iterator[Example]:
        return iter(self.held)


def resolve_augmentation(asked: AugmentOptions, system: Traits, task: Task, epochs: float) -> Augmentation | None:
    """Return the augmentation asked for, or else the system's own default, if any.

    Raises InputError for an unknown suite or operator, a suite of several strengths, options that the task or the
    number of epochs does not allow, and for options of an augmentation where there is none.
    """
    name = asked.suite or system.augmentation
    if name:
        seeds = copy_seeds(asked, system, epochs)
        within("augment_seed", seeds.start, 0, SEEDS + 1 - len(seeds))
        if asked.consistency and task.family == "question_answering":
            found, expected = f"{asked.consistency:g} for question answering", "0, or a task of another family"
            fix = "Leave it out: answers in clean and attacked copy have no positions in common."
            raise InputError(Option("consistency"), found=found, expected=expected, fix=fix)
        suite = only_suite(suites_of(name, task, place=Option("augment")), place=Option("augment"))
        fresh = asked.is_fresh(system.augmentation)
        return Augmentation(_less(suite, asked.without), asked.share, seeds, asked.without, fresh, asked.consistency)
    if asked != AugmentOptions():
        found = f"none, and the system {system.name} has none of its own"
        expected, fix = "a suite, for the other options of an augmentation", "Add a suite, or leave them out."
        raise InputError(Option("augment"), found=found, expected=expected, fix=fix)
    return None


def copy_seeds(asked: AugmentOptions, system: Traits, epochs: float) -> range:
    """Return the seeds that copies are attacked with: of fresh ones, one per epoch."""
    first = AUGMENT_SEED if asked.seed is None else asked.seed
    return range(first, first + (max(1, math.ceil(epochs)) if asked.is_fresh(system.augmentation) else 1))


def _less(suite: Suite, without: tuple[str, ...]) -> Suite:
    place = Option("augment_without")
    for operator in without:
        if operator not in suite.operators:
            expected = f"operators of {suite.name}: {', '.join(suite.operators)}"
            fix = f"Correct the name.{nearest(operator, suite.operators)}"
            raise InputError(place, found=f"the operator {operator!r}", expected=expected, fix=fix)
    left = {operator: rule for operator, rule in suite.operators.items() if operator not in without}
    if not left:
        found, expected = "every operator of the suite", "at least one left"
        raise InputError(place, found=found, expected=expected, fix="Leave fewer out.")
    return suite.model_copy(update={"operators": left})

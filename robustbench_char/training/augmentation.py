"""Augmentation: attacked copies of training examples, the defence that practitioners reach for first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robustbench_char.attack_sets.stream import Attack, Tally, attack_examples, chosen_fields
from robustbench_char.attacks.suites import Suite, load_suites, only_suite
from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.options import Option
from robustbench_char.common.systems import Traits
from robustbench_char.records.evaluation import AugmentInfo
from robustbench_char.tasks.base import Example, ExampleSource, Task
from robustbench_char.training.options import AugmentOptions

__all__ = ["AUGMENT_SEED", "resolve_augmentation"]

AUGMENT_SEED = 1000
"""Default seed of attacks in training, away from the small numbers of evaluations; `evaluate` refuses an equal one."""


@dataclass(frozen=True)
class Augmentation:
    """What is added: a `share` of the examples once more, attacked by `suite` with `seed`."""

    suite: Suite
    share: float
    seed: int
    without: tuple[str, ...] = ()

    def info(self) -> AugmentInfo:
        """Return what records say about it."""
        return AugmentInfo(
            suite=self.suite.name,
            suite_sha256=self.suite.sha256,
            operators=tuple(self.suite.operators),
            without=self.without,
            share=self.share,
            seed=self.seed,
        )

    def copies(self, task: Task, examples: Sequence[Example]) -> list[Example]:
        """Return the attacked copies, their labels still true, in the order of the examples."""
        generator = np.random.Generator(np.random.PCG64(self.seed))
        chosen = np.sort(generator.permutation(len(examples))[: round(self.share * len(examples))])
        attack = Attack(task, self.suite, self.seed, chosen_fields(task, self.suite, None))
        source = _InMemory([examples[index] for index in chosen])
        return [one.example for one in attack_examples(attack, source, Tally(), lambda ledger: None)]


@dataclass(frozen=True)
class _InMemory(ExampleSource):
    """Examples as a source to attack."""

    held: Sequence[Example]

    def examples(self) -> Iterator[Example]:
        return iter(self.held)


def resolve_augmentation(asked: AugmentOptions, system: Traits, task: Task) -> Augmentation | None:
    """Return the augmentation asked for, or else the system's own default, if any.

    Raises InputError for an unknown suite or operator, a suite of several strengths, and for options of an augmentation
    where there is none.
    """
    name = asked.suite or system.augmentation
    if name:
        seed = AUGMENT_SEED if asked.seed is None else asked.seed
        suite = only_suite(load_suites(name, task=task.name, place=Option("augment")), place=Option("augment"))
        return Augmentation(_less(suite, asked.without), asked.share, seed, asked.without)
    if asked != AugmentOptions():
        found = f"none, and the system {system.name} has none of its own"
        expected, fix = "a suite, for the other options of an augmentation", "Add a suite, or leave them out."
        raise InputError(Option("augment"), found=found, expected=expected, fix=fix)
    return None


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

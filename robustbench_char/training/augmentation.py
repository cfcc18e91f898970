"""Augmentation: attacked copies of training examples, the defence that practitioners reach for first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robustbench_char.attack_sets.stream import Attack, Tally, attack_examples, chosen_fields
from robustbench_char.attacks.suites import Suite, load_suites, only_suite
from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.records.evaluation import AugmentInfo
from robustbench_char.tasks.base import Example, Task

__all__ = ["AUGMENT_SEED", "Augmentation", "augmentation_asked", "resolve_augmentation"]

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
class _InMemory:
    """Examples as a source to attack."""

    held: Sequence[Example]

    def examples(self) -> Iterator[Example]:
        return iter(self.held)

    def source(self, example: Example, field: str, start: int, end: int) -> str | None:
        return None


def resolve_augmentation(
    name: str, task: Task, *, share: float = 1.0, seed: int = AUGMENT_SEED, without: Sequence[str] = ()
) -> Augmentation:
    """Return the augmentation with one suite, less the operators of `without`.

    Raises InputError for an unknown suite or operator, a suite of several strengths, and numbers out of range.
    """
    suite = only_suite(load_suites(name, task=task.name, place="--augment"), place="--augment")
    if not 0 < share <= 1:
        raise InputError(
            "--augment-share", found=str(share), expected="more than 0 and at most 1", fix="Correct the number."
        )
    if not 0 <= seed < 2**32:
        raise InputError("--augment-seed", found=str(seed), expected="0 to 4294967295", fix="Correct the number.")
    return Augmentation(_less(suite, tuple(without)), share, seed, tuple(without))


def augmentation_asked(
    system: str, suite: str | None, task: Task, *, share: float, seed: int | None, without: Sequence[str]
) -> Augmentation | None:
    """Return what the options of a command ask for: `suite`, or else the system's own default, if any.

    Raises InputError as `resolve_augmentation` does, and for options of an augmentation where there is none.
    """
    name = suite or SYSTEMS.get(system, place="--system").augmentation
    if name:
        chosen = AUGMENT_SEED if seed is None else seed
        return resolve_augmentation(name, task, share=share, seed=chosen, without=without)
    if without or seed is not None or share != 1.0:
        raise InputError(
            "--augment-without, --augment-seed or --augment-share",
            found=f"no --augment, and the system {system} has none of its own",
            expected="options of an augmentation",
            fix="Add --augment SUITE, or leave them out.",
        )
    return None


def _less(suite: Suite, without: tuple[str, ...]) -> Suite:
    for operator in without:
        if operator not in suite.operators:
            raise InputError(
                "--augment-without",
                found=f"the operator {operator!r}",
                expected=f"operators of {suite.name}: {', '.join(suite.operators)}",
                fix=f"Correct the name.{nearest(operator, suite.operators)}",
            )
    left = {operator: rule for operator, rule in suite.operators.items() if operator not in without}
    if not left:
        raise InputError(
            "--augment-without",
            found="every operator of the suite",
            expected="at least one left",
            fix="Leave fewer out.",
        )
    return suite.model_copy(update={"operators": left})

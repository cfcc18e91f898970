"""Scoring what a fine-tuned system predicted: what it cannot be scored on, and what is counted of it alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from robustbench_char.common import InputError
from robustbench_char.inference import results
from robustbench_char.inference.attack_set import AttackSet
from robustbench_char.inference.load_system import Predictions, SystemParts
from robustbench_char.inference.results import Scored
from robustbench_char.inference.word_states import piece_counts
from robustbench_char.metrics.metrics import Gold
from robustbench_char.records.evaluation import DataInfo, Record
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.golds import labelled, place_of
from robustbench_char.training.saved_system import system_info

__all__ = ["UNKNOWN_TAGS", "check_seed", "check_task", "golds_of", "scored_by", "write_scored"]

UNKNOWN_TAGS = 0.01
"""Largest share of words with a tag unseen in training (an error each); above it, the file is another task's."""


def scored_by(
    system: SystemParts,
    examples: Sequence[Example],
    golds: Sequence[Gold],
    predictions: Predictions,
    attack: AttackSet | None,
) -> Scored:
    """Score the predictions of a system; count its sub-words, what its length limit cut, tags unseen in training."""
    task, labels = system.file.task, system.file.labels or None
    pieces = partial(piece_counts, system.kind.tokenizer)
    scored = Scored.of(
        task, examples, golds, predictions.values, attack, labels=labels, pieces=pieces, seconds=predictions.seconds
    )
    counts = {
        **scored.counts,
        "truncated_examples": predictions.truncated_examples,
        "pieces": predictions.pieces,
    }
    if task.family == "tagging":
        counts["unseen_tags"] = _unseen_tags(system, golds)
    return replace(scored, counts=counts)


def check_task(system: SystemParts, file: NativeFile, asked: Task | None, attack: AttackSet | None) -> None:
    """Raise InputError where the user, or the attack beside the file, says that the data are of another task."""
    results.check_task(system.file.task, "which the system was fine-tuned on", file, asked, attack)


def check_seed(system: SystemParts, file: NativeFile, attack: AttackSet | None) -> None:
    """Raise InputError where the attack has the seed of the attacked copies that the system was fine-tuned on."""
    augment = system.file.augment
    if attack and augment and attack.manifest.seed == augment.seed:
        raise InputError(
            file.path,
            found=f"an attack with seed {augment.seed}, which the system's training copies were attacked with",
            expected="another seed",
            fix="Attack the file again with another --seed.",
        )


def golds_of(system: SystemParts, file: NativeFile, examples: Sequence[Example]) -> list[Gold]:
    """Return what to score against. Raises InputError for an example without label, or with an unknown one."""
    golds = labelled(system.file.task, file, examples)
    for example, gold in zip(examples, golds, strict=True):
        if isinstance(gold, str) and gold not in system.file.labels:
            raise _unknown_label(system, file, example, gold)
    words = sum(len(gold) for gold in golds if isinstance(gold, tuple))
    if _unseen_tags(system, golds) > UNKNOWN_TAGS * words:
        known = set(system.file.labels)
        unseen = (
            (one, tag) for one, gold in zip(examples, golds, strict=True) if isinstance(gold, tuple) for tag in gold
        )
        raise _unknown_label(system, file, *next(pair for pair in unseen if pair[1] not in known))
    return golds


def _unknown_label(system: SystemParts, file: NativeFile, example: Example, label: str) -> InputError:
    return InputError(
        f"{file.path}: {place_of(example)}",
        found=f"the label {label!r}",
        expected=f"a label that the system was fine-tuned on: {', '.join(system.file.labels)}",
        fix="Choose the system or the file of the same task.",
    )


def _unseen_tags(system: SystemParts, golds: Sequence[Gold]) -> int:
    """Count the words whose tag did not occur in training, which no prediction can match."""
    known = set(system.file.labels)
    return sum(tag not in known for gold in golds if isinstance(gold, tuple) for tag in gold)


def write_scored(
    folder: Path, system: SystemParts, data: DataInfo, scored: Scored, *, device: str, wall_seconds: float
) -> Record:
    """Write predictions, counts and record of a system; see `results.write_result`."""
    file = system.file
    return results.write_result(
        folder, file.task, system_info(file), data, scored, device=device, wall_seconds=wall_seconds
    )

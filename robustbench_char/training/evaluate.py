"""Evaluating one saved system on one file: a prediction for every example, scores, and where they come from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name
from robustbench_char.evaluation.metrics import Gold
from robustbench_char.evaluation.records import DataInfo, Record, SystemInfo
from robustbench_char.tasks.attack_files import source_sha256
from robustbench_char.tasks.base import Example, NativeFile, Task, place_of
from robustbench_char.training.attack_sets import AttackSet, attack_set_of
from robustbench_char.training.golds import labelled
from robustbench_char.training.predict import Predictions, System, device_name, load_system
from robustbench_char.training.scoring import Scored, Work, check_task, done_before, keep
from robustbench_char.training.word_states import piece_counts

__all__ = ["evaluate", "system_info"]

UNKNOWN_TAGS = 0.01
"""Largest share of words with a tag unseen in training (an error each); above it, the file is another task's."""


def evaluate(
    folder: Path,
    file: NativeFile,
    *,
    output: Path | None = None,
    task: Task | None = None,
    source: str | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
    progress: bool = True,
) -> Record:
    """Score a fine-tuned system on a native file, write record, predictions and counts to `output`, return the record.

    `task` is what the user says the file holds, `source` how the record calls the file (default: its name). Where the
    file stands in the folder of an attack, the record tells which. Raises InputError for an unusable system folder, a
    task that is not the system's, examples without labels or with labels that the system does not know, and altered
    attack files.
    """
    started = time.monotonic()
    system = load_system(folder)
    sha256 = source_sha256(file.path)
    attack = attack_set_of(file.path, sha256)
    trained = system.file.task
    check_task(trained, "which the system was fine-tuned on", file, task, attack)
    _check_seed(system, file, attack)
    examples = list(file.examples())
    golds = _golds(system, file, examples)
    name = source or safe_name(file.path.name)
    data = DataInfo(source=name, sha256=sha256, examples=len(examples), attack=attack.info() if attack else None)
    info = system_info(system)
    again = done_before(output, trained, info, data, overwrite=overwrite)
    predictions = system.run(examples, batch_size=batch_size, progress=progress)
    scored = _scored(system, examples, golds, predictions, attack)
    work = Work(started, predictions.seconds, device_name(system.device))
    inputs = (folder, file.path)
    return keep(output, trained, info, data, scored, work, inputs=inputs, overwrite=overwrite, again=again)


def _scored(
    system: System,
    examples: Sequence[Example],
    golds: Sequence[Gold],
    predictions: Predictions,
    attack: AttackSet | None,
) -> Scored:
    labels, pieces = system.file.labels or None, partial(piece_counts, system.kind.tokenizer)
    task = system.file.task
    scored = Scored.of(task, examples, golds, predictions.values, attack, labels=labels, pieces=pieces)
    counts = {
        **scored.counts,
        "truncated_examples": predictions.truncated_examples,
        "pieces": predictions.pieces,
    }
    if task.family == "tagging":
        counts["unseen_tags"] = _unseen_tags(system, golds)
    return replace(scored, counts=counts)


def _check_seed(system: System, file: NativeFile, attack: AttackSet | None) -> None:
    """Raise InputError where the attack has the seed of the attacked copies that the system was fine-tuned on."""
    augment = system.file.augment
    if attack and augment and attack.manifest.seed == augment.seed:
        raise InputError(
            file.path,
            found=f"an attack with seed {augment.seed}, which the system's training copies were attacked with",
            expected="another seed",
            fix="Attack the file again with another --seed.",
        )


def _golds(system: System, file: NativeFile, examples: Sequence[Example]) -> list[Gold]:
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


def _unknown_label(system: System, file: NativeFile, example: Example, label: str) -> InputError:
    return InputError(
        f"{file.path}: {place_of(example)}",
        found=f"the label {label!r}",
        expected=f"a label that the system was fine-tuned on: {', '.join(system.file.labels)}",
        fix="Choose the system or the file of the same task.",
    )


def _unseen_tags(system: System, golds: Sequence[Gold]) -> int:
    """Count the words whose tag did not occur in training, which no prediction can match."""
    known = set(system.file.labels)
    return sum(tag not in known for gold in golds if isinstance(gold, tuple) for tag in gold)


def system_info(system: System) -> SystemInfo:
    """Return what records say about a system."""
    file = system.file
    return SystemInfo(
        name=file.system,
        base=file.pretraining.base if file.pretraining else file.base.name,
        parameters=file.parameters,
        training_seed=file.settings.seed,
        training_sha256=file.train.sha256,
        settings={**file.settings.model_dump(mode="json"), "training_examples": file.train.examples},
        weights_sha256=file.weights_sha256,
        label=file.label,
        extra_parameters=file.extra_parameters,
        pretraining=file.pretraining,
        augment=file.augment,
        recogniser=file.recogniser,
    )

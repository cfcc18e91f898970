"""The examples that a system is trained on: read, checked, and known again. No model library is loaded here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.attack_sets.fingerprints import Fingerprints, clean_fingerprints, fingerprints
from robustbench_char.attack_sets.manifest import Manifest, manifest_of_training
from robustbench_char.common.errors import InputError
from robustbench_char.records.training import TrainedAttackInfo
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.labels import gold_of, place_of


def training_examples(
    task: Task, source: NativeFile | Sequence[Example], name: object, limit: int | None
) -> list[Example]:
    """Return the first `limit` examples of a source, which messages call `name`.

    Raises InputError for the first one without a label, and when there are none.
    """
    given = iter(source) if isinstance(source, Sequence) else source.examples()
    examples = list(islice(given, limit))
    for example in examples:
        if gold_of(task, example) is None:
            place, expected = f"{name}: {place_of(example)}", "labelled examples to train on"
            fix = "Train on the train file; test files are often released without labels."
            raise InputError(place, found="an example without label", expected=expected, fix=fix)
    if not examples:
        fix = "Check the file given to `train=`."
        raise InputError(str(name), found="no examples", expected="at least one example", fix=fix)
    return examples


def attack_behind(source: NativeFile | Sequence[Example]) -> Manifest | None:
    """Return the manifest of the attack that a training file came out of, with a warning, None for a clean one.

    Raises InputError for a file that was altered since.
    """
    if isinstance(source, Sequence) or not source.path.is_file():
        return None
    return manifest_of_training(source.path, source_sha256(source.path))


def attacks_on(texts: Iterable[tuple[Path, str]]) -> tuple[TrainedAttackInfo, ...]:
    """Return the attacks that files of plain text, with their SHA-256, came out of, each once and with a warning.

    Raises InputError for a file that was altered since.
    """
    manifests = (manifest_of_training(path, sha256) for path, sha256 in texts)
    return tuple(dict.fromkeys(map(TrainedAttackInfo.of, filter(None, manifests))))


def marks_of(attacks: Iterable[TrainedAttackInfo]) -> dict[str, list[str]]:
    """Return what keys say of attacks on texts that were trained on: nothing of none, whose keys are as ever."""
    suites = [attack.suite_sha256 for attack in attacks]
    return {"attacks": suites} if suites else {}


def known_examples(
    examples: Sequence[Example], source: NativeFile | Sequence[Example], manifest: Manifest | None
) -> Fingerprints:
    """Return the fingerprints of training examples, and of an attacked file also those of its clean ones."""
    known = fingerprints(examples)
    if manifest is None or isinstance(source, Sequence):
        return known
    return np.concatenate([known, clean_fingerprints(source.path.parent, manifest, examples)])

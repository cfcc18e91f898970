"""What stands in front of an encoder: the recogniser that a system is given, or that is trained for it and kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import robustbench_char
from robustbench_char.attacks.suites import load_suites
from robustbench_char.defences.wordrec import Recogniser, RecogniserSettings, train_recogniser
from robustbench_char.defences.wordrec.files import CONFIG
from robustbench_char.defences.wordrec.sentences import FirstExamples
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.training.checkpoints import run_key

__all__ = ["trained_recogniser"]

RECOGNISERS_FOLDER = "recognisers"
"""Where a store keeps recognisers that were trained for a system, each under the hash of what decides it."""


def trained_recogniser(
    store: Path, task: Task, train: NativeFile, sha256: str, limit: int | None, *, progress: bool
) -> Recogniser:
    """Return the recogniser for the words of a training file, from the store or trained now with default settings."""
    settings = RecogniserSettings()
    decides = {
        "task": task.model_dump(mode="json"),
        "train": [sha256, limit],
        "settings": asdict(settings),
        "suite": load_suites(settings.suite, task=task.name)[0].sha256,
        "version": robustbench_char.__version__,
    }
    folder = store / RECOGNISERS_FOLDER / run_key(decides)
    if not (folder / CONFIG).is_file():
        train_recogniser(
            output=folder, task=task, source=FirstExamples(train, limit), settings=settings, progress=progress
        )
    return Recogniser.load(folder)

"""Evaluating one system on one file: a prediction for every example, scores, and where they come from."""

from __future__ import annotations

import time
from pathlib import Path

from robustbench_char.attack_sets.write import source_sha256
from robustbench_char.inference.attack_set import attack_set_of
from robustbench_char.inference.load_system import device_name, load_system
from robustbench_char.inference.results import data_info, done_before, keep
from robustbench_char.inference.scoring import check_seed, check_task, golds_of, scored_by, write_scored
from robustbench_char.records.evaluation import Record
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.training.saved_system import system_info

__all__ = ["evaluate"]


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
    check_task(system, file, task, attack)
    check_seed(system, file, attack)
    examples = list(file.examples())
    golds = golds_of(system, file, examples)
    data = data_info(file, sha256, examples, attack, source=source)
    again = done_before(output, system.file.task, system_info(system.file), data, overwrite=overwrite)
    predictions = system.run(examples, batch_size=batch_size, progress=progress)
    scored = scored_by(system, examples, golds, predictions, attack)

    def write(target: Path) -> Record:
        seconds = time.monotonic() - started
        return write_scored(target, system, data, scored, device=device_name(system.device), wall_seconds=seconds)

    return keep(output, write, inputs=(folder, file.path), overwrite=overwrite, again=again)

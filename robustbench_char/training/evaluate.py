"""Evaluating one system on one file: a prediction for every example, scores, and where they come from."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from robustbench_char.common import InputError
from robustbench_char.common.files import check_writable, output_folder, safe_name
from robustbench_char.evaluation.records import DataInfo, Record, read_record
from robustbench_char.tasks.attack_files import source_sha256
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.training.attack_sets import attack_set_of
from robustbench_char.training.predict import System, device_name, load_system
from robustbench_char.training.scoring import Scored, check_seed, check_task, golds_of, write_scored
from robustbench_char.training.system_files import system_info

__all__ = ["evaluate"]

RECORD = "record.json"


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
    name = source or safe_name(file.path.name)
    data = DataInfo(source=name, sha256=sha256, examples=len(examples), attack=attack.info() if attack else None)
    done_before = _done_before(output, system, data, overwrite)
    predictions = system.run(examples, batch_size=batch_size, progress=progress)
    scored = Scored.of(system, examples, golds, predictions, attack)
    if output is None:
        with TemporaryDirectory() as scratch:
            return _write(Path(scratch), system, data, scored, started)
    inputs = (folder, file.path)
    with output_folder(output, overwrite=overwrite, volatile=(RECORD,) if done_before else (), inputs=inputs) as target:
        return _write(target, system, data, scored, started)


def _write(folder: Path, system: System, data: DataInfo, scored: Scored, started: float) -> Record:
    seconds = time.monotonic() - started
    return write_scored(folder, system, data, scored, device=device_name(system.device), wall_seconds=seconds)


def _done_before(output: Path | None, system: System, data: DataInfo, overwrite: bool) -> bool:
    """Return whether `output` holds this system on these data. Raises InputError for other content."""
    if output is not None:
        check_writable(output)
    if output is None or not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    if (output / RECORD).is_file():
        old = read_record(output / RECORD)
        if (old.task, old.system, old.data) == (system.file.task.name, system_info(system.file), data):
            return True
    if not overwrite:
        raise InputError(
            output,
            found="an output folder with other content",
            expected="a new folder, or the record of this very evaluation",
            fix="Choose another --output, or add --overwrite to replace it.",
        )
    return False

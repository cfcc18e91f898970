"""Predicting and scoring as two steps with files between them: a new score needs no new prediction."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from robustbench_char.attack_sets.write import source_sha256
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance, provenance
from robustbench_char.inference.attack_set import attack_set_of
from robustbench_char.inference.load_system import Predictions, device_name, load_system, open_parts
from robustbench_char.inference.results import data_info
from robustbench_char.inference.said import prediction_json, prediction_of
from robustbench_char.inference.scoring import check_seed, check_task, golds_of, scored_by, write_scored
from robustbench_char.records.evaluation import Record
from robustbench_char.tasks.base import NativeFile

__all__ = ["PREDICTED", "SAID", "predict_file", "score_predicted"]

PREDICTED, SAID = "predicted.json", "said.parquet"
_EXPECTED, _FIX = "what predicting wrote", "Predict again."


class PredictedFile(Frozen):
    """`predicted.json`: who predicted on what, and what it took; the predictions stand in `said.parquet` beside it."""

    schema_version: Literal[1] = Field(1, alias="schema")
    run: str
    sha256: str
    limit: int | None
    examples: int
    truncated_examples: int
    pieces: int
    said_sha256: str
    predict_seconds: float
    wall_seconds: float
    device: str
    created: str
    provenance: Provenance


def predict_file(
    folder: Path,
    file: NativeFile,
    output: Path,
    *,
    limit: int | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> None:
    """Have a fine-tuned system predict the first `limit` examples of a file; write them into `output`, a new folder.

    Raises InputError for an unusable system folder, and for data that are not the system's task's.
    """
    started = time.monotonic()
    system = load_system(folder)
    sha256 = source_sha256(file.path)
    attack = attack_set_of(file.path, sha256)
    check_task(system, file, None, attack)
    check_seed(system, file, attack)
    examples = list(islice(file.examples(), limit))
    golds_of(system, file, examples)  # says at once what could not be scored
    found = system.run(examples, batch_size=batch_size, progress=progress)
    output.mkdir(parents=True)
    said = {"row": [one.row for one in examples], "prediction": [prediction_json(one) for one in found.values]}
    pq.write_table(pa.table(said), output / SAID, compression="zstd")
    written = PredictedFile(
        run=system.file.run,
        sha256=sha256,
        limit=limit,
        examples=len(examples),
        truncated_examples=found.truncated_examples,
        pieces=found.pieces,
        said_sha256=sha256_file(output / SAID),
        predict_seconds=found.seconds,
        wall_seconds=time.monotonic() - started,
        device=device_name(system.device),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )
    write_json(output / PREDICTED, written.model_dump(mode="json", by_alias=True))


def score_predicted(
    folder: Path,
    file: NativeFile,
    predicted: Path,
    output: Path,
    *,
    source: str | None = None,
    label: str | None = None,
) -> Record:
    """Score what `predict_file` wrote for this system and file; write record, predictions and counts into `output`.

    `source` is how the record calls the file (default: its name), `label` how it calls the system (default: as
    system.json says). Raises InputError for predictions of another system
    or file, and for damaged ones.
    """
    started = time.monotonic()
    system = open_parts(folder, label=label)
    sha256 = source_sha256(file.path)
    held = _read(predicted, {"run": system.file.run, "sha256": sha256})
    attack = attack_set_of(file.path, sha256)
    examples = list(islice(file.examples(), held.limit))
    golds = golds_of(system, file, examples)
    said = pq.read_table(predicted / SAID)["prediction"].to_pylist()
    values = [prediction_of(system.file.task.family, text) for text in said]
    predictions = Predictions(values, held.truncated_examples, held.pieces, held.predict_seconds)
    data = data_info(file, sha256, examples, attack, source=source, limit=held.limit)
    scored = scored_by(system, examples, golds, predictions, attack)
    output.mkdir(parents=True)
    seconds = held.wall_seconds + time.monotonic() - started
    return write_scored(output, system, data, scored, device=held.device, wall_seconds=seconds)


def _read(folder: Path, wanted: dict[str, str]) -> PredictedFile:
    """Return `predicted.json`, checked against what it should be about, and its table against its hash."""
    held = read_json_model(folder / PREDICTED, PredictedFile, expected=_EXPECTED, fix=_FIX)
    there = folder / SAID
    found = {"run": held.run, "sha256": held.sha256}
    damaged = not there.is_file() or sha256_file(there) != held.said_sha256
    if damaged or found != wanted:
        raise InputError(
            there if damaged else folder / PREDICTED,
            found="a missing or altered file" if damaged else "predictions of another system, or on another file",
            expected="the predictions of this system on this file",
            fix=_FIX,
        )
    return held

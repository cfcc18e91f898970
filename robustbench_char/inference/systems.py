"""Fine-tuned systems as sources of predictions: with their model, or with what they predicted in an earlier step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from transformers import PreTrainedModel

from robustbench_char.attack_sets.fingerprints import clean_fingerprints, fingerprints
from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance, provenance
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.defences.opening import open_defence
from robustbench_char.inference._attack_set import AttackSet, PieceCounter, piece_counts
from robustbench_char.inference._defended import defend
from robustbench_char.inference._identities import refuse_labels
from robustbench_char.inference._models import LoadedModel
from robustbench_char.inference.evaluate import read_labelled
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.results import Predictions, prediction_json, prediction_of
from robustbench_char.models.batching import Batching, shortest
from robustbench_char.models.folders import weights_sha256
from robustbench_char.models.system import Defence, System
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.training.families import make_recipe
from robustbench_char.training.saved import DEFENCE, SystemFile, read_fingerprints, read_system, system_info

__all__ = ["LoadedSystem", "StoredPredictions", "load_system", "predict_file"]

_PREDICTED, _TABLE = "predicted.json", "predicted.parquet"


class _SystemSource:
    """What a saved system (its folder, its `system.json`) says of itself as a source of predictions."""

    origin = "which the system was fine-tuned on"

    def __init__(self, folder: Path, file: SystemFile, kind: System) -> None:
        self.file, self.kind = file, kind
        self.task, self.info, self.classes = file.task, system_info(file), file.labels or None
        self.pieces: PieceCounter | None = partial(piece_counts, kind.tokenizer)
        self.inputs: tuple[Path, ...] = (folder,)

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Raise InputError where the attack has a seed of the attacked copies that the system was fine-tuned on."""
        augment = self.file.augment
        if attack and augment and augment.seed <= attack.seed < augment.seed + augment.seeds:
            found = f"an attack with seed {attack.seed}, which the system's training copies were attacked with"
            fix = "Attack the file again with another --seed."
            raise InputError(file.path, found=found, expected="another seed", fix=fix)

    def trained_on(self, file: NativeFile, sha256: str, attack: AttackSet | None, examples: Sequence[Example]) -> int:
        """Return how many of the first examples of a file training saw; of an older system, by the hash of the file."""
        train, known = self.file.train, read_fingerprints(self.inputs[0], self.file)
        if known is not None:
            seen = np.isin(fingerprints(examples), known)
            if attack:
                seen |= np.isin(clean_fingerprints(attack.folder, attack.manifest, examples), known)
            return int(seen.sum())
        same = train.sha256 in (sha256, attack.manifest.input.sha256 if attack else None) and file.path.is_file()
        return sum(example.row < train.examples for example in examples) if same else 0


class LoadedSystem(LoadedModel, _SystemSource):
    """A fine-tuned system with its model on the best device there is, in single precision."""

    def __init__(
        self, folder: Path, file: SystemFile, kind: System, model: PreTrainedModel, *, seconds: float = 0.0
    ) -> None:
        super().__init__(folder, file, kind)
        self.recipe = make_recipe(file.task, file.labels, file.settings)
        self.seconds = seconds
        self.place(model)
        if kind.any_type:
            front, kind.defence = kind.defence, None
            self.batching = Batching(least=shortest(model.config))
            self.measure(folder)
            kind.defence = front


def load_system(folder: Path) -> LoadedSystem:
    """Load a folder that `finetune` wrote. Raises InputError for a file that is missing, damaged, altered, too new."""
    started = time.monotonic()
    file = read_system(folder)
    _check_weights(folder, weights_sha256(folder), file.weights_sha256, "The weights were altered")
    kind = _open(folder, file, _defence(folder, file))
    model = kind.load(folder, file.task.family)
    return LoadedSystem(folder, file, kind, model, seconds=time.monotonic() - started)


def open_named(name: str, task: Task | None, options: ModelOptions) -> LoadedSystem:
    """Return the system in a folder, behind a defence if one is named. Raises InputError for what cannot be opened."""
    refuse_labels(options, "a system that `finetune` wrote")
    system = load_system(Path(name).expanduser())
    if options.defence:
        defend(system, options.defence)
    return system


def _open(folder: Path, file: SystemFile, defence: Defence | None) -> System:
    kind: type[System] = SYSTEMS.get(file.system, place=f"{folder / 'system.json'}: system")
    return kind.open(folder, words=file.task.family == "tagging", defence=defence)


_EARLIER = "recogniser"
"""Where earlier versions saved the defence."""


def _defence(folder: Path, file: SystemFile) -> Defence | None:
    """Return the defence in front of a system. Raises InputError when it is not the one it was saved with."""
    if file.defence is None:
        return None
    home = folder / (_EARLIER if (folder / _EARLIER).is_dir() else DEFENCE)
    defence = open_defence(home)
    _check_weights(home, defence.info.sha256, file.defence.sha256, "The defence was exchanged")
    return defence


def _check_weights(folder: Path, actual: str, expected: str, change: str) -> None:
    if actual != expected:
        fix = f"{change} after training: copy the folder again, or fine-tune again."
        found = f"weights with SHA-256 {actual}"
        raise InputError(folder, found=found, expected=f"{expected}, as system.json says", fix=fix)


class _PredictedFile(Frozen):
    """`predicted.json`: who predicted the first `limit` examples of which file; the table beside it holds them."""

    schema_version: Literal[1] = Field(1, alias="schema")
    run: str
    sha256: str
    limit: int | None
    counts: dict[str, int]
    table_sha256: str
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
    """Have a saved system predict the first `limit` examples of a file; write them into `output`, a new folder.

    A new score then needs no new prediction (see `StoredPredictions`). Raises InputError for an unusable system folder,
    and for data that could not be scored.
    """
    started = time.monotonic()
    system = load_system(folder)
    data = read_labelled(system, file, limit=limit)
    predictions = system.predict(data.examples, batch_size=batch_size, progress=progress)
    output.mkdir(parents=True)
    table = pa.table({"prediction": [prediction_json(value) for value in predictions.values]})
    pq.write_table(table, output / _TABLE, compression="zstd")
    written = _PredictedFile(
        run=system.file.run,
        sha256=data.sha256,
        limit=limit,
        counts=predictions.counts,
        table_sha256=sha256_file(output / _TABLE),
        predict_seconds=predictions.seconds,
        wall_seconds=time.monotonic() - started,
        device=system.device,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )
    write_json(output / _PREDICTED, written.model_dump(mode="json", by_alias=True))


class StoredPredictions(_SystemSource):
    """What `predict_file` wrote for a saved system, which is opened without its weights.

    `limit` is how many examples were predicted (None: all of the file). `label` is how records call the system
    (default: as system.json says). Raises InputError for predictions of another system, and for damaged ones.
    """

    def __init__(self, folder: Path, predicted: Path, *, label: str | None = None) -> None:
        file = read_system(folder)
        named = file if label is None else file.model_copy(update={"label": label})
        super().__init__(folder, named, _open(folder, file, None))
        self.inputs = (folder, predicted)
        self._header = read_json_model(
            predicted / _PREDICTED, _PredictedFile, expected="what predicting wrote", fix="Predict again."
        )
        self._table = predicted / _TABLE
        if not self._table.is_file() or sha256_file(self._table) != self._header.table_sha256:
            raise self._wrong(self._table, "a missing or altered file")
        self.limit, self.device, self.seconds = self._header.limit, self._header.device, self._header.wall_seconds
        self._check_equal(self._header.run, file.run)

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Raise InputError for another file than was predicted."""
        super().check(file, sha256, attack)
        self._check_equal(self._header.sha256, sha256)

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Return the predictions as they were stored."""
        texts = pq.read_table(self._table)["prediction"].to_pylist()
        values = [prediction_of(self.task.family, text) for text in texts]
        return Predictions(values, self._header.predict_seconds, self._header.counts)

    def _check_equal(self, stored: str, expected: str) -> None:
        if stored != expected:
            raise self._wrong(self._table.with_name(_PREDICTED), "predictions of another system, or on another file")

    def _wrong(self, path: Path, found: str) -> InputError:
        expected = "the predictions of this system on this file"
        return InputError(path, found=found, expected=expected, fix="Predict again.")

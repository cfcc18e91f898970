"""A fine-tuned system on disk: what `save_pretrained` writes, `system.json` (its history), log of the loss."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field
from safetensors import SafetensorError
from transformers import PreTrainedModel

from robustbench_char.common import InputError
from robustbench_char.common.files import read_json, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.models.checkpoints import quiet
from robustbench_char.models.folders import check_model_folder, refuse_html, weights_sha256
from robustbench_char.models.system import System
from robustbench_char.records.evaluation import AugmentInfo, PretrainingInfo, RecogniserInfo, SystemInfo
from robustbench_char.tasks.base import Task
from robustbench_char.training.options import Settings

__all__ = [
    "RECOGNISER",
    "SYSTEMS_FOLDER",
    "VOLATILE",
    "BaseInfo",
    "SavedSystem",
    "SystemFile",
    "TrainInfo",
    "finished_run",
    "read_log",
    "read_system",
    "save_system",
    "system_info",
    "trained_before",
    "write_system",
]

SYSTEM, LOG, RECOGNISER = "system.json", "training_log.json", "recogniser"
SYSTEMS_FOLDER = "systems"
"""Where a store keeps finished systems, each under the hash of its run."""
VOLATILE = (SYSTEM, LOG)
"""Files that hold times or the state of the checkout: two equal runs may differ in them."""

_SCHEMA = 1


class BaseInfo(Frozen):
    """The checkpoint that training started from; `name` is not a path, `revision` the hub's commit."""

    name: str
    revision: str | None
    weights_sha256: str


class TrainInfo(Frozen):
    """What it was trained on: `examples` as given and `attacked_copies` of some of them.

    Long contexts give several `windows`; the length limit cut `truncated_examples` of both kinds.
    """

    source: str
    sha256: str
    examples: int
    windows: int
    truncated_examples: int
    attacked_copies: int = 0


class SystemFile(Frozen):
    """`system.json`. `run` is the hash of all that decides the result; `labels` in the order of the model's outputs.

    `training` is the hash of what decides the weights alone. `label` is how reports call the system (None: by its
    name). `extra_parameters` counts those beyond the plain encoder and its head.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    system: str
    task: Task
    labels: tuple[str, ...]
    base: BaseInfo
    settings: Settings
    train: TrainInfo
    parameters: int
    weights_sha256: str
    run: str
    provenance: Provenance
    training: str | None = None
    label: str | None = None
    extra_parameters: int | None = None
    pretraining: PretrainingInfo | None = None
    augment: AugmentInfo | None = None
    recogniser: RecogniserInfo | None = None


class SavedSystem(NamedTuple):
    """A fine-tuned system: the folder it stands in, and what its `system.json` says."""

    folder: Path
    file: SystemFile


def save_system(folder: Path, model: PreTrainedModel, kind: System) -> str:
    """Write config, weights, tokenizer, recogniser; return the SHA-256 of the model's weights.

    Raises OSError for a full disk.
    """
    try:
        with quiet():
            model.save_pretrained(folder)
        if kind.recogniser:
            kind.recogniser.save(folder / RECOGNISER)
    except SafetensorError as error:
        raise OSError(str(error)) from None
    kind.save(folder)
    return weights_sha256(folder)


def write_system(folder: Path, system: SystemFile, log: list[dict[str, float | None]]) -> None:
    """Write `system.json` and the log of the loss (one entry every few steps)."""
    write_json(folder / SYSTEM, system.model_dump(mode="json", by_alias=True))
    write_json(folder / LOG, {"schema": _SCHEMA, "log": log})


def read_system(folder: Path) -> SystemFile:
    """Check a folder and return its `system.json`. Raises InputError for a missing, damaged or newer file."""
    path = folder / SYSTEM
    check_model_folder(folder, any_type=path.is_file())
    if not path.is_file():
        raise InputError(
            folder,
            found=f"no {SYSTEM}",
            expected="a folder that `finetune` wrote",
            fix="Fine-tune this model first: `robustbench-char finetune TASK --base FOLDER ...`.",
        )
    refuse_html(path, expected="JSON")
    system = read_json_model(
        path, SystemFile, expected="a file that `finetune` wrote", fix="Fine-tune the system again."
    )
    if not SYSTEMS.get(system.system, place=f"{path}: system").any_type:
        check_model_folder(folder)
    return system


def system_info(file: SystemFile) -> SystemInfo:
    """Return what records say about a system."""
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


def read_log(folder: Path) -> list[dict[str, float | None]]:
    """Return the log of the loss that `write_system` wrote."""
    log: list[dict[str, float | None]] = read_json(folder / LOG)["log"]
    return log


def trained_before(store: Path, training: str) -> Path | None:
    """Return a system in the store whose weights come from the same training, or None."""
    for path in sorted((store / SYSTEMS_FOLDER).glob(f"*/{SYSTEM}")):
        saved = read_json(path)
        # Only a match is checked in full: a damaged or newer system elsewhere in the store is none of our business.
        if (
            isinstance(saved, dict)
            and saved.get("training") == training
            and finished_run(path.parent, str(saved["run"]))
        ):
            return path.parent
    return None


def finished_run(folder: Path, run: str) -> bool:
    """Return whether `folder` holds the whole result of the run with this hash."""
    if not (folder / SYSTEM).is_file():
        return False
    try:
        system = read_system(folder)
    except InputError:
        return False
    return system.run == run and system.weights_sha256 == weights_sha256(folder)

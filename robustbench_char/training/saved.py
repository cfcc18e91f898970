"""What training leaves in a folder: the model as `save_pretrained` writes it, its history as JSON, the log of losses.

`system.json` tells of a fine-tuned system, `pretraining.json` of a pre-trained encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field
from transformers import PreTrainedModel

from robustbench_char.attack_sets.fingerprints import Fingerprints
from robustbench_char.common import InputError
from robustbench_char.common.files import read_json, sha256_bytes, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.models.checkpoints import quiet
from robustbench_char.models.folders import check_model_folder, refuse_html, weights_sha256
from robustbench_char.models.system import System
from robustbench_char.records.defence import KEYS, StoredDefence
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.training import AugmentInfo, PretrainingInfo, TrainedAttackInfo
from robustbench_char.tasks.base import Task
from robustbench_char.training.options import Settings
from robustbench_char.training.pretraining.options import CharacterSettings, PretrainSettings

__all__ = ["DEFENCE", "SYSTEM", "SavedSystem", "SystemFile", "read_system", "system_info"]

SYSTEM, PRETRAINING, LOG, DEFENCE = "system.json", "pretraining.json", "training_log.json", "defence"
FINGERPRINTS = "training_fingerprints.hashes"
"""8 bytes for each example of the training data, by which it is known again (see `attack_sets.fingerprints`)."""
SYSTEMS_FOLDER = "systems"
"""Where a store keeps finished systems, each under the hash of its run."""
ALSO = {"charbert": ("characters",)}
"""Further pre-trainings, beside its own, that a system starts from."""
VOLATILE = (SYSTEM, PRETRAINING, LOG)
"""Files that hold times or the state of the checkout: two equal runs may differ in them."""


class BaseInfo(Frozen):
    """The checkpoint that training started from; `name` is not a path, `revision` the hub's commit.

    `dropped_head` is the head for a task that it had, and that a new one took the place of.
    """

    name: str
    revision: str | None
    weights_sha256: str
    dropped_head: str | None = None


class TrainInfo(Frozen):
    """What it was trained on: `examples` as given and `attacked_copies` of some of them, of all epochs.

    Long contexts give several `windows`; the length limit cut `truncated_examples` of both kinds. `attack` is that
    which the file had gone through. The fingerprints of all examples, clean and as read, stand in FINGERPRINTS (None:
    not kept, by older versions).
    """

    source: str
    sha256: str
    examples: int
    windows: int
    truncated_examples: int
    attacked_copies: int = 0
    attack: TrainedAttackInfo | None = None
    fingerprints_sha256: str | None = None


class SystemFile(Frozen):
    """`system.json`. `run` is the hash of all that decides the result; `labels` in the order of the model's outputs.

    `training` is the hash of what decides the weights alone. `label` is how reports call the system (None: by its
    name). `extra_parameters` counts those beyond the plain encoder and its head. `gates` says how far each is
    open, by what it lets in and layer; `gate` is what older files say of that of a defence.
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
    gate: float | None = None
    gates: dict[str, tuple[float, ...]] | None = None
    pretraining: PretrainingInfo | None = None
    augment: AugmentInfo | None = None
    defence: StoredDefence | None = Field(None, validation_alias=KEYS)


class SavedSystem(NamedTuple):
    """A fine-tuned system: the folder it stands in, and what its `system.json` says."""

    folder: Path
    file: SystemFile


class TextInfo(Frozen):
    """One text file; its name is not a path."""

    name: str
    sha256: str


class PretrainingFile(Frozen):
    """`pretraining.json`.

    `lines` and `words` (between white space) are those of the training text, without the held-out lines;
    `heldout_texts` is empty where every 100th line was held out. `tokens` are the sub-words seen, special ones
    included, over `passes` begun. `parameters` counts the heads too. `tokens_per_second` is over
    the whole `wall_seconds`, scoring included. `heldout`: the last scores on held-out text.
    `continues` is the run of the pre-training that the base came from. `run`: the hash of all that decides the result.
    Characters were trained alone under the suite `character_noise` with `character_operators`. Of characters `texts`
    are the word lists and the text, `words` the known words; there are no `lines` and no `tokens`. `attacks`: those
    that the texts, also of the base's own pre-training, had gone through.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    system: str
    base: BaseInfo
    continues: str | None
    settings: PretrainSettings | CharacterSettings
    texts: tuple[TextInfo, ...]
    heldout_texts: tuple[TextInfo, ...]
    lines: int
    words: int
    processes: int
    steps: int
    tokens: int
    passes: int
    wall_seconds: float
    tokens_per_second: float | None
    parameters: int
    heldout: dict[str, float | None]
    weights_sha256: str
    run: str
    provenance: Provenance
    character_noise: str | None = None
    character_operators: tuple[str, ...] = ()
    attacks: tuple[TrainedAttackInfo, ...] = ()

    @property
    def text_sha256(self) -> str:
        """The hash of the text: of one file, or over the hashes of several, in order."""
        hashes = [text.sha256 for text in self.texts]
        return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())


@dataclass(frozen=True)
class PretrainedEncoder:
    """A pre-trained encoder: the folder it stands in, which serves as a base, and what its `pretraining.json` says."""

    folder: Path

    @cached_property
    def file(self) -> PretrainingFile | None:
        """What is written about it; None in a process that only helped another one to train it."""
        return read_pretraining(self.folder)


def save_system(folder: Path, model: PreTrainedModel, kind: System) -> str:
    """Write config, weights, tokenizer, defence; return the SHA-256 of the model's weights."""
    save_model(folder, model)
    if kind.defence:
        kind.defence.save(folder / DEFENCE)
    kind.save(folder)
    return weights_sha256(folder)


def save_model(folder: Path, model: PreTrainedModel) -> None:
    """Write config and weights."""
    with quiet():
        model.save_pretrained(folder)


def write_fingerprints(folder: Path, known: Fingerprints) -> str:
    """Write the fingerprints of the training data into a folder, and return the SHA-256 of their file."""
    data = np.unique(known).astype("<u8").tobytes()
    (folder / FINGERPRINTS).write_bytes(data)
    return sha256_bytes(data)


def read_fingerprints(folder: Path, file: SystemFile) -> Fingerprints | None:
    """Return the fingerprints of the training data of a system, None of an older one.

    Raises InputError for a file that is missing or was altered.
    """
    if file.train.fingerprints_sha256 is None:
        return None
    path = folder / FINGERPRINTS
    data = path.read_bytes() if path.is_file() else b""
    if sha256_bytes(data) != file.train.fingerprints_sha256:
        found = "another content than training wrote" if path.is_file() else "no such file"
        expected, fix = "the fingerprints of the training data", "Copy the folder again, or fine-tune again."
        raise InputError(path, found=found, expected=expected, fix=fix)
    return np.frombuffer(data, "<u8").astype(np.uint64)


def write_history(folder: Path, file: SystemFile | PretrainingFile, **log: list[dict[str, Any]]) -> None:
    """Write the history of a model, and the log of the loss (one entry every few steps)."""
    name = SYSTEM if isinstance(file, SystemFile) else PRETRAINING
    write_json(folder / name, file.model_dump(mode="json", by_alias=True))
    write_json(folder / LOG, {"schema": 1, **log})


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
    expected, fix = "a file that `finetune` wrote", "Fine-tune the system again."
    system = read_json_model(path, SystemFile, expected=expected, fix=fix)
    if not SYSTEMS.get(system.system, place=f"{path}: system").any_type:
        check_model_folder(folder)
    return system


def system_info(file: SystemFile) -> SystemInfo:
    """Return what records say about a system."""
    return SystemInfo(
        name=file.system,
        base=file.pretraining.base if file.pretraining else file.base.name,
        dropped_head=file.base.dropped_head,
        base_sha256=file.base.weights_sha256,
        trained_attack=file.train.attack,
        gates=file.gates if file.gate is None else {"candidates": (file.gate,)},
        training_seed=file.settings.seed,
        training_sha256=file.train.sha256,
        settings={**file.settings.model_dump(mode="json"), "training_examples": file.train.examples},
        pretraining=file.pretraining,
        augment=file.augment,
        defence=file.defence,
        **file.model_dump(include={"parameters", "weights_sha256", "label", "extra_parameters"}),
    )


def read_log(folder: Path) -> list[dict[str, float | None]]:
    """Return the log of the loss that `write_history` wrote."""
    log: list[dict[str, float | None]] = read_json(folder / LOG)["log"]
    return log


def trained_before(store: Path, training: str) -> Path | None:
    """Return a system in the store whose weights come from the same training, or None."""
    for path in sorted((store / SYSTEMS_FOLDER).glob(f"*/{SYSTEM}")):
        saved = read_json(path)
        # Only a match is checked in full: a damaged or newer system elsewhere in the store is none of our business.
        alike = isinstance(saved, dict) and saved.get("training") == training
        if alike and finished_run(path.parent, str(saved["run"])):
            return path.parent
    return None


def finished_run(folder: Path, run: str, *, pretraining: bool = False) -> bool:
    """Return whether `folder` holds the whole result of the run with this hash."""
    try:
        file = read_pretraining(folder) if pretraining else read_system(folder)
        return file is not None and file.run == run and file.weights_sha256 == weights_sha256(folder)
    except InputError:
        return False


def read_pretraining(folder: Path) -> PretrainingFile | None:
    """Return a folder's `pretraining.json`, or None without one. Raises InputError for a damaged or newer file."""
    path = folder / PRETRAINING
    expected, fix = "a file that `pretrain` wrote", "Pre-train the system again."
    return read_json_model(path, PretrainingFile, expected=expected, fix=fix) if path.is_file() else None


_AS_RECORDED = {
    "system", "steps", "tokens", "tokens_per_second", "wall_seconds", "character_noise", "character_operators",
    "attacks",
}  # fmt: skip


def pretraining_info(folder: Path) -> PretrainingInfo | None:
    """Return what records say of a folder's pre-training, or None where `pretrain` did not write it."""
    if (file := read_pretraining(folder)) is None:
        return None
    return PretrainingInfo(
        base=file.base.name,
        text=tuple(text.name for text in file.texts),
        text_sha256=file.text_sha256,
        noise=file.settings.suite,
        noise_share=file.settings.noise,
        **file.model_dump(include=_AS_RECORDED),
    )

"""`pretraining.json`: what pre-training wrote into its folder beside the model, and how it is read again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_bytes, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance
from robustbench_char.models.folders import weights_sha256
from robustbench_char.records.evaluation import PretrainingInfo
from robustbench_char.training.pretraining.corpus import TextInfo
from robustbench_char.training.pretraining.options import PretrainSettings
from robustbench_char.training.pretraining.trainer import Log
from robustbench_char.training.saved_system import BaseInfo

__all__ = [
    "PRETRAINING",
    "VOLATILE",
    "PretrainedEncoder",
    "PretrainingFile",
    "finished_pretraining",
    "pretraining_info",
    "read_pretraining",
    "write_pretraining",
]

PRETRAINING, LOG = "pretraining.json", "training_log.json"
VOLATILE = (PRETRAINING, LOG)


class PretrainingFile(Frozen):
    """`pretraining.json`.

    `lines` and `words` (between white space) are those of the training text, without the held-out lines;
    `heldout_texts` is empty where every 100th line was held out. `tokens` are the sub-words seen, special ones
    included, over `passes` begun. `parameters` counts the heads too. `tokens_per_second` is over
    the whole `wall_seconds`, scoring included. `heldout`: the last scores on held-out text.
    `continues` is the run of the pre-training that the base came from. `run`: the hash of all that decides the result.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    system: str
    base: BaseInfo
    continues: str | None
    settings: PretrainSettings
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


def write_pretraining(folder: Path, file: PretrainingFile, log: Log) -> None:
    """Write `pretraining.json` and the log."""
    write_json(folder / PRETRAINING, file.model_dump(mode="json", by_alias=True))
    entries: dict[str, Any] = {"schema": 1, "log": log.training, "heldout": log.heldout}
    write_json(folder / LOG, entries)


def read_pretraining(folder: Path) -> PretrainingFile | None:
    """Return a folder's `pretraining.json`, or None without one. Raises InputError for a damaged or newer file."""
    path = folder / PRETRAINING
    if not path.is_file():
        return None
    return read_json_model(
        path, PretrainingFile, expected="a file that `pretrain` wrote", fix="Pre-train the system again."
    )


def pretraining_info(folder: Path) -> PretrainingInfo | None:
    """Return what records say of a folder's pre-training, or None where `pretrain` did not write it."""
    file = read_pretraining(folder)
    if file is None:
        return None
    return PretrainingInfo(
        system=file.system,
        base=file.base.name,
        steps=file.steps,
        tokens=file.tokens,
        tokens_per_second=file.tokens_per_second,
        wall_seconds=file.wall_seconds,
        text=tuple(text.name for text in file.texts),
        text_sha256=file.text_sha256,
        noise=file.settings.suite,
        noise_share=file.settings.noise,
    )


def finished_pretraining(folder: Path, run: str) -> bool:
    """Return whether `folder` holds the whole result of the run with this hash."""
    try:
        file = read_pretraining(folder)
        return file is not None and file.run == run and file.weights_sha256 == weights_sha256(folder)
    except InputError:
        return False

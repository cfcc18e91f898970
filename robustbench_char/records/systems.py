"""What records say of a system: how it was made, what stands before it, and what decides its predictions."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr

from robustbench_char.common.files import sha256_bytes
from robustbench_char.common.frozen import Frozen
from robustbench_char.records.chat import ChatInfo
from robustbench_char.records.defence import KEYS, StoredDefence
from robustbench_char.records.training import AugmentInfo, PretrainingInfo, TrainedAttackInfo

__all__ = ["ForeignModelInfo", "PredictorInfo", "SystemInfo"]


class PredictorInfo(Frozen):
    """Where a predictor comes from: module (or name of the file) and attribute, the package that registers it.

    `version` is the one that it gives itself; `source_sha256` is a hash of its source, None where a version stands for
    it and in older records.
    """

    distribution: str = ""
    distribution_version: str = ""
    entry_point: str
    version: str | None = None
    source_sha256: str | None = None


class ForeignModelInfo(Frozen):
    """A model that was fine-tuned elsewhere, on what is not known: its source (a hub id, or the folder's name).

    `labels` pairs each label of the model, in its order, with what it means in the task (None: nothing); `missing` are
    labels of the task that it does not have. `tag_scheme` is the model's own. `words_alone` says that its tokenizer
    does not tell where pieces stand, so that words were tokenised one by one.
    """

    source: str
    revision: str | None = None
    architecture: str
    labels: tuple[tuple[str, str | None], ...] = ()
    missing: tuple[str, ...] = ()
    tag_scheme: str | None = None
    max_length: int
    words_alone: bool = False

    @property
    def notes(self) -> list[str]:
        """What a user should know before reading its scores, a sentence each."""
        notes = []
        renamed = [f"{name} = {meant or 'none'}" for name, meant in self.labels if name != meant]
        if self.labels:
            notes.append(f"labels of {self.source}: {', '.join(renamed) or 'those of the task'}")
        if self.missing:
            notes.append(f"labels of the task that {self.source} does not have: {', '.join(self.missing)}")
        if self.words_alone:
            notes.append(f"the tokenizer of {self.source} gives no offsets: words are tokenised one by one")
        return notes


class SystemInfo(Frozen):
    """What was evaluated. `settings` holds the hyper-parameters of fine-tuning as resolved.

    `label` is how reports call it (None: by `name`). `parameters` counts those of the model with its head (None: not
    known), `extra_parameters` those beyond the plain base under the same head; a defence's are in `defence` alone.
    `gates`: how far each is open, by layer. Parts that a system does not have are None, as is what an older record does
    not tell. Of a `predictor` nothing but name, label and parameters is known; its `weights_sha256` is a hash of its
    name and of `predictor`, which changes with its source or version. Of the training of a `model` from elsewhere
    nothing is known, nor of a `chat` model, whose hash is that of `chat`. `dropped_head`: what a tuned base has lost.
    `base_sha256` is the hash of the weights that fine-tuning started from, `trained_attack` tells of a training file
    that was itself attacked.
    """

    name: str
    base: str
    parameters: int | None
    training_seed: int | None
    training_sha256: str | None
    settings: dict[str, Any]
    weights_sha256: str
    label: str | None = None
    extra_parameters: int | None = None
    gates: dict[str, tuple[float, ...]] | None = None
    pretraining: PretrainingInfo | None = None
    augment: AugmentInfo | None = None
    defence: StoredDefence | None = Field(None, validation_alias=KEYS)
    predictor: PredictorInfo | None = None
    model: ForeignModelInfo | None = None
    chat: ChatInfo | None = None
    dropped_head: str | None = None
    base_sha256: str | None = None
    trained_attack: TrainedAttackInfo | None = None
    _variant: str = PrivateAttr("")

    @property
    def trained_attacks(self) -> tuple[TrainedAttackInfo, ...]:
        """The attacks that the training file and the text of pre-training had gone through."""
        own = (self.trained_attack,) if self.trained_attack else ()
        return (*(self.pretraining.attacks if self.pretraining else ()), *own)

    @property
    def called(self) -> str:
        """The name that users know the system by."""
        return self.label or self.name

    @property
    def shown(self) -> str:
        """The name that reports call it by: of several systems of one name, with what sets it apart."""
        return f"{self.called} ({self._variant})" if self._variant else self.called

    def varied(self, variant: str) -> SystemInfo:
        """Return the same system under a name that says what sets it apart (see `analysis.variants`)."""
        copy = self.model_copy()
        copy._variant = variant
        return copy

    @property
    def all_weights(self) -> tuple[str, str | None]:
        """The hashes of all that decides a prediction: of the model's weights, and of the defence before it."""
        return self.weights_sha256, self.defence.sha256 if self.defence else None

    @property
    def model_sha256(self) -> str:
        """The hash of both, by which an attack set names the model that was searched."""
        return sha256_bytes(repr(self.all_weights).encode())

    @property
    def all_extra_parameters(self) -> int | None:
        """Parameters beyond the plain base under the same head, a defence's included; None where not known."""
        defence = self.defence.parameters if self.defence else 0
        return None if self.extra_parameters is None else self.extra_parameters + defence

"""The systems on a plain encoder: `bert` with a new head, and those that differ in what stands before or around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from robustbench_char.models.bases import Base, Limits
from robustbench_char.models.checkpoints import (
    load_config,
    load_encoder,
    load_tokenizer,
    positions_of,
    quiet,
    read_model,
    refuse_missing,
)
from robustbench_char.models.system import Defence, System, labelled_config
from robustbench_char.tasks.base import Family

__all__ = [
    "AUTO_HEADS", "AdvBertSystem", "BertAugSystem", "BertChannelSystem", "BertMlmSystem", "BertSpellSystem",
    "BertSystem", "BertWordRecSystem",
]  # fmt: skip

AUTO_HEADS: dict[Family, Any] = {
    "classification": AutoModelForSequenceClassification,
    "tagging": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
}


class BertSystem(System):
    """Fine-tuning of a BERT- or RoBERTa-type encoder as it is."""

    name = "bert"
    recipe = "bert/1"

    @classmethod
    def open(cls, folder: Path, *, words: bool, defence: Defence | None = None) -> Self:
        """Return the system with the tokenizer of `folder`. Raises InputError where it is missing or unusable."""
        return cls(load_tokenizer(folder, words=words), defence)

    @classmethod
    def limits(cls, folder: Path) -> Limits:
        return Limits(positions_of(load_config(folder)))

    @classmethod
    def build(
        cls, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        config = labelled_config(base, family, labels, layers=layers)
        config.architectures = None
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            encoder = load_encoder(base, layers=layers)
            model = AUTO_HEADS[family].from_config(config, dtype=torch.float32)
        # not strict: most heads have no use for the pooler
        model.base_model.load_state_dict(encoder.state_dict(), strict=False)
        return cast(PreTrainedModel, model)

    @classmethod
    def load(cls, folder: Path, family: Family) -> PreTrainedModel:
        model, missing = read_model(AUTO_HEADS[family], folder)
        refuse_missing(folder, missing)
        return model


class BertMlmSystem(BertSystem):
    """An encoder pre-trained further on clean text: what more training brings without noise or characters."""

    name = "bert_mlm"
    pretraining = "bert_mlm"


class AdvBertSystem(BertSystem):
    """An encoder pre-trained further on noised text."""

    name = "advbert"
    pretraining = "advbert"


class BertWordRecSystem(BertSystem):
    """An encoder fine-tuned on the text as given, behind a recogniser of words (Pruthi et al. 2019)."""

    name = "bert_wordrec"
    default_defence = "wordrec"


class BertSpellSystem(BertSystem):
    """An encoder fine-tuned on the text as given, behind an off-the-shelf spelling checker."""

    name = "bert_spell"
    default_defence = "spell"


class BertChannelSystem(BertSystem):
    """An encoder fine-tuned on the text as given, behind a noisy channel (Kernighan et al. 1990)."""

    name = "bert_channel"
    default_defence = "channel"


class BertAugSystem(BertSystem):
    """An encoder fine-tuned on clean and attacked copies of the training examples."""

    name = "bert_aug"
    augmentation = "mixed"

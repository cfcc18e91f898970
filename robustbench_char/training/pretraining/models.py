"""The models that are pre-trained: an encoder with its masked-LM heads, which are computed where there is a target.

A vocabulary decoder costs as much as a small encoder; nine tenths of the positions have nothing to predict.
Shape legend: B batch, T sub-words, N positions with a target, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaModel,
)

from robustbench_char.common import InputError
from robustbench_char.models.checkpoints import Base, load_config, load_tokenizer, read_model, refuse_missing
from robustbench_char.training.pretraining.terms import IGNORED

__all__ = ["Built", "build_encoder", "open_tokenizer", "plain"]


@dataclass(frozen=True)
class Built:
    """A model, and the names of its parameters that the base did not have."""

    model: PreTrainedModel
    new: frozenset[str]


def sparse_loss(head: nn.Module, states: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean loss over the positions with a target (0 without any) and their logits [N, V].

    `states` [B, T, D], `labels` [B, T].
    """
    wanted = labels != IGNORED
    logits = head(states[wanted])
    total = nn.functional.cross_entropy(logits.float(), labels[wanted], reduction="sum")
    return total / wanted.sum().clamp(min=1), logits


class _SparseBert(BertForMaskedLM):  # type: ignore[no-untyped-call]
    """BERT with its pooler, which fine-tuning starts from and pre-training leaves as it is."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `mlm_loss` and `logits` [N, V] at the labelled positions."""
        loss, logits = sparse_loss(self.cls, self.bert(input_ids).last_hidden_state, labels)
        return {"mlm_loss": loss, "logits": logits}


class _SparseRoberta(RobertaForMaskedLM):  # type: ignore[no-untyped-call]
    """RoBERTa in the same way."""

    def __init__(self, config: RobertaConfig) -> None:
        super().__init__(config)
        self.roberta = RobertaModel(config)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `mlm_loss` and `logits` [N, V] at the labelled positions."""
        loss, logits = sparse_loss(self.lm_head, self.roberta(input_ids).last_hidden_state, labels)
        return {"mlm_loss": loss, "logits": logits}


def build_encoder(base: Base, *, layers: int | None, seed: int) -> Built:
    """Return the base under a masked-LM head; what the base lacks is drawn from `seed`."""
    config = load_config(base.folder, layers=layers)
    return load_masked_lm(_SparseRoberta if config.model_type == "roberta" else _SparseBert, base.folder, config, seed)


def load_masked_lm(kind: Any, folder: Path, config: PreTrainedConfig, seed: int) -> Built:
    """Load `kind` with a base's weights. Raises InputError when the files lack part of the plain encoder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, missing = read_model(kind, folder, config=config)
    encoder = (f"{model.base_model_prefix}.embeddings.", f"{model.base_model_prefix}.encoder.layer.")
    refuse_missing(folder, [name for name in missing if name.startswith(encoder)])
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(False)
    return Built(model, frozenset(missing))


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model as what Transformers knows, to be saved; the weights are shared, not copied."""
    for kind in (_SparseBert, _SparseRoberta):
        if isinstance(model, kind):
            model.__class__ = kind.__bases__[0]
    if getattr(model.config, "sparse_prediction", False):
        model.config.sparse_prediction = False
    return model


def open_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return a tokenizer that can mask. Raises InputError for a slow one, and for one without the marks."""
    tokenizer = load_tokenizer(folder)
    for name in ("mask_token_id", "cls_token_id", "sep_token_id"):
        if getattr(tokenizer, name) is None:
            raise InputError(
                folder,
                found=f"a tokenizer without {name.removesuffix('_id')}",
                expected="a tokenizer with mask, beginning and end tokens",
                fix="Use the base checkpoint's own tokenizer.",
            )
    return tokenizer

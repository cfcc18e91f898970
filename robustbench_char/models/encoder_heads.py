"""Heads on any encoder's last hidden state, one a family of tasks: one linear layer over each piece, or their mean.

Shape legend: B batch, T sub-words, D hidden size, L labels.
"""

# Much of Transformers is not annotated.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import (
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)

from robustbench_char.models.encoders import new_encoder
from robustbench_char.tasks.base import Family

__all__ = ["HEADS", "EncoderForClassification", "EncoderForSpans", "EncoderForTagging", "EncoderWithHead"]

_DROPOUT = 0.1


class EncoderWithHead(PreTrainedModel):
    """An encoder under one linear layer of `outputs` numbers. `config` is the encoder's own, with the labels."""

    config_class = PreTrainedConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    spans: ClassVar[bool] = False

    def __init__(self, config: PreTrainedConfig) -> None:
        encoder = new_encoder(config)
        super().__init__(config)
        self.encoder = encoder
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(config.hidden_size, 2 if self.spans else int(config.num_labels or 0))
        self.post_init()

    def states(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """Return the last hidden states [B, T, D], after dropout."""
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        found: Any = self.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **kinds)
        states: Tensor = self.dropout(found.last_hidden_state)
        return states


class EncoderForClassification(EncoderWithHead):
    """A class from the mean over the pieces of the input, special ones included: not every encoder has a [CLS]."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Return logits [B, L], and the loss where `labels` [B] are given."""
        states = self.states(input_ids, attention_mask, token_type_ids)
        mask = attention_mask[..., None].to(states.dtype)
        logits = self.head((states * mask).sum(1) / mask.sum(1))
        return SequenceClassifierOutput(loss=_loss(logits, labels), logits=logits)


class EncoderForTagging(EncoderWithHead):
    """A tag for each piece."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> TokenClassifierOutput:
        """Return logits [B, T, L], and the loss where `labels` [B, T] are given (-100: left out)."""
        logits = self.head(self.states(input_ids, attention_mask, token_type_ids))
        return TokenClassifierOutput(loss=_loss(logits, labels), logits=logits)


class EncoderForSpans(EncoderWithHead):
    """Where an answer starts and ends."""

    spans = True

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Return start and end logits [B, T], and their mean loss where positions [B] are given."""
        starts, ends = self.head(self.states(input_ids, attention_mask, token_type_ids)).unbind(-1)
        losses = _loss(starts, start_positions), _loss(ends, end_positions)
        loss = None if losses[0] is None or losses[1] is None else (losses[0] + losses[1]) / 2
        return QuestionAnsweringModelOutput(loss=loss, start_logits=starts, end_logits=ends)


HEADS: dict[Family, type[EncoderWithHead]] = {
    "classification": EncoderForClassification,
    "tagging": EncoderForTagging,
    "question_answering": EncoderForSpans,
}


def _loss(logits: Tensor, targets: Tensor | None) -> Any:
    """Return the cross-entropy over the last axis in single precision, None without targets."""
    if targets is None:
        return None
    return cross_entropy(logits.reshape(-1, logits.shape[-1]).to(torch.float32), targets.reshape(-1))

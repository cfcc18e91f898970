"""Scores on held-out text: MLM loss and perplexity, NLM loss, hit@1 and hit@5 of the original word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from robustbench_char.training.pretraining.blocks import Block, BlockCollator
from robustbench_char.training.pretraining.terms import IGNORED

__all__ = ["HeldOut", "merged"]

Scores = dict[str, float | None]


def merged(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a batch as the model takes it: what stands for noised words becomes a target beside the masked pieces.

    `nlm_labels` stay where there are character inputs.
    """
    labels, originals = batch["labels"], batch["originals"]
    inputs = {name: value for name, value in batch.items() if name not in ("originals", "nlm_labels")}
    inputs["labels"] = torch.where(labels == IGNORED, originals, labels)
    if "char_input_ids" in batch:
        inputs["nlm_labels"] = batch["nlm_labels"]
    return inputs


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, values: torch.Tensor) -> None:
        self.total, self.count = self.total + float(values.double().sum()), self.count + values.numel()

    @property
    def value(self) -> float | None:
        return self.total / self.count if self.count and math.isfinite(self.total) else None


@dataclass(frozen=True)
class HeldOut:
    """Blocks that are never trained on, noised and masked once."""

    blocks: Sequence[Block]
    collator: BlockCollator
    batch_size: int

    def scores(self, model: PreTrainedModel, autocast: AbstractContextManager[None]) -> Scores:
        """Score a model, in evaluation mode; its mode is put back. A score that is not finite is None.

        `mlm_loss` and `perplexity` (its exponential) are over masked pieces; `noised_loss` over the pieces of noised
        words (`advbert`); `nlm_loss`, `hit_at_1`, `hit_at_5` over the pieces of noised words that are among the terms
        (`charbert`). Losses are in nats, hits are shares.
        """
        means = {name: _Mean() for name in ("mlm_loss", "noised_loss", "nlm_loss", "hit_at_1", "hit_at_5")}
        training = model.training
        model.train(False)
        with torch.no_grad(), autocast:
            for first in range(0, len(self.blocks), self.batch_size):
                self._add(means, model, self.collator(self.blocks[first : first + self.batch_size]))
        model.train(training)
        found: Scores = {name: mean.value for name, mean in means.items() if mean.count}
        loss = found.get("mlm_loss")
        return {"perplexity": math.exp(min(loss, 700.0)) if loss is not None else None} | found

    def _add(self, means: dict[str, _Mean], model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> None:
        batch = {name: value.to(model.device) for name, value in batch.items()}
        inputs = merged(batch)
        outputs = model(**inputs)
        targets = inputs["labels"][inputs["labels"] != IGNORED]
        masked = (batch["labels"] != IGNORED)[inputs["labels"] != IGNORED]
        losses = cross_entropy(outputs["logits"].float(), targets, reduction="none")
        means["mlm_loss"].add(losses[masked])
        means["noised_loss"].add(losses[~masked])
        if "nlm_labels" in inputs:
            terms = inputs["nlm_labels"][inputs["nlm_labels"] != IGNORED]
            logits = outputs["nlm_logits"].float()
            means["nlm_loss"].add(cross_entropy(logits, terms, reduction="none"))
            hits = logits.topk(min(5, logits.shape[-1])).indices == terms[:, None]
            means["hit_at_1"].add(hits[:, 0])
            means["hit_at_5"].add(hits.any(1))

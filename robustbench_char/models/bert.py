"""The plain system: a BERT-type (or RoBERTa-type) encoder with a new head, and nothing that defends it.

Other systems start from this class and override what differs: `build` and `load` for another architecture,
`text_windows`, `word_windows` and `context_windows` for other inputs or for corrected words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from robustbench_char.models.base_models import Base, load_config, load_encoder, loading, quiet, refuse_missing
from robustbench_char.models.inputs import Window, encode_contexts, encode_texts, encode_words
from robustbench_char.tasks.base import Family

__all__ = ["BertSystem"]

_HEADS: dict[Family, Any] = {
    "classification": AutoModelForSequenceClassification,
    "tagging": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
}


class BertSystem:
    """Fine-tuning of an encoder as it is."""

    name = "bert"

    def build(
        self, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        """Return the base encoder under a new head. What is drawn depends on `seed` alone."""
        config = load_config(base.folder, layers=layers)
        if family != "question_answering":
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: index for index, label in enumerate(labels)}
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            encoder = load_encoder(base, layers=layers)
            model = _HEADS[family].from_config(config, dtype=torch.float32)
        model.base_model.load_state_dict(
            encoder.state_dict(), strict=False
        )  # not strict: most heads have no use for the pooler
        return cast(PreTrainedModel, model)

    def load(self, folder: Path, family: Family) -> PreTrainedModel:
        """Return a fine-tuned model in single precision. Raises InputError when weights are missing."""
        with quiet(), loading(folder):
            model, report = _HEADS[family].from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        refuse_missing(folder, report)
        return cast(PreTrainedModel, model)

    def padding(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
        """Return the value that each model input is padded with."""
        return {
            "input_ids": int(tokenizer.pad_token_id),
            "token_type_ids": int(tokenizer.pad_token_type_id),
            "attention_mask": 0,
        }

    def text_windows(
        self, tokenizer: PreTrainedTokenizerFast, first: Sequence[str], second: Sequence[str] | None, *, max_length: int
    ) -> Iterator[Window]:
        """Encode texts or pairs of texts."""
        return encode_texts(tokenizer, first, second, max_length=max_length)

    def word_windows(
        self, tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sequence[str]], *, max_length: int
    ) -> Iterator[Window]:
        """Encode sentences given as words."""
        return encode_words(tokenizer, sentences, max_length=max_length)

    def context_windows(
        self,
        tokenizer: PreTrainedTokenizerFast,
        questions: Sequence[str],
        contexts: Sequence[str],
        *,
        max_length: int,
        stride: int,
        max_question: int,
    ) -> Iterator[Window]:
        """Encode questions with overlapping windows over their contexts; offsets count in the contexts as given."""
        return encode_contexts(
            tokenizer, questions, contexts, max_length=max_length, stride=stride, max_question=max_question
        )

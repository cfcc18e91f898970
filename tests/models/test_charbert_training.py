"""CharBERT under the Trainer of Transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from robustbench_char.models.charbert import (
    CharBertConfig,
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
)

pytestmark = pytest.mark.models
SIZES = {
    "vocab_size": 30,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 8,
    "char_vocab_size": 20,
    "char_embedding_size": 8,
    "term_vocab_size": 12,
    "num_labels": 3,
}
LABELS: dict[Any, dict[str, list[int]]] = {
    CharBertForMaskedLM: {"labels": [-100, 4, -100, 7], "nlm_labels": [3, -100, -100, -100]},
    CharBertForTokenClassification: {"labels": [-100, 0, 2, -100]},
    CharBertForSequenceClassification: {"labels": [1]},
    CharBertForQuestionAnswering: {"start_positions": [1], "end_positions": [2]},
}


class Sentences(Dataset[dict[str, Tensor]]):
    """Four sentences of four sub-words, with a column that no model reads."""

    def __init__(self, kind: Any) -> None:
        self.labels = {name: torch.tensor(values).squeeze() for name, values in LABELS[kind].items()}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {
            "input_ids": torch.tensor([1, 5 + index, 9, 2]),
            "attention_mask": torch.tensor([1, 1, 1, index % 2]),
            "token_type_ids": torch.zeros(4, dtype=torch.long),
            "char_input_ids": (torch.arange(10) + index) % 20,
            "start_ids": torch.tensor([0, 2, 5, 8]),
            "end_ids": torch.tensor([0, 3, 6, 8]),
            **self.labels,
        }


def trained(kind: Any, folder: Path, **options: Any) -> tuple[Any, Trainer]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(CharBertConfig(**SIZES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    arguments = TrainingArguments(
        str(folder),
        max_steps=2,
        learning_rate=1e-2,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **{"per_device_train_batch_size": 2, **options},
    )
    trainer = Trainer(model, arguments, train_dataset=Sentences(kind), eval_dataset=Sentences(kind))
    with torch.random.fork_rng():
        trainer.train()
    return model, trainer


@pytest.mark.parametrize("kind", LABELS)
def test_two_steps(kind: Any, tmp_path: Path) -> None:
    model, trainer = trained(kind, tmp_path)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2
    assert all(0 < loss < 20 for loss in losses)
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert trainer.evaluate()["eval_loss"] > 0


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_changes_nothing(reentrant: bool, tmp_path: Path) -> None:
    plain, _ = trained(CharBertForMaskedLM, tmp_path)
    checkpointed, _ = trained(
        CharBertForMaskedLM,
        tmp_path,
        gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": reentrant},
    )
    assert checkpointed.is_gradient_checkpointing
    for (name, weight), other in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(weight, other, msg=name)


def test_accumulated_batches_are_averaged(tmp_path: Path) -> None:
    """All sentences have equally many labels: the first loss, of four at once or of two and two, is the same."""
    _, at_once = trained(CharBertForTokenClassification, tmp_path, per_device_train_batch_size=4)
    _, in_parts = trained(CharBertForTokenClassification, tmp_path, gradient_accumulation_steps=2)
    first = [trainer.state.log_history[0]["loss"] for trainer in (at_once, in_parts)]
    norms = [trainer.state.log_history[0]["grad_norm"] for trainer in (at_once, in_parts)]
    assert first[0] == pytest.approx(first[1], rel=1e-5)
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_autocast(tmp_path: Path) -> None:
    model, trainer = trained(CharBertForMaskedLM, tmp_path, bf16=True)
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert all(entry["loss"] > 0 for entry in trainer.state.log_history if "loss" in entry)

"""The system `charbert`: sub-words and characters, on a base that `pretrain charbert` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from transformers import PreTrainedModel

from robustbench_char.models.bases import Base
from robustbench_char.models.bert import BertSystem
from robustbench_char.models.charbert.modeling import gates_of
from robustbench_char.models.charbert.processor import CharBertProcessor
from robustbench_char.models.checkpoints import load_config
from robustbench_char.models.system import Defence
from robustbench_char.tasks.base import Family

__all__ = ["CharBertSystem"]

PLAIN = ("embeddings.", "encoder.layer.", "pooler.")
"""The parts of the encoder that a plain one has as well."""


class CharBertSystem(BertSystem):
    """CharBERT (Ma et al. 2020): a second stream, of characters, mixed with that of the sub-words in each layer."""

    name = "charbert"
    recipe = "charbert/2"
    pretraining = "charbert"

    def __init__(self, processor: CharBertProcessor, defence: Defence | None = None) -> None:
        super().__init__(processor.tokenizer, defence)
        self.processor = processor
        self.further = lambda encoding, sources, row: processor.character_inputs(encoding, sources)

    @classmethod
    def open(cls, folder: Path, *, words: bool, defence: Defence | None = None) -> Self:
        """Return the system with the tokenizer and the character vocabulary of `folder`.

        Raises InputError where one is missing, or the vocabulary is not the model's.
        """
        processor = CharBertProcessor.from_pretrained(folder, words=words)
        processor.vocabulary.check(folder, load_config(folder))
        return cls(processor, defence)

    def save(self, folder: Path) -> None:
        """Write what `open` reads: tokenizer and character vocabulary."""
        self.processor.save_pretrained(folder)

    @classmethod
    def build(
        cls, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        model = super().build(base, family, labels, layers=layers, seed=seed)
        model.config.term_vocab_size = None  # the head that predicted words is left behind
        return model

    def new_parameters(self, model: PreTrainedModel) -> frozenset[str]:
        """Return the names of the parameters that a plain encoder lacks: those of characters, interaction and head."""
        encoder = tuple(f"{model.base_model_prefix}.{part}" for part in PLAIN)
        return frozenset(name for name, _ in model.named_parameters() if not name.startswith(encoder))

    def extra_parameters(self, model: PreTrainedModel) -> int:
        """Return how many parameters the encoder has beside those of a plain one."""
        named = model.base_model.named_parameters()
        return sum(weight.numel() for name, weight in named if not name.startswith(PLAIN))

    def gates(self, model: PreTrainedModel) -> dict[str, tuple[float, ...]] | None:
        return gates_of(model)

    def padding(self) -> dict[str, int]:
        """Return the value that each model input is padded with; the model itself ignores what is padded."""
        return {**super().padding(), "char_input_ids": self.processor.vocabulary.ids.pad, "start_ids": 0, "end_ids": 0}

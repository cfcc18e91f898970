"""The system `encoder`: any encoder that transformers has, by characters, bytes or sub-words, under a head of ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, cast

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from robustbench_char.common import InputError
from robustbench_char.models.checkpoints import (
    Base,
    load_config,
    load_tokenizer,
    quiet,
    read_model,
    refuse_missing,
)
from robustbench_char.models.encoders import HEADS, input_names, limits_of, read_encoder
from robustbench_char.models.inputs import Window
from robustbench_char.models.system import Defence, Limits, System, labelled_config
from robustbench_char.tasks.base import Family

__all__ = ["EncoderSystem"]


class EncoderSystem(System):
    """Fine-tuning of any encoder as it is. `inputs` names what it takes of a tokenizer's inputs."""

    name = "encoder"
    recipe = "encoder/1"
    any_type = True

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, inputs: Sequence[str], recogniser: Defence | None = None
    ) -> None:
        super().__init__(tokenizer, recogniser)
        self.inputs = tuple(inputs)

    @classmethod
    def open(cls, folder: Path, *, words: bool, recogniser: Defence | None = None) -> Self:
        """Return the system with a folder's tokenizer, with offsets or without.

        Raises InputError where a file is missing or unusable, for a tokenizer that cannot pad, and for what is not
        an encoder of texts.
        """
        names = input_names(load_config(folder), folder)
        tokenizer = load_tokenizer(folder, words=words, offsets=False)
        if tokenizer.pad_token_id is None:
            raise InputError(
                folder,
                found="a tokenizer without a token for padding",
                expected="one that pads texts of a batch to one length",
                fix="Name a token for it: set tokenizer.pad_token and save the tokenizer again.",
            )
        return cls(tokenizer, names, recogniser)

    @classmethod
    def limits(cls, folder: Path) -> Limits:
        """Return how much a base reads at once; default lengths are longer for characters and bytes."""
        return limits_of(load_config(folder), load_tokenizer(folder, offsets=False), folder)

    @classmethod
    def build(
        cls, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        """Return the base encoder under a new head. What is drawn depends on `seed` alone."""
        config = labelled_config(base, family, labels, layers=layers)
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            encoder = read_encoder(base.folder, layers=layers)
            model = HEADS[family]._from_config(config, dtype=torch.float32)  # type: ignore[no-untyped-call]
        model.encoder.load_state_dict(encoder.state_dict())
        return cast(PreTrainedModel, model)

    @classmethod
    def load(cls, folder: Path, family: Family) -> PreTrainedModel:
        """Return a fine-tuned model in single precision. Raises InputError when weights are missing."""
        model, missing = read_model(HEADS[family], folder, config=load_config(folder))
        refuse_missing(folder, missing)
        return model

    def text_windows(self, first: Sequence[str], second: Sequence[str] | None, *, max_length: int) -> Iterator[Window]:
        """Encode texts or pairs of texts; offsets count in the texts as given."""
        return map(self._fed, super().text_windows(first, second, max_length=max_length))

    def word_windows(self, sentences: Sequence[Sequence[str]], *, max_length: int) -> Iterator[Window]:
        """Encode sentences given as words."""
        return map(self._fed, super().word_windows(sentences, max_length=max_length))

    def context_windows(
        self, questions: Sequence[str], contexts: Sequence[str], *, max_length: int, stride: int, max_question: int
    ) -> Iterator[Window]:
        """Encode questions with overlapping windows over their contexts; offsets count in the contexts as given."""
        windows = super().context_windows(
            questions, contexts, max_length=max_length, stride=stride, max_question=max_question
        )
        return map(self._fed, windows)

    def _fed(self, window: Window) -> Window:
        """Return a window with the inputs that the encoder takes, a mask always among them."""
        mask = np.ones(len(window.inputs["input_ids"]), np.int32)
        given = {"attention_mask": mask, **window.inputs}
        return window._replace(inputs={name: given[name] for name in self.inputs if name in given})

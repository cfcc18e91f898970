"""The models that are pre-trained: an encoder with its masked-LM heads, which are computed where there is a target.

A vocabulary decoder costs as much as a small encoder; nine tenths of the positions have nothing to predict.
Shape legend: B batch, T sub-words, N positions with a target, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    BertForMaskedLM,
    BertModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaForMaskedLM,
    RobertaModel,
)

from robustbench_char.common import InputError
from robustbench_char.models.bases import Base
from robustbench_char.models.charbert.characters import CharacterVocabulary, lay_out
from robustbench_char.models.charbert.configuration import CharBertConfig
from robustbench_char.models.charbert.modeling import CharBertForMaskedLM
from robustbench_char.models.charbert.processor import CharBertProcessor
from robustbench_char.models.charbert.system import PLAIN
from robustbench_char.models.checkpoints import load_config, load_tokenizer, read_model, refuse_missing
from robustbench_char.models.inputs import IntArray
from robustbench_char.training.pretraining._noise import IGNORED, TERMS, TermVocabulary
from robustbench_char.training.pretraining.options import PretrainSettings, Vocabularies


@dataclass(frozen=True)
class Built:
    """A model, and the names of its parameters that the base did not have."""

    model: PreTrainedModel
    new: frozenset[str]


class _Sparse:
    """A masked-LM model whose head is computed at the labelled positions alone.

    It keeps its pooler, which fine-tuning starts from and pre-training leaves as it is.
    """

    _encoder: type[PreTrainedModel]
    _head: str

    def __init__(self: Any, config: PreTrainedConfig) -> None:
        super().__init__(config)  # type: ignore[call-arg]
        setattr(self, self.base_model_prefix, self._encoder(config))
        self.post_init()

    def forward(self: Any, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `mlm_loss`, the mean over the positions with a target (0 without any), and their `logits` [N, V]."""
        wanted = labels != IGNORED
        logits = getattr(self, self._head)(self.base_model(input_ids).last_hidden_state[wanted])
        total = nn.functional.cross_entropy(logits.float(), labels[wanted], reduction="sum")
        return {"mlm_loss": total / wanted.sum().clamp(min=1), "logits": logits}


class _SparseBert(_Sparse, BertForMaskedLM):  # type: ignore[no-untyped-call]
    _head, _encoder = "cls", BertModel


class _SparseRoberta(_Sparse, RobertaForMaskedLM):  # type: ignore[no-untyped-call]
    _head, _encoder = "lm_head", RobertaModel


def build_encoder(base: Base, *, layers: int | None, seed: int) -> Built:
    """Return the base under a masked-LM head; what the base lacks is drawn from `seed`."""
    config = load_config(base.folder, layers=layers)
    return load_masked_lm(_SparseRoberta if config.model_type == "roberta" else _SparseBert, base.folder, config, seed)


def load_masked_lm(kind: Any, folder: Path, config: PreTrainedConfig, seed: int) -> Built:
    """Load `kind` with a base's weights. Raises InputError when the files lack part of the base's encoder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, missing = read_model(kind, folder, config=config)
    whole = load_config(folder).model_type == config.model_type
    encoder = ("embeddings.", "encoder.", "char_embeddings.") if whole else ("embeddings.", "encoder.layer.")
    prefix = f"{model.base_model_prefix}."
    refuse_missing(folder, [name for name in missing if name.removeprefix(prefix).startswith(encoder)])
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(False)
    return Built(model, frozenset(missing))


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model as what Transformers knows, to be saved; the weights are shared, not copied."""
    for kind in (_SparseBert, _SparseRoberta):
        if isinstance(model, kind):
            model.__class__ = kind.__bases__[-1]
    if getattr(model.config, "sparse_prediction", False):
        model.config.sparse_prediction = False
    return model


def open_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return a tokenizer that can mask. Raises InputError for a slow one, and for one without the marks."""
    tokenizer = load_tokenizer(folder)
    for name in ("mask_token_id", "cls_token_id", "sep_token_id"):
        if getattr(tokenizer, name) is None:
            found = f"a tokenizer without {name.removesuffix('_id')}"
            expected = "a tokenizer with mask, beginning and end tokens"
            raise InputError(folder, found=found, expected=expected, fix="Use the base checkpoint's own tokenizer.")
    return tokenizer


@dataclass(frozen=True)
class PieceCharacters:
    """Character inputs of a block, whose pieces come from several texts.

    Masked pieces expose none, whatever the model reads in their place: else a kept piece would give its word away.
    """

    processor: CharBertProcessor

    def __call__(self, surfaces: Sequence[str | None]) -> dict[str, IntArray]:
        """Return `char_input_ids` [C], `start_ids` and `end_ids` [T] from the text that each piece exposes."""
        ids, spelling = self.processor.vocabulary.ids, self.processor.spelling
        hidden = ids.mask, ids.separator
        return lay_out([hidden if surface is None else spelling(surface) for surface in surfaces])


def fixed_vocabularies(base: Base) -> tuple[Vocabularies, TermVocabulary | None, CharacterVocabulary] | None:
    """Return the vocabularies of a base that is a CharBERT (None for a plain one).

    One without terms, as `pretrain characters` writes it, fixes its characters alone. Raises InputError where a
    vocabulary is missing, or does not match the model.
    """
    config = load_config(base.folder)
    if config.model_type != CharBertConfig.model_type:
        return None
    terms = None if has_characters_alone(config) else TermVocabulary.load(base.folder)
    characters = CharacterVocabulary.load(base.folder)
    characters.check(base.folder, config)
    read = len(characters.characters), config.character_case
    if terms is None:
        return Vocabularies(None, None, *read, None, config.character_unit, None), None, characters
    if terms.classes != config.term_vocab_size:
        right = f"{config.term_vocab_size}, as the model in the same folder has"
        fix = "Copy the whole folder that `pretrain` wrote, or start from a plain base."
        raise InputError(base.folder / TERMS, found=f"a vocabulary of {terms.classes} terms", expected=right, fix=fix)
    streams = config.interaction, config.character_unit, config.character_positions
    return Vocabularies(len(terms.terms), terms.unknown, *read, *streams), terms, characters


def build_charbert(
    base: Base, settings: PretrainSettings, terms: TermVocabulary, characters: CharacterVocabulary
) -> Built:
    """Return CharBERT with both heads on a base; what the base lacks is drawn from the seed."""
    config = CharBertConfig.from_base(
        load_config(base.folder, layers=settings.layers),
        char_vocab_size=len(characters),
        term_vocab_size=terms.classes,
        character_case=settings.character_case,
        interaction=settings.interaction,
        character_unit=settings.character_unit,
        character_positions=settings.character_positions,
        sparse_prediction=True,
    )
    built = load_masked_lm(CharBertForMaskedLM, base.folder, config, settings.seed)
    if not has_characters_alone(load_config(base.folder)):
        return built
    # What stands around trained characters was drawn when they were trained, and has learnt nothing.
    named = (name for name, _ in built.model.named_parameters())
    return Built(built.model, frozenset(name for name in named if not name.removeprefix("charbert.").startswith(PLAIN)))


def has_characters_alone(config: PreTrainedConfig) -> bool:
    """Return whether a base is what `pretrain characters` writes: known words, and no head that names words."""
    return bool(getattr(config, "known_words", 0)) and config.term_vocab_size is None

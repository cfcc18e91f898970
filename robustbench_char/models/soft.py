"""The system `bert_channel_soft`: no word is corrected; the model also sees what each may have been.

A defence says how likely each candidate of a word is. A piece of the word is embedded as `e + g * (m - e)`: `e` is its
own embedding, `m` the mean of the candidates' embeddings weighted by their probabilities (a candidate of several pieces
counts with their mean, the word as given with `e`), `g` a gate. It starts at 0: exactly BERT. At 1 the model reads
candidates alone. It is one number: one per dimension has noisier gradients.

Shape legend: B batch, T sub-words, D hidden size, N candidate pieces mixed into the sub-words of one window.
"""

# Much of Transformers is not annotated.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial, reduce
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Encoding
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from robustbench_char.common import InputError
from robustbench_char.common.options import Option
from robustbench_char.models.bases import Base
from robustbench_char.models.bert import AUTO_HEADS, BertSystem
from robustbench_char.models.checkpoints import load_config, quiet, read_model, refuse_missing
from robustbench_char.models.inputs import NO_TEXT, NO_WORD, InputArray, IntArray, words_of
from robustbench_char.models.system import Defence, Posterior, SoftDefence
from robustbench_char.tasks.base import Family
from robustbench_char.text.corrections import each_once

__all__ = ["SOFT_INPUTS", "SoftSystem"]

SOFT_INPUTS = ("soft_pieces", "soft_ids", "soft_weights")
"""Model inputs, each [B, N]: the sub-word that a candidate's piece is mixed into, its id, its share; 0 for padding."""

_GATE = "embeddings.gate"
_PACE = 1000.0
"""A step of Adam moves the gate by up to so many learning rates: those of encoders would hardly open it."""


class SoftReading(PreTrainedModel):
    """What a BERT- or RoBERTa-type model with a head becomes when it is mixed in before it."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        embeddings = cast(nn.Module, self.base_model.embeddings)
        embeddings.gate = nn.Parameter(torch.zeros(1))
        self.base_model.register_forward_pre_hook(_mixed, with_kwargs=True)


def _opened(embeddings: Any) -> Tensor:
    """Return how far the gate of an embedding layer is open [1], from 0 to 1."""
    gate: Tensor = embeddings.gate
    opened = (_PACE * gate.detach()).clamp(0, 1)
    return opened + (gate - gate.detach())  # its gradient, not `_PACE` times that: all are clipped by their joint norm


def _mixed(encoder: Any, args: tuple[Tensor, ...], inputs: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]] | None:
    """Put the mixed embeddings in the place of `input_ids` before an encoder reads."""
    pieces, ids, weights = (inputs.pop(name, None) for name in SOFT_INPUTS)
    if pieces is None:
        return None
    given = args[0] if args else inputs.pop("input_ids")
    own = encoder.embeddings.word_embeddings(given)
    others = encoder.embeddings.word_embeddings(ids) * weights.unsqueeze(-1)
    mean = torch.zeros_like(own).scatter_add(1, pieces.unsqueeze(-1).expand_as(others), others)
    mass = torch.zeros_like(own[..., :1]).scatter_add(1, pieces.unsqueeze(-1), weights.unsqueeze(-1))
    mixed = own + _opened(encoder.embeddings) * (mean - mass * own)
    if hasattr(encoder.embeddings, "padding_idx"):  # RoBERTa's positions depend on what is padding
        padding = encoder.embeddings.padding_idx
        inputs["position_ids"] = encoder.embeddings.create_position_ids_from_input_ids(given, padding)
    return (), {**inputs, "inputs_embeds": mixed}


@cache
def soft_class(kind: Any) -> type[SoftReading]:
    """Return the class of a model with a head that reads softly."""
    return type(f"Soft{kind.__name__}", (SoftReading, kind), {})


_CHUNK = 10_000
_LEAST = 0.001
"""Candidates that are less likely are left out."""


Parts = dict[int, tuple[list[int], list[float]]]


class Mixture(NamedTuple):
    """What is mixed into the words of one input: `parts` holds ids and shares of pieces by the number of the word.

    `spans` are those of the words [W, 2] in each text, none for words given one by one; words are numbered through all
    texts.
    """

    parts: Parts
    spans: tuple[NDArray[np.int64], ...] = ()

    def and_then(self, other: Mixture) -> Mixture:
        """Return the mixture of a text and the one after it."""
        before = sum(map(len, self.spans))
        later = {before + number: part for number, part in other.parts.items()}
        return Mixture({**self.parts, **later}, (*self.spans, *other.spans))

    def inputs(self, encoding: Encoding) -> dict[str, InputArray]:
        """Return SOFT_INPUTS of a window, each [N]."""
        owners = self._owners(encoding).tolist() if self.parts else []
        mixed = [(at, *self.parts[word]) for at, word in enumerate(owners) if word in self.parts]
        pieces = np.array([at for at, own, _ in mixed for _ in own], np.int32)
        ids = np.array([piece for _, own, _ in mixed for piece in own], np.int32)
        weights = np.array([share for *_, shares in mixed for share in shares], np.float32)
        return dict(zip(SOFT_INPUTS, (pieces, ids, weights), strict=True))

    def _owners(self, encoding: Encoding) -> IntArray:
        """Return the word of each piece [T]."""
        if not self.spans:
            return np.array([NO_WORD if word is None else word for word in encoding.word_ids], np.int32)
        texts = np.array([NO_TEXT if text is None else text for text in encoding.sequence_ids], np.int32)
        return words_of(texts, np.array(encoding.offsets, np.int32).reshape(-1, 2), self.spans)


class SoftSystem(BertSystem):
    """An encoder that reads its own pieces and, through a gate, the mean of what a defence takes them for."""

    name = "bert_channel_soft"
    recipe = "bert_channel_soft/2"
    default_defence = "channel"
    trained_behind = True

    def __init__(self, tokenizer: PreTrainedTokenizerBase, defence: Defence | None = None) -> None:
        super().__init__(tokenizer, defence)
        self._known: dict[str, list[int]] = {}

    @classmethod
    def build(
        cls, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        plain = super().build(base, family, labels, layers=layers, seed=seed)
        with torch.random.fork_rng(), quiet():
            model = soft_class(cast(Any, type(plain)))(plain.config)
        model.load_state_dict(plain.state_dict(), strict=False)
        return model

    @classmethod
    def load(cls, folder: Path, family: Family) -> PreTrainedModel:
        kind = AUTO_HEADS[family]._model_mapping[type(load_config(folder))]
        model, missing = read_model(soft_class(kind), folder)
        if (gate := f"{model.base_model_prefix}.{_GATE}") in missing:  # of a base that is not trained any further
            missing.remove(gate)
            nn.init.zeros_(model.get_parameter(gate))
        refuse_missing(folder, missing)
        return model

    def new_parameters(self, model: PreTrainedModel) -> frozenset[str]:
        """Return the names of the parameters that a plain encoder lacks: those of the gate and the head."""
        return super().new_parameters(model) | {f"{model.base_model_prefix}.{_GATE}"}

    def extra_parameters(self, model: PreTrainedModel) -> int:
        return 1

    def gates(self, model: PreTrainedModel) -> dict[str, tuple[float, ...]] | None:
        return {"candidates": (float(_opened(model.base_model.embeddings).detach()),)}

    def padding(self) -> dict[str, int]:
        return super().padding() | dict.fromkeys(SOFT_INPUTS, 0)

    def _corrections(self, *columns: Sequence[str]) -> None:
        """Leave texts as they are, and have what their words may have been mixed in."""
        made = iter(each_once(self._of_texts, list(chain(*columns))))
        mixtures = [list(islice(made, len(texts))) for texts in columns]
        self.further = partial(_inputs, [reduce(Mixture.and_then, row) for row in zip(*mixtures, strict=True)])

    def _corrected(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Leave sentences as they are, and have what their words may have been mixed in."""
        self.further = partial(_inputs, each_once(self._of_sentences, [tuple(words) for words in sentences]))
        return sentences

    def _of_sentences(self, sentences: Sequence[Sequence[str]]) -> list[Mixture]:
        return [Mixture(parts) for parts in self._parts(sentences, self._reader.posteriors(sentences))]

    def _of_texts(self, texts: Sequence[str]) -> list[Mixture]:
        read = self._reader.posteriors_of_texts(texts)
        words = [[text[start:end] for start, end in spans] for text, (spans, _) in zip(texts, read, strict=True)]
        parts = self._parts(words, [posteriors for _, posteriors in read])
        spans = (np.array(spans, np.int64).reshape(-1, 2) for spans, _ in read)
        return [Mixture(own, (at,)) for own, at in zip(parts, spans, strict=True)]

    @property
    def _reader(self) -> SoftDefence:
        if isinstance(self.defence, SoftDefence):
            return self.defence
        kind = self.defence.info.kind if self.defence else "none"
        fix = "Name a folder that `train-defence channel` wrote, or `channel`, the ready one."
        expected = "a defence that says how likely candidates are"
        raise InputError(Option("defence"), found=kind, expected=expected, fix=fix)

    def _parts(self, sentences: Sequence[Sequence[str]], read: Sequence[Sequence[Posterior]]) -> Iterator[Parts]:
        """Yield what is mixed into the words of each sentence: candidates other than the word as given."""
        others = [
            [
                [(candidate, share) for candidate, share in posterior if candidate != word and share >= _LEAST]
                for word, posterior in zip(words, posteriors, strict=True)
            ]
            for words, posteriors in zip(sentences, read, strict=True)
        ]
        self._cut({candidate for sentence in others for word in sentence for candidate, _ in word})
        for sentence in others:
            yield {number: self._pieces(word) for number, word in enumerate(sentence) if word}

    def _pieces(self, candidates: Posterior) -> tuple[list[int], list[float]]:
        """Return ids and shares of the pieces of candidates."""
        cut = [(self._known[candidate], share) for candidate, share in candidates]
        ids = [piece for pieces, _ in cut for piece in pieces]
        return ids, [share / len(pieces) for pieces, share in cut for _ in pieces]

    def _cut(self, candidates: set[str]) -> None:
        """Cut candidates into pieces, as words behind a space."""
        new = sorted(candidates - self._known.keys())
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            cut = self.tokenizer([f" {word}" for word in chunk], add_special_tokens=False)["input_ids"]
            self._known.update(zip(chunk, cut, strict=True))


def _inputs(mixtures: Sequence[Mixture], encoding: Encoding, sources: Sequence[Any], row: int) -> dict[str, InputArray]:
    return mixtures[row].inputs(encoding)

"""Contextual representations of words: any encoder's hidden states, pooled over the pieces of each word.

Shape legend: B batch, T sub-words, W words of one passage, D hidden size (twice that for both streams of CharBERT).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from robustbench_char.common import InputError
from robustbench_char.common.options import within
from robustbench_char.models.batching import Batching, measured, probe_words
from robustbench_char.models.encoders import longest_input, state_count
from robustbench_char.models.inputs import NO_WORD, IntArray, Window, pad, words_of
from robustbench_char.models.system import System

__all__ = ["Passage", "PassageWindow", "Pooling", "Stream", "WordReader"]

_SHARED = Batching()
Pooling = Literal["mean", "first"]
Stream = Literal["both", "subword", "character"]


class Passage(NamedTuple):
    """What a model reads at once: the words of a sentence one by one, or one or two texts.

    `spans` are those of the words [W, 2] in each text, in code points; none for words given one by one, which are the
    words themselves. Words are numbered through both texts.
    """

    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    spans: tuple[NDArray[np.int64], ...] = ()


class PassageWindow(NamedTuple):
    """A passage as the model reads it: a window, the word that each of its pieces belongs to [T], and all its words."""

    window: Window
    words: IntArray
    total: int


class Representations(NamedTuple):
    """`vectors` float64 [W, D]; `pieces` [W] that each is made of. A word without piece was cut off: zeros."""

    vectors: NDArray[np.float64]
    pieces: IntArray


@dataclass(frozen=True)
class WordReader:
    """Reads passages with one model.

    `layer` counts the hidden states as transformers gives them: 0 the embeddings, -1 the last layer. `pooling` takes
    the mean over a word's pieces, or the first. `stream` is for CharBERT; other encoders have sub-words alone. `words`
    says that passages are words one by one, which `kind` must have been opened for.
    Raises InputError for a layer or a stream that the model does not have, and for more pieces than it reads.
    """

    model: PreTrainedModel
    kind: System
    max_length: int
    layer: int = -1
    pooling: Pooling = "mean"
    stream: Stream = "both"
    words: bool = False
    batching: Batching = _SHARED

    def __post_init__(self) -> None:
        states = state_count(self.model)
        if not -states <= self.layer < states:
            expected = f"a number from {-states} to {states - 1}"
            fix = f"The model has {states - 1} layers; 0 stands for the embeddings, -1 for the last layer."
            raise InputError("--layer", found=str(self.layer), expected=expected, fix=fix)
        within("max_length", self.max_length, 8, longest_input(self.model))
        if self.stream == "character" and self.model.config.model_type != "charbert":
            found = f"the character stream of a model of the type {self.model.config.model_type}"
            raise InputError("--stream", found=found, expected="a CharBERT", fix="Leave --stream out.")

    def read(self, passages: Sequence[Passage], *, batch_size: int = 32) -> list[Representations]:
        """Return the representations of the words of each passage, in order; see `read_windows`."""
        return self.read_windows(list(self.windows(passages)), batch_size=batch_size)

    def read_windows(self, windows: Sequence[PassageWindow], *, batch_size: int = 32) -> list[Representations]:
        """Return the representations of the words of passages, in order.

        Passages of like length share a batch, and equal inputs one reading, so that equal texts have equal vectors. The
        hidden states of one batch are held at a time. Raises InputError where they are not finite.
        """
        alike: defaultdict[tuple[bytes, ...], list[int]] = defaultdict(list)
        for place, (window, _, _) in enumerate(windows):
            alike[tuple(values.tobytes() for values in window.inputs.values())].append(place)
        groups, representations = list(alike.values()), dict[int, Representations]()
        lengths = [len(windows[places[0]].words) for places in groups]
        for numbers in self.batching.batches(lengths, batch_size):
            chosen = [groups[number] for number in numbers]
            states = self._states([windows[places[0]].window for places in chosen])
            for row, places in enumerate(chosen):
                representations |= {place: self._pooled(states[row], *windows[place][1:]) for place in places}
        return [representations[place] for place in range(len(windows))]

    def measured(self) -> WordReader:
        """Return it with what decides how passages share a batch, found out before a defence stands in front.

        Raises InputError for a model whose states are drawn at random.
        """
        if not self.kind.any_type:
            return self
        front, self.kind.defence = self.kind.defence, None
        texts = [" ".join(words) for words in probe_words()]
        windows = list(
            self.kind.word_windows(probe_words(), max_length=self.max_length)
            if self.words
            else self.kind.text_windows(texts, None, max_length=self.max_length)
        )
        self.kind.defence = front

        def read(chosen: Sequence[Window]) -> list[dict[str, NDArray[np.float32]]]:
            return [{"states": states} for states in self._states(chosen).cpu().numpy()]

        place = self.model.config.name_or_path or "the model"
        return replace(self, batching=measured(read, windows, self.batching, place))

    def windows(self, passages: Sequence[Passage]) -> Iterator[PassageWindow]:
        """Yield one window per passage, in order. A defence sees all passages in one call."""
        if not passages:
            return
        if self.words:
            for window in self.kind.word_windows([one.words for one in passages], max_length=self.max_length):
                yield PassageWindow(window, window.words, len(passages[window.row].words))
            return
        columns = [list(texts) for texts in zip(*(one.texts for one in passages), strict=True)]
        second = columns[1] if len(columns) > 1 else None
        for window in self.kind.text_windows(columns[0], second, max_length=self.max_length):
            spans = passages[window.row].spans
            yield PassageWindow(window, words_of(window.texts, window.offsets, spans), sum(map(len, spans)))

    @torch.inference_mode()
    def _states(self, windows: Sequence[Window]) -> Tensor:
        """Return hidden states [B, T, D] in single precision. Raises InputError where they are not finite."""
        batch = pad([window.inputs for window in windows], self.kind.padding(), least=self.batching.least)
        lengths = np.array([len(window.inputs["input_ids"]) for window in windows])
        mask = np.arange(max(lengths.max(), self.batching.least)) < lengths[:, None]
        batch.setdefault("attention_mask", mask.astype(np.int64))  # some tokenizers leave it to who calls the model
        inputs = {name: torch.from_numpy(values).to(self.model.device) for name, values in batch.items()}
        states = self._layer(cast(Any, self.model)(**inputs, output_hidden_states=True, return_dict=True))
        states = states[:, : mask.shape[1]]  # Reformer fills up its chunks
        if not bool(states[torch.from_numpy(mask).to(states.device)].isfinite().all()):
            found = f"hidden states of layer {self.layer} that are not finite"
            fix = "Its weights are damaged, or too large for single precision: train or download it again."
            raise InputError(self.model.config.name_or_path or "the model", found=found, expected="numbers", fix=fix)
        return states

    def _layer(self, outputs: Any) -> Tensor:
        subwords = outputs.hidden_states[self.layer]
        characters = getattr(outputs, "character_hidden_states", None)
        if characters is None or self.stream == "subword":
            return cast(Tensor, subwords.float())
        if self.stream == "character":
            return cast(Tensor, characters[self.layer].float())
        return torch.cat([subwords, characters[self.layer]], dim=-1).float()

    def _pooled(self, states: Tensor, words: IntArray, count: int) -> Representations:
        inside = np.flatnonzero(words != NO_WORD)
        if self.pooling == "first":
            inside = inside[np.unique(words[inside], return_index=True)[1]]
        pieces = np.bincount(words[words != NO_WORD], minlength=count).astype(np.int32)
        vectors = np.zeros((count, states.shape[-1]))
        np.add.at(vectors, words[inside], states[torch.from_numpy(inside).to(states.device)].cpu().double().numpy())
        if self.pooling == "mean":
            vectors /= np.maximum(pieces, 1)[:, None]
        return Representations(vectors, pieces)

"""The layers of CharBERT: characters of a sub-word to its vector, and two streams mixed after each Transformer layer.

Source: Ma et al. 2020, "CharBERT: Character-aware Pre-trained Language Model", section 3, as its released weights
have it: no activation and no second linear layer in the heterogeneous interaction.

Shape legend: B batch, T sub-words, C characters, D hidden.
"""

from __future__ import annotations

import warnings
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.bert.modeling_bert import BertLayer

from robustbench_char.models.charbert.configuration import CharBertConfig

__all__ = ["CharBertEncoder", "CharacterEmbeddings", "HeterogeneousInteraction"]


class CharacterEmbeddings(nn.Module):
    """A bidirectional GRU over all characters of a sentence; a sub-word is its states at first and last character."""

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.char_vocab_size, config.char_embedding_size)
        hidden = config.hidden_size // 4
        self.gru = nn.GRU(config.char_embedding_size, hidden, batch_first=True, bidirectional=True)

    def forward(self, char_input_ids: Tensor, start_ids: Tensor, end_ids: Tensor, real: Tensor | None) -> Tensor:
        """Return one vector for each sub-word [B, T, D].

        Takes characters [B, C], first and last character of each sub-word [B, T], and which sub-words are real (bool
        [B, T]; None: all). Characters after the separator of the last real sub-word are never seen.
        """
        start_ids, end_ids = start_ids.long(), end_ids.long()
        lengths = character_lengths(end_ids, real, char_input_ids.shape[1])
        states = self._states(self.embedding(char_input_ids), lengths)
        return torch.cat([_at(states, start_ids), _at(states, end_ids)], dim=-1)

    def _states(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Return the states of both directions at each character [B, C, 2H]; those beyond a row's length mean nothing.

        The second direction reads each row from its own end. Packed sequences would give the same, but on a CPU their
        backward pass takes five times as long. Single precision under autocast, for speed too: the steps are small.
        """
        places = torch.arange(embedded.shape[1], device=embedded.device)
        backwards = (lengths.unsqueeze(1) - 1 - places).clamp(min=0)
        with torch.autocast(embedded.device.type, enabled=False):
            forward = self._direction(embedded, "")
            backward = self._direction(_at(embedded, backwards), "_reverse")
        return torch.cat([forward, _at(backward, backwards)], dim=-1)

    def _direction(self, embedded: Tensor, suffix: str) -> Tensor:
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = [getattr(self.gru, name + suffix) for name in names]
        embedded = embedded.to(weights[0].dtype)
        start = embedded.new_zeros(1, len(embedded), self.gru.hidden_size)
        with warnings.catch_warnings():
            # A GPU would have the weights of both directions in one piece; these are small enough to be copied.
            warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
            states: Tensor = torch.gru(embedded, start, weights, True, 1, 0.0, self.training, False, True)[0]
        return states


def character_lengths(end_ids: Tensor, real: Tensor | None, most: int) -> Tensor:
    """Return the characters of each row [B]: the last end of a real sub-word, and the separator after it."""
    ends = end_ids if real is None else end_ids.masked_fill(~real, -1)
    return (ends.amax(dim=1) + 2).clamp(1, most)


def _at(states: Tensor, positions: Tensor) -> Tensor:
    positions = positions.clamp(0, states.shape[1] - 1)  # those of padding may point anywhere
    return states.gather(1, positions.unsqueeze(-1).expand(-1, -1, states.shape[-1]))


class HeterogeneousInteraction(nn.Module):
    """Mix the two streams over neighbouring sub-words, and add the same mixture to both.

    Two linear maps without bias and a convolution without activation are one linear map: `kernel` folds them, once a
    forward pass for all layers, which share these weights.
    """

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.word_linear = nn.Linear(hidden, hidden, bias=False)
        self.char_linear = nn.Linear(hidden, hidden, bias=False)
        self.fusion = nn.Conv1d(2 * hidden, hidden, kernel_size=3, padding=1)
        self.word_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.char_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)

    def kernel(self) -> Tensor:
        """Return linear maps and convolution as one matrix [3D, 2D]: rows for the left, own and right neighbour."""
        words, chars = self.fusion.weight.permute(2, 0, 1).flatten(0, 1).chunk(2, dim=1)
        return torch.cat([words @ self.word_linear.weight, chars @ self.char_linear.weight], dim=1)

    def forward(self, streams: Tensor, kernel: Tensor, padding: Tensor | None) -> Tensor:
        """Return both streams [2B, T, D] mixed; what stands at `padding` (bool [B, T, 1]) reaches no neighbour."""
        words, chars = streams.chunk(2)
        both = torch.cat([words, chars], dim=-1)
        if padding is not None:
            both = both.masked_fill(padding, 0.0)
        left, own, right = functional.linear(both, kernel).chunk(3, dim=-1)
        mixed = own + cast(Tensor, self.fusion.bias)
        mixed = mixed + functional.pad(left[:, :-1], (0, 0, 1, 0)) + functional.pad(right[:, 1:], (0, 0, 0, 1))
        return torch.cat([self.word_norm(mixed + words), self.char_norm(mixed + chars)])


class CharBertEncoder(nn.Module):
    """Transformer layers, each run on both streams with the same weights and followed by the interaction, if any.

    Everything in here compiles without a graph break: `model.encoder.compile(fullgraph=True)`.
    """

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(
            BertLayer(config, layer_idx=index)  # type: ignore[no-untyped-call]
            for index in range(config.num_hidden_layers)
        )
        self.interaction = HeterogeneousInteraction(config) if config.interaction else None

    def forward(
        self, streams: Tensor, attention_mask: Tensor | None, padding: Tensor | None, *, keep_all: bool = False
    ) -> tuple[Tensor, ...]:
        """Return both streams [2B, T, D], words before characters, after the last layer; all states if `keep_all`.

        `attention_mask` is what the attention implementation takes, for 2B rows; `padding` is bool [B, T, 1].
        """
        kernel = None if self.interaction is None else self.interaction.kernel()
        states = [streams]
        for layer in self.layer:
            streams = layer(streams, attention_mask)
            if self.interaction is not None:
                streams = self.interaction(streams, kernel, padding)
            if keep_all:
                states.append(streams)
        return tuple(states) if keep_all else (streams,)

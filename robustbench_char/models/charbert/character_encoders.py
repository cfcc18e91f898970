"""What makes characters into vectors: a GRU over a whole text, as released, or over each word by itself.

Shape legend: B batch, T sub-words, C characters of a text, M of a word, N words, D hidden, H of the GRU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_char.models.charbert.characters import PLACEHOLDERS
from robustbench_char.models.charbert.configuration import CharBertConfig

CANDIDATES = 8
"""Known words that one word is read as, at most."""
AT_ONCE = 128
"""Words that are compared with all known ones in one piece."""
REMEMBERED = 1 << 17
"""Words that are remembered at most."""
MOST_PIECES = 4
"""Sub-words of a known word at most."""
Table = Callable[[Tensor], Tensor]
Reader = Callable[[Tensor], tuple[Tensor, Tensor]]


class _Characters(nn.Module):
    """Embeddings of characters, and the weights of a GRU over them."""

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__()
        size, hidden = config.char_embedding_size, cast(int, config.char_hidden_size)
        self.embedding = nn.Embedding(config.char_vocab_size, size)
        self.gru = nn.GRU(size, hidden, batch_first=True, bidirectional=True)

    def _read(self, characters: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states of both directions over rows of characters [B, C, H], and where the second's stand.

        The second direction reads each row from its own end, and its states are in that order; states beyond a row's
        length mean nothing. Packed sequences would give the same, but on a CPU their backward pass takes five times as
        long. Single precision under autocast, for speed too: the steps are small.
        """
        embedded = self.embedding(characters)
        places = torch.arange(embedded.shape[1], device=embedded.device)
        backwards = (lengths.unsqueeze(1) - 1 - places).clamp(min=0)
        with torch.autocast(embedded.device.type, enabled=False):
            return self._direction(embedded, ""), self._direction(_at(embedded, backwards), "_reverse"), backwards

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


class CharacterEmbeddings(_Characters):
    """A bidirectional GRU over all characters of a sentence; a sub-word is its states at first and last character."""

    def forward(self, char_input_ids: Tensor, start_ids: Tensor, end_ids: Tensor, real: Tensor | None) -> Tensor:
        """Return one vector for each sub-word [B, T, D].

        Takes characters [B, C], first and last character of each sub-word [B, T], and which sub-words are real (bool
        [B, T]; None: all). Characters after the separator of the last real sub-word are never seen.
        """
        start_ids, end_ids = start_ids.long(), end_ids.long()
        lengths = character_lengths(end_ids, real, char_input_ids.shape[1])
        forward, backward, backwards = self._read(char_input_ids, lengths)
        states = torch.cat([forward, _at(backward, backwards)], dim=-1)
        return torch.cat([_at(states, start_ids), _at(states, end_ids)], dim=-1)


class WordCharacters(_Characters):
    """A bidirectional GRU over the characters of each word by itself, and a linear map of its last states."""

    def __init__(self, config: CharBertConfig, size: int | None = None) -> None:
        super().__init__(config)
        self.output = nn.Linear(2 * self.gru.hidden_size, size or config.hidden_size)

    def forward(
        self,
        char_input_ids: Tensor,
        start_ids: Tensor,
        end_ids: Tensor,
        real: Tensor | None,
        given: Tensor,
        table: Table,
    ) -> Tensor:
        """Return the vector of the word of each sub-word [B, T, D]; takes what `CharacterEmbeddings` does.

        `given` [B, T, D] are the embeddings of the sub-words themselves, which those that expose no characters keep,
        and `table` looks up those of others. Equal words of a batch are read once.
        """
        words = _spelled_out(char_input_ids, start_ids.long(), end_ids.long(), real)
        distinct, which = torch.unique(words.flatten(0, 1), dim=0, return_inverse=True)
        read, own = self.read(distinct, given.dtype, table)
        which = which.view(words.shape[:2])
        return functional.embedding(which, read) + own.to(given.dtype)[which].unsqueeze(-1) * given

    def read(self, words: Tensor, dtype: torch.dtype, table: Table) -> tuple[Tensor, Tensor]:
        """Return the vectors [N, D] of words [N, M], and the share of their sub-words' own embeddings in them [N]."""
        none = (words[:, 0] == 0) | (words[:, 0] >= PLACEHOLDERS[0]) & (words[:, 0] <= PLACEHOLDERS[1])
        return self.encode(words).masked_fill(none.unsqueeze(-1), 0.0).to(dtype), none

    def encode(self, words: Tensor) -> Tensor:
        """Return one vector for each of words [N, M], characters on the left and zeros after them."""
        lengths, order = (words != 0).sum(dim=1).clamp(min=1).sort(descending=True, stable=True)
        words, places = words[order], torch.arange(words.shape[1], device=words.device)
        backwards = words.gather(1, (lengths.unsqueeze(1) - 1 - places).clamp(min=0))
        reading: list[int] = (lengths.unsqueeze(1) > places).sum(dim=0).tolist()
        with torch.autocast(words.device.type, enabled=False):
            last = torch.cat([self._last(words, "", reading), self._last(backwards, "_reverse", reading)], dim=-1)
            return cast(Tensor, self.output(last[order.argsort()]))

    def _last(self, words: Tensor, suffix: str, reading: list[int]) -> Tensor:
        """Return the last states [N, H] over words, longest first, of which the first `reading[m]` have a character m.

        What a character adds to the gates is computed once for the alphabet: a GRU would do it at every place.
        """
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        into, onward, bias, own_bias = (getattr(self.gru, name + suffix) for name in names)
        added = functional.linear(self.embedding.weight, into, bias)
        state, ended = added.new_zeros(len(words), self.gru.hidden_size), []
        for place, count in enumerate(reading):
            ended.append(state[count:])
            state = state[:count]
            new, old = functional.embedding(words[:count, place], added), functional.linear(state, onward, own_bias)
            size = 2 * self.gru.hidden_size
            reset, update = (new[:, :size] + old[:, :size]).sigmoid().chunk(2, dim=-1)
            proposed = (new[:, size:] + reset * old[:, size:]).tanh()
            state = proposed + update * (state - proposed)
        return torch.cat([state, *reversed(ended)])


class KnownWords(WordCharacters):
    """What each word reads as, by its spelling: the base's own embeddings of the known words that are spelt alike.

    The GRU gives a word its key, a vector of length 1. Keys are compared with those of the words that the model knows,
    so that a word with a typo lands on the word that was meant; a word unlike all of them reads as its own sub-words.
    `pretrain characters` trains the keys, and nothing else does.
    """

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__(config, config.key_size)
        self.weighing = nn.Parameter(torch.zeros(3))
        self.requires_grad_(False)
        self.register_buffer("keys", torch.zeros(config.known_words, config.key_size))
        self.register_buffer("pieces", torch.zeros(config.known_words, MOST_PIECES, dtype=torch.long))
        self.register_buffer("prior", torch.zeros(config.known_words))
        self._memory = Memory()

    def read(self, words: Tensor, dtype: torch.dtype, table: Table) -> tuple[Tensor, Tensor]:
        shares, found = self.recognise(words)
        pieces = cast(Tensor, self.pieces)[found]
        inside = (pieces >= 0).to(shares.dtype)
        weights = inside / inside.sum(-1, keepdim=True).clamp(min=1) * shares[:, :-1].unsqueeze(-1)
        return torch.einsum("nkp,nkpd->nd", weights.to(dtype), table(pieces.clamp(min=0))), shares[:, -1]

    @torch.no_grad()
    def recognise(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return how likely words [N, M] are to be the known words `found` [N, K]: [N, K+1], last: none of them.

        In evaluation on a CPU, where this costs most, words that were seen before are remembered. In training they are
        not, so that a training which is resumed goes on to the last digit.
        """
        if self.training or words.device.type != "cpu":
            return self._compare(words)
        return self._memory.look_up(words, self._compare, (*self.parameters(), *self.buffers()))

    def forget(self) -> None:
        """Forget the words that were seen."""
        self._memory = Memory()

    @torch.no_grad()
    def _compare(self, words: Tensor) -> tuple[Tensor, Tensor]:
        scale, prior, none = self.weighing
        keys, priors = cast(Tensor, self.keys), cast(Tensor, self.prior)
        with torch.autocast(words.device.type, enabled=False):
            sought = torch.cat([scale * self.encode(words), prior.expand(len(words), 1)], dim=1)
            known, most = torch.cat([keys, priors.unsqueeze(1)], dim=1).T, min(CANDIDATES, len(keys))
            # A few words at a time: the scores of all of them would not fit into a processor's cache.
            parts = [(rows @ known).topk(most) for rows in torch.split(sought, AT_ONCE)]
        best, found = torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])
        best = best.masked_fill(words[:, :1] <= PLACEHOLDERS[1], -torch.inf)
        return torch.cat([best, none.expand(len(best), 1)], dim=1).softmax(-1), found

    def encode(self, words: Tensor) -> Tensor:
        """Return the keys [N, K] of words [N, M], characters on the left and zeros after them."""
        return functional.normalize(super().encode(words), dim=-1)


class Memory:
    """What words were read as, so that those that come again need not be read: texts repeat most of their words.

    It is forgotten when the weights that decide it change, and when it is full.
    """

    def __init__(self) -> None:
        self._weights: tuple[tuple[int, int], ...] = ()
        self._rows: dict[bytes, int] = {}
        self._kept: list[tuple[Tensor, ...]] = []

    def look_up(self, words: Tensor, read: Reader, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return what `read` returns of words [N, M], which reads those alone that are new under these weights."""
        versions = tuple((id(weight), weight._version) for weight in weights)
        if versions != self._weights or len(self._rows) > REMEMBERED:
            self._weights, self._rows, self._kept = versions, {}, []
        lengths = (words != 0).sum(dim=1).tolist()
        keys = [row[:length].tobytes() for row, length in zip(words.numpy(), lengths, strict=True)]
        if new := [at for at, key in enumerate(keys) if key not in self._rows]:
            with torch.inference_mode(False):  # what is kept may be read again in training
                kept = read(words[new].clone())
            self._rows |= {keys[at]: len(self._kept) + row for row, at in enumerate(new)}
            self._kept += zip(*(part.unbind() for part in kept), strict=True)
        shares, found = zip(*(self._kept[self._rows[key]] for key in keys), strict=True)
        return torch.stack(shares), torch.stack(found)


def _spelled_out(char_input_ids: Tensor, start_ids: Tensor, end_ids: Tensor, real: Tensor | None) -> Tensor:
    """Return the characters of each sub-word [B, T, M], zeros after them; those of padding are all zeros."""
    lengths = end_ids - start_ids + 1
    if real is not None:
        lengths = lengths.masked_fill(~real, 0)
    places = torch.arange(int(lengths.max().clamp(min=1)), device=lengths.device)
    at = (start_ids.unsqueeze(-1) + places).clamp(0, char_input_ids.shape[1] - 1)
    characters = char_input_ids.long().gather(1, at.flatten(1)).view(at.shape)
    return characters.masked_fill(places >= lengths.unsqueeze(-1), 0)


def character_lengths(end_ids: Tensor, real: Tensor | None, most: int) -> Tensor:
    """Return the characters of each row [B]: the last end of a real sub-word, and the separator after it."""
    ends = end_ids if real is None else end_ids.masked_fill(~real, -1)
    return (ends.amax(dim=1) + 2).clamp(1, most)


def _at(states: Tensor, positions: Tensor) -> Tensor:
    positions = positions.clamp(0, states.shape[1] - 1)  # those of padding may point anywhere
    return states.gather(1, positions.unsqueeze(-1).expand(-1, -1, states.shape[-1]))

"""ScRNN: a bidirectional LSTM over semi-character vectors, and a layer that says which known word each one was.

The semi-character view of a word is its first character, the bag of those between, and its last one: with a set of V
characters a vector of 3V numbers, onehot(first), counts of the interior, onehot(last). A word of one character has it
first and last; words of one or two characters have no interior; a character outside the set adds nothing. Swaps inside
a word change nothing (Sakaguchi et al. 2017; Pruthi et al. 2019, section 3). Vectors are kept sparse: the columns that
count, one entry per character.

Shape legend: B sentences, T words of the longest, N words in all, U distinct words, H hidden units per direction,
K classes (the known words, then UNK), V characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from robustbench_char.text.columns import ranges

__all__ = ["CharacterSet", "ScRNN", "packing"]

Ints = NDArray[np.int64]

_DIRECTIONS = ("", "_reverse")
"""How torch's LSTM ends the names of its weights, forwards and backwards."""


@dataclass(frozen=True)
class CharacterSet:
    """The characters that a recogniser sees. `lower`: words are lower-cased first."""

    characters: tuple[str, ...]
    lower: bool = True

    @classmethod
    def build(cls, words: Iterable[str], *, lower: bool = True, size: int = 256) -> CharacterSet:
        """Collect the `size` most frequent characters of words, sorted by frequency, then by code point."""
        counts: Counter[str] = Counter()
        for word, times in Counter(words).items():
            for character in word.lower() if lower else word:
                counts[character] += times
        ordered = sorted(counts, key=lambda character: (-counts[character], character))
        return cls(tuple(ordered[:size]), lower)

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def width(self) -> int:
        """The length of a word's vector, 3V."""
        return 3 * len(self.characters)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.uint32], Ints]:
        codes = np.array([ord(character) for character in self.characters], np.uint32)
        order = np.argsort(codes)
        return codes[order], order.astype(np.int64)

    def columns(self, words: Sequence[str]) -> tuple[Ints, Ints]:
        """Return the columns that count in each word's vector, end to end, and where each word's begin ([W + 1])."""
        given = [word.lower() for word in words] if self.lower else list(words)
        codes = np.frombuffer("".join(given).encode("utf-32-le", "surrogatepass"), np.uint32)
        lengths = np.fromiter(map(len, given), np.int64, len(given))
        starts = np.cumsum(lengths) - lengths
        entries = np.where(lengths == 1, 2, lengths)  # the one character of a word stands first and last
        begins = np.concatenate([[0], np.cumsum(entries)])
        offsets = np.minimum(ranges(starts, entries), np.repeat(starts + lengths - 1, entries))
        part = np.ones(len(offsets), np.int64)
        part[begins[:-1][entries > 0]] = 0
        part[begins[1:][entries > 0] - 1] = 2
        number, known = self._numbers(codes[offsets])
        kept = np.concatenate([[0], np.cumsum(known)])[begins]
        return (part * len(self) + number)[known], kept

    def _numbers(self, codes: NDArray[np.uint32]) -> tuple[Ints, NDArray[np.bool_]]:
        known_codes, order = self._sorted
        if not len(known_codes):
            return np.zeros(len(codes), np.int64), np.zeros(len(codes), np.bool_)
        index = np.minimum(np.searchsorted(known_codes, codes), len(known_codes) - 1)
        return order[index], known_codes[index] == codes

    def vectors(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of words, [W, 3V]."""
        columns, begins = self.columns(words)
        rows = np.repeat(np.arange(len(words)), np.diff(begins))
        flat = np.bincount(rows * self.width + columns, minlength=len(words) * self.width)
        return flat.reshape(len(words), self.width).astype(np.float32)


class ScRNN(nn.Module):
    """The network of Pruthi et al. 2019 (section 3): one BiLSTM layer, no embedding, no dropout, one linear layer."""

    def __init__(self, characters: int, hidden_size: int, classes: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.lstm = nn.LSTM(3 * characters, hidden_size, bidirectional=True)
        self.output = nn.Linear(2 * hidden_size, classes)

    def forward(self, vectors: Tensor, index: Tensor, batch_sizes: Tensor) -> Tensor:
        """Return hidden states [N, 2H] of packed sentences, for training.

        `vectors` [U, 3V] are the distinct words', `index` [N] says which stands where, step by step (`packing`).
        """
        packed = PackedSequence(vectors[index], batch_sizes)
        return cast(Tensor, self.lstm(packed)[0].data)

    @torch.inference_mode()
    def gates(self, characters: CharacterSet, words: Sequence[str]) -> Tensor:
        """Return what each distinct word adds to the gates, [U, 2, 4H]: sums of columns of the input weights."""
        device = self.output.weight.device
        columns, begins = characters.columns(words)
        flat, offsets = torch.from_numpy(columns).to(device), torch.from_numpy(begins).to(device)
        weight = torch.cat([self._sigmoids_first("weight_ih", suffix) for suffix in _DIRECTIONS]).t().contiguous()
        biases = [self._sigmoids_first(name, suffix) for name in ("bias_ih", "bias_hh") for suffix in _DIRECTIONS]
        bags = nn.functional.embedding_bag(flat, weight, offsets, mode="sum", include_last_offset=True)
        return bags.add_(torch.cat(biases[:2]) + torch.cat(biases[2:])).view(len(words), 2, -1)

    @torch.inference_mode()
    def hidden(self, gates: Tensor, index: Tensor, back: Tensor, batch_sizes: Sequence[int]) -> Tensor:
        """Return hidden states [N, 2H] of packed sentences from the gates of their words, without gradients.

        `index` and `back` [N] say which word stands where, read forwards and backwards; the backward half of the result
        is in the order of `back`.
        """
        weight = torch.stack([self._sigmoids_first("weight_hh", suffix).t() for suffix in _DIRECTIONS])
        size, total = self.hidden_size, len(index)
        result = gates.new_empty(2, total, size)
        state = cell = gates.new_zeros(2, batch_sizes[0] if total else 0, size)
        both, rows = gates.flatten(0, 1), torch.stack([2 * index, 2 * back + 1])
        start = 0
        for count in batch_sizes:
            step = slice(start, start + count)
            inputs = both[rows[:, step]].baddbmm_(state[:, :count], weight)
            opened, new = inputs[..., : 3 * size].sigmoid_(), inputs[..., 3 * size :].tanh_()
            kept = opened[..., size : 2 * size] * cell[:, :count]
            cell = kept.addcmul_(opened[..., :size], new)
            state = torch.mul(opened[..., 2 * size :], cell.tanh(), out=result[:, step])
            start += count
        return result

    def _sigmoids_first(self, name: str, suffix: str) -> Tensor:
        """Return a parameter with its gates in the order input, forget, output, new: those of one function together."""
        first, forget, new, out = cast(Tensor, getattr(self.lstm, f"{name}_l0{suffix}")).chunk(4)
        return torch.cat([first, forget, out, new])


def packing(lengths: Ints) -> tuple[Ints, Ints, Ints]:
    """Return how sentences of these lengths (longest first) are packed, step by step.

    Three arrays: batch sizes [T]; the flat index of each packed word [N]; the flat index of each packed word when every
    sentence is read backwards [N].
    """
    steps = int(lengths[0]) if len(lengths) else 0
    sizes = np.searchsorted(-lengths, -np.arange(steps), side="left").astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    step = np.repeat(np.arange(steps), sizes)
    sentence = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return sizes, starts[sentence] + step, (starts + lengths - 1)[sentence] - step

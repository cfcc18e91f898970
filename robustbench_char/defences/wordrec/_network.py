"""ScRNN: a bidirectional LSTM over semi-character vectors, and a layer that says which known word each one was.

The semi-character view of a word is its first character, the bag of those between, and its last one: with a set of V
characters a vector of 3V numbers, onehot(first), counts of the interior, onehot(last). A word of one character has it
first and last; words of one or two characters have no interior; a character outside the set adds nothing. Swaps inside
a word change nothing (Sakaguchi et al. 2017; Pruthi et al. 2019, section 3). Vectors are kept sparse: the columns that
count, one entry per character.

The most likely word of each hidden state is found exactly, without all logits in single precision: a vocabulary of
10,000 words costs far more than the rest of the network. On a CPU the logits are computed from weights and states
rounded to 8 bits first, with a bound on what the rounding can have changed; only words within that bound of the best
are computed in single precision. The answer is the one of the plain product, up to ties of its rounding. A processor
whose products of 8-bit numbers are not exact takes the plain product.

Shape legend: B sentences, T words of the longest, N words in all, U distinct words, H hidden units per direction,
K classes (the known words, then UNK), V characters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from robustbench_char.text.columns import ranges

Ints = NDArray[np.int64]

_ROWS, _ROWS_GPU = 128, 8192
"""States worked on at once: their rounded logits stay near the core of a CPU."""
_MOST = 48
"""Candidates per state, on average, above which the plain product is cheaper."""
_MOST_BIAS = 16
"""Columns for the bias: as many as it is times larger than the weights; beyond this, rounding is not worth it."""
_LEAST_ROWS = 8
"""States worked on at least: products of fewer rows are computed in another way, and differ in their last bits."""
_NEAR = 1e-3
"""Logits of one state that are no further apart may change places by rounding."""
_LEAST_CLASSES = 512
"""Vocabularies below this are small enough for the plain product."""
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
            inputs = _filled(both[rows[:, step]]).baddbmm_(_filled(state[:, :count]), weight)[:, :count]
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


def _filled(states: Tensor) -> Tensor:
    """Return states [..., N, D] with rows of 0 after them, up to `_LEAST_ROWS`: none depends on how many there are."""
    missing = _LEAST_ROWS - states.shape[-2]
    return nn.functional.pad(states, (0, 0, 0, missing)) if missing > 0 else states


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


class Decoder:
    """The output layer of a network, made ready for many states. `weight` [K, 2H], `bias` [K]."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight.detach(), bias.detach()
        self._rounded: Tensor | None = None
        worth = weight.device.type == "cpu" and len(bias) >= _LEAST_CLASSES and bool(self.weight.any())
        if worth and whole_products_are_exact():
            self._round()

    def best(self, states: Tensor) -> Ints:
        """Return the class with the highest logit for each state [N, 2H]."""
        rows = _ROWS if states.device.type == "cpu" else _ROWS_GPU
        parts = [self._best(states[start : start + rows]) for start in range(0, len(states), rows)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _plain(self, states: Tensor) -> Ints:
        logits = self._logits(states)
        if logits.device.type == "cpu":
            return np.asarray(logits.numpy().argmax(axis=1), np.int64)  # several times as fast as torch's on one core
        return np.asarray(logits.argmax(dim=1).cpu().numpy(), np.int64)

    def _logits(self, states: Tensor) -> Tensor:
        return torch.addmm(self.bias, _filled(states), self.weight.t())[: len(states)]

    def _round(self) -> None:
        """Round the weights to 8 bits; the bias becomes further columns against constant states of 127 and 1."""
        top = max(float(self.weight.abs().max()), 1e-30)
        unit = top / 127
        whole = (self.weight / unit).round()
        bias = (self.bias / unit * 127).round()
        coarse = max(1, math.ceil(float(self.bias.abs().max()) / top))
        if coarse > _MOST_BIAS:
            return
        columns = [whole]
        rest = bias
        for left in range(coarse, 0, -1):
            part = (rest / 127 / left).round().clamp(-127, 127)
            columns.append(part[:, None])
            rest = rest - part * 127
        columns.append(rest.clamp(-127, 127)[:, None])
        unstored = (rest - rest.clamp(-127, 127)).abs().max()
        matrix = torch.cat(columns, dim=1).to(torch.int8)
        spare = -len(matrix) % 64  # for `_marked`; classes that no word can be, should they be marked
        matrix = torch.cat([matrix, matrix[:1].expand(spare, -1)])
        self._constants = torch.tensor([127] * coarse + [1], dtype=torch.int8)
        self._unit = unit / 127
        self._weight_error = float((self.weight - whole * unit).norm(dim=1).max())
        self._weight_norm = float((whole * unit).norm(dim=1).max())
        self._bias_error = (float(unstored) + 0.5) * self._unit
        self._rounded = matrix.t()

    def _best(self, states: Tensor) -> Ints:
        if self._rounded is None:
            return self._plain(states)
        whole = (states * 127).round()
        given = torch.cat([whole.to(torch.int8), self._constants.expand(len(states), -1)], dim=1)
        about = torch._int_mm(given, self._rounded)
        slack = (2 * self._error(states, whole / 127) / self._unit).ceil().to(torch.int32)
        low = (about.amax(dim=1) - slack).numpy()
        rows, classes = _marked(about.numpy() >= low[:, None])
        rows, classes = rows[classes < len(self.bias)], classes[classes < len(self.bias)]
        if len(rows) > _MOST * len(states):
            logits = self._logits(states)  # which states share a block must not tell: the last word is that of `_among`
            rows, classes = np.nonzero((logits >= logits.amax(dim=1, keepdim=True) - _NEAR).numpy())
        return self._among(states, rows, classes)

    def _error(self, states: Tensor, rounded: Tensor) -> Tensor:
        """Return the most by which each state's rounded logits can be off, by Cauchy-Schwarz."""
        error = states.norm(dim=1) * self._weight_error + (states - rounded).norm(dim=1) * self._weight_norm
        return cast(Tensor, error + self._bias_error + 1e-4)

    def _among(self, states: Tensor, rows: Ints, classes: Ints) -> Ints:
        """Return the best class of each state among its candidates, which are sorted by state."""
        first = np.searchsorted(rows, np.arange(len(states)))
        single = np.diff(np.append(first, len(rows))) == 1
        result = classes[first].copy()
        open_pairs = ~single[rows]
        row, kind = rows[open_pairs], classes[open_pairs]
        if len(row):
            pairs = torch.from_numpy(kind)
            logits = ((states[torch.from_numpy(row)] * self.weight[pairs]).sum(dim=1) + self.bias[pairs]).numpy()
            order = np.lexsort((kind, -logits, row))
            chosen = order[np.flatnonzero(np.diff(row[order], prepend=-1))]
            result[row[chosen]] = kind[chosen]
        return result


@cache
def whole_products_are_exact() -> bool:
    """Return whether this processor's products of 8-bit matrices are exact: without VNNI, partial sums saturate."""
    most = torch.full((_ROWS, 64), 127, dtype=torch.int8)
    products = (torch._int_mm(most, (sign * most).t()) * sign for sign in (1, -1))
    return all(bool((product == 64 * 127 * 127).all()) for product in products)


def _marked(marks: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return `nonzero` of a table [N, K] with few marks, K a multiple of 64, looking at 64 marks at a time."""
    flat = marks.reshape(-1)
    some = np.flatnonzero(np.packbits(flat).view(np.uint64))
    indices = (some[:, None] * 64 + np.arange(64)).reshape(-1)
    indices = indices[flat[indices]]
    return indices // marks.shape[1], indices % marks.shape[1]

"""The most likely word of each hidden state, exactly, without all logits in single precision.

A vocabulary of 10,000 words costs far more than the rest of the network. On a CPU the logits are computed from weights
and states rounded to 8 bits first, with a bound on what the rounding can have changed; only words within that bound of
the best are computed in single precision. The answer is the one of the plain product, up to ties of its rounding.
A processor whose products of 8-bit numbers are not exact takes the plain product.
"""

from __future__ import annotations

import math
from functools import cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Decoder", "whole_products_are_exact"]

Ints = NDArray[np.int64]
_ROWS, _ROWS_GPU = 128, 8192
"""States worked on at once: their rounded logits stay near the core of a CPU."""
_MOST = 48
"""Candidates per state, on average, above which the plain product is cheaper."""
_MOST_BIAS = 16
"""Columns for the bias: as many as it is times larger than the weights; beyond this, rounding is not worth it."""
_LEAST_CLASSES = 512
"""Vocabularies below this are small enough for the plain product."""


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
        logits = torch.addmm(self.bias, states, self.weight.t())
        if logits.device.type == "cpu":
            return np.asarray(logits.numpy().argmax(axis=1), np.int64)  # several times as fast as torch's on one core
        return np.asarray(logits.argmax(dim=1).cpu().numpy(), np.int64)

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
            return self._plain(states)
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

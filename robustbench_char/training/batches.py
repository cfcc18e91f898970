"""From what training reads to batches: their order, and how their members become tensors.

Shape legend: B batch, T sub-words, L labels, N compared predictions of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Sampler

from robustbench_char.models.inputs import InputArray, pad

__all__ = ["Collator", "Feature", "LengthGroupedSampler", "Pair", "PairCollator", "divergence", "length_of"]

Feature = Mapping[str, InputArray | int]
"""Inputs and targets of one window, by the names of the model's arguments."""

_POOL = 50  # batches that are sorted together: little padding, yet other neighbours each epoch


class Pair(NamedTuple):
    """An example and its attacked copy, if it has one; `compared` [N, 2] is where their predictions shall agree."""

    clean: Feature
    copy: Feature | None
    compared: npt.NDArray[np.int64]


def length_of(sample: Feature | Pair) -> int:
    """Return the number of sub-words; of a pair, those of the longer one."""
    parts = (sample.clean, sample.copy or sample.clean) if isinstance(sample, Pair) else (sample,)
    return max(len(part["input_ids"]) for part in parts)  # type: ignore[arg-type]


class Collator:
    """Make a batch of features: arrays [T] are padded to [B, T] with the value of their name, numbers become [B]."""

    def __init__(self, padding: Mapping[str, int]) -> None:
        self.padding = dict(padding)

    def __call__(self, features: Sequence[Feature]) -> dict[str, torch.Tensor]:
        """Return one tensor per name: whole numbers as int64, others as they are."""
        arrays = [{name: one for name, one in feature.items() if isinstance(one, np.ndarray)} for feature in features]
        padded = {name: torch.from_numpy(table) for name, table in pad(arrays, self.padding).items()}
        numbers = {name: [feature[name] for feature in features] for name in features[0] if name not in padded}
        return padded | {name: torch.tensor(values, dtype=torch.int64) for name, values in numbers.items()}


class PairCollator:
    """Make a batch of pairs: that of all their features, each copy after its example.

    `compared` [N, 4] holds row and position of a prediction for an example, then those of the same for its copy.
    """

    def __init__(self, collator: Collator) -> None:
        self.collator = collator

    def __call__(self, pairs: Sequence[Pair]) -> dict[str, torch.Tensor]:
        """Return one tensor per name, as `Collator` does."""
        features: list[Feature] = []
        compared = [np.zeros((0, 4), np.int64)]
        for clean, copy, both in pairs:
            row = np.full(len(both), len(features))
            compared.append(np.stack([row, both[:, 0], row + 1, both[:, 1]], axis=1))
            features += [clean] if copy is None else [clean, copy]
        return {**self.collator(features), "compared": torch.from_numpy(np.concatenate(compared))}


def divergence(logits: torch.Tensor, compared: torch.Tensor) -> torch.Tensor:
    """Return the mean over N of (KL(p || q) + KL(q || p)) / 2, in nats, as R-Drop has it (Liang et al. 2021).

    `logits` are [B, L] or [B, T, L]; `compared` is that of `PairCollator`. 0 where nothing is compared.
    """
    table = logits.float().reshape(len(logits), -1, logits.shape[-1]).log_softmax(-1)
    p, q = table[compared[:, 0], compared[:, 1]], table[compared[:, 2], compared[:, 3]]
    return ((p.exp() - q.exp()) * (p - q)).sum() / (2 * max(len(compared), 1))


class LengthGroupedSampler(Sampler[int]):
    """A random order in which the members of a batch have like lengths; it depends on seed and epoch alone.

    Texts are shuffled, sorted by length in pools of `_POOL` batches, cut into batches, and the batches shuffled; a
    batch that is not full stays last, since batches are cut from this order again. With `passes`, which list the texts
    of each epoch, one order holds all epochs; texts that fill no batch wait for the next one.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, passes: Sequence[npt.NDArray[np.int64]] = ()
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.passes = passes or [np.arange(len(lengths))]
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, counted from 0. Called by the data loader, also when training resumes."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(map(len, self.passes))

    def __iter__(self) -> Iterator[int]:
        left = np.zeros(0, np.int64)
        for epoch, texts in enumerate(self.passes, self.epoch):
            grouped = self._grouped(np.concatenate([left, texts]), epoch)
            full = len(grouped) - len(grouped) % self.batch_size
            yield from grouped[:full].tolist()
            left = grouped[full:]
        yield from left.tolist()

    def _grouped(self, texts: npt.NDArray[np.int64], epoch: int) -> npt.NDArray[np.int64]:
        generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
        order = texts[generator.permutation(len(texts))]
        pool = self.batch_size * _POOL
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        grouped = np.concatenate([part[np.argsort(-self.lengths[part], kind="stable")] for part in pools])
        full = len(grouped) - len(grouped) % self.batch_size
        batches = generator.permutation(grouped[:full].reshape(-1, self.batch_size))
        return np.concatenate([batches.reshape(-1), grouped[full:]])

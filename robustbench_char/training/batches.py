"""Batches: padding to the longest of a batch, and a training order that puts texts of like length together.

The order is ours because the option of the Hugging Face Trainer that groups by length also permutes what it predicts
on. Shape legend: B batch, T sub-words of its longest window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler

from robustbench_char.models.inputs import IntArray, pad

__all__ = ["Collator", "LengthGroupedSampler"]

_POOL = 50  # batches that are sorted together: little padding, yet other neighbours each epoch


class Collator:
    """Make a batch of features: arrays [T] are padded to [B, T] with the value of their name, numbers become [B]."""

    def __init__(self, padding: Mapping[str, int]) -> None:
        self.padding = dict(padding)

    def __call__(self, features: Sequence[Mapping[str, IntArray | int]]) -> dict[str, torch.Tensor]:
        """Return one tensor a name, as int64."""
        arrays = [{name: one for name, one in feature.items() if isinstance(one, np.ndarray)} for feature in features]
        padded = {name: torch.from_numpy(table) for name, table in pad(arrays, self.padding).items()}
        numbers = [name for name in features[0] if name not in padded]
        return padded | {
            name: torch.tensor([feature[name] for feature in features], dtype=torch.int64) for name in numbers
        }


class LengthGroupedSampler(Sampler[int]):
    """A random order in which the members of a batch have like lengths; it depends on seed and epoch alone.

    Texts are shuffled, sorted by length in pools of `_POOL` batches, cut into batches, and the batches shuffled; a
    batch that is not full stays last, since batches are cut from this order again.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, counted from 0. Called by the data loader, also when training resumes."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
        order = generator.permutation(len(self.lengths))
        pool = self.batch_size * _POOL
        pools = [order[start : start + pool] for start in range(0, len(order), pool)]
        grouped = np.concatenate([part[np.argsort(-self.lengths[part], kind="stable")] for part in pools])
        full = len(grouped) - len(grouped) % self.batch_size
        batches = generator.permutation(grouped[:full].reshape(-1, self.batch_size))
        yield from batches.reshape(-1).tolist()
        yield from grouped[full:].tolist()

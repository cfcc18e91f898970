"""Draws that give the same result on every machine and Python version, and names that only one split may use."""

from __future__ import annotations

import hashlib
import random
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

__all__ = ["Draw"]

T = TypeVar("T")

_RESERVED = {"dev": 8, "test": 9}  # of every ten names, the one that is kept for a split; the first eight are for all


class Draw:
    """A source of random choices for one split of one task.

    Only `random.Random.random` is used: the Python manual promises its sequence for a seed, and no other method's.
    """

    def __init__(self, task: str, split: str) -> None:
        digest = hashlib.sha256(f"robustbench-char mini {task} {split}".encode()).digest()
        self.split = split
        self._random = random.Random(int.from_bytes(digest[:8], "big"))

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        """Return one item."""
        return items[int(self._random.random() * len(items))]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Put the items into a random order, in index."""
        for last in range(len(items) - 1, 0, -1):
            other = self.between(0, last)
            items[last], items[other] = items[other], items[last]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """Return `count` items at different positions, in random order."""
        pool = list(items)
        self.shuffle(pool)
        return pool[:count]

    def name(self, names: Sequence[T]) -> T:
        """Return one name of a list; in dev and test every second one is kept from the other splits."""
        if self.split in _RESERVED and self.chance(0.5):
            return self.pick(names[_RESERVED[self.split] :: 10])
        tens, rest = divmod(len(names), 10)
        index = self.between(0, 8 * tens + min(rest, 8) - 1)
        return names[index // 8 * 10 + index % 8]

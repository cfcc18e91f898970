"""What training reads: windows and targets of the examples as given and of their attacked copies, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from robustbench_char.models.inputs import IntArray
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Example
from robustbench_char.training.augmentation import Augmentation
from robustbench_char.training.batches import Feature, Pair
from robustbench_char.training.families import Recipe

__all__ = ["TrainingSet", "training_set"]


@dataclass(frozen=True)
class TrainingSet:
    """Samples to train on: features, or pairs of them where their predictions shall agree (`consistency` above 0).

    `passes` lists the samples of each epoch where those differ; it is empty where every epoch reads all of them.
    The length limit cut `truncated` of the examples and of their attacked `copies`; `windows` are those of both.
    """

    samples: Sequence[Feature | Pair]
    windows: int
    truncated: int
    copies: int = 0
    passes: Sequence[npt.NDArray[np.int64]] = ()
    consistency: float = 0.0

    def batch_size(self, windows: int) -> int:
        """Return how many samples make a batch of so many windows."""
        return max(1, windows // 2) if self.consistency else windows

    def steps(self, epochs: float, batch_size: int) -> int:
        """Return the number of steps; of the last epoch a part is read where their number is not whole."""
        if not self.passes:
            return math.ceil(epochs * math.ceil(len(self.samples) / batch_size))
        shares = [min(1.0, epochs - number) for number in range(math.ceil(epochs))]
        read = sum(share * len(one) for share, one in zip(shares, self.passes, strict=False))
        return math.ceil(read / batch_size)


def training_set(
    recipe: Recipe, system: System, examples: Sequence[Example], augmentation: Augmentation | None
) -> TrainingSet:
    """Return what is trained on; a defence of the system reads the examples, and the copies of each epoch, as files."""
    read = partial(_File.of, recipe, system, compare=augmentation is not None and augmentation.consistency > 0)
    clean = read(examples)
    if augmentation is None:
        return TrainingSet(clean.features, len(clean.features), len(clean.cut))
    copies = [read(augmentation.copies(recipe.task, examples, seed)) for seed in augmentation.seeds]
    if augmentation.consistency:
        chosen = (augmentation.chosen(len(examples), seed) for seed in augmentation.seeds)
        epochs: list[list[Any]] = [_pairs(clean, file, of.tolist()) for file, of in zip(copies, chosen, strict=True)]
        samples, common = list(chain(*epochs)), 0
    else:
        epochs = [file.features for file in copies]
        samples, common = list(chain(clean.features, *epochs)), len(clean.features)
    files = [clean, *copies]
    return TrainingSet(
        samples=samples,
        windows=sum(len(file.features) for file in files),
        truncated=sum(len(file.cut) for file in files),
        copies=sum(file.examples for file in copies),
        passes=_passes(common, [len(epoch) for epoch in epochs]) if len(epochs) > 1 else (),
        consistency=augmentation.consistency,
    )


def _passes(common: int, own: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """Return the samples of each epoch: the first `common` ones, and its own, which follow epoch by epoch."""
    ends = common + np.cumsum(own)
    return [
        np.concatenate([np.arange(common), np.arange(end - count, end)]) for end, count in zip(ends, own, strict=True)
    ]


@dataclass
class _File:
    """The features of examples that were read as one file, what is `compared` in each, and which examples were cut."""

    examples: int
    features: list[Feature] = field(default_factory=list)
    compared: list[IntArray] = field(default_factory=list)
    cut: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, recipe: Recipe, system: System, examples: Sequence[Example], *, compare: bool) -> Self:
        """Read examples; windows of one example follow each other."""
        file = cls(len(examples))
        for window in recipe.windows(system, examples):
            file.features.append({**window.inputs, **recipe.targets(window, examples[window.row])})
            if compare:
                file.compared.append(recipe.compared(window))
            if window.truncated:
                file.cut.add(window.row)
        return file


def _pairs(clean: _File, copies: _File, chosen: Sequence[int]) -> list[Pair]:
    """Return each example, of one window, with its copy: words that both windows hold are compared."""
    numbers = {example: number for number, example in enumerate(chosen)}
    pairs = []
    for example, feature in enumerate(clean.features):
        if (number := numbers.get(example)) is None:
            pairs.append(Pair(feature, None, np.zeros((0, 2), np.int64)))
            continue
        ours, its = clean.compared[example], copies.compared[number]
        _, first, second = np.intersect1d(ours[:, 0], its[:, 0], assume_unique=True, return_indices=True)
        both = np.stack([ours[first, 1], its[second, 1]], axis=1).astype(np.int64)
        pairs.append(Pair(feature, copies.features[number], both))
    return pairs

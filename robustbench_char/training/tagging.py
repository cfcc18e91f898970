"""Tagging: the first piece of a word carries its tag; a word without piece has no prediction, an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robustbench_char.models.inputs import NO_WORD, IntArray, Window
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Example, Task
from robustbench_char.training.families import Outputs, tokens_of
from robustbench_char.training.options import Settings

__all__ = ["IGNORED", "Tagging", "first_pieces"]

IGNORED = -100
"""The target that the loss leaves out."""


@dataclass(frozen=True)
class Tagging:
    """The recipe of tagging; see `recipes.Recipe`."""

    task: Task
    labels: tuple[str, ...]
    settings: Settings

    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        """Encode the tokens; one window an example."""
        sentences = [tokens_of(example, self.task.fields[0]) for example in examples]
        return system.word_windows(sentences, max_length=self.settings.max_length)

    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        """Return labels [T]: the tag's index on first pieces, IGNORED elsewhere."""
        tags = example.label or ()
        places = first_pieces(window)
        labels = np.full(len(window.inputs["input_ids"]), IGNORED, np.int32)
        labels[places] = [self.labels.index(tags[word]) for word in window.words[places]]
        return {"labels": labels}

    def read(self, window: Window, outputs: Outputs) -> dict[int, int]:
        """Return the most likely tag of each word that has a piece, from logits [T, L]."""
        places = first_pieces(window)
        best = outputs["logits"][places].argmax(axis=-1)
        return dict(zip(window.words[places].tolist(), best.tolist(), strict=True))

    def predict(self, example: Example, readings: Sequence[dict[int, int]]) -> tuple[str | None, ...]:
        """Return a tag for each word, None where it has no piece."""
        found = readings[0]
        words = tokens_of(example, self.task.fields[0])
        return tuple(self.labels[found[word]] if word in found else None for word in range(len(words)))


def first_pieces(window: Window) -> IntArray:
    """Return the positions in T of the first piece of each word."""
    words = window.words
    before = np.concatenate([[NO_WORD], words[:-1]])
    return np.flatnonzero((words != NO_WORD) & (words != before)).astype(np.int32)

"""How windows share a batch so that no result depends on it: measured on every model that is not known to be so.

Some encoders read what follows a text (ConvBERT, YOSO, Nystromformer, FNet, CANINE), some what stands beside it, some
draw numbers as they read. A list of types would be incomplete, and a wrong guess changes results without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from robustbench_char.common import InputError
from robustbench_char.models.inputs import Window

__all__ = ["Batching", "measured", "probe_words", "reading_texts", "shortest"]

Read = Callable[[Sequence[Window]], Sequence[Mapping[str, npt.NDArray[np.float32]]]]
"""Reads windows in one batch; what it gives of each may go on over the padding."""

_LENGTHS = (1, 2, 5, 12, 30, 90)
_WORDS = ["a", "b", "of", "to", "in", "it", "is", "on", "by", "he"]
_FAILURES = (AssertionError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, ImportError)
_LOSS = 2e-5
"""What rounding may change, as a share of the largest output."""


class Batching(NamedTuple):
    """How windows share a batch: those of one length only, each by itself, and filled up to `least` pieces."""

    alike: bool = False
    alone: bool = False
    least: int = 1

    def batches(self, lengths: Sequence[int], size: int) -> Iterator[list[int]]:
        """Yield the numbers of windows that share a batch, the longest first, so that little is padded."""
        order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        for _, alike in groupby(order, key=lambda index: lengths[index] if self.alike else 0):
            while batch := list(islice(alike, 1 if self.alone else size)):
                yield batch


def probe_words() -> list[tuple[str, ...]]:
    """Return sentences of different lengths, the longest last."""
    return [tuple((_WORDS * length)[:length]) for length in _LENGTHS]


def measured(read: Read, windows: Sequence[Window], batching: Batching, place: object) -> Batching:
    """Return how windows may share a batch by what a model says of these, the longest of which is the last.

    Raises InputError for a model that cannot read them, and for one that says another thing each time.
    """
    with reading_texts(place):
        return _measured(read, windows, batching, place)


@contextmanager
def reading_texts(place: object) -> Iterator[None]:
    """Turn what a model raises that cannot read a text into an InputError."""
    try:
        yield
    except _FAILURES as error:
        found = f"a model that cannot read a text ({' '.join(str(error).split())[:200]})"
        fix = "Models that need more than a text, such as places on a page, are not for this. Otherwise check that the"
        fix += " folder has the model's own tokenizer."
        raise InputError(
            place, found=found, expected="one that reads texts as its tokenizer cuts them", fix=fix
        ) from error


def _measured(read: Read, windows: Sequence[Window], batching: Batching, place: object) -> Batching:
    last = windows[-1]
    single = [read([window])[0] for window in windows]
    if not _alike(single[-1], read([last])[0]):
        fix = "Choose another model, or fix what it draws in a copy of its config.json (Reformer: hash_seed; YOSO:"
        fix += " use_expectation)."
        found = "a model that draws numbers as it reads: it says another thing of a text each time"
        raise InputError(place, found=found, expected="one that reads a text in one way", fix=fix)
    if batching.alone:
        return batching
    if not _alike(single[-1], read([last, _other(last)])[0]):
        return batching._replace(alone=True)
    padded = read(windows)
    return batching._replace(alike=not all(map(_alike, single, padded)))


def _other(window: Window) -> Window:
    """Return a window like it, whose pieces between the first and the last stand the other way round."""
    ids = window.inputs["input_ids"]
    turned = np.concatenate([ids[:1], ids[1:-1][::-1], ids[-1:]])
    return window._replace(inputs={**window.inputs, "input_ids": turned})


def _alike(one: Mapping[str, npt.NDArray[np.float32]], other: Mapping[str, npt.NDArray[np.float32]]) -> bool:
    pairs = [(own, other[name][: len(own)]) for name, own in one.items()]
    return all(np.allclose(own, also, rtol=0, atol=_LOSS * float(np.abs(own).max())) for own, also in pairs)


def shortest(config: Any) -> int:
    """Return the shortest input that a model takes: those that pool their states fail on less."""
    if config.model_type == "canine":
        return int(config.downsampling_rate)
    return 2 ** (len(config.block_sizes) - 1) + 1 if config.model_type == "funnel" else 1

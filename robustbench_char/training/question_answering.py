"""Extractive question answering as in BERT's own code: overlapping windows, best span, score of no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robustbench_char.metrics.base import QaPrediction
from robustbench_char.models.inputs import IntArray, Window
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Answer, Example, Task
from robustbench_char.tasks.labels import may_decline
from robustbench_char.training.families import Outputs, text_of
from robustbench_char.training.options import Settings

__all__ = ["QuestionAnswering", "Span", "best_span", "span_of"]

_NONE = 0  # position of [CLS], which stands for "no answer here"


class Span(NamedTuple):
    """What one window says. `score` is start + end logit of its best answer, if any, `null` that of no answer."""

    null: float
    score: float | None = None
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class QuestionAnswering:
    """The recipe of question answering; see `recipes.Recipe`."""

    task: Task
    labels: tuple[str, ...]
    settings: Settings

    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        """Encode question and context; several windows where the context is long."""
        questions = [text_of(example, "question") for example in examples]
        contexts = [text_of(example, "context") for example in examples]
        chosen = self.settings
        return system.context_windows(
            questions,
            contexts,
            max_length=chosen.max_length,
            stride=chosen.doc_stride,
            max_question=chosen.max_question,
        )

    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        """Return first and last piece of the first answer; [CLS] where the window does not hold it."""
        start, end = span_of(window, example.answers[0]) if example.answers else (_NONE, _NONE)
        return {"start_positions": start, "end_positions": end}

    def read(self, window: Window, outputs: Outputs) -> Span:
        """Return the best span of a window from start and end logits [T]."""
        chosen = self.settings
        return best_span(
            outputs["start_logits"],
            outputs["end_logits"],
            window.offsets,
            n_best=chosen.n_best,
            max_answer=chosen.max_answer,
        )

    def predict(self, example: Example, readings: Sequence[Span]) -> QaPrediction:
        """Return the best answer over the windows, cut out of the context; nothing where no answer scores higher.

        The score of no answer is the lowest over the windows: most windows do not hold an answer that another one has.
        """
        null = min(span.null for span in readings)
        spans = [(span.score, span.start, span.end) for span in readings if span.score is not None]
        if not spans:
            return QaPrediction(text="", best_text="")
        score, start, end = max(spans, key=lambda span: span[0])
        text = text_of(example, "context")[start:end]
        if not may_decline(self.task):
            return QaPrediction(text=text, best_text=text)
        return QaPrediction(text=text if null <= score else "", best_text=text, null_odds=null - score)


def span_of(window: Window, answer: Answer) -> tuple[int, int]:
    """Return the first and last piece in T of an answer, or [CLS] twice where the window does not hold all of it."""
    starts, ends = window.offsets[:, 0], window.offsets[:, 1]
    pieces = np.flatnonzero(ends > starts)
    stop = answer.start + len(answer.text)
    if not len(pieces) or starts[pieces[0]] > answer.start or ends[pieces[-1]] < stop:
        return _NONE, _NONE
    first = pieces[np.flatnonzero(starts[pieces] <= answer.start)[-1]]
    last = pieces[np.flatnonzero(ends[pieces] >= stop)[0]]
    return int(first), int(max(first, last))


def best_span(
    start: npt.NDArray[np.float32], end: npt.NDArray[np.float32], offsets: IntArray, *, n_best: int, max_answer: int
) -> Span:
    """Return the best span among the `n_best` likeliest starts and ends that lie in the context, by start + end logit.

    `start` and `end` are logits [T], `offsets` [T, 2]. A span has 1 to `max_answer` pieces. Of equal ones the first
    wins.
    """
    null = float(start[_NONE] + end[_NONE])
    pieces = np.flatnonzero(offsets[:, 1] > offsets[:, 0])  # in the context, and not empty
    firsts = np.sort(pieces[np.argsort(-start[pieces], kind="stable")[:n_best]])
    lasts = np.sort(pieces[np.argsort(-end[pieces], kind="stable")[:n_best]])
    length = lasts[None, :] - firsts[:, None] + 1
    scores = np.where((length >= 1) & (length <= max_answer), start[firsts][:, None] + end[lasts][None, :], -np.inf)
    if not scores.size or scores.max() == -np.inf:
        return Span(null)
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    return Span(null, float(scores[row, column]), int(offsets[firsts[row], 0]), int(offsets[lasts[column], 1]))

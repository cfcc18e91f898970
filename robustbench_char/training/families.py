"""The three families on a model: how examples become windows and targets, and how outputs become predictions.

Shape legend: T sub-words of one window, L labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from robustbench_char.attacks.search.objectives import margin, no_answer_log_probability, span_log_probability
from robustbench_char.common import InputError
from robustbench_char.metrics.base import Prediction, QaPrediction
from robustbench_char.models.inputs import NO_WORD, IntArray, Window
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Answer, Example, Task
from robustbench_char.tasks.labels import may_decline, place_of
from robustbench_char.training.options import Reading, Settings

__all__ = ["Outputs", "Recipe", "first_pieces", "make_recipe"]

Outputs = Mapping[str, npt.NDArray[np.float32]]
"""The logits of one window by name; those of sub-words go on over the padding of the batch."""

T = TypeVar("T", str, tuple[str, ...])


@dataclass(frozen=True)
class Recipe(ABC):
    """One family on one task: the only code that knows its labels."""

    task: Task
    labels: tuple[str, ...]
    settings: Settings | Reading

    @abstractmethod
    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        """Encode examples; the windows of one example follow each other, and `row` is its position in `examples`."""

    @abstractmethod
    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        """Return what the model shall say about a window of a labelled example, by the name of the model's argument."""

    def compared(self, window: Window) -> IntArray:
        """Return [N, 2]: what is predicted in a window, by number, and its position; here one class, of all of it."""
        return np.zeros((1, 2), np.int32)

    @abstractmethod
    def read(self, window: Window, outputs: Outputs) -> Any:
        """Reduce a window's outputs to what `predict` needs."""

    @abstractmethod
    def predict(self, example: Example, readings: Sequence[Any]) -> Prediction:
        """Return the prediction for an example from the readings of its windows, in order."""

    @abstractmethod
    def sureness(self, example: Example, windows: Sequence[tuple[Window, Outputs]]) -> float:
        """Return how sure the outputs of all windows of a labelled example are of its label (see `objectives`)."""


def label_names(task: Task, examples: Iterable[Example]) -> tuple[str, ...]:
    """Return the classes in the task's order, or those labels in the examples, sorted; none for question answering."""
    if task.family == "question_answering":
        return ()
    if task.labels is not None:
        return task.labels
    return tuple(sorted({label for example in examples for label in labels_of(example)}))


def labels_of(example: Example) -> tuple[str, ...]:
    """Return the labels of an example: its class, or those of its words."""
    return (example.label,) if isinstance(example.label, str) else example.label or ()


def refuse_unknown(examples: Sequence[Example], labels: tuple[str, ...], where: object) -> None:
    """Raise InputError for the first label that is none of the task's."""
    known = set(labels)
    for example in examples if labels else ():
        for label in labels_of(example):
            if label not in known:
                place, expected = f"{where}: {place_of(example)}", f"one of {', '.join(labels)}"
                fix = "Correct the label, or the task."
                raise InputError(place, found=f"the label {label!r}", expected=expected, fix=fix)


def _field(example: Example, field: str, kind: type[T]) -> T:
    """Return a field: a text or tokens. Raises InputError when the example has none of that name and kind."""
    value = example.fields.get(field)
    if isinstance(value, kind):
        return value
    raise InputError(
        place_of(example),
        found=f"fields {', '.join(example.fields)}",
        expected=f"a field {field!r}",
        fix="The data belong to another task: check the task and the file.",
    )


class Classification(Recipe):
    """The recipe of classification."""

    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        """Encode the task's first field, paired with the others (joined by spaces where there are several)."""
        first, *rest = self.task.fields
        texts = [_field(example, first, str) for example in examples]
        second = [" ".join(_field(example, field, str) for field in rest) for example in examples] if rest else None
        return system.text_windows(texts, second, max_length=self.settings.max_length)

    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        return {"labels": self.labels.index(str(example.label))}

    def read(self, window: Window, outputs: Outputs) -> int:
        """Return the index of the most likely class from logits [L]."""
        return int(outputs["logits"].argmax())

    def predict(self, example: Example, readings: Sequence[int]) -> str:
        return self.labels[readings[0]]

    def sureness(self, example: Example, windows: Sequence[tuple[Window, Outputs]]) -> float:
        """Return the margin of the gold class, 0 for one that the model does not know."""
        if example.label not in self.labels:
            return 0.0
        return margin(windows[0][1]["logits"][None], [self.labels.index(str(example.label))])


IGNORED = -100
"""The target that the loss leaves out."""


class Tagging(Recipe):
    """The recipe of tagging."""

    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        sentences = [_field(example, self.task.fields[0], tuple) for example in examples]
        return system.word_windows(sentences, max_length=self.settings.max_length)

    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        """Return labels [T]: the tag's index on first pieces, IGNORED elsewhere."""
        tags, first = example.label or (), first_pieces(window)
        labels = np.full(len(window.inputs["input_ids"]), IGNORED, np.int32)
        labels[first] = [self.labels.index(tags[word]) for word in window.words[first]]
        return {"labels": labels}

    def compared(self, window: Window) -> IntArray:
        """Return [N, 2]: each word, and its first piece."""
        first = first_pieces(window)
        return np.stack([window.words[first], first], axis=1)

    def read(self, window: Window, outputs: Outputs) -> dict[int, int]:
        """Return the most likely tag of each word that has a piece, from logits [T, L]."""
        first = first_pieces(window)
        return dict(zip(window.words[first].tolist(), outputs["logits"][first].argmax(axis=-1).tolist(), strict=True))

    def predict(self, example: Example, readings: Sequence[dict[int, int]]) -> tuple[str | None, ...]:
        """Return a tag for each word, None where it has no piece."""
        tags, words = readings[0], _field(example, self.task.fields[0], tuple)
        return tuple(self.labels[tags[word]] if word in tags else None for word in range(len(words)))

    def sureness(self, example: Example, windows: Sequence[tuple[Window, Outputs]]) -> float:
        """Return the sum of the margins of the gold tags: of words that have a piece, and of tags that are known."""
        (window, outputs), tags, first = windows[0], example.label or (), first_pieces(windows[0][0])
        pairs = [(at, tags[word]) for at, word in zip(first, window.words[first], strict=True)]
        known = [(at, self.labels.index(tag)) for at, tag in pairs if tag in self.labels]
        rows, gold = ([pair[part] for pair in known] for part in (0, 1))
        return margin(outputs["logits"][np.array(rows, np.int64)], gold)


def first_pieces(window: Window) -> IntArray:
    """Return the positions in T of the first piece of each word."""
    words = window.words
    before = np.concatenate([[NO_WORD], words[:-1]])
    return np.flatnonzero((words != NO_WORD) & (words != before)).astype(np.int32)


_NONE = 0  # position of [CLS], which stands for "no answer here"


class Span(NamedTuple):
    """What one window says. `score` is start + end logit of its best answer, if any, `null` that of no answer."""

    null: float
    score: float | None = None
    start: int = 0
    end: int = 0


class QuestionAnswering(Recipe):
    """The recipe of question answering."""

    def windows(self, system: System, examples: Sequence[Example]) -> Iterator[Window]:
        """Encode question and context; several windows where the context is long."""
        questions, contexts = ([_field(example, name, str) for example in examples] for name in ("question", "context"))
        length, stride, question = self.settings.max_length, self.settings.doc_stride, self.settings.max_question
        return system.context_windows(questions, contexts, max_length=length, stride=stride, max_question=question)

    def targets(self, window: Window, example: Example) -> dict[str, IntArray | int]:
        """Return first and last piece of the first answer; [CLS] where the window does not hold it."""
        start, end = span_of(window, example.answers[0]) if example.answers else (_NONE, _NONE)
        return {"start_positions": start, "end_positions": end}

    def read(self, window: Window, outputs: Outputs) -> Span:
        """Return the best span of a window from start and end logits [T]."""
        limits = {"n_best": self.settings.n_best, "max_answer": self.settings.max_answer}
        return best_span(outputs["start_logits"], outputs["end_logits"], window.offsets, **limits)

    def predict(self, example: Example, readings: Sequence[Span]) -> QaPrediction:
        """Return the best answer over the windows, cut out of the context; nothing where no answer scores higher.

        The score of no answer is the lowest over the windows: most windows do not hold an answer that another one has.
        """
        null = min(span.null for span in readings)
        spans = [(span.score, span.start, span.end) for span in readings if span.score is not None]
        if not spans:
            return QaPrediction(text="", best_text="")
        score, start, end = max(spans, key=lambda span: span[0])
        text = _field(example, "context", str)[start:end]
        if not may_decline(self.task):
            return QaPrediction(text=text, best_text=text)
        return QaPrediction(text=text if null <= score else "", best_text=text, null_odds=null - score)

    def sureness(self, example: Example, windows: Sequence[tuple[Window, Outputs]]) -> float:
        """Return the log-probability of the gold answers, in any of the windows; that of no answer where none is."""
        names = ("start_logits", "end_logits")
        lengths = [(len(window.offsets), outputs) for window, outputs in windows]  # what follows is padding
        scores = [(outputs[names[0]][:length], outputs[names[1]][:length]) for length, outputs in lengths]
        if not example.answers:
            return no_answer_log_probability(scores)
        spans = [[span_of(window, answer) for answer in example.answers] for window, _ in windows]
        held = [[span for span in own if span != (_NONE, _NONE)] for own in spans]
        parts = [span_log_probability(*pair, own) for pair, own in zip(scores, held, strict=True)]
        return float(np.logaddexp.reduce(parts))


def span_of(window: Window, answer: Answer) -> tuple[int, int]:
    """Return the first and last piece in T of an answer, or [CLS] twice where the window does not hold all of it.

    White space around the answer is not looked for: no piece need stand there.
    """
    starts, ends = window.offsets[:, 0], window.offsets[:, 1]
    pieces = np.flatnonzero(ends > starts)
    start = answer.start + len(answer.text) - len(answer.text.lstrip())
    stop = start + len(answer.text.strip())
    if not len(pieces) or starts[pieces[0]] > start or ends[pieces[-1]] < stop:
        return _NONE, _NONE
    first = pieces[np.flatnonzero(starts[pieces] <= start)[-1]]
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


def make_recipe(task: Task, labels: Sequence[str], settings: Settings | Reading) -> Recipe:
    """Return the recipe of a task's family."""
    others: dict[str, type[Recipe]] = {"tagging": Tagging, "question_answering": QuestionAnswering}
    return others.get(task.family, Classification)(task, tuple(labels), settings)

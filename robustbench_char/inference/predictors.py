"""Calling a predictor on examples, and checking what it returns, before anything is scored."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from robustbench_char.common import InputError, nearest
from robustbench_char.metrics.metrics import Prediction, QaPrediction
from robustbench_char.metrics.tagging import bio2
from robustbench_char.records.predictors import Predictor
from robustbench_char.tasks.base import Example, Family, Task
from robustbench_char.tasks.golds import place_of

__all__ = ["Said", "predict"]


@dataclass(frozen=True)
class Said:
    """One prediction an example, in the order given, and the seconds that the predictor took.

    `with_odds` says that every answer came with a no-answer score.
    """

    values: list[Prediction]
    seconds: float
    with_odds: bool


def predict(
    predictor: Predictor,
    task: Task,
    examples: Sequence[Example],
    *,
    batch_size: int = 32,
    advance: Callable[[int], object] = lambda count: None,
) -> Said:
    """Call a predictor on all examples, `batch_size` at a time; it sees the task's fields, no label and no id.

    `advance` is told how many examples were done. Raises InputError that names predictor and example for whatever is
    no prediction of the task.
    """
    if batch_size < 1:
        raise InputError("--batch-size", found=str(batch_size), expected="at least 1", fix="Correct the number.")
    values: list[Any] = []
    seconds = 0.0
    for batch in _batches(examples, batch_size):
        started = time.perf_counter()
        found = _called(predictor, task, batch)
        seconds += time.perf_counter() - started
        values += found
        advance(len(batch))
    checked = [_checked(predictor, task, example, value) for example, value in zip(examples, values, strict=True)]
    return Said(checked, seconds, all(isinstance(value, tuple) for value in values))


def _batches(examples: Sequence[Example], size: int) -> Iterator[Sequence[Example]]:
    for start in range(0, len(examples), size):
        yield examples[start : start + size]


def _called(predictor: Predictor, task: Task, batch: Sequence[Example]) -> list[Any]:
    """Return what the predictor says to a batch, a list of the same length."""
    inputs = [{field: _plain(example.fields[field]) for field in task.fields} for example in batch]
    place = f"predictor {predictor.name}, {_range(batch)}"
    try:
        found = predictor.call(inputs)
    except Exception as error:
        raise InputError(
            place,
            found=f"{type(error).__name__}: {error}",
            expected="predictions",
            fix="Correct the predictor; called from Python, the traceback is this error's cause.",
        ) from error
    if not isinstance(found, list):
        raise InputError(
            place, found=_kind(found), expected="a list of predictions", fix="Correct what the predictor returns."
        )
    if len(found) != len(batch):
        raise InputError(
            place,
            found=f"{len(found)} predictions for {len(batch)} examples",
            expected="one an example",
            fix="Correct what the predictor returns.",
        )
    return found


def _plain(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _range(batch: Sequence[Example]) -> str:
    return place_of(batch[0]) if len(batch) == 1 else f"{place_of(batch[0])} to {place_of(batch[-1])}"


def _checked(predictor: Predictor, task: Task, example: Example, value: Any) -> Prediction:
    readers: dict[Family, Callable[[Task, Example, Any], Prediction]] = {
        "classification": _label,
        "tagging": _tags,
        "question_answering": _answer,
    }
    try:
        return readers[task.family](task, example, value)
    except _Odd as odd:
        raise InputError(
            f"predictor {predictor.name}, {place_of(example)}",
            found=odd.found,
            expected=odd.expected,
            fix=f"Correct what the predictor returns.{odd.hint}",
        ) from None


class _Odd(Exception):
    """What is no prediction of the task."""

    def __init__(self, found: str, expected: str, hint: str = "") -> None:
        self.found, self.expected, self.hint = found, expected, hint


def _label(task: Task, example: Example, value: Any) -> str:
    known = task.labels or ()
    expected = f"one of the task's labels: {', '.join(known)}"
    if not isinstance(value, str):
        raise _Odd(_kind(value), expected)
    if value not in known:
        raise _Odd(f"the label {value!r}", expected, nearest(value, known))
    return value


def _tags(task: Task, example: Example, value: Any) -> tuple[str | None, ...]:
    """Return the tags; None stands for a word that the predictor did not get to, an error."""
    if not isinstance(value, list | tuple):
        raise _Odd(_kind(value), "a list of tags")
    words = example.fields[task.fields[0]]
    if len(value) != len(words):
        raise _Odd(f"{len(value)} tags for {len(words)} tokens", "one tag a token")
    odd = next((tag for tag in value if not isinstance(tag, str | None)), None)
    if odd is not None:
        raise _Odd(f"a tag that is {_kind(odd)}", "a tag, or None for a token that it did not get to")
    if task.metric == "entity_f1":
        try:
            bio2(value)
        except InputError as error:
            raise _Odd(error.found, error.expected) from None
    return tuple(value)


def _answer(task: Task, example: Example, value: Any) -> QaPrediction:
    """Return the answer; one with a no-answer score is withheld where that is above 0."""
    if isinstance(value, str):
        return QaPrediction(text=value, best_text=value)
    if task.metric != "squad_v2":
        raise _Odd(_kind(value), "the text of the answer")
    match value:
        case (str(text), Real() as score) if math.isfinite(odds := float(score)):
            return QaPrediction(text="" if odds > 0 else text, best_text=text, null_odds=odds)
    found = _kind(value) if not isinstance(value, tuple) else repr(value)
    raise _Odd(found, "the text of the answer, or (text, no-answer score) with a finite score")


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"

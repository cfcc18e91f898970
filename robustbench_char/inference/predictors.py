"""A registered predictor of another package as a source of predictions. No model library is loaded here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError, nearest
from robustbench_char.common.process import progress_bar
from robustbench_char.inference._attack_set import PieceCounter
from robustbench_char.inference._defended import defended
from robustbench_char.inference._identities import refuse_labels, task_of
from robustbench_char.inference.evaluate import PredictionSource
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.results import Predictions
from robustbench_char.metrics.base import Prediction, QaPrediction
from robustbench_char.metrics.tagging import bio2
from robustbench_char.records.predictors import Predictor, kind_of, load_predictor
from robustbench_char.tasks.base import Example, Family, NativeFile, Task
from robustbench_char.tasks.labels import place_of

__all__ = ["PredictorSource"]


class PredictorSource:
    """A predictor, called on the examples of one task: it sees the task's fields, no label and no id.

    Raises InputError for a task that the predictor does not serve.
    """

    origin = "as --task says"
    device = "unknown device"  # where a predictor computes is not known
    inputs: tuple[Path, ...] = ()
    pieces: PieceCounter | None = None
    seconds = 0.0

    def __init__(self, predictor: Predictor, task: Task) -> None:
        predictor.check_serves(task)
        self.predictor, self.task = predictor, task
        self.info, self.classes = predictor.system, task.labels

    @classmethod
    def load(cls, name: str, task: Task) -> PredictorSource:
        """Import a predictor by its registered name. Raises InputError for one that cannot be loaded."""
        return cls(load_predictor(name), task)

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Any file of the task will do: what a predictor was trained on is not known."""

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Call the predictor on all examples, `batch_size` at a time.

        Raises InputError that names predictor and example for whatever is not a prediction of the task.
        """
        if batch_size < 1:
            raise InputError("--batch-size", found=str(batch_size), expected="at least 1", fix="Correct the number.")
        values: list[Any] = []
        seconds = 0.0
        with progress_bar(progress) as bar:
            shown = bar.add_task("predicting", total=len(examples))
            for first in range(0, len(examples), batch_size):
                batch = examples[first : first + batch_size]
                started = time.perf_counter()
                returned = _called(self.predictor, self.task, batch)
                seconds += time.perf_counter() - started
                values += returned
                bar.advance(shown, len(batch))
        pairs = zip(examples, values, strict=True)
        checked = [_checked(self.predictor, self.task, example, value) for example, value in pairs]
        return Predictions(checked, seconds, no_answer_scores=all(isinstance(value, tuple) for value in values))


def open_named(name: str, task: Task | None, options: ModelOptions) -> PredictionSource:
    """Return a predictor by its name, behind a defence if one is named. Raises InputError for what cannot be loaded."""
    refuse_labels(options, "a predictor")
    return defended(PredictorSource.load(name, task_of(task)), options)


def _called(predictor: Predictor, task: Task, batch: Sequence[Example]) -> list[Any]:
    """Return what the predictor returns for a batch, a list of the same length."""
    inputs = [{field: _plain(example.fields[field]) for field in task.fields} for example in batch]
    place = f"predictor {predictor.name}, {_range(batch)}"
    try:
        returned = predictor.call(inputs)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        fix = "Correct the predictor; called from Python, the traceback is this error's cause."
        raise InputError(place, found=found, expected="predictions", fix=fix) from error
    if isinstance(returned, list) and len(returned) == len(batch):
        return returned
    found, expected = kind_of(returned), "a list of predictions"
    if isinstance(returned, list):
        found, expected = f"{len(returned)} predictions for {len(batch)} examples", "one per example"
    raise InputError(place, found=found, expected=expected, fix="Correct what the predictor returns.")


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
        place = f"predictor {predictor.name}, {place_of(example)}"
        fix = f"Correct what the predictor returns.{odd.hint}"
        raise InputError(place, found=odd.found, expected=odd.expected, fix=fix) from None


class _Odd(Exception):
    """A value that is not a prediction of the task."""

    def __init__(self, found: str, expected: str, hint: str = "") -> None:
        self.found, self.expected, self.hint = found, expected, hint


def _label(task: Task, example: Example, value: Any) -> str:
    known = task.labels or ()
    expected = f"one of the task's labels: {', '.join(known)}"
    if not isinstance(value, str):
        raise _Odd(kind_of(value), expected)
    if value not in known:
        raise _Odd(f"the label {value!r}", expected, nearest(value, known))
    return value


def _tags(task: Task, example: Example, value: Any) -> tuple[str | None, ...]:
    """Return the tags; None stands for a word that the predictor did not get to, an error."""
    if not isinstance(value, list | tuple):
        raise _Odd(kind_of(value), "a list of tags")
    words = example.fields[task.fields[0]]
    if len(value) != len(words):
        raise _Odd(f"{len(value)} tags for {len(words)} tokens", "one tag per token")
    odd = next((tag for tag in value if not isinstance(tag, str | None)), None)
    if odd is not None:
        raise _Odd(f"a tag that is {kind_of(odd)}", "a tag, or None for a token that it did not get to")
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
        raise _Odd(kind_of(value), "the text of the answer")
    match value:
        case (str(text), Real() as score) if math.isfinite(odds := float(score)):
            return QaPrediction(text="" if odds > 0 else text, best_text=text, null_odds=odds)
    found = kind_of(value) if not isinstance(value, tuple) else repr(value)
    raise _Odd(found, "the text of the answer, or (text, no-answer score) with a finite score")

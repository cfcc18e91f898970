"""A predictor as a source of predictions: a Python callable, named or as it is. No model library is loaded here."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError, nearest
from robustbench_char.common.process import progress_bar
from robustbench_char.inference._answers import Answers
from robustbench_char.inference._attack_set import PieceCounter
from robustbench_char.inference._defended import defended
from robustbench_char.inference._identities import defence_identity, refuse_labels, task_of
from robustbench_char.inference.evaluate import PredictionSource
from robustbench_char.inference.options import ModelOptions
from robustbench_char.inference.results import Predictions, no_prediction, prediction_json, prediction_of
from robustbench_char.metrics.base import Prediction, QaPrediction
from robustbench_char.metrics.tagging import bio2
from robustbench_char.records.predictors import Predictor, kind_of, load_predictor, predictor_of
from robustbench_char.tasks.base import Example, Family, NativeFile, Task
from robustbench_char.tasks.labels import place_of

__all__ = ["PredictorSource", "predictor"]

_LOG = logging.getLogger(__name__)
_HOPELESS = 20
"""After so many examples without any prediction, nothing more is asked."""
_TOLD = 20
"""Different reasons of failures that go to the log."""


class _Said(NamedTuple):
    """What a predictor said to one example: a prediction, or None and the reason.

    `scored` tells that an answer came with its no-answer score.
    """

    prediction: Prediction | None
    seconds: float
    scored: bool = False
    error: str = ""


class PredictorSource:
    """A predictor, called on the examples of one task: it sees the task's fields, no label and no id.

    With `answers`, what it said is kept there until an evaluation is complete: one that was stopped, or in which
    examples failed, goes on from there. Raises InputError for a task that the predictor does not serve.
    """

    origin = "as --task says"
    device = "unknown device"  # where a predictor computes is not known
    inputs: tuple[Path, ...] = ()
    pieces: PieceCounter | None = None
    seconds = 0.0

    def __init__(self, predictor: Predictor, task: Task, answers: Answers | None = None) -> None:
        predictor.check_serves(task)
        self.predictor, self.task = predictor, task
        self.info, self.classes = predictor.system, task.labels
        self._answers = answers
        self._told: set[str] = set()

    @classmethod
    def load(cls, name: str | Predictor, task: Task) -> PredictorSource:
        """Import a predictor by its name, and keep its answers. Raises InputError for one that cannot be loaded."""
        predictor = load_predictor(name) if isinstance(name, str) else name
        return cls(predictor, task, Answers([predictor.identity, task.model_dump(mode="json")]))

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Any file of the task will do: what a predictor was trained on is not known."""

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Call the predictor on all examples that have no answer yet, `batch_size` at a time.

        Where a call fails, or does not return a list of one prediction per example, its examples are called one by one.
        An example that fails by itself, or whose prediction is not one of the task, has none, and the log says why.
        Raises InputError where the first examples all fail.
        """
        if batch_size < 1:
            raise InputError("--batch-size", found=str(batch_size), expected="at least 1", fix="Correct the number.")
        said = self._kept(examples)
        waiting = [position for position in range(len(examples)) if position not in said]
        with progress_bar(progress) as bar:
            shown = bar.add_task("predicting", total=len(waiting))
            for first in range(0, len(waiting), batch_size):
                batch = waiting[first : first + batch_size]
                said |= zip(batch, self._ask([examples[position] for position in batch]), strict=True)
                if len(said) >= _HOPELESS and all(one.prediction is None for one in said.values()):
                    raise no_prediction(self.info, examples[waiting[0]], said[waiting[0]].error, len(said))
                bar.advance(shown, len(batch))
        return self._predictions(examples, [said[position] for position in range(len(examples))])

    def _kept(self, examples: Sequence[Example]) -> dict[int, _Said]:
        """Return what an earlier run kept, by the position of the example."""
        if self._answers is None:
            return {}
        kept = enumerate(self._answers.get_all([self._input(example) for example in examples]))
        said = {at: _Said(prediction_of(self.task.family, one[0]), *one[1:]) for at, one in kept if one}
        if said:
            counts = self.predictor.name, len(said), len(examples)
            _LOG.warning("predictor %s: %d of %d answers are those of an earlier run, which was not complete", *counts)
        return said

    def _input(self, example: Example) -> dict[str, Any]:
        fields = ((name, example.fields[name]) for name in self.task.fields)
        return {name: value if isinstance(value, str) else list(value) for name, value in fields}

    def _ask(self, batch: Sequence[Example]) -> list[_Said]:
        """Call the predictor on a batch, or where that fails on each of its examples; keep what it said."""
        started = time.perf_counter()
        values: list[Any] = []
        try:
            values = self._returned(batch)
        except (Exception, SystemExit) as error:  # whatever the user's code raises
            if len(batch) == 1:
                return [self._failed(batch[0], error, time.perf_counter() - started)]
        if not values:
            return [one for example in batch for one in self._ask([example])]
        seconds = (time.perf_counter() - started) / len(batch)
        said = [self._read(example, value, seconds) for example, value in zip(batch, values, strict=True)]
        if self._answers is not None:
            pairs = ((self._input(example), one) for example, one in zip(batch, said, strict=True) if not one.error)
            self._answers.put_all((asked, [prediction_json(one.prediction), *one[1:]]) for asked, one in pairs)
        return said

    def _returned(self, batch: Sequence[Example]) -> list[Any]:
        returned = self.predictor([self._input(example) for example in batch], self.task)
        if not isinstance(returned, list):
            raise _Odd(kind_of(returned), "a list of predictions")
        if len(returned) != len(batch):
            raise _Odd(f"{len(returned)} predictions for {len(batch)} examples", "one per example")
        return returned

    def _read(self, example: Example, value: Any, seconds: float) -> _Said:
        readers: dict[Family, Callable[[Task, Example, Any], Prediction]] = {
            "classification": _label,
            "tagging": _tags,
            "question_answering": _answer,
        }
        try:
            return _Said(readers[self.task.family](self.task, example, value), seconds, isinstance(value, tuple))
        except _Odd as odd:
            return self._failed(example, odd, seconds)

    def _failed(self, example: Example, error: BaseException, seconds: float) -> _Said:
        """Return that an example failed; the log has the traceback of each reason once."""
        odd = isinstance(error, _Odd)
        reason = str(error) if odd else f"{type(error).__name__}: {error}"
        if reason not in self._told and len(self._told) < _TOLD:
            self._told.add(reason)
            place = f"predictor {self.predictor.name}, {place_of(example)}"
            _LOG.warning("%s: %s", place, reason, exc_info=None if odd else _from_outside(error))
        return _Said(None, seconds, error=reason)

    def _predictions(self, examples: Sequence[Example], said: Sequence[_Said]) -> Predictions:
        answers, errors = self._answers, {at: one.error for at, one in enumerate(said) if one.error}
        if errors:
            again = "; the same command asks for them again" if answers is not None else ""
            counts = self.predictor.name, len(errors), len(examples)
            _LOG.warning("predictor %s: %d of %d examples failed and count as wrong" + again, *counts)

        def forget() -> None:
            if answers is not None and not errors:
                answers.forget(self._input(example) for example in examples)

        return Predictions(
            [one.prediction for one in said],
            sum(one.seconds for one in said),
            no_answer_scores=all(one.scored for one in said if not one.error),
            errors=errors,
            complete=forget,
        )


def _from_outside(error: BaseException) -> BaseException:
    """Return an error whose traceback begins in the code of the user."""
    trace = error.__traceback__
    while trace and trace.tb_next and trace.tb_frame.f_globals.get("__name__", "").startswith("robustbench_char."):
        trace = trace.tb_next
    return error.with_traceback(trace)


def open_named(name: str | Predictor, task: Task | None, options: ModelOptions) -> PredictionSource:
    """Return a predictor by its name, behind a defence if one is named. Raises InputError for what cannot be loaded."""
    refuse_labels(options, "a predictor")
    return defended(PredictorSource.load(name, task_of(task)), options)


class PythonPredictor(Predictor):
    """A predictor that was made in Python, for any task that it serves."""

    def bind(self, task: Task, options: ModelOptions) -> PredictionSource:
        """Return it as a source of predictions for a task."""
        return open_named(self, task, options)

    def identify(self, task: Task, options: ModelOptions) -> dict[str, Any]:
        """Return what decides its predictions, as JSON."""
        refuse_labels(options, "a predictor")
        return {"predictor": self.identity, "defence": defence_identity(options)}


def predictor(function: Callable[..., Any], *, name: str | None = None, version: str | None = None) -> PythonPredictor:
    """Return any callable as a predictor, which `evaluate` and `check` take as a model.

    `function` takes a batch, and the task if it wants that, or has a method `predict` that does. `name` is what reports
    call it (default: the function's own). `version` stands for all that decides its predictions: raise it when they
    change. Without one its source decides, with that of the file it stands in; and of an object or a closure, whose
    state no source tells, each one made is taken for another. Raises InputError for what cannot be called or named.

    >>> import robustbench_char as rbc
    >>> constant = rbc.predictor(lambda batch: ["entailment"] * len(batch), name="constant", version="1")
    >>> result = rbc.evaluate(constant, task="qnli", data="mini", progress=False)
    >>> result.record.system.name
    'constant'
    """
    return PythonPredictor(**vars(predictor_of(function, name=name, version=version)))


class _Odd(Exception):
    """What is not a prediction of the task."""

    def __init__(self, found: str, expected: str, hint: str = "") -> None:
        super().__init__(f"{found}, not {expected}{hint and '.' + hint}")


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

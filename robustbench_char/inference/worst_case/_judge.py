"""How well a model does on candidates: each distinct one is asked once, and what was said is kept on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from robustbench_char.attacks.search import Value
from robustbench_char.common import InputError
from robustbench_char.inference._answers import Answers
from robustbench_char.inference._models import LoadedModel
from robustbench_char.inference.evaluate import PredictionSource
from robustbench_char.metrics.base import METRICS, Prediction
from robustbench_char.tasks.base import Example
from robustbench_char.tasks.labels import gold_of, place_of

__all__ = ["Judge", "Queries"]

_DIGITS = 3
"""Decimals of how sure a model is: what a batch does to a score stays below them, so that ties are ties anywhere."""


@dataclass
class Queries:
    """Questions to a model: all that the searches asked, different ones, those answered from disk, and the windows that
    the model read for the others (fewer, where a defence makes one text of several)."""

    total: int = 0
    distinct: int = 0
    cached: int = 0
    read: int = 0

    def add(self, other: Queries) -> None:
        """Take in the questions of another part."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class _Said(NamedTuple):
    """What a model said: a value for each example, which of them `failed`, and what to call when all is kept."""

    values: list[Value]
    failed: Container[int] = ()
    complete: Callable[[], None] = lambda: None


@dataclass
class Judge:
    """A model that says how well it does on labelled examples; `answers` keeps what it said (None: nothing is kept).

    An example on which a predictor or an endpoint fails counts as wrong, and is asked again by the next run.
    """

    source: PredictionSource
    batch_size: int = 32
    answers: Answers | None = None
    queries: Queries = field(default_factory=Queries)

    @property
    def guided_by(self) -> str:
        """What the model gives: `scores`, or `labels` alone."""
        return "scores" if isinstance(self.source, LoadedModel) else "labels"

    def values(self, examples: Sequence[Example]) -> list[Value]:
        """Return how well the model does on each example. Raises InputError where it gives NaN."""
        asked = [self._asked(example) for example in examples]
        names = [json.dumps(one) for one in asked]
        distinct = dict(zip(names, zip(asked, examples, strict=True), strict=True))
        known = self._kept(distinct)
        missing = {name: pair for name, pair in distinct.items() if name not in known}
        said = self._said([example for _, example in missing.values()])
        made = dict(zip(missing, said.values, strict=True))
        if self.answers is not None and made:
            right = (one for at, one in enumerate(made.items()) if at not in said.failed)
            self.answers.put_all((missing[name][0], _listed(value)) for name, value in right)
            said.complete()
        self.queries.total += len(examples)
        self.queries.distinct += len(distinct)
        self.queries.cached += len(known)
        return [known[name] if name in known else made[name] for name in names]

    def _asked(self, example: Example) -> Any:
        gold = gold_of(self.source.task, example)
        answers = [list(answer) for answer in example.answers]
        return [example.fields, gold if isinstance(gold, str | tuple) else answers]

    def _kept(self, distinct: dict[str, tuple[Any, Example]]) -> dict[str, Value]:
        if self.answers is None:
            return {}
        found = self.answers.get_all([asked for asked, _ in distinct.values()])
        return {name: _value(one) for name, one in zip(distinct, found, strict=True) if one is not None}

    def _said(self, examples: Sequence[Example]) -> _Said:
        if not examples:
            return _Said([])
        if isinstance(self.source, LoadedModel):
            judged = self.source.judged(examples, batch_size=self.batch_size)
            self.queries.read += judged.windows
            return _Said(list(map(self._value, examples, judged.predictions, judged.sure)))
        made = self.source.predict(examples, batch_size=self.batch_size, progress=False)
        self.queries.read += len(examples)
        values = [self._value(example, said, 0.0) for example, said in zip(examples, made.values, strict=True)]
        return _Said(values, made.errors, made.complete)

    def _value(self, example: Example, said: Prediction | None, sure: float) -> Value:
        task, gold = self.source.task, gold_of(self.source.task, example)
        if math.isnan(sure):
            found, fix = (
                f"scores that are NaN on {place_of(example)}",
                "Check its weights: half precision may overflow.",
            )
            raise InputError(f"model {self.source.info.shown}", found=found, expected="numbers", fix=fix)
        if gold is None:
            raise ValueError(f"{place_of(example)} has no label")
        metric = METRICS.get(task.metric)
        sums = metric.sums(gold, said, self.source.classes)
        left = tuple(-float(errors) for errors in metric.errors(sums))
        return Value(left, round(max(sure, -1e9), _DIGITS), (tuple(map(float, sums)),))


def _listed(value: Value) -> list[Any]:
    return [value.left, value.sure, value.counts]


def _value(listed: Any) -> Value:
    left, sure, counts = listed
    return Value(tuple(left), sure, tuple(map(tuple, counts)))

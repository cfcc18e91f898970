"""Scores: what a metric takes and gives, and the registry that a task's `metric` names.

To add a metric, write a function with the signature of `Metric` in a file of this room and register it below by one
line. Every score is defined in docs/metrics.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from robustbench_char.common import InputError, Registry

__all__ = [
    "METRICS",
    "Gold",
    "Metric",
    "Prediction",
    "QaGold",
    "QaPrediction",
    "Scores",
    "models_extra",
    "percent",
    "score",
    "typed",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QaGold:
    """The right answers of one question; empty where it is unanswerable."""

    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QaPrediction:
    """What a system said to one question.

    `text` is its final answer ("" for none) and `best_text` its best answer that is not "none". `null_odds` is the
    score of no answer minus the score of `best_text` (0.0 where the system cannot decline, as on SQuAD 1.1).
    """

    text: str
    best_text: str
    null_odds: float = 0.0


Gold: TypeAlias = str | tuple[str, ...] | QaGold
"""A class name, the tags of a sentence (BIO2 where they mark entities), or the answers of a question."""

Prediction: TypeAlias = str | tuple[str | None, ...] | QaPrediction
"""The same for a system; a tag is None where the length limit cut a word off, an error."""


@dataclass(frozen=True)
class Scores:
    """Scores in percent at full precision, the counts that they stand on, and each example's own score in [0, 1]."""

    scores: dict[str, float]
    counts: dict[str, int]
    per_example: list[float]


class Metric(Protocol):
    """A function from gold and predicted labels, in the same order, to scores."""

    def __call__(
        self, golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None
    ) -> Scores:
        """Score predictions; `labels` are the class names in the task's order.

        Raises InputError for what has no score.
        """
        ...


METRICS: Registry[Metric] = Registry("metric")
METRICS.register("matthews", "robustbench_char.metrics.classification:matthews")
METRICS.register("accuracy_f1", "robustbench_char.metrics.classification:accuracy_f1")
METRICS.register("accuracy", "robustbench_char.metrics.classification:accuracy")
METRICS.register("entity_f1", "robustbench_char.metrics.tagging:entity_f1")
METRICS.register("tag_accuracy", "robustbench_char.metrics.tagging:tag_accuracy")
METRICS.register("squad_v1", "robustbench_char.metrics.squad:squad_v1")
METRICS.register("squad_v2", "robustbench_char.metrics.squad:squad_v2")


def score(
    metric: str, golds: Sequence[Gold], predictions: Sequence[Prediction], *, labels: Sequence[str] | None = None
) -> Scores:
    """Score predictions by a registered metric.

    Raises InputError for an unknown metric, no examples, different numbers of golds and predictions, and for an example
    without a label or with one of the wrong form (rows count from 0).
    """
    function = METRICS.get(metric)
    if len(golds) != len(predictions):
        raise InputError(
            "predictions",
            found=f"{len(predictions)} predictions for {len(golds)} examples",
            expected="one prediction an example",
            fix="Predict again on the file that is scored.",
        )
    if not golds:
        raise InputError(
            "examples", found="none", expected="at least one example to score", fix="Check the input file."
        )
    return function(golds, predictions, labels)


def typed(values: Sequence[object], kind: type[T], what: str) -> list[T]:
    """Return the values as a list of one type. Raises InputError naming the first row of another type."""
    for row, value in enumerate(values):
        if not isinstance(value, kind):
            found = f"no {what}" if value is None else f"a {what} of type {type(value).__name__}"
            raise InputError(
                f"row {row}",
                found=found,
                expected=f"a {what} of type {kind.__name__}",
                fix="Score a labelled file of the task; test files are often released without labels.",
            )
    return [value for value in values if isinstance(value, kind)]


def percent(shares: Sequence[float]) -> float:
    """Return 100 times the mean of shares, of which there is at least one."""
    return 100.0 * sum(shares) / len(shares)


def models_extra(module: str) -> Any:
    """Import a module of the extra `models`. Raises InputError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            "metric",
            found=f"no module {error.name or module!r}",
            expected="the packages of the extra `models`",
            fix='Run: pip install "robustbench-char[models]".',
        ) from None

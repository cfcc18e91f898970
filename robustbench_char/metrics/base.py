"""What a metric is: counts of each unit of the data that add up, and scores as functions of their sums.

So the score of any part of the data, and of any resampling of it, is the score of sums, as that of the whole is. Every
score is defined in docs/metrics.md. Shape legend: N examples, K counts, `...` any leading dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common import InputError, Registry

__all__ = [
    "METRICS",
    "Floats",
    "Gold",
    "Labels",
    "Metric",
    "Prediction",
    "QaGold",
    "QaPrediction",
    "Scores",
    "Unit",
    "fixed",
    "paired",
    "score",
    "share",
]

T = TypeVar("T")
G = TypeVar("G")
P = TypeVar("P")
Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = Sequence[str] | None
"""The class names of the task, in its order; None where it has none."""

WHOLE = (0, 0)
"""The span of a unit that is not a stretch of words: the whole example."""


@dataclass(frozen=True, slots=True)
class QaGold:
    """The right answers of one question; empty where it is unanswerable."""

    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QaPrediction:
    """The answer of a system to one question.

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

Golds: TypeAlias = Sequence[Gold]
Predicted: TypeAlias = Sequence[Prediction | None]
"""None stands for an example that a system failed on: every metric counts it as wrong."""


class Unit(NamedTuple):
    """The smallest thing that a score counts: an entity, a word, or an example.

    `row` is the position of its example in the data given, from 0; `counts` are in the order of the metric's columns.
    `span` is its first word and the word after its last (WHOLE for an example), `kind` the type of an entity ("" for
    anything else).
    """

    row: int
    counts: tuple[float, ...]
    span: tuple[int, int] = WHOLE
    kind: str = ""


@dataclass(frozen=True)
class Scores:
    """Scores of a data set in percent at full precision, by name, and the counts of examples that records show.

    `per_example` is each example's own score in [0, 1]; `units` is what was counted.
    """

    scores: dict[str, float]
    counts: dict[str, int]
    per_example: list[float]
    units: list[Unit]


Score: TypeAlias = Callable[[Floats], Floats]
Further: TypeAlias = tuple[dict[str, float], dict[str, int]]
Constants: TypeAlias = Iterable[Sequence[float] | Floats]
"""The sums [K] of the counts of each answer that may be the best one to give to all examples."""


@dataclass(frozen=True)
class Metric:
    """A metric.

    `columns` names the K counts, given the labels of the task; `units` yields those of each unit, in order of rows, and
    raises InputError for what has no score. `scores` turn sums [..., K] into scores [...] in percent, 0 where there is
    nothing below the fraction line; `headline` names the one that intervals, tests and breakdowns are of. `pooled` is
    the headline as they take it, where records round it otherwise: equal but for the last digit, which published
    records and reports both keep. An example's own score is its first count over its last, or that of another metric,
    `alone`. `further` gives scores that are not functions of sums, and counts for the record. `constants` gives the
    sums of each answer that may be the best one for all examples, `regrouped` the same from the sums [K] of any
    predictions and the counts of their record, nothing where these do not tell. `errors` turns the sums [K] of one
    example into what is wrong with its prediction, 0 for nothing, the main thing first; `endless` says that there may
    be any number of them.
    """

    columns: Callable[[Labels], tuple[str, ...]]
    units: Callable[[Golds, Predicted, Labels], Iterator[Unit]]
    scores: Mapping[str, Score]
    headline: str
    pooled: Score | None = None
    alone: Metric | None = None
    further: Callable[[Golds, Predicted, list[Unit]], Further] = lambda *_: ({}, {})
    constants: Callable[[Golds, Labels], Constants] = lambda *_: ()
    regrouped: Callable[[Floats, Mapping[str, int]], Constants] = lambda *_: ()
    errors: Callable[[Floats], tuple[float, ...]] = lambda sums: (sums[-1] - sums[0],)
    endless: bool = False

    def score(self, sums: Floats) -> Floats:
        """Return the headline score [...] of sums [..., K]."""
        return (self.pooled or self.scores[self.headline])(sums)

    def best_constant(self, constants: Constants, name: str) -> float | None:
        """Return the best score called `name` that one answer for all examples gets, in percent; None for none."""
        of = self.scores[name]
        return max((float(of(np.array(sums, np.float64))) for sums in constants), default=None)

    def sums(self, gold: Gold, prediction: Prediction | None, labels: Labels) -> Floats:
        """Return the sums [K] of the counts of one example."""
        units = list(self.units([gold], [prediction], labels))
        return sums_of(units) if units else np.zeros(len(self.columns(labels)))

    def evaluate(self, golds: Golds, predictions: Predicted, labels: Labels) -> Scores:
        """Score predictions of at least one example, gold and predicted in the same order."""
        units = list(self.units(golds, predictions, labels))
        sums = sums_of(units) if units else np.zeros(len(self.columns(labels)))
        scores = {name: float(of(sums)) for name, of in self.scores.items()}
        if self.alone:
            each = self.alone.evaluate(golds, predictions, labels)
            counts, own = each.counts, each.per_example
        else:
            counts, own = {"examples": len(golds)}, _own_scores(units, len(golds))
        more_scores, more_counts = self.further(golds, predictions, units)
        return Scores(scores | more_scores, counts | more_counts, own, units)


METRICS: Registry[Metric] = Registry("metric")
METRICS.register("matthews", "robustbench_char.metrics.classification:MATTHEWS")
METRICS.register("accuracy_f1", "robustbench_char.metrics.classification:ACCURACY_F1")
METRICS.register("accuracy", "robustbench_char.metrics.classification:ACCURACY")
METRICS.register("entity_f1", "robustbench_char.metrics.tagging:ENTITY_F1")
METRICS.register("tag_accuracy", "robustbench_char.metrics.tagging:TAG_ACCURACY")
METRICS.register("squad_v1", "robustbench_char.metrics.squad:SQUAD_V1")
METRICS.register("squad_v2", "robustbench_char.metrics.squad:SQUAD_V2")


def score(metric: str, golds: Golds, predictions: Predicted, *, labels: Labels = None) -> Scores:
    """Score predictions by a registered metric; an example without a prediction (None) counts as wrong.

    Raises InputError for an unknown metric, no examples, different numbers of golds and predictions, and for an example
    without a label or with one of the wrong form (rows count from 0).
    """
    chosen = METRICS.get(metric)
    if len(golds) != len(predictions):
        raise InputError(
            "predictions",
            found=f"{len(predictions)} predictions for {len(golds)} examples",
            expected="one prediction per example",
            fix="Predict again on the file that is scored.",
        )
    if not golds:
        raise InputError(
            "examples", found="none", expected="at least one example to score", fix="Check the input file."
        )
    return chosen.evaluate(golds, predictions, labels)


def paired(
    golds: Golds, predictions: Predicted, types: tuple[type[G], type[P]], what: str
) -> Iterator[tuple[int, G, P | None]]:
    """Yield row, gold and prediction of each example. Raises InputError naming the first row of another type."""
    for row, (gold, predicted) in enumerate(zip(golds, predictions, strict=True)):
        right = _typed(row, gold, types[0], f"gold {what}")
        yield row, right, None if predicted is None else _typed(row, predicted, types[1], f"predicted {what}")


def _typed(row: int, value: object, kind: type[T], what: str) -> T:
    if isinstance(value, kind):
        return value
    raise InputError(
        f"row {row}",
        found=f"no {what}" if value is None else f"a {what} of type {type(value).__name__}",
        expected=f"a {what} of type {kind.__name__}",
        fix="Score a labelled file of the task; test files are often released without labels.",
    )


def fixed(*names: str) -> Callable[[Labels], tuple[str, ...]]:
    """Return the `columns` of a metric whose counts do not depend on the labels."""
    return lambda labels: names


def ratio(above: Floats, below: Floats) -> Floats:
    """Return `above` over `below`, 0 where there is nothing below the fraction line."""
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)


def share(sums: Floats) -> Floats:
    """Return 100 times the first count over the last."""
    return ratio(100.0 * sums[..., 0], sums[..., -1])


def sums_of(units: Sequence[Unit]) -> Floats:
    """Return the sums [K] of the counts of at least one unit."""
    return np.array([sum(column) for column in zip(*(unit.counts for unit in units), strict=True)], np.float64)


def _own_scores(units: Sequence[Unit], examples: int) -> list[float]:
    parts: list[list[Unit]] = [[] for _ in range(examples)]
    for unit in units:
        parts[unit.row].append(unit)
    return [sum(unit.counts[0] for unit in part) / sum(unit.counts[-1] for unit in part) for part in parts]

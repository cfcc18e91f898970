"""Scores as functions of counts that add up: what each example, or each entity or word in it, brings to a score.

A metric's headline score depends on its examples through sums alone. So a score of any part of the data, and of any
resampling of it, is the score of sums. Shape legend: U units, N examples, K counts, `...` any leading dimensions.

To add a metric, register its `CountedMetric` below under the name it has in `metrics.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common import InputError, Registry
from robustbench_char.metrics.metrics import Gold, Prediction, QaGold, QaPrediction, typed
from robustbench_char.metrics.squad import squad_pairs
from robustbench_char.metrics.tagging import bio2

__all__ = ["COUNTED", "WHOLE", "CountedMetric", "Floats", "Unit", "entities", "example_counts"]

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = Sequence[str] | None

WHOLE = (0, 0)
"""The span of a unit that is no stretch of words: the whole example."""


class Unit(NamedTuple):
    """The smallest thing that a score counts: an entity, a word, or an example.

    `counts` are in the order of the metric's columns. `span` is its first word and the word after its last (WHOLE for
    an example), `kind` the type of an entity ("" elsewhere).
    """

    row: int
    counts: tuple[float, ...]
    span: tuple[int, int] = WHOLE
    kind: str = ""


class CountedMetric(NamedTuple):
    """A metric by its counts.

    `columns` names the K counts, given the labels of the task; `units` gives those of each unit, in order of rows
    (positions in what was given, from 0); `score` turns sums [..., K] into the headline score [...] in percent. A score
    with nothing below its fraction line is 0.
    """

    columns: Callable[[Labels], tuple[str, ...]]
    units: Callable[[Sequence[Gold], Sequence[Prediction], Labels], Iterator[Unit]]
    score: Callable[[Floats], Floats]


COUNTED: Registry[CountedMetric] = Registry("counted metric")


def example_counts(metric: str, golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Labels) -> Floats:
    """Return the counts of each example [N, K]. Raises InputError for an unknown metric, or what it cannot score."""
    counted = COUNTED.get(metric)
    table = np.zeros((len(golds), len(counted.columns(labels))))
    for unit in counted.units(golds, predictions, labels):
        table[unit.row] += unit.counts
    return table


def entities(tags: Sequence[str | None]) -> set[tuple[str, int, int]]:
    """Return type, first word and the word after the last of each entity, as `conlleval` reads them (see `bio2`)."""
    found, begun = set(), None
    for place, tag in enumerate([*bio2(tags), "O"]):
        if begun and not tag.startswith("I-"):
            found.add((begun[0], begun[1], place))
            begun = None
        if tag.startswith("B-"):
            begun = (tag[2:], place)
    return found


def _fixed(*names: str) -> Callable[[Labels], tuple[str, ...]]:
    return lambda labels: names


def _share(sums: Floats) -> Floats:
    """Return 100 times the first count by the last."""
    return _percent(sums[..., 0], sums[..., -1])


def _percent(above: Floats, below: Floats) -> Floats:
    return np.divide(100.0 * above, below, out=np.zeros(np.shape(above)), where=below > 0)


def _classes(golds: Sequence[Gold], predictions: Sequence[Prediction]) -> Iterator[tuple[int, str, str]]:
    columns = typed(golds, str, "gold label"), typed(predictions, str, "predicted label")
    for row, (gold, said) in enumerate(zip(*columns, strict=True)):
        yield row, gold, said


def _right(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Labels) -> Iterator[Unit]:
    for row, gold, said in _classes(golds, predictions):
        yield Unit(row, (float(gold == said), 1.0))


def _cells(labels: Labels) -> tuple[str, ...]:
    return tuple(f"{gold}|{said}" for gold in _known(labels) for said in _known(labels))


def _confusion(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Labels) -> Iterator[Unit]:
    names = _known(labels)
    eye = np.eye(len(names) ** 2)
    for row, gold, said in _classes(golds, predictions):
        yield Unit(row, tuple(eye[names.index(gold) * len(names) + names.index(said)]))


def _known(labels: Labels) -> tuple[str, ...]:
    if not labels:
        raise InputError(
            "labels",
            found="none",
            expected="the classes of the task, which Matthews correlation counts by",
            fix="Name the task's labels in its record.",
        )
    return tuple(labels)


def _matthews(sums: Floats) -> Floats:
    """Return 100 times Gorodkin's R_K of confusion tables [..., L * L], 0 where gold or predictions are constant."""
    size = round(sums.shape[-1] ** 0.5)
    table = sums.reshape(*sums.shape[:-1], size, size)
    gold, said = table.sum(-1), table.sum(-2)
    total, right = gold.sum(-1), np.trace(table, axis1=-2, axis2=-1)
    spread = (total**2 - (gold**2).sum(-1)) * (total**2 - (said**2).sum(-1))
    above = right * total - (gold * said).sum(-1)
    scores: Floats = np.divide(100.0 * above, np.sqrt(spread), out=np.zeros(np.shape(above)), where=spread > 0)
    return scores


def _two_classes(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Labels) -> Iterator[Unit]:
    positive = _known(labels)[1]
    for row, gold, said in _classes(golds, predictions):
        both, neither = gold == said == positive, positive not in (gold, said)
        wrong = (said == positive and not both, gold == positive and not both)
        yield Unit(row, (float(both), float(wrong[0]), float(wrong[1]), float(neither)))


def _accuracy_of_two(sums: Floats) -> Floats:
    return _percent(sums[..., 0] + sums[..., 3], sums.sum(-1))


def _words(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Labels) -> Iterator[Unit]:
    columns = typed(golds, tuple, "gold tagging"), typed(predictions, tuple, "predicted tagging")
    for row, (gold, said) in enumerate(zip(*columns, strict=True)):
        for place, (expected, found) in enumerate(zip(gold, said, strict=True)):
            yield Unit(row, (float(expected == found), 1.0), (place, place + 1))


def _entities(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Labels) -> Iterator[Unit]:
    columns = typed(golds, tuple, "gold tagging"), typed(predictions, tuple, "predicted tagging")
    for row, (gold, said) in enumerate(zip(*columns, strict=True)):
        expected, found = entities(gold), entities(said)
        for kind, first, end in sorted(expected | found, key=lambda entity: (entity[1:], entity[0])):
            in_both = (kind, first, end) in expected, (kind, first, end) in found
            yield Unit(row, (float(all(in_both)), float(in_both[1]), float(in_both[0])), (first, end), kind)


def _entity_f1(sums: Floats) -> Floats:
    return _percent(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _answers(version: int) -> Callable[[Sequence[Gold], Sequence[Prediction], Labels], Iterator[Unit]]:
    def units(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Labels) -> Iterator[Unit]:
        columns: Any = typed(golds, QaGold, "gold answer"), typed(predictions, QaPrediction, "predicted answer")
        for row, (f1, exact) in enumerate(squad_pairs(*columns, version=version)):
            yield Unit(row, (f1, exact, 1.0))

    return units


COUNTED.register("accuracy", CountedMetric(_fixed("correct", "examples"), _right, _share))
COUNTED.register("matthews", CountedMetric(_cells, _confusion, _matthews))
COUNTED.register("accuracy_f1", CountedMetric(_fixed("tp", "fp", "fn", "tn"), _two_classes, _accuracy_of_two))
COUNTED.register("entity_f1", CountedMetric(_fixed("right", "predicted", "gold"), _entities, _entity_f1))
COUNTED.register("tag_accuracy", CountedMetric(_fixed("correct", "tokens"), _words, _share))
COUNTED.register("squad_v1", CountedMetric(_fixed("f1", "exact", "examples"), _answers(1), _share))
COUNTED.register("squad_v2", CountedMetric(_fixed("f1", "exact", "examples"), _answers(2), _share))

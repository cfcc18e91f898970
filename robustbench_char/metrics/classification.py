"""The scores of GLUE's classification tasks (Wang et al., 2019, section 3): Matthews correlation, accuracy, F1.

An example without a prediction counts as a wrong class: of two classes as the other one, of more as each wrong class in
equal parts. So to fail on an example is never better than to be wrong.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from robustbench_char.common import InputError
from robustbench_char.metrics.base import (
    Constants,
    Floats,
    Further,
    Golds,
    Labels,
    Metric,
    Predicted,
    Unit,
    fixed,
    paired,
    ratio,
    share,
)

__all__ = ["ACCURACY", "ACCURACY_F1", "MATTHEWS"]


def _classes(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[tuple[int, str, str | None]]:
    """Yield row, gold and predicted class of each example. Raises InputError for a class outside `labels`."""
    for row, gold, predicted in paired(golds, predictions, (str, str), "label"):
        for what, label in (("gold", gold), ("predicted", predicted)):
            if labels and label is not None and label not in labels:
                raise InputError(
                    f"row {row}",
                    found=f"the {what} label {label!r}",
                    expected=f"one of {', '.join(labels)}",
                    fix="Score a file of the task that the model was trained for.",
                )
        yield row, gold, predicted


def _right(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[Unit]:
    for row, gold, predicted in _classes(golds, predictions, labels):
        yield Unit(row, (float(gold == predicted), 1.0))


def _correct(golds: Golds, predictions: Predicted, units: list[Unit]) -> Further:
    return {}, {"correct": int(sum(unit.counts[0] for unit in units))}


def _cells(labels: Labels) -> tuple[str, ...]:
    if not labels:
        expected = "the classes of the task, which Matthews correlation counts by"
        raise InputError("labels", found="none", expected=expected, fix="Name the task's labels in its record.")
    # Two cells would share a name, and their counts, where labels hold the bar: "a|b" for "c", and "a" for "b|c".
    named = [label.replace("\\", "\\\\").replace("|", "\\|") for label in labels]
    return tuple(f"{gold}|{predicted}" for gold in named for predicted in named)


def _confusion(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[Unit]:
    size, names = len(_cells(labels)), labels or ()
    cells = itertools.product(names, names)
    one_hot = {cell: tuple(row) for cell, row in zip(cells, np.eye(size).tolist(), strict=True)}
    for row, gold, predicted in _classes(golds, predictions, labels):
        if predicted is None:
            wrong = [one_hot[gold, label] for label in names if label != gold]
            yield Unit(row, tuple(sum(column) / len(wrong) for column in zip(*wrong, strict=True)))
        else:
            yield Unit(row, one_hot[gold, predicted])


def _table(sums: Floats) -> Floats:
    """Return confusion tables [..., L, L], gold by predicted class."""
    size = round(sums.shape[-1] ** 0.5)
    return sums.reshape(*sums.shape[:-1], size, size)


def _correlation(sums: Floats) -> tuple[Floats, Floats]:
    """Return what is above and below the fraction line of Gorodkin's R_K, 0 where gold or predictions are constant."""
    table = _table(sums)
    gold, predicted = table.sum(-1), table.sum(-2)
    total, right = gold.sum(-1), np.trace(table, axis1=-2, axis2=-1)
    spread = (total**2 - (predicted**2).sum(-1)) * (total**2 - (gold**2).sum(-1))
    return right * total - (gold * predicted).sum(-1), np.sqrt(np.maximum(spread, 0.0))  # thirds of examples round


def _pooled_matthews(sums: Floats) -> Floats:
    above, below = _correlation(sums)
    return ratio(100.0 * above, below)


def _two_classes(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[Unit]:
    """Yield true and false positives, false and true negatives. Raises InputError unless there are two labels."""
    if labels is None or len(labels) != 2:
        found, expected = f"{len(labels or ())} labels", "two, of which the second is the positive class"
        fix = "Give the task two labels, or use the metric `accuracy`."
        raise InputError("labels", found=found, expected=expected, fix=fix)
    for row, gold, predicted in _classes(golds, predictions, labels):
        right = gold == predicted
        positive = (gold == labels[1]) == right
        yield Unit(row, (float(positive and right), float(positive and not right),
                         float(not positive and not right), float(not positive and right)))  # fmt: skip


def _one_class(golds: Golds, labels: Labels) -> Constants:
    return [(max(Counter(golds).values()), len(golds))]


def _one_column(gold: Floats) -> Constants:
    """Return the tables in which all examples are predicted to be of one class; `gold` [L] counts the classes."""
    return [np.outer(gold, column).ravel() for column in np.eye(len(gold))]


def _gold_counts(golds: Golds, labels: Labels) -> Floats:
    return np.array([list(golds).count(label) for label in labels or ()], np.float64)


def _one_of_two(gold: Floats) -> Constants:
    negative, positive = gold
    return [(positive, negative, 0.0, 0.0), (0.0, 0.0, positive, negative)]


ACCURACY = Metric(
    fixed("correct", "examples"), _right, {"accuracy": share}, "accuracy", further=_correct, constants=_one_class
)
MATTHEWS = Metric(
    columns=_cells,
    units=_confusion,
    scores={
        "matthews": lambda sums: 100.0 * ratio(*_correlation(sums)),
        "accuracy": lambda sums: ratio(100.0 * np.trace(_table(sums), axis1=-2, axis2=-1), sums.sum(-1)),
    },
    headline="matthews",
    pooled=_pooled_matthews,
    alone=ACCURACY,
    constants=lambda golds, labels: _one_column(_gold_counts(golds, labels)),
    regrouped=lambda sums, counts: _one_column(_table(sums).sum(-1)),
    errors=lambda sums: (sums.sum() - float(np.trace(_table(sums))),),
)
ACCURACY_F1 = Metric(
    columns=fixed("tp", "fp", "fn", "tn"),
    units=_two_classes,
    scores={
        "f1": lambda sums: 100.0 * ratio(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2]),
        "accuracy": lambda sums: ratio(100.0 * (sums[..., 0] + sums[..., 3]), sums.sum(-1)),
    },
    headline="accuracy",
    alone=ACCURACY,
    constants=lambda golds, labels: _one_of_two(_gold_counts(golds, labels)),
    regrouped=lambda sums, counts: _one_of_two(np.array([sums[1] + sums[3], sums[0] + sums[2]])),
    errors=lambda sums: (sums[1] + sums[2],),
)

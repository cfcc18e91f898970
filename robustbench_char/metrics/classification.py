"""The scores of GLUE's classification tasks (Wang et al., 2019, section 3): Matthews correlation, accuracy, F1."""

from __future__ import annotations

from collections.abc import Sequence

from robustbench_char.common import InputError
from robustbench_char.metrics.metrics import Gold, Prediction, Scores, models_extra, percent, typed

__all__ = ["accuracy", "accuracy_f1", "matthews"]


def accuracy(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Scores:
    """Return `accuracy`, the percentage of examples whose class is right.

    Raises InputError for a class outside `labels`.
    """
    return _scores(*_classes(golds, predictions, labels))


def matthews(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Scores:
    """Return `matthews`, 100 times the correlation (0 where gold or predictions are constant), and `accuracy`."""
    gold, predicted = _classes(golds, predictions, labels)
    constant = len({*gold, *predicted}) == 1  # scikit-learn gives 0.0 here too, with a warning
    coefficient = 0.0 if constant else models_extra("sklearn.metrics").matthews_corrcoef(gold, predicted)
    return _scores(gold, predicted, matthews=100.0 * float(coefficient))


def accuracy_f1(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Scores:
    """Return `accuracy` and `f1` of the positive class, which is `labels[1]`.

    F1 is 0 where that class is neither in gold nor in predictions. Raises InputError unless there are two labels.
    """
    if labels is None or len(labels) != 2:
        raise InputError(
            "labels",
            found=f"{len(labels or ())} labels",
            expected="two, of which the second is the positive class",
            fix="Give the task two labels, or use the metric `accuracy`.",
        )
    gold, predicted = _classes(golds, predictions, labels)
    gold_positive, predicted_positive = [[label == labels[1] for label in column] for column in (gold, predicted)]
    f1 = models_extra("sklearn.metrics").f1_score(gold_positive, predicted_positive, zero_division=0)
    return _scores(gold, predicted, f1=100.0 * float(f1))


def _scores(gold: list[str], predicted: list[str], **scores: float) -> Scores:
    right = [float(a == b) for a, b in zip(gold, predicted, strict=True)]
    return Scores({**scores, "accuracy": percent(right)}, {"examples": len(gold), "correct": int(sum(right))}, right)


def _classes(
    golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    columns = typed(golds, str, "gold label"), typed(predictions, str, "predicted label")
    known = set(labels or [])
    for what, column in zip(("gold label", "predicted label"), columns, strict=True):
        row = next((row for row, label in enumerate(column) if known and label not in known), None)
        if row is not None:
            raise InputError(
                f"row {row}",
                found=f"the {what} {column[row]!r}",
                expected=f"one of {', '.join(labels or ())}",
                fix="Score a file of the task that the model was trained for.",
            )
    return columns

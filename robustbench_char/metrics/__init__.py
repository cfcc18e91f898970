"""Every score, as additive counts per unit of the data and a function of their sums; resampling and tests.

Pure functions of numbers and labels: nothing here reads a file or imports torch. To add a metric, write a `Metric` in a
file of this room, register it by one line in `base` and define its scores in docs/metrics.md; to add a breakdown, write
a function in `breakdowns` and register it there. What a score means may change only with the version of the project.
"""

from __future__ import annotations

from robustbench_char.metrics.base import (
    METRICS,
    Floats,
    Gold,
    Metric,
    Prediction,
    QaGold,
    QaPrediction,
    Scores,
    Unit,
    score,
)
from robustbench_char.metrics.bootstrap import Interval, interval
from robustbench_char.metrics.breakdowns import BREAKDOWNS, ExampleWords, WordState
from robustbench_char.metrics.significance import holm, permutation_test
from robustbench_char.metrics.tagging import word_errors

__all__ = [
    "BREAKDOWNS", "METRICS", "ExampleWords", "Floats", "Gold", "Interval", "Metric", "Prediction", "QaGold",
    "QaPrediction", "Scores", "Unit", "WordState", "holm", "interval", "permutation_test", "score", "word_errors",
]  # fmt: skip

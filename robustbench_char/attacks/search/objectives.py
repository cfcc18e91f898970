"""How sure a model is of the gold label, from its scores: the lower, the worse. Pure functions of arrays.

Shape legend: L labels, N words, T sub-words of one window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["margin", "no_answer_log_probability", "span_log_probability"]

Scores = NDArray[np.floating]


def margin(scores: Scores, gold: Sequence[int] | NDArray[np.integer]) -> float:
    """Return by how much the score of the gold label exceeds the best other one, summed over the words.

    `scores` [N, L], `gold` [N]. Of a classification N is 1: below 0 the prediction is wrong. Source: the margin loss of
    Carlini and Wagner (2017), as Charmer (2024) uses it, with its sign changed. With one label alone it is 0.
    """
    rows = np.arange(len(scores))
    own = scores[rows, gold].astype(np.float64)
    others = np.array(scores, np.float64)
    others[rows, gold] = -np.inf
    best = others.max(axis=1, initial=-np.inf)
    return float(np.where(np.isneginf(best), 0.0, own - best).sum())


def span_log_probability(start: Scores, end: Scores, spans: Sequence[tuple[int, int]]) -> float:
    """Return the log-probability of any of several spans (first and last sub-word), -inf for none.

    `start`, `end` [T]: logits. The probability of a span is that of its start times that of its end.
    """
    starts, ends = _log_softmax(start), _log_softmax(end)
    parts = [starts[first] + ends[last] for first, last in dict.fromkeys(spans)]
    return float(np.logaddexp.reduce(parts)) if parts else -np.inf


def no_answer_log_probability(windows: Sequence[tuple[Scores, Scores]]) -> float:
    """Return the log-probability that no window holds an answer: start and end at its first sub-word, in each."""
    return float(sum(_log_softmax(start)[0] + _log_softmax(end)[0] for start, end in windows))


def _log_softmax(scores: Scores) -> NDArray[np.float64]:
    high = scores.astype(np.float64) - scores.max()
    return np.asarray(high - np.log(np.exp(high).sum()))

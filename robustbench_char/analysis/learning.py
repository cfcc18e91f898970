"""Which systems have not learnt their task: those whose clean score is not above that of the best constant answer.

What such a system keeps under attack says nothing (one class for all examples keeps everything), so it has no retention
and no rank, and reports leave it out: one rule for tables, figures and sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TypeAlias

from robustbench_char.analysis.pairs import Pair, grouped
from robustbench_char.analysis.statistics import CLEAN, Statistics, System
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.bootstrap import Interval
from robustbench_char.records.evaluation import Record

__all__ = ["Learning", "constant_score", "is_learnt", "learning"]

Learning: TypeAlias = dict[tuple[str, System], tuple[float | None, bool]]
"""By task and system, the score of the best constant answer, and whether the system is above it."""


def constant_score(record: Record, sums: Floats | None = None) -> float | None:
    """Return the headline score of the best answer that is the same for all examples, in percent.

    Of an older record it is computed from the `sums` [K] of its counts; None where they do not tell the gold labels.
    """
    if record.constant_score is not None or sums is None:
        return record.constant_score
    metric = METRICS.get(record.metric)
    return metric.best_constant(metric.regrouped(sums, record.counts), record.headline)


def learning(pairs: Sequence[Pair], statistics: Statistics) -> Learning:
    """Return what each system with clean results has learnt: it has not if its interval reaches the best constant.

    Where there is no interval the score itself has to be above. Clean results may stand alone (see `pairs.alone`).
    """
    clean = [record for pair in pairs if not (record := pair.clean or pair.attacked).data.attack]
    groups = grouped(clean, lambda record: (record.task, (record.system.shown, record.system.base)))
    return {key: _learnt(records, key, statistics) for key, records in groups.items()}


def is_learnt(score: Interval | None, value: float, constant: float | None) -> bool:
    """Return whether a clean score is above the best constant answer's, by its interval where it has one.

    Where that is not known it is at least 0.
    """
    least = score.low if score and score.low is not None else value
    return least > (constant or 0.0)


def _learnt(records: Sequence[Record], key: tuple[str, System], statistics: Statistics) -> tuple[float | None, bool]:
    cell = statistics.cells.get((*key, CLEAN))
    constant = constant_score(records[0], cell.runs[0].counts.sum(0) if cell else None)
    score = fmean(record.scores[record.headline] for record in records)
    return constant, is_learnt(statistics.score(*key, CLEAN), score, constant)

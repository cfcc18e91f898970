"""The scores of SQuAD 1.1 and 2.0, by the rules of the official scripts `evaluate-v1.1.py` and `evaluate-v2.0.py`.

Rajpurkar et al. (2016), section 6.1, and Rajpurkar, Jia and Liang (2018). The two scripts differ where a text is empty
once it is normalised.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from robustbench_char.common import InputError
from robustbench_char.metrics.base import (
    Constants,
    Floats,
    Further,
    Golds,
    Labels,
    Metric,
    Predicted,
    QaGold,
    QaPrediction,
    Score,
    Unit,
    fixed,
    paired,
    ratio,
    share,
    sums_of,
)

__all__ = ["SQUAD_V1", "SQUAD_V2"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII only, as the official scripts have it


def normalize_answer(text: str) -> str:
    """Return text in lower case without ASCII punctuation, then without articles, words parted by single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def _best_threshold(
    raw: Sequence[float], answers: Sequence[str], odds: Sequence[float], answerable: Sequence[bool], total: int
) -> tuple[float, float]:
    """Return the best score in percent and the null odds up to which answering gives it, as `evaluate-v2.0.py` does.

    Starting from "answer nothing", answers are let in by rising null odds, equal odds in file order. Only a strictly
    better score moves the threshold: of equally good ones the lowest is kept, and 0.0 where answering nothing is best.
    `raw` holds scores in [0, 1]. The score is over `total` questions, of which those not given are wrong.
    """
    current = best = float(sum(not has for has in answerable))
    threshold = 0.0
    for row in sorted(range(len(raw)), key=odds.__getitem__):
        current += raw[row] if answerable[row] else -1.0 if answers[row] else 0.0
        if current > best:
            best, threshold = current, odds[row]
    return 100.0 * best / total, threshold


def _question(gold: QaGold, text: str | None, version: int) -> tuple[float, float]:
    """Return F1 and exact match in [0, 1] of an answer, of several gold answers by the best one for each.

    Of SQuAD 2.0, gold answers that normalise to nothing are dropped; where none is left, the right answer is "". No
    prediction at all (None) is wrong even there.
    """
    if text is None:
        return 0.0, 0.0
    predicted = normalize_answer(text)
    known = [normalize_answer(answer) for answer in gold.answers]
    if version == 2:
        known = list(filter(None, known)) or [""]
    return max(_f1(answer.split(), predicted.split(), version) for answer in known), float(predicted in known)


def _f1(gold: list[str], predicted: list[str], version: int) -> float:
    """Return the F1 of two bags of words; of two empty ones 0 (SQuAD 1.1), or 1: no answer is right (SQuAD 2.0)."""
    shared = sum((Counter(gold) & Counter(predicted)).values())
    if shared == 0:
        return float(version == 2 and not gold and not predicted)
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def _answers(golds: Golds, predictions: Predicted) -> Iterator[tuple[int, QaGold, QaPrediction | None]]:
    return paired(golds, predictions, (QaGold, QaPrediction), "answer")


def _v1_units(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[Unit]:
    """Yield one unit per question. Raises InputError for one without gold answer."""
    for row, gold, predicted in _answers(golds, predictions):
        if not gold.answers:
            raise InputError(
                f"row {row}",
                found="a question without answers",
                expected="at least one answer, as SQuAD 1.1 has",
                fix="Use the task squad_v2 for files with unanswerable questions.",
            )
        yield Unit(row, (*_question(gold, predicted.text if predicted else None, 1), 1.0))


def _v2_units(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[Unit]:
    """Yield one unit per question. Raises InputError for null odds that are not finite."""
    for row, gold, predicted in _answers(golds, predictions):
        if predicted and not math.isfinite(predicted.null_odds):
            raise InputError(
                f"row {row}",
                found=f"null odds of {predicted.null_odds}",
                expected="a finite number",
                fix="Check the model: its scores overflow, or it scored no span.",
            )
        yield Unit(row, (*_question(gold, predicted.text if predicted else None, 2), 1.0))


def _of_2_0(golds: Golds, predictions: Predicted, units: list[Unit]) -> Further:
    """Return the scores of each kind of question, absent where there is none, and those at the best thresholds.

    `best_*_thresh` are null odds, not percent; the best scores are those of `best_text`, since a threshold can only be
    sought over answers not yet withheld.
    """
    answerable = [bool(gold.answers) for _, gold, _ in _answers(golds, predictions)]
    scores: dict[str, float] = {}
    for prefix, kind in (("HasAns", True), ("NoAns", False)):
        part = [unit for unit, has in zip(units, answerable, strict=True) if has == kind]
        if part:
            scores |= {f"{prefix}_{name}": float(of(sums_of(part))) for name, of in _SCORES.items()}
    pairs = [(gold, predicted) for _, gold, predicted in _answers(golds, predictions) if predicted]
    answers, odds = [said.best_text for _, said in pairs], [said.null_odds for _, said in pairs]
    own = [_question(gold, said.best_text, 2) for gold, said in pairs]
    given = [bool(gold.answers) for gold, _ in pairs]
    for column, name in ((1, "best_exact"), (0, "best_f1")):
        best = _best_threshold([scored[column] for scored in own], answers, odds, given, len(golds))
        scores[name], scores[f"{name}_thresh"] = best
    return scores, {"answerable": sum(answerable), "unanswerable": len(golds) - sum(answerable)}


def _no_answer(units: Callable[..., Iterator[Unit]]) -> Callable[[Golds, Labels], Constants]:
    """Return what gives the sums of "" for all questions, the one constant answer that is worth giving."""
    return lambda golds, labels: [sums_of(list(units(golds, [QaPrediction("", "")] * len(golds), labels)))]


def _wrong(sums: Floats) -> tuple[float, ...]:
    return sums[2] - sums[0], sums[2] - sums[1]


_COLUMNS = fixed("f1", "exact", "examples")
_SCORES: dict[str, Score] = {"exact": lambda sums: ratio(100.0 * sums[..., 1], sums[..., -1]), "f1": share}
SQUAD_V1 = Metric(
    _COLUMNS,
    _v1_units,
    _SCORES,
    "f1",
    constants=_no_answer(_v1_units),
    errors=_wrong,
    regrouped=lambda sums, counts: [(0.0, 0.0, sums[-1])],
)
SQUAD_V2 = Metric(
    _COLUMNS,
    _v2_units,
    _SCORES,
    "f1",
    further=_of_2_0,
    constants=_no_answer(_v2_units),
    errors=_wrong,
    regrouped=lambda sums, counts: [(n, n, sums[-1]) for n in [counts.get("unanswerable")] if n is not None],
)

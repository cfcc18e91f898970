"""The scores of SQuAD 1.1 and 2.0, by the rules of the official scripts `evaluate-v1.1.py` and `evaluate-v2.0.py`.

Rajpurkar et al. (2016), section 6.1, and Rajpurkar, Jia and Liang (2018). The two scripts differ where a text is empty
once it is normalised.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

from robustbench_char.common import InputError
from robustbench_char.metrics.metrics import Gold, Prediction, QaGold, QaPrediction, Scores, percent, typed

__all__ = ["best_threshold", "normalize_answer", "squad_pairs", "squad_v1", "squad_v2"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII only, as the official scripts have it


def normalize_answer(text: str) -> str:
    """Return text in lower case without ASCII punctuation, then without articles, words parted by single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def squad_v1(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Scores:
    """Return `exact` and `f1` of the final answers, as SQuAD 1.1 has them.

    Raises InputError for a question without gold answer.
    """
    gold, predicted = typed(golds, QaGold, "gold answer"), typed(predictions, QaPrediction, "predicted answer")
    row = next((row for row, item in enumerate(gold) if not item.answers), None)
    if row is not None:
        raise InputError(
            f"row {row}",
            found="a question without answers",
            expected="at least one answer, as SQuAD 1.1 has",
            fix="Use the task squad_v2 for files with unanswerable questions.",
        )
    f1, exact = zip(*squad_pairs(gold, predicted, version=1), strict=True)
    return Scores({"exact": percent(exact), "f1": percent(f1)}, {"examples": len(gold)}, list(f1))


def squad_v2(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Scores:
    """Return the scores of SQuAD 2.0: of all final answers, of those to each kind of question, at the best thresholds.

    `HasAns_*` and `NoAns_*` are absent where there is no such question. `best_*_thresh` are null odds, not percent; the
    best scores are those of `best_text`, since a threshold can only be sought over answers not yet withheld. Raises
    InputError for null odds that are not finite.
    """
    gold, predicted = typed(golds, QaGold, "gold answer"), typed(predictions, QaPrediction, "predicted answer")
    _check_odds(predicted)
    answerable = [bool(item.answers) for item in gold]
    final, f1 = _v2(gold, [said.text for said in predicted])
    scores = {"exact": percent(final), "f1": percent(f1)}
    for prefix, kind in (("HasAns", True), ("NoAns", False)):
        rows = [row for row, has in enumerate(answerable) if has == kind]
        if rows:
            scores[f"{prefix}_exact"] = percent([final[row] for row in rows])
            scores[f"{prefix}_f1"] = percent([f1[row] for row in rows])
    answers, odds = [said.best_text for said in predicted], [said.null_odds for said in predicted]
    for name, raw in zip(("best_exact", "best_f1"), _v2(gold, answers), strict=True):
        scores[name], scores[f"{name}_thresh"] = best_threshold(raw, answers, odds, answerable)
    has = sum(answerable)
    return Scores(scores, {"examples": len(gold), "answerable": has, "unanswerable": len(gold) - has}, f1)


def squad_pairs(
    golds: Sequence[QaGold], predictions: Sequence[QaPrediction], *, version: int
) -> list[tuple[float, float]]:
    """Return F1 and exact match of each final answer, in [0, 1], by the rules of SQuAD 1.1 (`version` 1) or 2.0 (2)."""
    said = [item.text for item in predictions]
    if version == 2:
        exact, f1 = _v2(list(golds), said)
        return list(zip(f1, exact, strict=True))
    pairs = zip((item.answers for item in golds), said, strict=True)
    return [(_best(_f1, answers, text), _best(_exact, answers, text)) for answers, text in pairs]


def best_threshold(
    raw: Sequence[float], answers: Sequence[str], odds: Sequence[float], answerable: Sequence[bool]
) -> tuple[float, float]:
    """Return the best score in percent and the null odds up to which answering gives it, as `evaluate-v2.0.py` does.

    Starting from "answer nothing", answers are let in by rising null odds, equal odds in file order. Only a strictly
    better score moves the threshold: of equally good ones the lowest is kept, and 0.0 where answering nothing is best.
    `raw` holds scores in [0, 1].
    """
    current = best = float(sum(not has for has in answerable))
    threshold = 0.0
    for row in sorted(range(len(raw)), key=odds.__getitem__):
        current += raw[row] if answerable[row] else -1.0 if answers[row] else 0.0
        if current > best:
            best, threshold = current, odds[row]
    return 100.0 * best / len(raw), threshold


def _v2(golds: list[QaGold], said: list[str]) -> tuple[list[float], list[float]]:
    """Return exact match and F1 of each question; answers that normalise to nothing are dropped, none left is ""."""
    answers = [tuple(text for text in gold.answers if normalize_answer(text)) or ("",) for gold in golds]
    pairs = list(zip(answers, said, strict=True))
    return [_best(_exact, *pair) for pair in pairs], [_best(_f1_or_none, *pair) for pair in pairs]


def _best(measure: Callable[[str, str], float], answers: tuple[str, ...], said: str) -> float:
    return max(measure(answer, said) for answer in answers)


def _exact(gold: str, said: str) -> float:
    return float(normalize_answer(gold) == normalize_answer(said))


def _f1(gold: str, said: str) -> float:
    """Return the F1 of two bags of normalised words; 0 where nothing is shared, both empty included (SQuAD 1.1)."""
    gold_words, said_words = normalize_answer(gold).split(), normalize_answer(said).split()
    shared = sum((Counter(gold_words) & Counter(said_words)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(said_words), shared / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def _f1_or_none(gold: str, said: str) -> float:
    """Return the same, but 1 where both are empty: to say nothing is right where there is no answer (SQuAD 2.0)."""
    return 1.0 if not normalize_answer(gold) and not normalize_answer(said) else _f1(gold, said)


def _check_odds(predicted: list[QaPrediction]) -> None:
    for row, said in enumerate(predicted):
        if not math.isfinite(said.null_odds):
            raise InputError(
                f"row {row}",
                found=f"null odds of {said.null_odds}",
                expected="a finite number",
                fix="Check the model: its scores overflow, or it scored no span.",
            )

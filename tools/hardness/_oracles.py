"""Oracles of the scores, written plainly from their rules: with `tests/oracles` and libraries, two for each."""

from __future__ import annotations

import importlib.util
import math
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from itertools import chain, combinations
from pathlib import Path
from types import ModuleType
from typing import Any

Question = Mapping[str, Any]
"""`answers` (gold texts), `text`, `best_text`, `null_odds`."""


@cache
def of_tests(name: str) -> ModuleType:
    """Return a module of `tests/oracles`, which is no package."""
    path = Path(__file__).parents[2] / "tests" / "oracles" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"oracle_{name}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# SQuAD, in the steps of the official scripts


def squad_normal(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single spaces."""
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_f1(gold: str, said: str, version: int) -> float:
    """F1 of two bags of words."""
    gold_words, said_words = squad_normal(gold).split(), squad_normal(said).split()
    common = Counter(gold_words) & Counter(said_words)
    same = sum(common.values())
    if version == 2 and (len(gold_words) == 0 or len(said_words) == 0):
        return float(gold_words == said_words)
    if same == 0:
        return 0.0
    precision, recall = 1.0 * same / len(said_words), 1.0 * same / len(gold_words)
    return (2 * precision * recall) / (precision + recall)


def squad_raw(question: Question, said: str, version: int) -> tuple[float, float]:
    """Exact match and F1 of one answer against the best gold answer."""
    golds = list(question["answers"])
    if version == 2:
        golds = [answer for answer in golds if squad_normal(answer)] or [""]
    exact = max(int(squad_normal(gold) == squad_normal(said)) for gold in golds)
    return float(exact), max(squad_f1(gold, said, version) for gold in golds)


def squad(questions: Sequence[Question], version: int) -> dict[str, float]:
    """Scores under the names of ours."""
    raw = [squad_raw(question, question["text"], version) for question in questions]
    scores = _means("", raw)
    if version == 2:
        for prefix, kind in (("HasAns_", True), ("NoAns_", False)):
            part = [one for one, question in zip(raw, questions, strict=True) if bool(question["answers"]) == kind]
            scores |= _means(prefix, part) if part else {}
        scores |= best_thresholds(questions)
    return scores


def _means(prefix: str, raw: Sequence[tuple[float, float]]) -> dict[str, float]:
    return {prefix + name: 100.0 * sum(one[place] for one in raw) / len(raw) for place, name in enumerate(_NAMES)}


_NAMES = ("exact", "f1")


def best_thresholds(questions: Sequence[Question]) -> dict[str, float]:
    """What `find_best_thresh` finds, its lists in the order of the file."""
    found: dict[str, float] = {}
    odds = {number: question["null_odds"] for number, question in enumerate(questions)}
    for place, name in enumerate(_NAMES):
        scores = {n: squad_raw(question, question["best_text"], 2)[place] for n, question in enumerate(questions)}
        current = best = sum(1.0 for question in questions if not question["answers"])
        threshold = 0.0
        for number in sorted(odds, key=lambda n: odds[n]):
            unanswerable = -1.0 if questions[number]["best_text"] else 0.0
            current += scores[number] if questions[number]["answers"] else unanswerable
            if current > best:
                best, threshold = current, odds[number]
        found |= {f"best_{name}": 100.0 * best / len(questions), f"best_{name}_thresh": threshold}
    return found


# Classes


def weighted(
    golds: Sequence[str], said: Sequence[str | None], labels: Sequence[str]
) -> list[tuple[str, str, Fraction]]:
    """Gold, predicted and weight of each example; a failed one stands once for each wrong class, in equal parts."""
    rows = []
    for gold, predicted in zip(golds, said, strict=True):
        wrong = [label for label in labels if label != gold]
        given = wrong if predicted is None else [predicted]
        rows += [(gold, label, Fraction(1, len(given))) for label in given]
    return rows


def matthews(rows: Sequence[tuple[str, str, Fraction]], labels: Sequence[str]) -> float:
    """Gorodkin's R_K from covariances of indicators, in exact fractions up to the root."""

    def covariance(left: int, right: int) -> Fraction:
        total = sum((weight for *_, weight in rows), Fraction(0))
        summed = Fraction(0)
        for label in labels:
            both = sum((row[2] for row in rows if row[left] == row[right] == label), Fraction(0))
            one, other = (sum((row[2] for row in rows if row[side] == label), Fraction(0)) for side in (left, right))
            summed += both / total - one / total * other / total
        return summed

    below = covariance(0, 0) * covariance(1, 1)
    return 100.0 * float(covariance(0, 1)) / math.sqrt(below) if below else 0.0


def binary_f1(rows: Sequence[tuple[str, str, Fraction]], positive: str) -> float:
    """The harmonic mean of precision and recall."""
    right = sum((weight for gold, said, weight in rows if gold == said == positive), Fraction(0))
    predicted = sum((weight for _, said, weight in rows if said == positive), Fraction(0))
    gold = sum((weight for gold, _, weight in rows if gold == positive), Fraction(0))
    return float(200 / (predicted / right + gold / right)) if right else 0.0


# Tests, distances, pieces


def closed_testing(values: Sequence[float]) -> list[float]:
    """Holm's correction by its meaning: reject where every intersection of hypotheses is rejected by Bonferroni."""
    numbers = range(len(values))
    subsets = list(chain.from_iterable(combinations(numbers, size) for size in range(1, len(values) + 1)))
    bonferroni = {subset: min(1.0, len(subset) * min(values[one] for one in subset)) for subset in subsets}
    return [max(p for subset, p in bonferroni.items() if number in subset) for number in numbers]


def mcnemar(first: int, second: int) -> float:
    """The exact test on so many examples that only one of two systems has right."""
    number, least = first + second, min(first, second)
    ways: int = sum(math.comb(number, heads) for heads in range(least + 1))
    return min(1.0, 2 * ways / (1 << number))


def cosine_distance(left: Sequence[float], right: Sequence[float]) -> float:
    """1 - cosine in double precision, by the conventions of ours for rows that are equal or zero."""
    if list(left) == list(right):
        return 0.0
    lengths = math.sqrt(math.fsum(x * x for x in left)) * math.sqrt(math.fsum(x * x for x in right))
    product = math.fsum(x * y for x, y in zip(left, right, strict=True))
    return 1.0 - product / lengths if lengths else 1.0


def levenshtein(left: str, right: str) -> int:
    """Insertions, deletions and substitutions, by the definition."""

    @cache
    def rest(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        if left[i - 1] == right[j - 1]:
            return rest(i - 1, j - 1)
        return 1 + min(rest(i - 1, j), rest(i, j - 1), rest(i - 1, j - 1))

    return rest(len(left), len(right))

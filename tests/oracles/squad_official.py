"""The rules of SQuAD's official evaluation scripts written a second time, plainly, to hold the library against.

A question is a dict: `answers` (gold texts), and a prediction is a text. Nothing here is shared with the library.
"""

from __future__ import annotations

import itertools
import string
from typing import Any


def normalize(text: str) -> str:
    """Lower case; drop ASCII punctuation; blank the words (runs of letters and digits) a, an, the; squeeze space."""
    kept = [character for character in text.lower() if character not in set(string.punctuation)]
    runs = ["".join(run) for _, run in itertools.groupby(kept, key=str.isalnum)]
    blanked = "".join(" " if run in ("a", "an", "the") else run for run in runs)
    return " ".join(blanked.split())


def shared_words(left: list[str], right: list[str]) -> int:
    """Count words in common, each as often as both sides have it."""
    rest, count = list(right), 0
    for word in left:
        if word in rest:
            rest.remove(word)
            count += 1
    return count


def f1_v1(gold: str, said: str) -> float:
    gold_words, said_words = normalize(gold).split(), normalize(said).split()
    same = shared_words(gold_words, said_words)
    if same == 0:
        return 0.0
    precision, recall = same / len(said_words), same / len(gold_words)
    return (2 * precision * recall) / (precision + recall)


def f1_v2(gold: str, said: str) -> float:
    gold_words, said_words = normalize(gold).split(), normalize(said).split()
    if len(gold_words) == 0 or len(said_words) == 0:
        return 1.0 if len(gold_words) == len(said_words) else 0.0
    return f1_v1(gold, said)


def exact(gold: str, said: str) -> float:
    return 1.0 if normalize(gold) == normalize(said) else 0.0


def evaluate_v1(questions: list[dict[str, Any]]) -> dict[str, float]:
    total = len(questions)
    exact_sum = f1_sum = 0.0
    for question in questions:
        exact_sum += max(exact(gold, question["text"]) for gold in question["answers"])
        f1_sum += max(f1_v1(gold, question["text"]) for gold in question["answers"])
    return {"exact": 100.0 * exact_sum / total, "f1": 100.0 * f1_sum / total}


def raw_v2(question: dict[str, Any], said: str) -> tuple[float, float]:
    golds = [gold for gold in question["answers"] if normalize(gold) != ""]
    if not golds:
        golds = [""]
    return max(exact(gold, said) for gold in golds), max(f1_v2(gold, said) for gold in golds)


def evaluate_v2(questions: list[dict[str, Any]]) -> dict[str, float]:
    """Scores of the final texts, then the best-threshold figures of `best_text` under `null_odds`."""
    result: dict[str, float] = {}
    subsets = {
        "": questions,
        "HasAns_": [question for question in questions if question["answers"]],
        "NoAns_": [question for question in questions if not question["answers"]],
    }
    for prefix, subset in subsets.items():
        for place, name in enumerate(["exact", "f1"]):
            if subset:
                total = 0.0
                for question in subset:
                    total += raw_v2(question, question["text"])[place]
                result[prefix + name] = 100.0 * total / len(subset)
    for place, name in enumerate(["best_exact", "best_f1"]):
        result[name], result[name + "_thresh"] = best_threshold(questions, place)
    return result


def best_threshold(questions: list[dict[str, Any]], place: int) -> tuple[float, float]:
    """Try every cut of the questions sorted by null odds: those before the cut are answered, all others are not."""
    ranked = sorted(questions, key=lambda question: question["null_odds"])
    unanswerable = len([question for question in questions if not question["answers"]])
    best, threshold = float(unanswerable), 0.0
    for cut in range(1, len(ranked) + 1):
        total = float(unanswerable)
        for question in ranked[:cut]:
            if question["answers"]:
                total += raw_v2(question, question["best_text"])[place]
            elif question["best_text"] != "":
                total -= 1
        if total > best:
            best, threshold = total, ranked[cut - 1]["null_odds"]
    return 100.0 * best / len(questions), threshold

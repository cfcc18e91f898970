"""Random cases of the scores of models, and what the oracles say of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple, TypeVar

import numpy as np

from robustbench_char.metrics import METRICS, QaGold, QaPrediction, score, word_errors
from tools.hardness import _oracles as oracles

T = TypeVar("T")


class Found(NamedTuple):
    """What ours and an oracle say of one thing."""

    what: str
    ours: object
    oracle: object


PIECES = ("a", "An", "THE", "the", "mill", "Mill", "old", "dam", "x-y", "…", "“the”", "'s", ".", "\u00a0", "\u3000",
          "_", "é", "e\u0301", "İ", "ß", "Σ", "ﬁ", "12", "the12", "the_", "a.b", "ａ", "–", "$", "")  # fmt: skip
MISSING = "no text holds this"


def some(random: Random, values: Sequence[T], most: int, least: int = 0) -> list[T]:
    """Draw from `least` to `most` values, with replacement."""
    return random.choices(values, k=random.randint(least, most))


def answer(random: Random) -> str:
    """Draw a short text of odd pieces, now and then of any characters."""
    if random.random() < 0.1:
        return "".join(
            chr(random.choice((random.randrange(0x20, 0x250), random.randrange(0x2000, 0x3100)))) for _ in range(4)
        )
    return random.choice(("", " ", "  ")).join(some(random, PIECES, 5))


def questions(random: Random, version: int) -> list[dict[str, Any]]:
    """Draw questions with few answers, so that many are right, empty or tied."""
    pool = [answer(random) for _ in range(4)]
    return [
        {
            "answers": some(random, pool, 3, 2 - version),
            "text": random.choice([*pool, "", answer(random)]),
            "best_text": random.choice([*pool, ""]),
            "null_odds": random.choice((-1.0, 0.0, -0.0, 0.5, random.uniform(-3, 3))),
            "failed": random.random() < 0.08,
        }
        for _ in range(random.randint(1, 8))
    ]


def _squad(random: Random, version: int) -> Iterator[Found]:
    asked = questions(random, version)
    said = [None if one["failed"] else QaPrediction(one["text"], one["best_text"], one["null_odds"]) for one in asked]
    result = score(f"squad_v{version}", [QaGold(tuple(one["answers"])) for one in asked], said)
    expected = [one | {"text": MISSING} if one["failed"] else one for one in asked]
    official = oracles.of_tests("squad_official")
    for first in (True, False):
        plain = getattr(official, f"evaluate_v{version}") if first else lambda rows: oracles.squad(rows, version)
        scores = plain(expected) | (_answered_best(asked, plain) if version == 2 else {})
        yield Found("scores", result.scores, scores)
    own = [oracles.squad_raw(one, one["text"], version)[1] for one in expected]
    yield Found("per_example", result.per_example, own)


def _answered_best(asked: Sequence[dict[str, Any]], plain: Any) -> dict[str, float]:
    """No threshold makes a failed example right: the best scores of the others, over all."""
    given = [one for one in asked if not one["failed"]]
    best = {name: value for name, value in plain(given).items() if name.startswith("best")} if given else {}
    zero = dict.fromkeys(("best_exact", "best_f1", "best_exact_thresh", "best_f1_thresh"), 0.0)
    return zero | {name: value * (1 if "thresh" in name else len(given) / len(asked)) for name, value in best.items()}


def squad_v1(random: Random) -> Iterator[Found]:
    """SQuAD 1.1."""
    return _squad(random, 1)


def squad_v2(random: Random) -> Iterator[Found]:
    """SQuAD 2.0 with its best thresholds."""
    return _squad(random, 2)


KINDS = ("PER", "LOC", "MISC", "X-Y", "per")


def _tagged(random: Random) -> tuple[list[tuple[str, ...]], list[tuple[str | None, ...] | None]]:
    """Draw sentences; those of one `-DOCSTART-`, cut words and failed sentences among them. Entities run up to ends."""
    tags = ["O", *(f"{prefix}-{kind}" for kind in some(random, KINDS, 3) for prefix in "BI")]
    golds, said = [], list[tuple[str | None, ...] | None]()
    for _ in range(random.randint(1, 5)):
        gold = ("O",) if random.random() < 0.1 else tuple(some(random, tags, 8, 1))
        kept = [tag if random.random() < 0.7 else random.choice([*tags, None]) for tag in gold]
        golds.append(gold)
        said.append(None if random.random() < 0.08 else tuple(kept))
    return golds, said


def _plain_tags(golds: Sequence[tuple[str, ...]], said: Sequence[Any]) -> list[tuple[str | None, ...]]:
    return [(None,) * len(gold) if tags is None else tags for gold, tags in zip(golds, said, strict=True)]


def entity_f1(random: Random) -> Iterator[Found]:
    """Entities by the rules of conlleval, and by seqeval."""
    golds, said = _tagged(random)
    result = score("entity_f1", golds, said)
    read = _plain_tags(golds, said)
    conll = oracles.of_tests("conll_entities")
    yield Found("scores, conlleval", result.scores, conll.evaluate(golds, read))
    yield Found("scores, seqeval", result.scores, _seqeval(golds, read))
    cut = conll.cut_entities(golds, [tags or ("O",) * len(gold) for gold, tags in zip(golds, said, strict=True)])
    yield Found("truncated entities", result.counts["truncated_entities"], cut)
    own = [sum(map(str.__eq__, gold, map(str, tags))) / len(gold) for gold, tags in zip(golds, read, strict=True)]
    yield Found("per_example", result.per_example, own)


def _seqeval(golds: Sequence[tuple[str, ...]], said: Sequence[tuple[str | None, ...]]) -> dict[str, float]:
    from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

    gold, read = [list(tags) for tags in golds], [[tag or "O" for tag in tags] for tags in said]
    kinds = sorted({kind for kind, *_ in [*get_entities(gold), *get_entities(read)]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        micro = precision_recall_fscore_support(gold, read, average="micro", zero_division=0) if kinds else (0, 0, 0)
        each = precision_recall_fscore_support(gold, read, zero_division=0)[2] if kinds else ()
    of_kinds = {f"f1_{kind}": 100.0 * float(f1) for kind, f1 in zip(kinds, each, strict=True)}
    return dict(zip(("precision", "recall", "f1"), (100.0 * float(one) for one in micro[:3]), strict=True)) | of_kinds


def tag_accuracy(random: Random) -> Iterator[Found]:
    """Words with the right tag: scikit-learn, and a plain count."""
    from sklearn.metrics import accuracy_score

    golds, said = _tagged(random)
    result = score("tag_accuracy", golds, said)
    pairs = [
        pair
        for gold, tags in zip(golds, _plain_tags(golds, said), strict=True)
        for pair in zip(gold, tags, strict=True)
    ]
    gold, read = zip(*((tag, other or "cut") for tag, other in pairs), strict=True)
    yield Found("accuracy, scikit-learn", result.scores, {"accuracy": 100.0 * float(accuracy_score(gold, read))})
    yield Found("accuracy, counted", result.scores, {"accuracy": 100.0 * sum(a == b for a, b in pairs) / len(pairs)})
    cut = sum(tag is None for tags in said if tags is not None for tag in tags)
    yield Found("truncated words", result.counts["truncated_words"], cut)


def _classes(random: Random, most: int) -> tuple[tuple[str, ...], list[str], list[str | None]]:
    """Draw labels, gold and predicted classes: often constant on one side, or without one class."""
    labels = random.choice((("no", "yes", "maybe", ""), ("a", "b|c", "a|b", "c")))[: random.randint(2, most)]
    seen = random.choice((labels, labels, labels[:1], labels[-1:]))
    said = random.choice((labels, labels, labels[:1], labels[-1:]))
    size = random.choice((1, 2, random.randint(3, 30)))
    golds = random.choices(seen, k=size)
    mixed = [gold if random.random() < 0.4 and gold in said else random.choice(said) for gold in golds]
    return labels, golds, [None if random.random() < 0.05 else one for one in mixed]


def _split(labels: tuple[str, ...], golds: Sequence[str], said: Sequence[str | None]) -> tuple[Any, ...]:
    rows = oracles.weighted(golds, said, labels)
    return (rows, *map(list, zip(*((gold, one, float(weight)) for gold, one, weight in rows), strict=True)))


def matthews(random: Random) -> Iterator[Found]:
    """Matthews correlation and accuracy of two to four classes: scikit-learn, and covariances in fractions."""
    from sklearn.metrics import accuracy_score, matthews_corrcoef

    labels, golds, said = _classes(random, 4)
    scores = score("matthews", golds, said, labels=labels).scores
    rows, gold, read, weights = _split(labels, golds, said)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = 100.0 * float(matthews_corrcoef(gold, read, sample_weight=weights))
        right = 100.0 * float(accuracy_score(gold, read, sample_weight=weights))
    exact = oracles.matthews(rows, labels)
    if np.isnan(first) and exact == 0.0:  # it takes the root of what parts of examples rounded to below zero
        first = exact
    yield Found("scikit-learn", scores, {"matthews": first, "accuracy": right})
    counted = 100.0 * sum(a == b for a, b in zip(golds, said, strict=True)) / len(golds)
    yield Found("fractions", scores, {"matthews": exact, "accuracy": counted})
    pooled = METRICS.get("matthews")
    sums = np.sum([pooled.sums(gold, one, labels) for gold, one in zip(golds, said, strict=True)], axis=0)
    yield Found("as intervals take it", float(pooled.score(sums)), first)


def accuracy_f1(random: Random) -> Iterator[Found]:
    """Accuracy and F1 of the second of two classes: scikit-learn, and precision and recall in fractions."""
    from sklearn.metrics import accuracy_score, f1_score

    labels, golds, said = _classes(random, 2)
    scores = score("accuracy_f1", golds, said, labels=labels).scores
    rows, gold, read, _ = _split(labels, golds, said)
    f1 = 100.0 * float(f1_score(gold, read, labels=labels, average=None, zero_division=0)[1])
    yield Found("scikit-learn", scores, {"f1": f1, "accuracy": 100.0 * float(accuracy_score(gold, read))})
    counted = 100.0 * sum(a == b for a, b in zip(golds, said, strict=True)) / len(golds)
    yield Found("fractions", scores, {"f1": oracles.binary_f1(rows, labels[1]), "accuracy": counted})


def accuracy(random: Random) -> Iterator[Found]:
    """Accuracy of classes without a list of labels: scikit-learn, and a plain count."""
    from sklearn.metrics import accuracy_score

    _, golds, said = _classes(random, 4)
    scores = score("accuracy", golds, said).scores
    wrong = [f"not {gold}" if one is None else one for gold, one in zip(golds, said, strict=True)]
    first = 100.0 * float(accuracy_score(golds, wrong))
    yield Found("scikit-learn", scores, {"accuracy": first})
    yield Found("counted", scores, {"accuracy": 100.0 * sum(map(str.__eq__, golds, map(str, said))) / len(golds)})


def spelling(random: Random) -> Iterator[Found]:
    """Words that differ between two versions of sentences: a plain loop, and arrays."""
    words = [piece for piece in PIECES if piece]
    right = [tuple(some(random, words, 5)) for _ in range(random.randint(0, 4))]
    given = [tuple(random.choice((word, word.lower(), random.choice(words))) for word in one) for one in right]
    flat = [pair for one, other in zip(right, given, strict=True) for pair in zip(one, other, strict=True)]
    for cased in (True, False):
        ours = word_errors(right, given, cased=cased)
        wrong = 0
        for one, other in flat:
            wrong += one != other if cased else one.lower() != other.lower()
        table = np.array([pair if cased else tuple(map(str.lower, pair)) for pair in flat], dtype=object).reshape(-1, 2)
        yield Found(f"loop, cased {cased}", ours, 100 * wrong / len(flat) if flat else None)
        yield Found(f"arrays, cased {cased}", ours, 100 * float((table[:, 0] != table[:, 1]).mean()) if flat else None)

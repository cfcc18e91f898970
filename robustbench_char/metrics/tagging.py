"""The scores of tagging tasks: accuracy over words; precision, recall and F1 over entities as CoNLL-2003 counts them.

A word that the length limit cut off has no predicted tag. It counts as wrong, and as outside every predicted entity. So
does every word of a sentence without a prediction, which is not counted as cut off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

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
    sums_of,
)

__all__ = ["ENTITY_F1", "TAG_ACCURACY", "Words", "bio2", "word_errors"]

Words: TypeAlias = Sequence[str]


def bio2(tags: Sequence[str | None]) -> list[str]:
    """Return tags in BIO2: an I that continues no entity of its type becomes B, a missing tag (None) becomes O.

    This reads IOB1 and illegal sequences as the official `conlleval` does. Raises InputError for any other tag.
    """
    converted = []
    before = ""
    for tag in tags:
        prefix, _, kind = ("O" if tag is None else tag).partition("-")
        if (prefix, kind) != ("O", "") and (prefix not in {"B", "I"} or not kind):
            raise InputError(
                "tags",
                found=f"the tag {tag!r}",
                expected="O, B-TYPE or I-TYPE",
                fix="Use the metric `tag_accuracy` for tags that mark no entities.",
            )
        converted.append("O" if prefix == "O" else f"{prefix if kind == before else 'B'}-{kind}")
        before = kind
    return converted


def entities(tags: Sequence[str | None]) -> set[tuple[str, int, int]]:
    """Return type, first word and the word after the last of each entity, as `conlleval` reads them (see `bio2`)."""
    spans, begun = set(), None
    for position, tag in enumerate([*bio2(tags), "O"]):
        if begun and not tag.startswith("I-"):
            spans.add((*begun, position))
            begun = None
        if tag.startswith("B-"):
            begun = (tag[2:], position)
    return spans


def word_errors(right: Sequence[Words], given: Sequence[Words], *, cased: bool = False) -> float | None:
    """Return the share of words that differ between two versions of sentences, in percent; None without words.

    They are compared in lower case unless `cased`.
    """
    pairs = [pair for both in zip(right, given, strict=True) for pair in zip(*both, strict=True)]
    wrong = sum(a != b and (cased or a.lower() != b.lower()) for a, b in pairs)
    return 100 * wrong / len(pairs) if pairs else None


def _sentences(golds: Golds, predictions: Predicted) -> Iterator[tuple[int, tuple[str, ...], tuple[str | None, ...]]]:
    """Yield row, gold and predicted tags of each sentence. Raises InputError where numbers of tags differ."""
    for row, gold, predicted in paired(golds, predictions, (tuple, tuple), "tagging"):
        if predicted is None:
            predicted = (None,) * len(gold)
        if len(gold) != len(predicted) or not gold:
            raise InputError(
                f"row {row}",
                found=f"{len(predicted)} predicted tags for {len(gold)} words",
                expected="one tag per word, and at least one word",
                fix="Predict again on the file that is scored.",
            )
        yield row, gold, predicted


def _words(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[Unit]:
    for row, *tags in _sentences(golds, predictions):
        for position, (gold, predicted) in enumerate(zip(*tags, strict=True)):
            yield Unit(row, (float(gold == predicted), 1.0), (position, position + 1))


def _word_counts(golds: Golds, predictions: Predicted, units: list[Unit]) -> Further:
    cut = sum(tag is None for tags in predictions if isinstance(tags, tuple) for tag in tags)
    return {}, {"tokens": len(units), "truncated_words": cut}


def _entities(golds: Golds, predictions: Predicted, labels: Labels) -> Iterator[Unit]:
    """Yield one unit per entity of gold or predictions. It is right when type, first and last word are."""
    for row, *tags in _sentences(golds, predictions):
        gold, predicted = map(entities, tags)
        right = gold & predicted
        for entity in sorted(gold | predicted, key=lambda entity: (entity[1:], entity[0])):
            counts = float(entity in right), float(entity in predicted), float(entity in gold)
            yield Unit(row, counts, entity[1:], entity[0])


def _f1(sums: Floats) -> Floats:
    precision, recall = ratio(sums[..., 0], sums[..., 1]), ratio(sums[..., 0], sums[..., 2])
    return 100.0 * ratio(2 * precision * recall, precision + recall)


def _by_type(golds: Golds, predictions: Predicted, units: list[Unit]) -> Further:
    """Return the F1 of each type that occurs, and counts of entities; one is cut where one of its words was."""
    kinds = {kind: [unit for unit in units if unit.kind == kind] for kind in sorted({unit.kind for unit in units})}
    tags = [predicted if isinstance(predicted, tuple) else () for predicted in predictions]
    cut = sum(None in tags[unit.row][slice(*unit.span)] for unit in units if unit.counts[2])
    _, predicted, gold = map(int, sums_of(units)) if units else (0, 0, 0)
    counts = {"entities": gold, "predicted_entities": predicted, "truncated_entities": cut}
    return {f"f1_{kind}": float(_f1(sums_of(part))) for kind, part in kinds.items()}, counts


def _one_tag(golds: Golds, labels: Labels) -> Constants:
    times = Counter(tag for tags in golds if isinstance(tags, tuple) for tag in tags)
    return [(max(times.values()), times.total())]


def _one_entity_tag(golds: Golds, labels: Labels) -> Constants:
    """Return the sums of one tag for all words: of O, of B (each word an entity), and of I (each sentence one)."""
    sentences = [tags for tags in golds if isinstance(tags, tuple)]
    gold = [(span, len(tags)) for tags in sentences for span in entities(tags)]
    alone = Counter(kind for (kind, start, end), _ in gold if end == start + 1)
    whole = Counter(kind for (kind, start, end), length in gold if end == start + length)
    sides = (alone, sum(map(len, sentences))), (whole, len(sentences))
    return [(0, 0, len(gold)), *((max(of.values(), default=0), predicted, len(gold)) for of, predicted in sides)]


TAG_ACCURACY = Metric(
    fixed("correct", "tokens"), _words, {"accuracy": share}, "accuracy", further=_word_counts, constants=_one_tag
)
ENTITY_F1 = Metric(
    columns=fixed("right", "predicted", "gold"),
    units=_entities,
    scores={
        "precision": lambda sums: 100.0 * ratio(sums[..., 0], sums[..., 1]),
        "recall": lambda sums: 100.0 * ratio(sums[..., 0], sums[..., 2]),
        "f1": _f1,
    },
    headline="f1",
    pooled=lambda sums: ratio(200.0 * sums[..., 0], sums[..., 1] + sums[..., 2]),
    errors=lambda sums: (sums[1] + sums[2] - 2 * sums[0],),
    endless=True,
    alone=TAG_ACCURACY,
    further=_by_type,
    constants=_one_entity_tag,
)

"""The scores of tagging tasks: accuracy over words; precision, recall and F1 over entities as CoNLL-2003 counts them.

A word that the length limit cut off has no predicted tag. It counts as wrong, and as outside every predicted entity.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from robustbench_char.common import InputError
from robustbench_char.metrics.metrics import Gold, Prediction, Scores, models_extra, typed

__all__ = ["bio2", "entity_f1", "tag_accuracy"]


def tag_accuracy(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Scores:
    """Return `accuracy`, the percentage of words whose tag is right. Raises InputError where numbers of tags differ."""
    gold, predicted = _sentences(golds, predictions)
    right = _right(gold, predicted)
    words = _counts(gold, predicted)
    return Scores({"accuracy": 100.0 * sum(right) / words["tokens"]}, words, _shares(right, gold))


def entity_f1(golds: Sequence[Gold], predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Scores:
    """Return `precision`, `recall` and `f1` over entities of all types, and `f1_TYPE` for each type that occurs.

    An entity is right when type, first and last word are. A share without denominator is 0.
    Raises InputError for a tag that is not O, B-TYPE or I-TYPE, and where numbers of tags differ.
    """
    gold, predicted = _sentences(golds, predictions)
    gold_tags = [bio2(tags) for tags in gold]
    predicted_tags = [bio2(tags) for tags in predicted]
    scores, entities = _seqeval(gold_tags, predicted_tags)
    counts = _counts(gold, predicted) | entities | {"truncated_entities": _cut_entities(gold_tags, predicted)}
    return Scores(scores, counts, _shares(_right(gold, predicted), gold))


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


def _seqeval(gold: list[list[str]], predicted: list[list[str]]) -> tuple[dict[str, float], dict[str, int]]:
    kinds = sorted({tag[2:] for sentences in (gold, predicted) for tags in sentences for tag in tags if tag != "O"})
    if not kinds:  # seqeval averages over nothing here
        return {"precision": 0.0, "recall": 0.0, "f1": 0.0}, {"entities": 0, "predicted_entities": 0}
    seqeval = models_extra("seqeval.metrics.sequence_labeling")
    score = seqeval.precision_recall_fscore_support
    precision, recall, f1, entities = score(gold, predicted, average="micro", zero_division=0)
    by_type = score(gold, predicted, average=None, zero_division=0)[2]
    overall = {"precision": precision, "recall": recall, "f1": f1}
    each = {f"f1_{kind}": value for kind, value in zip(kinds, by_type, strict=True)}
    found = sum(tag.startswith("B-") for tags in predicted for tag in tags)
    scores = {name: 100.0 * float(value) for name, value in {**overall, **each}.items()}
    return scores, {"entities": int(entities), "predicted_entities": found}


def _cut_entities(gold: list[list[str]], predicted: list[tuple[str | None, ...]]) -> int:
    """Count the gold entities of which at least one word was cut off."""
    cut = 0
    for tags, found in zip(gold, predicted, strict=True):
        if None in found:
            number = list(accumulate(tag.startswith("B-") for tag in tags))  # of the entity that a word is in or after
            words = zip(tags, found, number, strict=True)
            cut += len({entity for tag, said, entity in words if tag != "O" and said is None})
    return cut


def _sentences(
    golds: Sequence[Gold], predictions: Sequence[Prediction]
) -> tuple[list[tuple[str, ...]], list[tuple[str | None, ...]]]:
    gold, predicted = typed(golds, tuple, "gold tagging"), typed(predictions, tuple, "predicted tagging")
    for row, (expected, found) in enumerate(zip(gold, predicted, strict=True)):
        if len(expected) != len(found) or not expected:
            raise InputError(
                f"row {row}",
                found=f"{len(found)} predicted tags for {len(expected)} words",
                expected="one tag a word, and at least one word",
                fix="Predict again on the file that is scored.",
            )
    return gold, predicted


def _right(gold: list[tuple[str, ...]], predicted: list[tuple[str | None, ...]]) -> list[int]:
    return [sum(a == b for a, b in zip(*pair, strict=True)) for pair in zip(gold, predicted, strict=True)]


def _shares(right: list[int], gold: list[tuple[str, ...]]) -> list[float]:
    return [count / len(tags) for count, tags in zip(right, gold, strict=True)]


def _counts(gold: list[tuple[str, ...]], predicted: list[tuple[str | None, ...]]) -> dict[str, int]:
    cut = sum(tag is None for tags in predicted for tag in tags)
    return {"examples": len(gold), "tokens": sum(map(len, gold)), "truncated_words": cut}

"""Entities as CoNLL's shared tasks counted them (the rules of `conlleval`), written plainly, an oracle."""

from __future__ import annotations

from collections.abc import Sequence


def entities(tags: Sequence[str | None]) -> set[tuple[str, int, int]]:
    """Return (type, first word, last word) of each entity of one sentence; None is outside all entities.

    An entity starts at every B, and at an I that follows O or another type. It goes on while I of its type follow.
    """
    found = set()
    for start, tag in enumerate(tags):
        if tag is None or tag == "O":
            continue
        kind = tag[2:]
        before = tags[start - 1] if start > 0 else None
        if tag[0] == "I" and before is not None and before != "O" and before[2:] == kind:
            continue
        end = start
        while end + 1 < len(tags) and tags[end + 1] == f"I-{kind}":
            end += 1
        found.add((kind, start, end))
    return found


def evaluate(golds: Sequence[Sequence[str]], predictions: Sequence[Sequence[str | None]]) -> dict[str, float]:
    """Return precision, recall and F1 in percent, overall and F1 by type."""
    gold = {(row, *entity) for row, tags in enumerate(golds) for entity in entities(tags)}
    said = {(row, *entity) for row, tags in enumerate(predictions) for entity in entities(tags)}
    right = gold & said
    result = {
        "precision": 100 * len(right) / len(said) if said else 0.0,
        "recall": 100 * len(right) / len(gold) if gold else 0.0,
        "f1": 200 * len(right) / (len(gold) + len(said)) if gold or said else 0.0,
    }
    for kind in {entity[1] for entity in gold | said}:
        counts = [len([entity for entity in part if entity[1] == kind]) for part in (right, gold, said)]
        result[f"f1_{kind}"] = 200 * counts[0] / (counts[1] + counts[2])
    return result


def cut_entities(golds: Sequence[Sequence[str]], predictions: Sequence[Sequence[str | None]]) -> int:
    """Count gold entities with a word whose prediction is None."""
    return sum(
        any(said[index] is None for index in range(start, end + 1))
        for tags, said in zip(golds, predictions, strict=True)
        for _, start, end in entities(tags)
    )

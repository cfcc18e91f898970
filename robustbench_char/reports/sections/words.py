"""What tokenizers split."""

from __future__ import annotations

import pandas as pd

from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Section, Table, texts, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["fragility"]


def fragility(evidence: Evidence) -> list[Section]:
    """Return the section on how fragile each tokenizer is; none where no tokenizer was measured."""
    if not evidence.fragility:
        return []
    names = ("task", "tokenizer", "source", "source_sha256", "words", "split_words", "entities", "split_entities")
    frame = pd.DataFrame([{name: getattr(record, name) for name in names} for record in evidence.fragility])
    columns = (
        *texts("Task", "Tokenizer", "Source"),
        value("Words", show=formatting.count),
        value("Split words", show=formatting.percent),
        value("Entities", show=formatting.count),
        value("Split entities", show=formatting.percent),
    )
    caption = "Words that the tokenizer splits into several pieces, and entities with such a word, in percent."
    tables = Table("fragility", caption, frame, columns), *_deletions(evidence)
    return [Section("fragility", "Fragility of the tokenizer", tables)]


def _deletions(evidence: Evidence) -> list[Table]:
    rows = [
        {"task": record.task, "tokenizer": record.tokenizer, "seed": record.seed, "counted": counted}
        | group.model_dump()
        for record in evidence.fragility
        for counted, groups in (("occurrences", record.nouns), ("distinct nouns", record.noun_types))
        for group in groups
    ]
    columns = (
        *texts("Task", "Tokenizer"),
        value("Seed", show=formatting.plain),
        *texts("Counted", "Group"),
        value("Nouns", "words", formatting.count),
        value("Split", show=formatting.percent),
        value("No piece in common", "none_shared", formatting.percent),
        value("Pieces changed", show=formatting.percent),
        value("Characters changed", show=formatting.percent),
    )
    caption = (
        "Nouns before and after one deletion at random, in percent. Pieces changed is the mean share of clean pieces "
        "that are gone, characters changed the mean share of characters."
    )
    return [Table("fragility_deletions", caption, pd.DataFrame(rows), columns)] if rows else []

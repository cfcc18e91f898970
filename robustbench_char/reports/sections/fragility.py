"""How fragile each tokenizer is: what it splits, and what one lost character does to a noun's pieces."""

from __future__ import annotations

import pandas as pd

from robustbench_char.records.sensitivity import FragilityRecord
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Section, Table, texts, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no tokenizer was measured."""
    if not evidence.fragility:
        return []
    tables = _splits(evidence.fragility), *_deletions(evidence.fragility)
    return [Section("fragility", "Fragility of the tokenizer", tables)]


def _splits(records: tuple[FragilityRecord, ...]) -> Table:
    names = ("task", "tokenizer", "source", "source_sha256", "words", "split_words", "entities", "split_entities")
    frame = pd.DataFrame([{name: getattr(record, name) for name in names} for record in records])
    columns = (
        *texts("Task", "Tokenizer", "Source"),
        value("Words", show=formatting.count),
        value("Split words", show=formatting.percent),
        value("Entities", show=formatting.count),
        value("Split entities", show=formatting.percent),
    )
    caption = "Words that the tokenizer splits into several pieces, and entities with such a word, in percent."
    return Table("fragility", caption, frame, columns)


def _deletions(records: tuple[FragilityRecord, ...]) -> list[Table]:
    rows = [
        {"task": record.task, "tokenizer": record.tokenizer, "seed": record.seed, "counted": counted}
        | group.model_dump()
        for record in records
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

"""What tokenizers split, and what a word recogniser repairs on attacked text and breaks on clean text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Column, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["fragility", "recogniser"]


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


def recogniser(evidence: Evidence) -> list[Section]:
    """Return the section on the word recogniser; none where no price was measured."""
    if not evidence.prices:
        return []
    rows = [
        {
            "task": record.task,
            "vocabulary": record.defence.settings.get("vocabulary"),
            "backoff": record.defence.settings.get("backoff"),
            "trained_under": ", ".join(record.defence.suites),
            "recogniser_sha256": record.defence.sha256,
            "suite": record.attack.suite,
            "attack_seed": record.attack.seed,
            "effective_strength": record.attack.effective_strength,
            **record.errors.model_dump(),
        }
        for record in evidence.prices
    ]
    columns = (
        text("Task"),
        Column("Recogniser", _recogniser, "left"),
        text("Attack", "suite"),
        value("Wrong in attacked text", "wer_before", _percent),
        value("Wrong after correction", "wer_after", _percent),
        value("Clean words changed", "clean_changed", _percent),
        value("Words of entities changed", "entity_changed", _percent),
        value("Words", show=formatting.count),
        value("Words of entities", "entity_words", formatting.count),
    )
    caption = (
        "What the word recogniser repairs, and what it breaks: words in percent, compared in lower case. Words of the "
        "attacked text that differ from the clean ones, before and after correction; words of the clean text that "
        "correction changes, of all words and of those of entities."
    )
    table = Table("recogniser_prices", caption, pd.DataFrame(rows), columns)
    return [Section("recogniser", "The word recogniser", (table,))]


def _recogniser(row: Mapping[str, Any]) -> str:
    return f"{row['vocabulary']:,} words, back-off {row['backoff']},\ntrained under {row['trained_under']}"


def _percent(percents: Any) -> str:
    return formatting.DASH if formatting.is_missing(percents) else f"{percents:.1f}%"

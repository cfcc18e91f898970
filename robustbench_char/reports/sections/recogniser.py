"""What a word recogniser repairs on attacked text, and its price: what it breaks on clean text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustbench_char.records.recogniser_cost import PriceRecord
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Section, Table, text, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no price was measured."""
    return [Section("recogniser", "The word recogniser", (_table(evidence.prices),))] if evidence.prices else []


def _table(prices: tuple[PriceRecord, ...]) -> Table:
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
    return Table("recogniser_prices", caption, pd.DataFrame([_row(record) for record in prices]), columns)


def _row(record: PriceRecord) -> dict[str, Any]:
    info = record.recogniser
    return {
        "task": record.task,
        "vocabulary": info.vocabulary,
        "backoff": info.backoff,
        "trained_under": info.suite,
        "recogniser_sha256": info.weights_sha256,
        "suite": record.attack.suite,
        "attack_seed": record.attack.seed,
        "effective_strength": record.attack.effective_strength,
        **record.errors.model_dump(),
    }


def _recogniser(row: Mapping[str, Any]) -> str:
    return f"{row['vocabulary']:,} words, back-off {row['backoff']},\ntrained under {row['trained_under']}"


def _percent(percents: Any) -> str:
    return formatting.DASH if formatting.is_missing(percents) else f"{percents:.1f}%"

"""What a word recogniser repairs on attacked text, and its price: what it breaks on clean text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from robustbench_char.records.recogniser_cost import PriceRecord
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Evidence, Section, Table

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no price was measured."""
    return [Section("recogniser", "The word recogniser", (_table(evidence.prices),))] if evidence.prices else []


def _table(prices: tuple[PriceRecord, ...]) -> Table:
    import pandas as pd

    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("Recogniser", _recogniser, "left"),
        Column("Attack", lambda row: str(row["suite"]), "left"),
        Column("Wrong in attacked text", _share("wer_before")),
        Column("Wrong after correction", _share("wer_after")),
        Column("Clean words changed", _share("clean_changed")),
        Column("Words of entities changed", _share("entity_changed")),
        Column("Words", lambda row: formatting.count(row["words"])),
        Column("Words of entities", lambda row: formatting.count(row["entity_words"])),
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


def _share(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.DASH if formatting.is_missing(row[name]) else f"{row[name]:.1f}%"

"""Chat models: where they were asked and by which prompt, tokens and cost, and answers that could not be used."""

from __future__ import annotations

from typing import Any

import pandas as pd

from robustbench_char.analysis.pairs import grouped
from robustbench_char.records.evaluation import Record
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Column, Note, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["sections"]

_PARTS = ("unusable_spans", "untagged_words", "answers_not_in_context")
_ADDED = ("tokens_in", "tokens_out", "unparsed", "refused", "cut_off", *_PARTS)


def sections(evidence: Evidence) -> list[Section]:
    """Return the section on chat models, if any were evaluated."""
    records = [record for _, record in evidence.records if record.system.chat]
    if not records:
        return []
    return [Section("chat", "Chat models", (_asked(records), _answers(records)), folded=True)]


def _asked(records: list[Record]) -> Note:
    """Return where each model was asked, and its prompts."""
    asked: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        if chat := record.system.chat:
            name = f"{chat.prompt} ({formatting.short_hash(chat.prompt_sha256)})"
            asked.setdefault((record.system.shown, chat.endpoint), {})[name] = None
    lines = (f"{shown} at {endpoint} by {', '.join(names)}" for (shown, endpoint), names in asked.items())
    known = "The records hold the prompts. How the models were trained is not known."
    return Note(f"Asked, by which prompts: {'; '.join(lines)}. {known}")


def _answers(records: list[Record]) -> Table:
    groups = grouped(records, lambda record: (record.task, record.system.shown, record.condition))
    frame = pd.DataFrame([_row(group) for group in groups.values()])
    parts = "Parts not usable: entities that are not in the text or of an unknown type, words without a tag, answers"
    caption = (
        "Answers of chat models; what cannot be used counts as wrong. Tokens are those that the endpoint counts, kept "
        f"answers included; times are summed over requests. {parts} that the context does not hold."
    )
    columns: tuple[Column, ...] = (
        *texts("Task", "System"),
        text("Data", "condition"),
        *(value(title, show=formatting.count) for title in ("Examples", "Tokens in", "Tokens out")),
        value("Time", "seconds", formatting.seconds),
        *([value("Cost", show=_money)] if frame["cost"].notna().any() else ()),
        value("Unreadable", "unparsed", formatting.count),
        *(value(title, show=formatting.count) for title in ("Refused", "Cut off")),
        value("Parts not usable", "parts", formatting.count),
    )
    return Table("chat_answers", caption, frame, columns)


def _row(group: list[Record]) -> dict[str, Any]:
    """Return sums over the records of one model on one task under one attack (its seeds and strengths)."""
    sums = {name: sum(record.counts.get(name, 0) for record in group) for name in _ADDED}
    costs = [record.cost for record in group if record.cost is not None]
    return {
        "task": group[0].task,
        "system": group[0].system.shown,
        "condition": group[0].condition,
        "examples": sum(record.data.examples for record in group),
        "seconds": sum(record.predict_seconds or 0.0 for record in group),
        "cost": sum(costs) if costs else None,
        **sums,
        "parts": sum(sums[name] for name in _PARTS),
    }


def _money(cost: float | None) -> str:
    return formatting.DASH if cost is None or pd.isna(cost) else f"{cost:.4f}" if cost < 1 else f"{cost:,.2f}"

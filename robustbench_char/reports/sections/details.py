"""Every score and count of every record, the data and attacks behind them, and the versions of libraries."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from robustbench_char.records.evaluation import Record
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return all scores, then data, attacks and versions."""
    records = [record for _, record in evidence.records]
    scores = tuple(_scores(evidence, group, task) for task, group in evidence.tasks.items())
    details = (_data(records), *_attacks(records), _versions(records))
    return [
        Section("all-scores", "All scores", scores, folded=True),
        Section("provenance", "Data, attacks and versions", details, folded=True),
    ]


def _scores(evidence: Evidence, records: list[Record], task: str) -> Table:
    frame = pd.DataFrame([row for record in records for row in _score_rows(record)])
    frame = evidence.marked(frame.assign(task=task)).drop(columns="task")
    names = dict.fromkeys(name for record in records for name in record.scores)
    counts = dict.fromkeys(name for record in records for name in record.counts)
    whole = ("training_seed", "attack_seed", *(f"n_{name}" for name in counts))
    columns = (
        text("System"),
        value("Training seed", show=formatting.plain),
        text("Condition"),
        value("Attack seed", show=formatting.plain),
        *((text("Scored against", "gold"),) if any(record.clean_gold_scores for record in records) else ()),
        *(value(formatting.score_title(name), name) for name in names),
        *(value(formatting.score_title(name), f"n_{name}", formatting.count) for name in counts),
    )
    caption = f"{task}: every score (percent; thresholds in their own unit) and every count of every record."
    return Table(f"all_scores_{task}", caption, frame.astype(dict.fromkeys(whole, "Int64")), columns, folded=True)


def _score_rows(record: Record) -> list[dict[str, Any]]:
    attack = record.data.attack
    run = {
        "system": record.system.shown,
        "base": record.system.base,
        "training_seed": record.system.training_seed,
        "condition": record.condition,
        "attack_seed": attack.seed if attack else None,
    }
    counts = {f"n_{name}": number for name, number in record.counts.items()}
    rows = [{**run, "gold": "the file", **record.scores, **counts}]
    if record.clean_gold_scores:
        rows.append({**run, "gold": "clean answers", **record.clean_gold_scores, **counts})
    return rows


def _data(records: list[Record]) -> Table:
    rows = {
        record.data.sha256: {"task": record.task, "condition": record.condition}
        | {name: getattr(record.data, name) for name in ("source", "examples", "sha256")}
        for record in records
    }
    columns = (
        *texts("Task", "Condition", "Source"),
        value("Examples", show=formatting.count),
        text("SHA-256", "sha256"),
    )
    return Table("data", "Evaluated data.", pd.DataFrame(list(rows.values())), columns, folded=True)


def _attacks(records: list[Record]) -> list[Table]:
    rows = {}
    for record in records:
        if attack := record.data.attack:
            edits = ", ".join(f"{name} {number:,}" for name, number in attack.counts_by_operator.items())
            values = attack.model_dump(exclude={"counts_by_operator"})
            rows[record.data.sha256] = {"task": record.task, **values, "operators": edits}
    columns = (
        *texts("Task", "Suite"),
        value("Seed", show=formatting.plain),
        value("Requested", "requested_strength", formatting.percent),
        value("Effective", "effective_strength", formatting.percent),
        value("No-op share", show=formatting.percent),
        text("Edits by operator", "operators"),
        text("Suite SHA-256", "suite_sha256", show=formatting.short_hash),
    )
    caption = "Attacks; strengths are shares of eligible words."
    return [Table("attacks", caption, pd.DataFrame(list(rows.values())), columns, folded=True)] if rows else []


def _versions(records: list[Record]) -> Table:
    """Return a row per library and version, so that records made in different environments show."""
    counts: Counter[tuple[str, str]] = Counter()
    for made in (record.provenance for record in records):
        versions = {
            "robustbench-char": made.package_version,
            "git commit": made.git_commit or formatting.DASH,
            "Python": made.python,
            "Unicode": made.unicode,
            "platform": made.platform,
            **made.libraries,
        }
        counts.update(versions.items())
    frame = pd.DataFrame([(*item, number) for item, number in counts.items()], columns=["name", "version", "records"])
    columns = (*texts("Name", "Version"), value("Records", show=formatting.count))
    return Table("versions", "Versions.", frame, columns, folded=True)

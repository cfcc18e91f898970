"""What was run: the systems, a row per set of weights."""

from __future__ import annotations

import json

import pandas as pd

from robustbench_char.records.evaluation import Record
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Block, Note, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["sections"]

MOST_ROWS = 12
"""A longer table is folded, so that the page starts with what is compared."""


def sections(evidence: Evidence) -> list[Section]:
    """Return the section on what was run."""
    records = [record for _, record in evidence.records]
    return [Section("systems", "What was run", (*_versions(records), _table(records)))]


def _versions(records: list[Record]) -> list[Block]:
    """Return a line on who made the records, and warnings where they were not all made alike or from changed files."""
    made = [record.provenance for record in records]
    versions = formatting.join([item.package_version for item in made])
    commits = formatting.join([_commit(record) for record in records])
    days = sorted(record.created[:10] for record in records)
    period = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    spent = formatting.seconds(sum(record.wall_seconds for record in records))
    blocks: list[Block] = [
        Note(
            f"{formatting.plural(len(records), 'evaluation')} by robustbench-char {versions}, {commits}, {period}, "
            f"on {formatting.join([record.device for record in records])}; {spent} of evaluation in all."
        )
    ]
    if any(item.git_dirty for item in made):
        blocks.append(
            Note("Some records were made from files that differ from their git commit (marked dirty).", "warning")
        )
    if len({(item.package_version, item.git_commit) for item in made}) > 1:
        blocks.append(Note("The records were made by different versions of the code.", "warning"))
    return blocks


def _commit(record: Record) -> str:
    made = record.provenance
    if made.git_commit is None:
        return "outside a git checkout"
    return f"git commit {made.git_commit[:12]}{' (dirty)' if made.git_dirty else ''}"


def _row(group: list[Record]) -> dict[str, str | int | float | None]:
    first = group[0]
    system = first.system
    return {
        "system": system.shown,
        "base": system.base,
        "task": first.task,
        "parameters": system.parameters,
        "training_seed": system.training_seed,
        "training_sha256": system.training_sha256,
        "weights_sha256": system.weights_sha256,
        "settings": json.dumps(system.settings, ensure_ascii=False, sort_keys=True),
        "device": formatting.join([record.device for record in group]),
        "evaluations": len(group),
        "wall_seconds": sum(record.wall_seconds for record in group),
    }


def _table(records: list[Record]) -> Table:
    groups: dict[tuple[str | None, ...], list[Record]] = {}
    for record in records:
        groups.setdefault((record.task, record.system.shown, *record.system.all_weights), []).append(record)
    frame = pd.DataFrame([_row(group) for group in groups.values()])
    columns = (
        *texts("System", "Base", "Task"),
        value("Parameters", show=formatting.count),
        value("Training seed", show=formatting.plain),
        text("Training data", "training_sha256", show=formatting.short_hash),
        text("Weights", "weights_sha256", show=formatting.short_hash),
        text("Device"),
        value("Evaluations", show=formatting.count),
        value("Wall time", "wall_seconds", formatting.seconds),
    )
    return Table(
        "systems",
        "Systems, a row per set of weights; hashes are the first digits of SHA-256. "
        "The hyper-parameters stand in systems.csv.",
        frame.astype({"parameters": "Int64", "training_seed": "Int64"}),
        columns,
        folded=len(frame) > MOST_ROWS,
    )

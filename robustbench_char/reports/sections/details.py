"""Every score and count of every record, the data and attacks behind them, and the versions of libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.records.evaluation import Record
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Evidence, Section, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return all scores, then data, attacks and versions."""
    records = [record for _, record in evidence.records]
    tasks = list(dict.fromkeys(record.task for record in records))
    scores = tuple(_scores([record for record in records if record.task == task], task) for task in tasks)
    return [
        Section("all-scores", "All scores", scores),
        Section("provenance", "Data, attacks and versions", (_data(records), *_attacks(records), _versions(records))),
    ]


def _scores(records: list[Record], task: str) -> Table:
    import pandas as pd

    frame = pd.DataFrame([row for record in records for row in _score_rows(record)])
    frame = frame.astype({"training_seed": "Int64", "attack_seed": "Int64"})
    names = list(dict.fromkeys(name for record in records for name in record.scores))
    counts = list(dict.fromkeys(name for record in records for name in record.counts))
    frame = frame.astype({f"n_{name}": "Int64" for name in counts})
    columns = (
        Column("System", _text("system"), "left"),
        Column("Training seed", lambda row: formatting.plain(row["training_seed"])),
        Column("Condition", _text("condition"), "left"),
        Column("Attack seed", lambda row: formatting.plain(row["attack_seed"])),
        *(
            (Column("Scored against", _text("gold"), "left"),)
            if any(record.clean_gold_scores for record in records)
            else ()
        ),
        *(Column(formatting.score_title(name), _score(name)) for name in names),
        *(Column(formatting.score_title(name), _count(f"n_{name}")) for name in counts),
    )
    caption = f"{task}: every score (percent; thresholds in their own unit) and every count of every record."
    return Table(f"all_scores_{task}", caption, frame, columns, folded=True)


def _score_rows(record: Record) -> list[dict[str, Any]]:
    attack = record.data.attack
    place = {
        "system": record.system.shown,
        "base": record.system.base,
        "training_seed": record.system.training_seed,
        "condition": record.condition,
        "attack_seed": attack.seed if attack else None,
    }
    counts = {f"n_{name}": value for name, value in record.counts.items()}
    rows = [{**place, "gold": "the file", **record.scores, **counts}]
    if record.clean_gold_scores:
        rows.append({**place, "gold": "clean answers", **record.clean_gold_scores, **counts})
    return rows


def _data(records: list[Record]) -> Table:
    rows = {
        record.data.sha256: {
            "task": record.task,
            "condition": record.condition,
            "source": record.data.source,
            "examples": record.data.examples,
            "sha256": record.data.sha256,
        }
        for record in records
    }
    columns = (
        Column("Task", _text("task"), "left"),
        Column("Condition", _text("condition"), "left"),
        Column("Source", _text("source"), "left"),
        Column("Examples", _count("examples")),
        Column("SHA-256", _text("sha256"), "left"),
    )
    return Table("data", "Evaluated data.", _frame(list(rows.values())), columns, folded=True)


def _attacks(records: list[Record]) -> list[Table]:
    attacked = {record.data.sha256: record for record in records if record.data.attack}
    columns = (
        Column("Task", _text("task"), "left"),
        Column("Suite", _text("suite"), "left"),
        Column("Seed", lambda row: formatting.plain(row["seed"])),
        Column("Requested", lambda row: formatting.percent(row["requested_strength"])),
        Column("Effective", lambda row: formatting.percent(row["effective_strength"])),
        Column("No-op share", lambda row: formatting.percent(row["no_op_share"])),
        Column("Edits by operator", _text("operators"), "left"),
        Column("Suite SHA-256", lambda row: formatting.short_hash(row["suite_sha256"]), "left"),
    )
    caption = "Attacks; strengths are shares of eligible words."
    rows = [_attack_row(record) for record in attacked.values()]
    return [Table("attacks", caption, _frame(rows), columns, folded=True)] if rows else []


def _attack_row(record: Record) -> dict[str, Any]:
    attack = record.data.attack
    values = attack.model_dump() if attack else {}
    operators = values.pop("counts_by_operator", {})
    return {
        "task": record.task,
        **values,
        "operators": ", ".join(f"{name} {number:,}" for name, number in operators.items()),
    }


def _versions(records: list[Record]) -> Table:
    """Return one row a library and version, so that records made in different environments show."""
    found: dict[tuple[str, str], int] = {}
    for record in records:
        made = record.provenance
        versions = {
            "robustbench-char": made.package_version,
            "git commit": made.git_commit or formatting.DASH,
            "Python": made.python,
            "Unicode": made.unicode,
            "platform": made.platform,
            **made.libraries,
        }
        for item in versions.items():
            found[item] = found.get(item, 0) + 1
    rows = [{"name": name, "version": version, "records": number} for (name, version), number in found.items()]
    columns = (
        Column("Name", _text("name"), "left"),
        Column("Version", _text("version"), "left"),
        Column("Records", _count("records")),
    )
    return Table("versions", "Versions.", _frame(rows), columns, folded=True)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


def _text(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: str(row[name])


def _score(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.score(row[name])


def _count(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.count(row[name])

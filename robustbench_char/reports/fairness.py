"""What the systems of a comparison share, and where they differ besides in what is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustbench_char.records.evaluation import Record
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Table

__all__ = ["fairness_table"]

_PRETRAINING = ("text_sha256", "steps", "tokens")
_APART = {"seed"}  # of training, which each result states


def fairness_table(records: Sequence[Record]) -> Table | None:
    """Return a row a task of several systems, and one on pre-training; None where there is nothing to compare.

    Compared are base, training data and settings of fine-tuning; of those pre-trained further text, steps and tokens.
    Predictors of other packages, of which none of this is known, are left out.
    """
    import pandas as pd

    records = [record for record in records if record.system.predictor is None]
    tasks = {record.task: [one for one in records if one.task == record.task] for record in records}
    parts = [(task, [_trained(record) for record in group], group) for task, group in tasks.items()]
    made = [record for record in records if record.system.pretraining]
    parts.append(("pre-training", [_pretrained(record) for record in made], made))
    rows = [_row(what, values, group) for what, values, group in parts if len(_systems(group)) > 1]
    columns = (
        Column("", lambda row: str(row["what"]), "left"),
        Column("Systems", lambda row: formatting.count(row["systems"])),
        Column("All share", lambda row: _lines(str(row["shared"])), "left"),
        Column("Differs", lambda row: _lines(str(row["differs"])), "left"),
    )
    caption = "Fairness: what the systems of a task, and those pre-trained further, have in common, and what not."
    return Table("fairness", caption, pd.DataFrame(rows), columns) if rows else None


def _lines(text: str) -> str:
    """Break a list at its semicolons, so that lines are of a readable length."""
    lines = [""]
    for part in text.split("; "):
        lines = [*lines[:-1], f"{lines[-1]}; {part}"] if 0 < len(lines[-1]) < 50 else [*lines, part]
    return ";\n".join(lines[1:])


def _systems(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record.system.shown for record in records))


def _trained(record: Record) -> dict[str, Any]:
    system = record.system
    settings = {name: value for name, value in system.settings.items() if name not in _APART}
    base = system.pretraining.base if system.pretraining else system.base
    return {"base": base, "training data": formatting.short_hash(system.training_sha256), **settings}


def _pretrained(record: Record) -> dict[str, Any]:
    made = record.system.pretraining
    values = {name: getattr(made, name) for name in _PRETRAINING}
    return {"text": formatting.short_hash(values.pop("text_sha256")), **values}


def _row(what: str, values: Sequence[Mapping[str, Any]], records: Sequence[Record]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for one in values for name in one))
    found = {name: _by_value(name, values, records) for name in names}
    shared = [f"{_words(name)} {next(iter(by))}" for name, by in found.items() if len(by) == 1 and "None" not in by]
    differs = [f"{_words(name)} {_listed(by)}" for name, by in found.items() if len(by) > 1]
    return {
        "what": what,
        "systems": len(_systems(records)),
        "shared": "; ".join(shared) or formatting.DASH,
        "differs": "; ".join(differs) or "nothing",
    }


def _by_value(name: str, values: Sequence[Mapping[str, Any]], records: Sequence[Record]) -> dict[str, list[str]]:
    """Return the systems that have each value of one property."""
    found: dict[str, list[str]] = {}
    for one, record in zip(values, records, strict=True):
        value = one.get(name)
        systems = found.setdefault(f"{value:,}" if type(value) is int else str(value), [])
        if record.system.shown not in systems:
            systems.append(record.system.shown)
    return found


def _listed(by: Mapping[str, list[str]]) -> str:
    """Name the systems of each value, except of the most frequent one."""
    usual = max(by, key=lambda value: len(by[value]))
    others = [f"{value} ({', '.join(systems)})" for value, systems in by.items() if value != usual]
    return f"{usual}, but {', '.join(others)}"


def _words(name: str) -> str:
    return name.replace("_", " ")

"""The paper's scores beside ours, each with the set-up that it was measured in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import drop, relative_drop
from robustbench_char.records.evaluation import Record
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Block, Column, Evidence, Note, Section, Table
from robustbench_char.reports.findings import finding_table
from robustbench_char.reports.means import about_intervals
from robustbench_char.reports.reference import Reference, load_reference, reference_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["published_frame", "sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no published system and task was evaluated."""
    reference = load_reference()
    frame = published_frame(evidence, reference)
    if frame.empty:
        return []
    notes = [Note(_what(reference)), *(Note(text) for text in _pretraining(reference))]
    table = _table(frame, reference, about_intervals(evidence.means))
    blocks: tuple[Block, ...] = (*notes, table, *finding_table(evidence, reference))
    return [Section("published", "Published against ours", blocks)]


def published_frame(evidence: Evidence, reference: Reference) -> pd.DataFrame:
    """Return one row a task and system that both the publication and the records have, scored by the same metric.

    Ours are means over seeds. Systems are matched by name; a variant with a label of its own is none of the paper's.
    The attacked score is that under the publication's suite. Drops are in points, relative drops shares.
    """
    import pandas as pd

    published = reference_frame(reference)
    rows = [
        _row(records, published, evidence.means, reference.robustness.suite) for records in _systems(evidence.records)
    ]
    return pd.DataFrame([row for row in rows if row])


def _systems(found: list[tuple[Any, Record]]) -> list[list[Record]]:
    """Group the records of plain systems by task, name and base."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for _, record in found:
        if record.system.shown == record.system.name:
            groups.setdefault((record.task, record.system.name, record.system.base), []).append(record)
    return list(groups.values())


def _row(records: list[Record], published: pd.DataFrame, means: pd.DataFrame, suite: str) -> dict[str, Any]:
    first = records[0]
    same = published[(published["system"] == first.system.name) & (published["task"] == first.task)]
    same = same[same["metric"] == first.headline]
    same = same[same["base"] == (first.system.base if first.system.base in set(same["base"]) else _BASE)]
    theirs = dict(zip(same["suite"], same["value"], strict=True))
    if "clean" not in theirs:
        return {}
    setup = {"published_base": same["base"].iloc[0], "base": first.system.base, "setup": _setup(records)}
    place = {"task": first.task, "system": first.system.name, "metric": first.headline}
    return place | _sides("published", theirs["clean"], theirs.get(suite)) | _ours(records, means, suite) | setup


_VALUES = ("clean", "attacked", "drop", "relative_drop")
_BASE = "bert-base-cased"
"""Whose published numbers stand beside ours where the paper did not use our base."""


def _ours(records: list[Record], means: pd.DataFrame, suite: str) -> dict[str, float | None]:
    """Return our mean scores with their intervals; without an attacked one, the mean clean score of the records."""
    first = records[0]
    for row in means.to_dict("records"):
        if (row["task"], row["name"], row["base"], row["suite"]) == (
            first.task,
            first.system.name,
            first.system.base,
            suite,
        ):
            ends = ("", "_low", "_high")
            return {f"ours_{name}{end}": row[f"{name}{end}"] for name in _VALUES for end in ends}
    clean = [record.scores[record.headline] for record in records if not record.data.attack]
    return _sides("ours", sum(clean) / len(clean) if clean else None, None)


def _sides(whose: str, clean: float | None, attacked: float | None) -> dict[str, float | None]:
    both = clean is not None and attacked is not None
    return {
        f"{whose}_clean": clean,
        f"{whose}_attacked": attacked,
        f"{whose}_drop": drop(clean, attacked) if clean is not None and attacked is not None else None,
        f"{whose}_relative_drop": relative_drop(clean, attacked) if both and clean and attacked is not None else None,
    }


def _setup(records: list[Record]) -> str:
    """Say what of our set-up differs from run to run and from paper to project, in the units it was measured in."""
    system, data = records[0].system, records[0].data
    made = system.pretraining
    trained = system.settings.get("training_examples")
    seeds = {record.system.training_seed for record in records}
    parts = [
        f"pre-trained further on {made.tokens:,} sub-words, {made.steps:,} steps"
        if made
        else "no further pre-training",
        f"fine-tuned on {trained:,} examples" if trained else "",
        f"scored on {data.source}, {data.examples:,} examples",
        formatting.plural(len(seeds), "training seed"),
    ]
    return "; ".join(part for part in parts if part)


def _what(reference: Reference) -> str:
    return (
        f"Published: {reference.source}; one run, no seeds or intervals; fine-tuned and scored on the full sets "
        "of each task. Ours: the records of this report. The two were not measured in one set-up, so differences "
        "between them are no effect of a system; compare the drops of one side."
    )


def _pretraining(reference: Reference) -> list[str]:
    info = reference.pretraining
    if info is None:
        return []
    words, steps = f"{info.corpus_words:,} words", f"{info.steps:,} steps"
    return [
        f"The published CharBERT was pre-trained further on {info.corpus} ({words}, {steps}, {info.devices}, "
        f"{info.days:g} days) and has about {info.extra_parameters:,} more parameters than its base. Ours is "
        "counted in sub-words that training saw, the paper's corpus in words: two units that are not to be divided."
    ]


def _table(frame: pd.DataFrame, reference: Reference, about: str) -> Table:
    sides = (("published", "Published"), ("ours", "Ours"))
    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("System", lambda row: str(row["system"]), "left"),
        *(column for name, title in sides for column in _columns(name, title)),
        Column("Base, published", lambda row: str(row["published_base"]), "left"),
        Column("Base, ours", lambda row: str(row["base"]), "left"),
        Column("Our set-up", lambda row: str(row["setup"]).replace("; ", ";\n"), "left"),
    )
    metrics = ", ".join(dict.fromkeys(f"{task}: {formatting.score_name(name)}" for task, name in
                                      zip(frame["task"], frame["metric"], strict=True)))  # fmt: skip
    caption = (
        f"Published scores ({reference.name}) beside ours, clean and under {reference.robustness.suite}, in percent; "
        f"drop in points, in brackets the relative drop, 1 − attacked / clean. {metrics}. "
        f"{about}"
    )
    return Table("published", caption.strip(), frame, columns)


def _columns(name: str, title: str) -> tuple[Column, ...]:
    return (
        Column(f"{title} clean", _score(f"{name}_clean")),
        Column(f"{title} attacked", _score(f"{name}_attacked")),
        Column(f"{title} drop", _drop(name)),
    )


def _score(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.score(row[name]) + formatting.limits(row, name)


def _drop(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: (
        formatting.change(row[f"{name}_drop"], row[f"{name}_relative_drop"]) + formatting.limits(row, f"{name}_drop")
    )

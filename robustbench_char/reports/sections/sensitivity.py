"""How much each word's contextual representation shifts under an attack, against what the attack costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_char.analysis.profiles import profile_frame
from robustbench_char.records.sensitivity import SensitivityRecord, read_profiles, summary_of
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Column, Note, Picture, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures.curves import profile_figure, scatter_figure
from robustbench_char.reports.reference import load_reference

__all__ = ["sections"]

_GROUPS = {
    "All words": ("all", "all"),
    "Changed": ("changed", "changed"),
    "Unchanged": ("changed", "unchanged"),
    "Word": ("pieces", "Word"),
    "Subword": ("pieces", "Subword"),
}
_MOST_PROFILES = 3
_SCORED = ["label", "base"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where S was not measured."""
    records = [record for _, record in evidence.sensitivities]
    if not records:
        return []
    summary = summary_of(records)
    means = pd.DataFrame([_mean(part) for _, part in summary.groupby(["task", "system", "suite"], sort=False)])
    summary, means = (evidence.marked(_scored(frame, records)) for frame in (summary, means))
    blocks: list[Block] = [Note(_what(records))]
    columns = ["task", *_SCORED, "suite", "drop", "relative_drop", "metric"]
    joined = means.merge(evidence.means[columns], on=columns[:4]) if len(evidence.means) else means[:0]
    joined = joined[joined["learnt"]]
    summary, means = (frame.drop(columns=_SCORED) for frame in (summary, means))
    if joined["system"].nunique() > 1:
        caption = "S of all words against the drop in points, each system under one suite; means over seeds."
        note = "The numbers stand in the tables."
        blocks.append(Picture("sensitivity_drop", caption, scatter_figure(joined), note))
    blocks += [_table(means), _details(summary)]
    if evidence.examples:
        known = evidence.sensitivities
        blocks += _profiles([item for item in known if evidence.has_learnt(item[1].task, *_name(item[1]))])
    return [Section("sensitivity", "Sensitivity", tuple(blocks))]


def _name(record: SensitivityRecord) -> tuple[str, str | None]:
    """Return system and base by the names that its scores have, however it was measured."""
    return (record.system.shown, record.system.base) if record.system else (record.shown, None)


def _scored(frame: pd.DataFrame, records: Sequence[SensitivityRecord]) -> pd.DataFrame:
    """Return rows of S with system and base by the names that their scores have."""
    names = {(record.task, record.shown): _name(record) for record in records}
    found = [names[key] for key in zip(frame["task"], frame["system"], strict=True)]
    return frame.assign(**dict(zip(_SCORED, zip(*found, strict=True), strict=True)))


def _mean(part: pd.DataFrame) -> dict[str, Any]:
    """Return means over seeds: S of all words, half of it, and S of each group (operators as `S_<name>`)."""
    whole = part[part["group"] == "all"]
    keys = dict.fromkeys(zip(part["group"], part["value"], strict=True))
    values = {key: part.loc[(part["group"] == key[0]) & (part["value"] == key[1]), "s"].mean() for key in keys}
    task, system, suite = (str(part[name].iloc[0]) for name in ("task", "system", "suite"))
    row: dict[str, Any] = {"task": task, "system": system, "suite": suite, "runs": len(whole)}
    row |= {"words": int(whole["words"].iloc[0])} | {key[1]: values.get(key) for key in _GROUPS.values()}
    row |= {f"S_{name}": mean for (group, name), mean in values.items() if group == "operator"}
    return row | {"half": whole["half"].mean(), "published": _published(task, system)}


def _published(task: str, system: str) -> float | None:
    for finding in load_reference().analysis:
        if (finding.name, finding.system) == ("sensitivity", system) and finding.data.startswith(task):
            return finding.value
    return None


def _what(records: Sequence[SensitivityRecord]) -> str:
    layers = [f"{formatting.layer(record.layer)}, {record.pooling} of a word's pieces" for record in records]
    streams = formatting.join([record.stream for record in records if record.stream != "subword"])
    both = "" if streams == formatting.DASH else f"; of CharBERT the streams: {streams}"
    return (
        "S is the mean cosine distance (1 − cos, from 0 to 2) between a word's representation in the clean and in the "
        f"attacked text ({formatting.join(layers)}{both}). The paper does not print its scaling; S / 2 stands beside "
        "it. Words cut off by the length limit are left out."
    )


def _table(means: pd.DataFrame) -> Table:
    columns = (
        text("Task"),
        text("System"),
        text("Suite"),
        value("Words", show=formatting.count),
        *(value(title, name, formatting.distance) for title, (_, name) in _GROUPS.items()),
        value("All words, S / 2", "half", formatting.distance),
        value("Published S", "published", formatting.distance),
        value("Runs", show=formatting.count),
    )
    caption = "Sensitivity S, means over training and attack seeds, of all words and of groups of them."
    return Table("sensitivity", caption, means, columns, folded=len(means) > 12)


def _details(summary: pd.DataFrame) -> Table:
    columns = (
        *texts("Task", "System"),
        value("Training seed", show=formatting.plain),
        text("Suite"),
        Column("Words", lambda row: f"{row['group']}: {row['value']}".replace("all: all", "all"), "left"),
        value("Measured", "words", formatting.count),
        value("Cut off", "left_out", formatting.count),
        Column("S", _s_cell),
    )
    frame = summary.rename(columns={"low": "interval_low", "high": "interval_high"})
    caption = (
        "Sensitivity S of every run and group of words. In brackets 95% intervals, examples resampled whole, so that "
        "the words of one stay together."
    )
    return Table("sensitivity_groups", caption, frame, columns, folded=True)


def _s_cell(row: Mapping[str, Any]) -> str:
    limits = formatting.limits(row, "interval", formatting.distance)
    return formatting.distance(row["s"]) + limits + (f"\n({row['note']})" if row["note"] else "")


def _profiles(sensitivities: Sequence[tuple[Path, SensitivityRecord]]) -> list[Picture]:
    """Return a figure for each of the first examples that profiles were kept of, all systems in one."""
    groups: dict[tuple[str, str, str], list[tuple[Path, SensitivityRecord]]] = {}
    for folder, record in sensitivities:
        for profile in read_profiles(folder):
            groups.setdefault((record.task, record.attacked_sha256, profile.id), []).append((folder, record))
    chosen = list(groups.items())[:_MOST_PROFILES]
    return [_profile(measured, key[2], number) for number, (key, measured) in enumerate(chosen, start=1)]


def _profile(measured: Sequence[tuple[Path, SensitivityRecord]], name: str, number: int) -> Picture:
    record, frame = measured[0][1], profile_frame(measured, name)
    caption = (
        f"Each word of one sentence ({record.task}, {name}, {record.attack.suite}): the cosine distance between its "
        "representations before and after the attack. Attacked words are shaded, and stand as they were "
        "and as they are."
    )
    words = " ".join(frame.drop_duplicates("number")["attacked"])
    return Picture(f"profile_{number}", caption, profile_figure(frame), f"Attacked: {words}")

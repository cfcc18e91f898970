"""How far words move in each system's eyes, against what the attack costs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.profiles import profile_frame
from robustbench_char.records.sensitivity import SensitivityRecord, read_profiles, summary_of
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Block, Column, Evidence, Note, Picture, Section, Table
from robustbench_char.reports.figures.profile import profile_figure
from robustbench_char.reports.figures.scatter import scatter_figure
from robustbench_char.reports.reference import load_reference

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["mean_sensitivity", "sections"]

_GROUPS = {
    "All words": ("all", "all"),
    "Changed": ("changed", "changed"),
    "Unchanged": ("changed", "unchanged"),
    "Word": ("pieces", "Word"),
    "Subword": ("pieces", "Subword"),
}
_MOST_PROFILES = 3


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where S was not measured."""
    records = [record for _, record in evidence.sensitivities]
    if not records:
        return []
    summary = summary_of(records)
    means = mean_sensitivity(summary)
    blocks: list[Block] = [Note(_what(records))]
    joined = means.merge(_drops(evidence.means), on=["task", "system", "suite"]) if len(evidence.means) else means[:0]
    if joined["system"].nunique() > 1:
        blocks.append(_scatter(joined))
    blocks += [_table(means), _details(summary)]
    if evidence.examples:
        blocks += _profiles(evidence.sensitivities)
    return [Section("sensitivity", "Sensitivity", tuple(blocks))]


def mean_sensitivity(summary: pd.DataFrame) -> pd.DataFrame:
    """Return S of each task, system and suite as means over seeds.

    Beside `runs` and `words` (of one run) the columns are `all`, `changed`, `unchanged`, `Word`, `Subword`, `half` (of
    all words) and one an operator, `S_<name>`.
    """
    import pandas as pd

    groups = summary.groupby(["task", "system", "suite"], sort=False)
    return pd.DataFrame([_mean(part) for _, part in groups])


def _mean(part: pd.DataFrame) -> dict[str, Any]:
    whole = part[part["group"] == "all"]
    keys = dict.fromkeys(zip(part["group"], part["value"], strict=True))
    values = {key: part.loc[(part["group"] == key[0]) & (part["value"] == key[1]), "s"].mean() for key in keys}
    task, system, suite = (str(part[name].iloc[0]) for name in ("task", "system", "suite"))
    row: dict[str, Any] = {"task": task, "system": system, "suite": suite, "runs": len(whole)}
    row |= {"words": int(whole["words"].iloc[0])} | {key[1]: values.get(key) for key in _GROUPS.values()}
    row |= {f"S_{value}": one for (group, value), one in values.items() if group == "operator"}
    return row | {"half": whole["half"].mean(), "published": _published(task, system)}


def _published(task: str, system: str) -> float | None:
    found = (one for one in load_reference().analysis if one.name == "sensitivity" and one.data.startswith(task))
    return next((one.value for one in found if one.system == system), None)


def _drops(means: pd.DataFrame) -> pd.DataFrame:
    return means.rename(columns={"label": "system"})[["task", "system", "suite", "drop", "relative_drop", "metric"]]


def _what(records: Sequence[SensitivityRecord]) -> str:
    how = formatting.join(
        [f"{formatting.layer(record.layer)}, {record.pooling} of a word's pieces" for record in records]
    )
    streams = formatting.join([record.stream for record in records if record.stream != "subword"])
    both = "" if streams == formatting.DASH else f"; of CharBERT the streams: {streams}"
    return (
        "S is the mean cosine distance (1 − cos, from 0 to 2) between a word's representation in the clean and in the "
        f"attacked text ({how}{both}). The paper does not print its scaling; S / 2 stands beside it. Words cut off by "
        "the length limit are left out."
    )


def _scatter(joined: pd.DataFrame) -> Picture:
    caption = "S of all words against the drop in points, each system under one suite; means over seeds."
    alt = f"{caption} The numbers stand in the tables."
    return Picture("sensitivity_drop", caption, alt, scatter_figure(joined))


def _table(means: pd.DataFrame) -> Table:
    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("System", lambda row: str(row["system"]), "left"),
        Column("Suite", lambda row: str(row["suite"]), "left"),
        Column("Words", lambda row: formatting.count(row["words"])),
        *(Column(title, _number(value)) for title, (_, value) in _GROUPS.items()),
        Column("All words, S / 2", _number("half")),
        Column("Published S", _number("published")),
        Column("Runs", lambda row: formatting.count(row["runs"])),
    )
    caption = "Sensitivity S, means over training and attack seeds, of all words and of groups of them."
    return Table("sensitivity", caption, means, columns)


def _details(summary: pd.DataFrame) -> Table:
    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("System", lambda row: str(row["system"]), "left"),
        Column("Training seed", lambda row: formatting.plain(row["training_seed"])),
        Column("Suite", lambda row: str(row["suite"]), "left"),
        Column("Words", lambda row: f"{row['group']}: {row['value']}".replace("all: all", "all"), "left"),
        Column("Measured", lambda row: formatting.count(row["words"])),
        Column("Cut off", lambda row: formatting.count(row["left_out"])),
        Column("S", lambda row: _number("s")(row) + formatting.limits(row, "interval", _digits) + _why(row)),
    )
    frame = summary.rename(columns={"low": "interval_low", "high": "interval_high"})
    caption = (
        "Sensitivity S of every run and group of words. In brackets 95% intervals, examples resampled whole, so that "
        "the words of one stay together."
    )
    return Table("sensitivity_groups", caption, frame, columns, folded=True)


def _why(row: Mapping[str, Any]) -> str:
    return f"\n({row['note']})" if row["note"] else ""


def _digits(value: Any) -> str:
    return formatting.DASH if formatting.is_missing(value) else f"{float(value):.4f}"


def _number(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: _digits(row[name])


def _profiles(found: Sequence[tuple[Path, SensitivityRecord]]) -> list[Picture]:
    """Return a figure for each of the first examples that profiles were kept of, all systems in one."""
    groups: dict[tuple[str, str, str], list[tuple[Path, SensitivityRecord]]] = {}
    for folder, record in found:
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
    words = frame.drop_duplicates("number")["attacked"]
    return Picture(f"profile_{number}", caption, f"{caption} Attacked: {' '.join(words)}", profile_figure(frame))

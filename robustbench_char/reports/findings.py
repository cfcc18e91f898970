"""The single figures of the paper's analysis beside what the records of a report say of the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.records.sensitivity import SensitivityRecord
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Evidence, Table
from robustbench_char.reports.reference import Finding, Reference

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["finding_table"]

_TASK = "conll2003"
_WHAT = {
    "sensitivity": "sensitivity S",
    "subword_share_of_words": "share of words that are split",
    "subword_share_of_entities": "share of entities with a split word",
    "f1_gain_over_bert_on_words": "gain over bert on Word entities",
    "f1_gain_over_bert_on_subword_words": "gain over bert on Subword entities",
}


class _Ours(NamedTuple):
    """Our value of a finding; `about` says over what."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    about: str = ""


def finding_table(evidence: Evidence, reference: Reference) -> list[Table]:
    """Return the findings that the records speak of, or none."""
    import pandas as pd

    rows = []
    for finding in reference.analysis:
        ours = _ours(evidence, finding)
        if ours.value is not None:
            rows.append(
                {"finding": finding.name, "system": finding.system, "unit": finding.unit, "data": finding.data,
                 "published": finding.value, "ours": ours.value, "ours_low": ours.low, "ours_high": ours.high,
                 "about": ours.about}
            )  # fmt: skip
    columns = (
        Column("What", lambda row: _WHAT[row["finding"]], "left"),
        Column(
            "System",
            lambda row: formatting.DASH if formatting.is_missing(row["system"]) else str(row["system"]),
            "left",
        ),
        Column("Unit", lambda row: str(row["unit"]), "left"),
        Column("Published", lambda row: _number(row, row["published"])),
        Column(
            "Ours",
            lambda row: _number(row, row["ours"]) + formatting.limits(row, "ours", lambda one: _number(row, one)),
        ),
        Column("Ours is of", lambda row: str(row["about"]), "left"),
    )
    caption = (
        "Single figures of the paper's analysis (CoNLL-2003 test set, bert-base-cased) beside ours. In square brackets "
        "95% intervals over examples."
    )
    return [Table("findings", caption, pd.DataFrame(rows), columns)] if rows else []


def _number(row: Mapping[str, Any], value: float) -> str:
    if row["unit"] == "cosine distance":
        return f"{value:.4f}"
    return formatting.points(value) if row["unit"] == "points" else formatting.score(value)


def _ours(evidence: Evidence, finding: Finding) -> _Ours:
    cells = evidence.cells
    if finding.name == "sensitivity":
        return _sensitivity(evidence, str(finding.system))
    if finding.name == "subword_share_of_words":
        return _split_words(evidence)
    if finding.name not in _WHAT or cells.empty:
        return _Ours()
    pieces = cells[(cells["task"] == _TASK) & (cells["dimension"] == "pieces")].set_index(["label", "value"])
    if finding.name == "subword_share_of_entities":
        return _split_entities(pieces)
    cell = "Word" if finding.name == "f1_gain_over_bert_on_words" else "Subword"
    found = pieces.loc[[(finding.system, cell)]] if (finding.system, cell) in pieces.index else pieces[:0]
    if len(found) != 1 or formatting.is_missing(found["gain_clean"].iloc[0]):
        return _Ours()
    value, low, high = (found[f"gain_clean{end}"].iloc[0] for end in ("", "_low", "_high"))
    return _Ours(value, low, high, f"clean, base {found['base'].iloc[0]}, {int(found['units'].iloc[0]):,} entities")


def _records(evidence: Evidence, system: str) -> list[SensitivityRecord]:
    """Return the measurements of a plain system on the paper's data."""
    return [
        record
        for _, record in evidence.sensitivities
        if record.task == _TASK and record.system and record.shown == record.system.name == system
    ]


def _sensitivity(evidence: Evidence, system: str) -> _Ours:
    found = [(record, group) for record in _records(evidence, system) if (group := record.group("all", "all"))]
    values = [group.s for _, group in found if group.s is not None]
    if not values:
        return _Ours()
    first, group = found[0]
    low, high = (group.low, group.high) if len(found) == 1 else (None, None)
    runs = "" if len(found) == 1 else f", mean of {len(found)} runs"
    about = f"{first.attack.suite}, {formatting.layer(first.layer)}, stream {first.stream}, {group.words:,} words{runs}"
    return _Ours(sum(values) / len(values), low, high, about)


def _split_words(evidence: Evidence) -> _Ours:
    for record in _records(evidence, REFERENCE):
        groups = [record.group("pieces", value) for value in ("Word", "Subword")]
        whole, split = (group.words + group.left_out if group else 0 for group in groups)
        if record.system and whole + split:
            about = f"base {record.system.base}, {whole + split:,} words"
            return _Ours(100.0 * split / (whole + split), about=about)
    return _Ours()


def _split_entities(pieces: pd.DataFrame) -> _Ours:
    units = [pieces.loc[[(REFERENCE, value)]] for value in ("Word", "Subword") if (REFERENCE, value) in pieces.index]
    if len(units) != 2 or any(len(part) != 1 for part in units):
        return _Ours()
    whole, split = (int(part["units"].iloc[0]) for part in units)
    about = f"base {units[0]['base'].iloc[0]}, {whole + split:,} entities"
    return _Ours(100.0 * split / (whole + split), about=about)

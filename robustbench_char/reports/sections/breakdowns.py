"""Scores by what they are broken down by: Word and Subword with the gains over bert, and every other breakdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.breakdowns import unit_of
from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.metrics.breakdowns import BREAKDOWNS
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Block, Column, Evidence, Note, Picture, Section, Table
from robustbench_char.reports.figures.bars import system_labels
from robustbench_char.reports.figures.gain import gain_figure
from robustbench_char.reports.reference import load_reference

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sections"]

_TITLES = {
    "pieces": "Word and Subword: whether the tokenizer splits a word before the attack",
    "pieces_read": "Word and Subword of the words as they were read, after the attack",
    "entity_type": "By type of entity",
    "operator": "By the operator that hit, or none",
    "word_length": "By word length in characters",
    "text_length": "By length of the text in words",
}
_ORDER = ("Word", "Subword")


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no result has counts."""
    if evidence.cells.empty:
        return []
    cells = evidence.cells.assign(system=system_labels(evidence.cells))
    suite = str(cells["suite"].iloc[0])
    blocks: list[Block] = [Note(_what(cells, suite))]
    pieces = cells[cells["dimension"] == "pieces"]
    if pieces["gain"].notna().any():
        blocks.append(_picture(pieces, suite))
    for name in (name for name in BREAKDOWNS if (cells["dimension"] == name).any()):
        blocks.append(_table(cells[cells["dimension"] == name], name, suite))
    return [Section("breakdowns", "Breakdowns", tuple(blocks))]


def _what(cells: pd.DataFrame, suite: str) -> str:
    units = {str(task): unit_of(str(part["count"].iloc[0])) for task, part in cells.groupby("task", sort=False)}
    shown = ", ".join(f"{task} {unit}" for task, unit in units.items())
    return (
        f"What falls into a cell is counted in {shown}. Clean and attacked ({suite}) scores of a cell are over the "
        "same units; where the clean text has no such cell, and units are not whole examples, there is no clean score."
    )


def _picture(pieces: pd.DataFrame, suite: str) -> Picture:
    published = {
        "Word": _published("f1_gain_over_bert_on_words"),
        "Subword": _published("f1_gain_over_bert_on_subword_words"),
    }
    caption = (
        f"Gain over {REFERENCE} in points on Word and on Subword units, clean and under {suite}. Lines are 95% "
        "intervals over examples."
    )
    if _shows_published(pieces):
        shown = ", ".join(f"{name} {formatting.points(value)}" for name, value in published.items())
        caption += f" Diamonds: the paper's gains of charbert on clean CoNLL-2003 ({shown})."
    alt = f"{caption} The numbers stand in the table below."
    return Picture("word_subword", caption, alt, gain_figure(pieces, published if _shows_published(pieces) else {}))


def _published(name: str) -> float:
    return next(finding.value for finding in load_reference().analysis if finding.name == name)


def _shows_published(pieces: pd.DataFrame) -> bool:
    return bool(((pieces["task"] == "conll2003") & (pieces["label"] == "charbert")).any())


def _table(part: pd.DataFrame, name: str, suite: str) -> Table:
    values = list(dict.fromkeys(sorted(part["value"], key=_place)))
    order = {value: number for number, value in enumerate(values)}
    part = part.assign(order=part["value"].map(order), first=part.groupby(["task", "system"], sort=False).ngroup())
    part = part.sort_values(["first", "order"], kind="stable").drop(columns=["order", "first"]).reset_index(drop=True)
    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("System", lambda row: str(row["system"]), "left"),
        Column("Cell", lambda row: str(row["value"]), "left"),
        Column("Units", lambda row: formatting.count(row["units"])),
        *(
            Column(title, _score(key))
            for title, key in (("Clean", "clean"), ("Attacked", "attacked"), ("Drop", "drop"))
        ),
        Column(f"Gain over {REFERENCE}, clean", _gain("gain_clean")),
        Column(f"Gain over {REFERENCE}, attacked", _gain("gain")),
    )
    caption = (
        f"{_TITLES.get(name, name)}, under {suite}. Scores in percent, drop and gain in points; in brackets 95% "
        "intervals over examples."
    )
    return Table(f"by_{name}", caption, part, columns, folded=name != "pieces" or len(part) > 24)


def _place(value: str) -> tuple[int, int, str]:
    """Order Word before Subword, and buckets by their numbers."""
    digits = value.partition("-")[0].rstrip("+")
    return (_ORDER.index(value) if value in _ORDER else len(_ORDER), int(digits) if digits.isdigit() else 0, value)


def _score(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.score(row[name]) + formatting.limits(row, name)


def _gain(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.gain(row[name]) + formatting.limits(row, name, formatting.gain)

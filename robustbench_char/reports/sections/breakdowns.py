"""Scores by what they are broken down by: Word and Subword with the gains over bert, and every other breakdown."""

from __future__ import annotations

import pandas as pd

from robustbench_char.analysis.breakdowns import unit_of
from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.analysis.scores import system_labels
from robustbench_char.metrics.breakdowns import BREAKDOWNS
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Note, Picture, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures._changes import gain_figure
from robustbench_char.reports.reference import load_reference

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
_PUBLISHED = {"Word": "words", "Subword": "subword_words"}


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no result has counts."""
    if evidence.cells.empty:
        return []
    cells = evidence.marked(evidence.cells.assign(system=system_labels(evidence.cells)))
    suite, metrics = str(cells["suite"].iloc[0]), cells.groupby("task", sort=False)["count"].first()
    units = ", ".join(f"{task} {unit_of(metric)}" for task, metric in metrics.items())
    what = (
        f"What falls into a cell is counted in {units}. Clean and attacked ({suite}) scores of a cell are over the "
        "same units; where the clean text has no such cell, and units are not whole examples, there is no clean score."
    )
    parts = {name: part for name in BREAKDOWNS if len(part := cells[cells["dimension"] == name])}
    pieces = parts["pieces"][parts["pieces"]["learnt"]] if "pieces" in parts else cells[:0]
    pictures = [_picture(pieces, suite)] if pieces["gain"].notna().any() else []
    tables = (_table(part, name, suite) for name, part in parts.items())
    return [Section("breakdowns", "Breakdowns", (Note(what), *pictures, *tables))]


def _picture(pieces: pd.DataFrame, suite: str) -> Picture:
    caption = (
        f"Gain over {REFERENCE} in points on Word and on Subword units, clean and under {suite}. Lines are 95% "
        "intervals over examples."
    )
    published = {}
    if ((pieces["task"] == "conll2003") & (pieces["label"] == "charbert")).any():
        findings = {finding.name: finding.value for finding in load_reference().analysis}
        published = {cell: findings[f"f1_gain_over_bert_on_{name}"] for cell, name in _PUBLISHED.items()}
        shown = ", ".join(f"{name} {formatting.points(gain)}" for name, gain in published.items())
        caption += f" Diamonds: the paper's gains of charbert on clean CoNLL-2003 ({shown})."
    return Picture("word_subword", caption, gain_figure(pieces, published))


def _table(part: pd.DataFrame, name: str, suite: str) -> Table:
    order = {cell: number for number, cell in enumerate(sorted(set(part["value"]), key=_cell_order))}
    part = part.assign(order=part["value"].map(order), first=part.groupby(["task", "system"], sort=False).ngroup())
    part = part.sort_values(["first", "order"], kind="stable").drop(columns=["order", "first"]).reset_index(drop=True)
    columns = (
        *texts("Task", "System"),
        text("Cell", "value"),
        value("Units", show=formatting.count),
        *(value(title, interval=True) for title in ("Clean", "Attacked", "Drop")),
        value(f"Gain over {REFERENCE}, clean", "gain_clean", formatting.gain, interval=True),
        value(f"Gain over {REFERENCE}, attacked", "gain", formatting.gain, interval=True),
    )
    caption = (
        f"{_TITLES.get(name, name)}, under {suite}. Scores in percent, drop and gain in points; in brackets 95% "
        "intervals over examples."
    )
    return Table(f"by_{name}", caption, part, columns, folded=name != "pieces" or len(part) > 24)


def _cell_order(cell: str) -> tuple[int, int, str]:
    """Order Word before Subword, and buckets by their numbers."""
    digits = cell.partition("-")[0].rstrip("+")
    return (_ORDER.index(cell) if cell in _ORDER else len(_ORDER), int(digits) if digits.isdigit() else 0, cell)

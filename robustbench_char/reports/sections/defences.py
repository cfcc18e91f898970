"""Which defence helps: each system on what it knows, on what it does not, and on clean text; prices and costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from robustbench_char.analysis.pairs import REFERENCE, grouped
from robustbench_char.analysis.scores import strength_sweeps
from robustbench_char.analysis.statistics import CLEAN
from robustbench_char.records.evaluation import Record
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Column, Note, Picture, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.figures.curves import gain_curves
from robustbench_char.reports.sections.systems import about_defence, cost_row

__all__ = ["sections"]

_KNOWN, _LEFT_OUT, _OTHER, _STRENGTH = "Known attack", "Left-out operator", "Other attack", "By strength"
_NAMED = {
    "two_edits": "Two edits a word",
    "ends": "First and last letter",
    "insert_space": "Word boundaries",
    "join_words": "Word boundaries",
    "case": "Capitals",
    "human_typos": "Human misspellings",
    "nat2021_typos": "Human misspellings",
    "ocr": "OCR",
    "nat2021_ocr_tess3": "OCR",
    "nat2021_ocr_tess4": "OCR",
}
"""What the shipped suites mean that break what defences assume; in this order they stand in the table."""
_ORDER = [_KNOWN, _LEFT_OUT, _OTHER, *dict.fromkeys(_NAMED.values()), _STRENGTH]
_ENDS = ("", "_low", "_high")


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no system has a defence or attacked copies, and no price was measured."""
    means, records = evidence.means, [record for _, record in evidence.records]
    systems = [record.system for record in records]
    defended = any(system.augment or system.defence or system.trained_attacks for system in systems)
    blocks: list[Block] = []
    if defended and len(means):
        named = _with_meanings(means, records)
        tasks = [(str(task), part) for task, part in named.groupby("task", sort=False) if part["learnt"].any()]
        blocks += [Note(note) for note in formatting.about_marks(evidence.learnt["saw_attack"])]
        blocks += [_table(task, part, folded=number > 0) for number, (task, part) in enumerate(tasks)]
        blocks += _picture(named[named["learnt"]])
    blocks += [*_prices(evidence), *(_costs(evidence) if defended else [])]
    return [Section("defences", "Defences", tuple(blocks))] if blocks else []


def _with_meanings(means: pd.DataFrame, records: Iterable[Record]) -> pd.DataFrame:
    """Return rows of `mean_scores` with their `meaning`, in its order; strengths of a sweep from weak to strong."""
    left_out = {name for record in records if record.system.augment for name in record.system.augment.without}
    known = set(means.loc[means["saw_attack"].notna(), "suite"])
    sweeps = strength_sweeps(means)
    steps = set(sweeps["suite"]) if len(sweeps) else set()

    def meaning(suite: str, operators: str) -> str:
        if suite in steps:
            return _STRENGTH
        if operators in left_out:
            return _LEFT_OUT
        return _NAMED.get(suite.partition("@")[0]) or (_KNOWN if suite in known else _OTHER)

    named = means.assign(meaning=list(map(meaning, means["suite"], means["operators"])))
    named = named.assign(
        rank=named["meaning"].map(_ORDER.index), step=named["mistyped"].where(named["meaning"] == _STRENGTH, 0.0)
    )
    return named.sort_values(["rank", "step"], kind="stable").drop(columns=["rank", "step"])


def _table(task: str, part: pd.DataFrame, *, folded: bool) -> Table:
    """Return a row per condition, a column per system that has learnt: score with its interval, and the retention."""
    labels = [str(label) for label in dict.fromkeys(part.sort_index()["label"])]
    learnt = set(part.loc[part["learnt"], "label"])
    first = part.drop_duplicates("label")
    rows = [_row({"meaning": "Clean", "suite": CLEAN, "mistyped": 0.0}, first, CLEAN)]
    for (meaning, suite), cells in part.groupby(["meaning", "suite"], sort=False):
        shared = {"meaning": meaning, "suite": suite, "mistyped": cells["mistyped"].mean()}
        rows.append(_row(shared | {"runs": cells["runs"].max()}, cells, "attacked"))
    columns = (
        text("Condition", "meaning"),
        text("Attack", "suite"),
        value("Words changed", "mistyped", formatting.percent),
        value("Runs", show=formatting.plain),
        *(_column(label) for label in labels if label in learnt),
    )
    metric = formatting.score_name(str(part["metric"].iloc[0]))
    caption = (
        f"{task}: {metric} of each system, from attacks that a defence or training knows to those that none does. "
        f"n = {int(part['examples'].max()):,} examples; below each score its retention. "
        f"{formatting.about_intervals(part[part['learnt']])}{formatting.about_best(part)}"
    )
    frame = pd.DataFrame(rows)
    frame = frame.assign(**{f"{label}_best": frame[f"{label}_best"].eq(True) for label in labels})
    frame = frame.assign(**{f"{label}_learnt": label in learnt for label in labels})
    return Table(f"defences_{task}", caption.strip(), frame, columns, folded)


def _row(shared: dict[str, Any], cells: pd.DataFrame, side: str) -> dict[str, Any]:
    row = dict(shared)
    for cell in cells.to_dict("records"):
        label = cell["label"]
        row |= {f"{label}_score{end}": cell[f"{side}{end}"] for end in _ENDS} | {f"{label}_best": cell[f"{side}_best"]}
        if side != CLEAN:
            row |= {f"{label}_retention{end}": cell[f"retention{end}"] for end in _ENDS}
            row |= {f"{label}_saw_attack": cell["saw_attack"]}
    return row


def _column(label: str) -> Column:
    score = value(label, f"{label}_score", interval=True, mark=f"{label}_saw_attack")

    def cell(row: Mapping[str, Any]) -> str:
        kept = formatting.percent(row.get(f"{label}_retention"), missing="")
        return score.show(row) + (f"\n{kept}" if kept else "")

    return Column(label, cell, best=f"{label}_best")


def _picture(named: pd.DataFrame) -> list[Picture]:
    """Return the curves of what each system gains over the reference by strength, where there is a sweep."""
    sweeps = strength_sweeps(named[named["meaning"] == _STRENGTH])
    rows = sweeps.dropna(subset=["gain"]) if len(sweeps) else sweeps
    if rows.empty:
        return []
    caption = (
        f"Points gained over {REFERENCE} against the share of words mistyped; at 0, on clean data, a defence must cost "
        f"nothing.{' Bands are 95% intervals over examples.' if rows['gain_low'].notna().any() else ''}"
    )
    return [Picture("defences_by_strength", caption, gain_curves(rows), "The numbers stand in the tables above.")]


def _prices(evidence: Evidence) -> list[Table]:
    """Return what each defence repairs and what it breaks, measured without any model."""
    rows = [
        {
            "task": record.task,
            "defence": about_defence(record.defence),
            "sha256": record.defence.sha256,
            "suite": record.attack.suite,
            "attack_seed": record.attack.seed,
            "effective_strength": record.attack.effective_strength,
            **record.errors.model_dump(),
            "words_per_second": record.words_per_second,
        }
        for record in sorted(evidence.prices, key=lambda record: (record.task, record.defence.name))
    ]
    columns: tuple[Column, ...] = (
        text("Task"),
        text("Defence", split="; "),
        text("Attack", "suite"),
        value("Wrong in attacked text", "wer_before", _percent),
        value("Wrong after correction", "wer_after", _percent),
        value("Clean words changed", "clean_changed", _percent),
        value("Words of entities changed", "entity_changed", _percent),
        value("Words", show=formatting.count),
        value("Words of entities", "entity_words", formatting.count),
    )
    if any(record.words_per_second for record in evidence.prices):  # older records tell neither
        columns = (
            *columns[:5],
            value("Words of entities wrong, attacked", "entity_before", _percent),
            value("Words of entities wrong, corrected", "entity_after", _percent),
            *columns[5:],
            value("Words per second and core", "words_per_second", formatting.count),
        )
    caption = (
        "The price of each defence, without a model: words in percent, compared in lower case. Words of the attacked "
        "text that differ from the clean ones, before and after correction; words of the clean text that correction "
        "changes, of all words and of those of entities."
    )
    return [Table("defence_prices", caption, pd.DataFrame(rows), columns)] if rows else []


def _costs(evidence: Evidence) -> list[Table]:
    """Return what each system takes beyond its base: parameters, and time per sub-word on each task."""
    records = (record for _, record in evidence.records)
    timed = grouped(records, lambda record: (record.system.shown, record.system.base))
    tasks = list(dict.fromkeys(record.task for own in timed.values() for record in own))
    rows = [
        {
            "system": shown,
            "base": base,
            "learnt": any(evidence.has_learnt(task, shown, base) for task in {record.task for record in own}),
            "extra_parameters": own[0].system.all_extra_parameters,
            "defence": own[0].system.defence.name if own[0].system.defence else formatting.DASH,
            **{
                f"microseconds_{task}": cost_row(part)["microseconds"]
                for task, part in grouped(own, lambda record: record.task).items()
            },
        }
        for (shown, base), own in timed.items()
    ]
    columns = (
        *texts("System", "Base"),
        text("Defence"),
        value("Extra parameters", show=formatting.count),
        *(value(f"µs per sub-word, {task}", f"microseconds_{task}") for task in tasks),
    )
    caption = (
        "The cost of each system: parameters beyond the plain base, those of its defence included, and the time from "
        "text to predictions on clean data, divided by the sub-words that the model read. Times compare where all were "
        "measured on one idle machine."
    )
    frame = pd.DataFrame(rows).astype({"extra_parameters": "Int64"})
    return [Table("defence_costs", caption, frame, columns)]


def _percent(percents: Any) -> str:
    return formatting.DASH if formatting.is_missing(percents) else f"{percents:.1f}%"

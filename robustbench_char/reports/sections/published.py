"""The paper's scores and the single figures of its analysis beside ours, with the set-up they were measured in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from robustbench_char.analysis.pairs import REFERENCE, drop, grouped, relative_drop
from robustbench_char.records.evaluation import Record
from robustbench_char.records.sensitivity import SensitivityRecord
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Column, Note, Section, Table, drop_column, text, texts, value
from robustbench_char.reports.evidence import Evidence
from robustbench_char.reports.reference import Finding, Reference, load_reference, reference_frame

__all__ = ["sections"]

_VALUES = ("clean", "attacked", "drop", "relative_drop")
_BASE = "bert-base-cased"
"""Whose published numbers stand beside ours where the paper did not use our base."""
_TASK = "conll2003"
"""The data of the paper's single figures."""
_FINDINGS = {
    "sensitivity": "sensitivity S",
    "subword_share_of_words": "share of words that are split",
    "subword_share_of_entities": "share of entities with a split word",
    "f1_gain_over_bert_on_words": "gain over bert on Word entities",
    "f1_gain_over_bert_on_subword_words": "gain over bert on Subword entities",
}


def sections(evidence: Evidence) -> list[Section]:
    """Return the section; none where no published system and task was evaluated, on other data than generated ones."""
    reference = load_reference()
    frame = _published_frame(evidence, reference)
    if frame.empty:
        return []
    tables = _table(frame, reference, formatting.about_intervals(evidence.means)), *_finding_table(evidence, reference)
    return [Section("published", "Published against ours", (*_notes(reference), *tables))]


def _published_frame(evidence: Evidence, reference: Reference) -> pd.DataFrame:
    """Return a row per task and system that both sides have under one metric; a variant with a label is not a match."""
    published = reference_frame(reference)
    suite = reference.robustness.suite
    mini = {record.task for _, record in evidence.records if record.data.source == "mini"}  # of clean results
    real = [record for _, record in evidence.records if record.task not in mini]
    plain = [record for record in real if record.system.shown == record.system.name]
    groups = grouped(plain, lambda record: (record.task, record.system.name, record.system.base))
    rows = (_row(records, published, evidence.means, suite) for records in groups.values())
    frame = pd.DataFrame([row for row in rows if row])
    return evidence.marked(frame) if len(frame) else frame


def _row(records: list[Record], published: pd.DataFrame, means: pd.DataFrame, suite: str) -> dict[str, Any]:
    first = records[0]
    same = published[(published["system"] == first.system.name) & (published["task"] == first.task)]
    same = same[same["metric"] == first.headline]
    same = same[same["base"] == (first.system.base if first.system.base in set(same["base"]) else _BASE)]
    theirs = dict(zip(same["suite"], same["value"], strict=True))
    if "clean" not in theirs:
        return {}
    setup = {"published_base": same["base"].iloc[0], "base": first.system.base, "setup": _setup(records)}
    names = {"task": first.task, "system": first.system.name, "metric": first.headline}
    return names | _sides("published", theirs["clean"], theirs.get(suite)) | _ours(records, means, suite) | setup


def _ours(records: list[Record], means: pd.DataFrame, suite: str) -> dict[str, float | None]:
    """Return our mean scores with their intervals; without an attacked one, the mean clean score of the records."""
    ours = records[0].task, records[0].system.name, records[0].system.base, suite
    for row in means.to_dict("records"):
        if (row["task"], row["name"], row["base"], row["suite"]) == ours:
            return {f"ours_{name}{end}": row[f"{name}{end}"] for name in _VALUES for end in ("", "_low", "_high")}
    clean = [record.scores[record.headline] for record in records if not record.data.attack]
    return _sides("ours", sum(clean) / len(clean) if clean else None, None)


def _sides(whose: str, clean: float | None, attacked: float | None) -> dict[str, float | None]:
    scores = {f"{whose}_clean": clean, f"{whose}_attacked": attacked}
    if clean is None or attacked is None:
        return {**scores, f"{whose}_drop": None, f"{whose}_relative_drop": None}
    return {**scores, f"{whose}_drop": drop(clean, attacked), f"{whose}_relative_drop": relative_drop(clean, attacked)}


def _setup(records: list[Record]) -> str:
    """Say what of our set-up differs from run to run and from paper to project, in the units it was measured in."""
    system, data = records[0].system, records[0].data
    made, trained = system.pretraining, system.settings.get("training_examples")
    text = f"pre-trained further on {made.tokens:,} sub-words" if made and made.tokens else "characters pre-trained"
    parts = [f"{text}, {made.steps:,} steps"] if made else []
    parts = parts or ["no further pre-training"]
    parts += [f"fine-tuned on {trained:,} examples"] if trained else []
    seeds = formatting.plural(len({record.system.training_seed for record in records}), "training seed")
    return "; ".join([*parts, f"scored on {data.source}, {data.examples:,} examples", seeds])


def _notes(reference: Reference) -> list[Note]:
    what = (
        f"Published: {reference.source}; one run, no seeds or intervals; fine-tuned and scored on the full sets "
        "of each task. Ours: the records of this report. The two were not measured in one set-up, so differences "
        "between them are not an effect of a system; compare the drops of one side."
    )
    if (info := reference.pretraining) is None:
        return [Note(what)]
    words, steps = f"{info.corpus_words:,} words", f"{info.steps:,} steps"
    pretraining = (
        f"The published CharBERT was pre-trained further on {info.corpus} ({words}, {steps}, {info.devices}, "
        f"{info.days:g} days) and has about {info.extra_parameters:,} more parameters than its base. Ours is "
        "counted in sub-words that training saw, the paper's corpus in words: two units that are not to be divided."
    )
    return [Note(what), Note(pretraining)]


def _table(frame: pd.DataFrame, reference: Reference, about: str) -> Table:
    columns = (
        *texts("Task", "System"),
        *_side_columns("published"),
        *_side_columns("ours"),
        text("Base, published", "published_base"),
        text("Base, ours", "base"),
        text("Our set-up", "setup", split="; "),
    )
    scores = zip(frame["task"], frame["metric"], strict=True)
    metrics = ", ".join(dict.fromkeys(f"{task}: {formatting.score_name(name)}" for task, name in scores))
    caption = (
        f"Published scores ({reference.name}) beside ours, clean and under {reference.robustness.suite}, in percent; "
        f"drop in points, in brackets the relative drop, 1 − attacked / clean. {metrics}. {about}"
    )
    return Table("published", caption.strip(), frame, columns, folded=len(frame) > 12)


def _side_columns(side: str) -> tuple[Column, ...]:
    title = side.capitalize()
    return (
        value(f"{title} clean", interval=True),
        value(f"{title} attacked", interval=True),
        drop_column(f"{title} drop", side),
    )


class _Ours(NamedTuple):
    """Our value of a finding; `about` says what it was measured on."""

    value: float
    about: str
    low: float | None = None
    high: float | None = None


def _finding_table(evidence: Evidence, reference: Reference) -> list[Table]:
    """Return the findings that the records speak of, or none."""
    rows = [
        {"finding": finding.name, "system": finding.system, "unit": finding.unit, "data": finding.data,
         "published": finding.value, "ours": ours.value, "ours_low": ours.low, "ours_high": ours.high,
         "about": ours.about}
        for finding in reference.analysis
        if (ours := _measured(evidence, finding)) is not None
        and (finding.system is None or evidence.has_learnt(_TASK, finding.system))
    ]  # fmt: skip
    columns = (
        text("What", "finding", show=lambda name: _FINDINGS[name]),
        text("System", show=lambda name: formatting.DASH if formatting.is_missing(name) else str(name)),
        text("Unit"),
        Column("Published", lambda row: _in_unit(row, "published")),
        Column("Ours", lambda row: _in_unit(row, "ours")),
        text("Measured on", "about"),
    )
    caption = (
        "Single figures of the paper's analysis (CoNLL-2003 test set, bert-base-cased) beside ours. In square brackets "
        "95% intervals over examples."
    )
    return [Table("findings", caption, pd.DataFrame(rows), columns)] if rows else []


def _in_unit(row: Mapping[str, Any], name: str) -> str:
    show = {"cosine distance": formatting.distance, "points": formatting.points}.get(row["unit"], formatting.score)
    return show(row[name]) + formatting.limits(row, name, show)


def _measured(evidence: Evidence, finding: Finding) -> _Ours | None:
    cells = evidence.cells
    if finding.name == "sensitivity":
        return _sensitivity(evidence, str(finding.system))
    if finding.name == "subword_share_of_words":
        return _split_words(evidence)
    if finding.name not in _FINDINGS or cells.empty:
        return None
    pieces = cells[(cells["task"] == _TASK) & (cells["dimension"] == "pieces")].set_index(["label", "value"])
    if finding.name == "subword_share_of_entities":
        return _split_entities(pieces)
    cell = "Word" if finding.name == "f1_gain_over_bert_on_words" else "Subword"
    row = _single(pieces, finding.system, cell)
    if row is None or formatting.is_missing(row["gain_clean"]):
        return None
    gain, *limits = (row[f"gain_clean{end}"] for end in ("", "_low", "_high"))
    return _Ours(gain, f"clean, base {row['base']}, {int(row['units']):,} entities", *limits)


def _single(pieces: pd.DataFrame, system: str | None, cell: str) -> pd.Series[Any] | None:
    """Return the row of a system and cell; None where it was not run, or on several bases."""
    rows = pieces.loc[[(system, cell)]] if (system, cell) in pieces.index else pieces[:0]
    return rows.iloc[0] if len(rows) == 1 else None


def _records(evidence: Evidence, system: str) -> list[SensitivityRecord]:
    """Return the measurements of a plain system on the paper's data."""
    of_task = (record for _, record in evidence.sensitivities if record.task == _TASK)
    return [record for record in of_task if record.system and record.shown == record.system.name == system]


def _sensitivity(evidence: Evidence, system: str) -> _Ours | None:
    runs = [(record, group) for record in _records(evidence, system) if (group := record.group("all", "all"))]
    values = [group.s for _, group in runs if group.s is not None]
    if not values:
        return None
    first, group = runs[0]
    limits = (group.low, group.high) if len(runs) == 1 else ()
    mean = "" if len(runs) == 1 else f", mean of {len(runs)} runs"
    about = f"{first.attack.suite}, {formatting.layer(first.layer)}, stream {first.stream}, {group.words:,} words{mean}"
    return _Ours(sum(values) / len(values), about, *limits)


def _split_words(evidence: Evidence) -> _Ours | None:
    for record in _records(evidence, REFERENCE):
        groups = [record.group("pieces", value) for value in ("Word", "Subword")]
        whole, split = (group.words + group.left_out if group else 0 for group in groups)
        if record.system and whole + split:
            return _Ours(100.0 * split / (whole + split), f"base {record.system.base}, {whole + split:,} words")
    return None


def _split_entities(pieces: pd.DataFrame) -> _Ours | None:
    word, subword = (_single(pieces, REFERENCE, cell) for cell in ("Word", "Subword"))
    if word is None or subword is None:
        return None
    units = int(word["units"] + subword["units"])
    return _Ours(100.0 * int(subword["units"]) / units, f"base {word['base']}, {units:,} entities")

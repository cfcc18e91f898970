"""What is compared: what sets each system apart from a plain one, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.records.evaluation import (
    AugmentInfo,
    PredictorInfo,
    PretrainingInfo,
    RecogniserInfo,
    Record,
    SystemInfo,
)
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Block, Column, Evidence, Note, Section, Table
from robustbench_char.reports.fairness import fairness_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the section on the systems; none where the records (older ones) tell nothing of it."""
    records = [record for _, record in evidence.records]
    if not any(_tells(record) for record in records):
        return []
    fairness = fairness_table(records)
    blocks: list[Block] = [_systems(records), *_predictors(records), _costs(records), *([fairness] if fairness else [])]
    return [Section("compared", "Systems", tuple(blocks))]


def _tells(record: Record) -> bool:
    system = record.system
    parts = system.label, system.extra_parameters, system.pretraining, system.augment, system.recogniser
    return record.predict_seconds is not None or any(part is not None for part in parts)


def _systems(records: list[Record]) -> Table:
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(_recipe(record.system), []).append(record)
    frame = _frame(_system_row(group) for group in _by_system(groups.values()))
    whole = ("extra_parameters", "pretraining_tokens", "pretraining_steps", "recogniser_parameters", "augment_seed")
    frame = frame.astype(dict.fromkeys(whole, "Int64"))
    columns = (
        Column("System", lambda row: str(row["system"]), "left"),
        Column("Base", lambda row: str(row["base"]), "left"),
        Column("Tasks", _lines("tasks", ", "), "left"),
        Column("Extra parameters", lambda row: formatting.count(row["extra_parameters"])),
        Column("Pre-training", _lines("pretraining", "; "), "left"),
        Column("Recogniser", _lines("recogniser", "; "), "left"),
        Column("Augmentation", _lines("augmentation", "; "), "left"),
    )
    caption = (
        "Systems. Extra parameters are those beyond the plain base under the same head, the recogniser's included. "
        "Pre-training is what came on top of the base."
    )
    return Table("compared", caption, frame, columns)


def _predictors(records: list[Record]) -> list[Note]:
    """Return a note on the systems of other packages, if any."""
    made = [(record.system.shown, record.system.predictor) for record in records if record.system.predictor]
    found = dict.fromkeys(f"{shown} ({_origin(predictor)})" for shown, predictor in made)
    if not found:
        return []
    return [
        Note(
            f"Registered by other packages: {'; '.join(found)}. How they were trained, and whether they saw an attack, "
            "is not known; their hash is that of names and versions, not of weights."
        )
    ]


def _origin(made: PredictorInfo) -> str:
    version = f", version {made.version}" if made.version else ""
    return f"{made.entry_point} of {made.distribution} {made.distribution_version}{version}"


def _recipe(system: SystemInfo) -> tuple[object, ...]:
    """Return what tells rows apart: not a suite's hash or a recogniser's weights, which differ from task to task."""
    augment = system.augment and system.augment.model_copy(update={"suite_sha256": ""})
    recogniser = system.recogniser and system.recogniser.model_copy(update={"weights_sha256": "", "suite_sha256": ""})
    return system.shown, system.base, system.extra_parameters, system.pretraining, augment, recogniser


def _by_system(groups: Iterable[list[Record]]) -> list[list[Record]]:
    """Order groups by system as they first appear, `bert` first: records are sorted by task before."""
    groups = list(groups)
    order = list(dict.fromkeys([REFERENCE, *(group[0].system.shown for group in groups)]))
    return sorted(groups, key=lambda group: order.index(group[0].system.shown))


def _system_row(group: list[Record]) -> dict[str, Any]:
    system = group[0].system
    pretraining, recogniser, augment = system.pretraining, system.recogniser, system.augment
    return {
        "system": system.shown,
        "name": system.name,
        "base": system.base,
        "tasks": formatting.join([record.task for record in group]),
        "extra_parameters": system.all_extra_parameters,
        "pretraining": _pretraining(pretraining),
        "pretraining_tokens": pretraining and pretraining.tokens,
        "pretraining_steps": pretraining and pretraining.steps,
        "pretraining_seconds": pretraining and pretraining.wall_seconds,
        "pretraining_noise": pretraining and pretraining.noise,
        "pretraining_noise_share": pretraining and pretraining.noise_share,
        "pretraining_text_sha256": pretraining and pretraining.text_sha256,
        "recogniser": _recogniser(recogniser),
        "recogniser_parameters": recogniser and recogniser.parameters,
        "augmentation": _augmentation(augment),
        "augment_share": augment and augment.share,
        "augment_seed": augment and augment.seed,
    }


def _lines(name: str, separator: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a cell with one part a line: the separators stay, since Markdown has no lines in a cell."""
    return lambda row: str(row[name]).replace(separator, separator.rstrip() + "\n")


def _pretraining(info: PretrainingInfo | None) -> str:
    if info is None:
        return formatting.DASH
    time = "" if info.wall_seconds is None else f", {info.wall_seconds / 60:.1f} min"
    share = "" if info.noise_share is None else f" on {formatting.percent(info.noise_share)} of words"
    noise = f"noise {info.noise}{share}" if info.noise and info.noise_share != 0 else "clean text"
    return f"{info.system} from {info.base}; {info.tokens:,} tokens; {info.steps:,} steps{time}; {noise}"


def _recogniser(info: RecogniserInfo | None) -> str:
    if info is None:
        return formatting.DASH
    words = f"{info.vocabulary:,} words, back-off {info.backoff}"
    return f"{words}; {info.parameters:,} parameters; trained under {info.suite}"


def _augmentation(info: AugmentInfo | None) -> str:
    if info is None:
        return formatting.DASH
    without = f" without {', '.join(info.without)}" if info.without else ""
    return f"{info.suite}{without}; share {formatting.percent(info.share)}; seed {info.seed}"


def _costs(records: list[Record]) -> Table:
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.task, record.system.shown, record.system.base), []).append(record)
    frame = _frame(_cost_row(group) for group in groups.values())
    frame = frame.astype({"parameters": "Int64", "training_examples": "Int64", "pieces": "Int64"})
    columns = (
        Column("Task", lambda row: str(row["task"]), "left"),
        Column("System", lambda row: str(row["system"]), "left"),
        Column("Base", lambda row: str(row["base"]), "left"),
        Column("Parameters", lambda row: formatting.count(row["parameters"])),
        Column("Extra parameters", lambda row: formatting.count(row["extra_parameters"])),
        Column("Fine-tuning examples", lambda row: formatting.count(row["training_examples"])),
        Column("Sub-words read", lambda row: formatting.count(row["pieces"])),
        Column("µs a sub-word", lambda row: formatting.score(row["microseconds"])),
        Column("Device", lambda row: str(row["device"]), "left"),
    )
    caption = (
        "Costs. The time of prediction on clean data, divided by the sub-words that the model read; it compares "
        "systems only where they were measured on one idle machine. Parameters are those of model, head and recogniser."
    )
    return Table("costs", caption, frame.astype({"extra_parameters": "Int64"}), columns, folded=len(frame) > 12)


def _cost_row(group: list[Record]) -> dict[str, Any]:
    first = group[0]
    timed = [record for record in group if not record.data.attack and record.cost_per_piece is not None]
    pieces = sum(record.counts["pieces"] for record in timed)
    seconds = sum(record.predict_seconds or 0.0 for record in timed)
    return {
        "task": first.task,
        "system": first.system.shown,
        "base": first.system.base,
        "parameters": _parameters(first.system),
        "extra_parameters": first.system.all_extra_parameters,
        "training_examples": first.system.settings.get("training_examples"),
        "pieces": pieces or None,
        "predict_seconds": seconds if pieces else None,
        "microseconds": 1e6 * seconds / pieces if pieces else None,
        "device": formatting.join([record.device for record in timed or group]),
    }


def _parameters(system: SystemInfo) -> int | None:
    recogniser = system.recogniser.parameters if system.recogniser else 0
    return None if system.parameters is None else system.parameters + recogniser


def _frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))

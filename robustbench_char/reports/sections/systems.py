"""What was run, a row per set of weights; what sets systems apart from a plain one, what they cost, and share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from robustbench_char.analysis.pairs import REFERENCE, grouped, root_of
from robustbench_char.common.provenance import Provenance
from robustbench_char.records.evaluation import DefenceInfo, Record, SystemInfo
from robustbench_char.records.predictors import EXTERNAL
from robustbench_char.records.training import AugmentInfo, PretrainingInfo, TrainedAttackInfo
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports.blocks import Block, Note, Section, Table, text, texts, value
from robustbench_char.reports.evidence import Evidence

__all__ = ["sections"]


def sections(evidence: Evidence) -> list[Section]:
    """Return the sections on what was run and on the systems; not the latter where (older) records tell nothing."""
    records = [record for _, record in evidence.records]
    run = Section("systems", "What was run", (*_versions(records), _weights(records)), folded=True)
    if not any(_tells(record) for record in records):
        return [run]
    blocks: tuple[Block, ...] = (
        _systems(records),
        *_models(records),
        *_predictors(records),
        *_gates(records),
        _costs(evidence, records),
        *_fairness(records),
    )
    return [Section("compared", "Systems, costs and fairness", blocks, folded=True), run]


def _versions(records: list[Record]) -> list[Note]:
    """Return a line on who made the records, and warnings where they were not all made alike or from changed files."""
    made = [record.provenance for record in records]
    versions = formatting.join([item.package_version for item in made])
    commits = formatting.join([_commit(item) for item in made])
    days = sorted(record.created[:10] for record in records)
    period = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    spent = formatting.seconds(sum(record.wall_seconds for record in records))
    what = (
        f"{formatting.plural(len(records), 'evaluation')} by robustbench-char {versions}, {commits}, {period}, "
        f"on {formatting.join([record.device for record in records])}; {spent} of evaluation in all."
    )
    dirty = "Some records were made from files that differ from their git commit (marked dirty)."
    mixed = "The records were made by different versions of the code."
    warnings = [dirty] if any(item.git_dirty for item in made) else []
    warnings += [mixed] if len({(item.package_version, item.git_commit) for item in made}) > 1 else []
    return [Note(what), *(Note(text, "warning") for text in warnings)]


def _commit(made: Provenance) -> str:
    dirty = " (dirty)" if made.git_dirty else ""
    return f"git commit {made.git_commit[:12]}{dirty}" if made.git_commit else "outside a git checkout"


def _weights(records: list[Record]) -> Table:
    groups = grouped(records, lambda record: (record.task, record.system.shown, *record.system.all_weights))
    frame = pd.DataFrame([_weights_row(group) for group in groups.values()])
    columns = (
        *texts("System", "Base", "Task"),
        value("Parameters", show=formatting.count),
        value("Training seed", show=formatting.plain),
        text("Training data", "training_sha256", show=formatting.short_hash),
        text("Weights", "weights_sha256", show=formatting.short_hash),
        text("Device"),
        value("Evaluations", show=formatting.count),
        value("Wall time", "wall_seconds", formatting.seconds),
    )
    caption = (
        "Systems, a row per set of weights; hashes are the first digits of SHA-256. "
        "The hyper-parameters stand in systems.csv."
    )
    frame = frame.astype({"parameters": "Int64", "training_seed": "Int64"})
    return Table("systems", caption, frame, columns, folded=len(frame) > 12)


def _weights_row(group: list[Record]) -> dict[str, str | int | float | None]:
    first = group[0]
    system = first.system
    return {
        "system": system.shown,
        "base": system.base,
        "task": first.task,
        "parameters": system.parameters,
        "training_seed": system.training_seed,
        "training_sha256": system.training_sha256,
        "weights_sha256": system.weights_sha256,
        "settings": json.dumps(system.settings, ensure_ascii=False, sort_keys=True),
        "device": formatting.join([record.device for record in group]),
        "evaluations": len(group),
        "wall_seconds": sum(record.wall_seconds for record in group),
    }


def _tells(record: Record) -> bool:
    system = record.system
    parts = system.extra_parameters, system.pretraining, system.augment, system.trained_attack, system.defence
    told = record.predict_seconds, system.label, *parts
    return any(part is not None for part in told)


def _systems(records: list[Record]) -> Table:
    groups = list(grouped(records, lambda record: _recipe(record.system)).values())
    order = list(dict.fromkeys([REFERENCE, *(group[0].system.called for group in groups)]))  # records: sorted by task
    groups.sort(key=lambda group: order.index(group[0].system.called))
    frame = pd.DataFrame([_system_row(group) for group in groups])
    whole = ("extra_parameters", "pretraining_tokens", "pretraining_steps", "defence_parameters", "augment_seed")
    frame = frame.astype(dict.fromkeys(whole, "Int64"))
    columns = (
        *texts("System", "Base"),
        text("Tasks", split=", "),
        value("Extra parameters", show=formatting.count),
        text("Pre-training", "pretraining", split="; "),
        text("Defence", split="; "),
        text("Augmentation", split="; "),
    )
    caption = (
        "Systems. Extra parameters are those beyond the plain base under the same head, the defence's included. "
        "Pre-training is what came on top of the base."
    )
    return Table("compared", caption, frame, columns)


def _models(records: list[Record]) -> list[Note]:
    """Return a note on each model that was fine-tuned elsewhere: how it was read, and what is not known."""
    models = {record.system.shown: record.system.model for record in records if record.system.model}
    notes = []
    for shown, model in models.items():
        revision = f", revision {model.revision[:12]}" if model.revision else ""
        scheme = f", tags in {model.tag_scheme}" if model.tag_scheme else ""
        how = f"{model.architecture} from {model.source}{revision}, at most {model.max_length:,} sub-words{scheme}"
        told = "; ".join(model.notes)
        notes.append(Note(f"{shown}: {how}. {f'{told[0].upper()}{told[1:]}. ' if told else ''}{_UNKNOWN}"))
    return notes


_UNKNOWN = "What it was trained on, and whether it saw an attack, is not known."


def _predictors(records: list[Record]) -> list[Note]:
    """Return a note on predictors, if any."""
    names: dict[str, None] = {}
    for shown, made in ((record.system.shown, record.system.predictor) for record in records):
        if made:
            package = f" of {made.distribution} {made.distribution_version}" if made.distribution else ""
            version = f", version {made.version}" if made.version else ""
            source = f", source {made.source_sha256[:8]}" if made.source_sha256 else ""
            names[f"{shown} ({made.entry_point}{package}{version}{source})"] = None
    note = (
        f"Predictors: {'; '.join(names)}. How they were trained, and whether they saw an attack, is not known; their "
        "hash is that of their source, or of a version that they are given, not of weights."
    )
    return [Note(note)] if names else []


def _gates(records: list[Record]) -> list[Note]:
    """Return a note on each system that has gates: how far they are open, over all of its models."""
    models: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
    for system in (record.system for record in records if record.system.gates):
        models.setdefault(system.shown, {})[system.weights_sha256] = system.gates or {}
    notes = []
    for shown, each in models.items():
        found = {name: pd.DataFrame([gates[name] for gates in each.values()]) for name in next(iter(each.values()))}
        sizes = {name: ", ".join(map("{:.3f}".format, frame.abs().mean())) for name, frame in found.items()}
        said = "; ".join(f"{name.replace('_', '-')} {listed}" for name, listed in sizes.items())
        many = formatting.plural(len(each), "model")
        notes.append(Note(f"Gates of {shown} by layer, mean size in {many} (0 is shut): {said}."))
    return notes


def _recipe(system: SystemInfo) -> tuple[object, ...]:
    """Return what tells rows apart: not a suite's hash or what decides a defence, which differ from task to task."""
    augment = system.augment and system.augment.model_copy(update={"suite_sha256": "", "seeds": 1})
    return (
        system.shown,
        system.base,
        system.extra_parameters,
        system.pretraining,
        augment,
        about_defence(system.defence),
        system.trained_attack and system.trained_attack.suite,
    )


def _system_row(group: list[Record]) -> dict[str, Any]:
    system = group[0].system
    pretraining, defence, augment = system.pretraining, system.defence, system.augment
    return {
        "system": system.shown,
        "name": system.name,
        "base": system.base,
        "tasks": formatting.join([record.task for record in group]),
        "extra_parameters": system.all_extra_parameters,
        "pretraining": _pretraining(pretraining) if pretraining else formatting.DASH,
        "pretraining_tokens": pretraining and pretraining.tokens,
        "pretraining_steps": pretraining and pretraining.steps,
        "pretraining_seconds": pretraining and pretraining.wall_seconds,
        "pretraining_noise": pretraining and pretraining.noise,
        "pretraining_noise_share": pretraining and pretraining.noise_share,
        "pretraining_text_sha256": pretraining and pretraining.text_sha256,
        "defence": about_defence(defence),
        "defence_parameters": defence and defence.parameters,
        "augmentation": _augmentation(augment, system.trained_attack),
        "augment_share": augment and augment.share,
        "augment_seed": augment and augment.seed,
    }


def _pretraining(info: PretrainingInfo) -> str:
    time = "" if info.wall_seconds is None else f", {info.wall_seconds / 60:.1f} min"
    share = "" if info.noise_share is None else f" on {formatting.percent(info.noise_share)} of words"
    noised = info.noise and info.noise_share != 0
    noise = f"noise {info.noise}{share}" if noised else "no noise" if info.attacks else "clean text"
    tokens = f"{info.tokens:,} tokens; " if info.tokens else ""  # characters are trained on words
    attacks = "".join(f"; text attacked by {attack.suite} (seed {attack.seed})" for attack in info.attacks)
    return f"{info.system} from {info.base}; {tokens}{info.steps:,} steps{time}; {noise}{attacks}"


def about_defence(info: DefenceInfo | None) -> str:
    """Return what a defence is in short, or a dash for none."""
    if info is None:
        return formatting.DASH
    said, settings = [info.name if info.name == info.kind else f"{info.name} ({info.kind})"], info.settings
    if words := settings.get("vocabulary" if info.kind == "wordrec" else "words"):
        said.append(f"{words:,} words" + (f", back-off {settings['backoff']}" if "backoff" in settings else ""))
    said += [formatting.plural(info.parameters, "parameter")] if info.parameters else []
    said += [f"up to {formatting.plural(info.edits, 'edit')} a word"] if info.edits else []
    return "; ".join([*said, *([f"trained under {', '.join(info.suites)}"] if info.suites else [])])


def _augmentation(info: AugmentInfo | None, trained: TrainedAttackInfo | None) -> str:
    file = [f"training file attacked by {trained.suite} (seed {trained.seed})"] if trained else []
    return "; ".join([*file, *([_copies(info)] if info else [])]) or formatting.DASH


def _copies(info: AugmentInfo) -> str:
    without = f" without {', '.join(info.without)}" if info.without else ""
    copies = f"fresh in each epoch, seeds from {info.seed}" if info.fresh else f"seed {info.seed}"
    consistency = f"; consistency {info.consistency:g}" if info.consistency else ""
    return f"{info.suite}{without}; share {formatting.percent(info.share)}; {copies}{consistency}"


def _costs(evidence: Evidence, records: list[Record]) -> Table:
    groups = grouped(records, lambda record: (record.task, record.system.shown, record.system.base))
    frame = evidence.marked(pd.DataFrame([cost_row(group) for group in groups.values()]))
    whole = ("parameters", "extra_parameters", "training_examples", "pieces")
    columns = (
        *texts("Task", "System", "Base"),
        value("Parameters", show=formatting.count),
        value("Extra parameters", show=formatting.count),
        value("Fine-tuning examples", "training_examples", formatting.count),
        value("Sub-words read", "pieces", formatting.count),
        value("µs per sub-word", "microseconds"),
        text("Device"),
    )
    caption = (
        "Costs. The time of prediction on clean data, divided by the sub-words that the model read; it compares "
        "systems only where they were measured on one idle machine. Parameters are those of model, head and defence."
    )
    return Table("costs", caption, frame.astype(dict.fromkeys(whole, "Int64")), columns, folded=len(frame) > 12)


def cost_row(group: list[Record]) -> dict[str, Any]:
    """Return what one system takes on one task: parameters, and the time of prediction on clean data."""
    first = group[0]
    timed = [record for record in group if not record.data.attack and record.cost_per_piece is not None]
    pieces = sum(record.counts["pieces"] for record in timed)
    seconds = sum(record.predict_seconds or 0.0 for record in timed)
    parameters, defence = first.system.parameters, first.system.defence
    return {
        "task": first.task,
        "system": first.system.shown,
        "base": first.system.base,
        "parameters": parameters and parameters + (defence.parameters if defence else 0),
        "extra_parameters": first.system.all_extra_parameters,
        "training_examples": first.system.settings.get("training_examples"),
        "pieces": pieces or None,
        "predict_seconds": seconds if pieces else None,
        "microseconds": 1e6 * seconds / pieces if pieces else None,
        "device": formatting.join([record.device for record in timed or group]),
    }


def _fairness(records: Sequence[Record]) -> list[Table]:
    """Return what systems share by task, and those pre-trained further; predictors and chat models tell nothing."""
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    pretrained = []
    for record in (record for record in records if record.system.base != EXTERNAL):
        groups.setdefault(record.task, []).append((record.system.shown, _trained(record)))
        if info := record.system.pretraining:
            known = {"text": formatting.short_hash(info.text_sha256), "steps": info.steps, "tokens": info.tokens}
            pretrained.append((record.system.shown, known))
    rows = [
        _fairness_row(what, known)
        for what, known in [*groups.items(), ("pre-training", pretrained)]
        if len({shown for shown, _ in known}) > 1
    ]
    columns = (
        text("", "what"),
        value("Systems", show=formatting.count),
        text("All share", "shared", show=_short_lines),
        text("Differs", show=_short_lines),
    )
    caption = "Fairness: what the systems of a task, and those pre-trained further, have in common, and what not."
    return [Table("fairness", caption, pd.DataFrame(rows), columns)] if rows else []


def _short_lines(text: str) -> str:
    """Break a list at its semicolons, so that lines are of a readable length."""
    lines = [""]
    for part in text.split("; "):
        lines = [*lines[:-1], f"{lines[-1]}; {part}"] if 0 < len(lines[-1]) < 50 else [*lines, part]
    return ";\n".join(lines[1:])


def _trained(record: Record) -> dict[str, Any]:
    settings = {
        name: value for name, value in record.system.settings.items() if name != "seed"
    }  # each result states it
    data = formatting.short_hash(record.system.training_sha256)
    return {"base": root_of(record), "training data": data, **settings}


def _fairness_row(what: str, known: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    properties = dict.fromkeys(name for _, values in known for name in values)
    systems = {name.replace("_", " "): _by_value(name, known) for name in properties}
    shared = [f"{name} {next(iter(by))}" for name, by in systems.items() if len(by) == 1 and "None" not in by]
    differs = [f"{name} {_listed(by)}" for name, by in systems.items() if len(by) > 1]
    return {
        "what": what,
        "systems": len({shown for shown, _ in known}),
        "shared": "; ".join(shared) or formatting.DASH,
        "differs": "; ".join(differs) or "nothing",
    }


def _by_value(name: str, known: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Return the systems that have each value of one property."""
    systems: dict[str, list[str]] = {}
    for shown, values in known:
        value = values.get(name)
        same = systems.setdefault(f"{value:,}" if type(value) is int else str(value), [])
        if shown not in same:
            same.append(shown)
    return systems


def _listed(by: Mapping[str, list[str]]) -> str:
    """Name the systems of each value, except of the most frequent one."""
    usual = max(by, key=lambda value: len(by[value]))
    others = [f"{value} ({', '.join(systems)})" for value, systems in by.items() if value != usual]
    return f"{usual}, but {', '.join(others)}"

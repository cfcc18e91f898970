"""What a spec says of training, checked before any work: bases, systems that are trained, their options and seeds.

No model library is needed: how much a base reads is in its config.json, but for systems that take any type of base.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BaseModel

from robustbench_char.common.errors import nearest
from robustbench_char.common.extras import installed
from robustbench_char.common.options import options_of
from robustbench_char.common.systems import SYSTEMS, Traits
from robustbench_char.defences.wordrec.options import RecogniserKeywords, RecogniserOptions, resolve_recogniser
from robustbench_char.experiments._mistakes import Mistakes
from robustbench_char.experiments.spec import Benchmark, SystemSpec
from robustbench_char.models.bases import Base, Limits, check_layers, positions_in, resolve_base
from robustbench_char.tasks.base import Task
from robustbench_char.training.augmentation import copy_seeds, resolve_augmentation
from robustbench_char.training.options import AugmentOptions, FinetuneOptions, resolve_settings
from robustbench_char.training.pretraining.options import PretrainOptions, resolve_pretraining

__all__ = ["check_finetuning", "check_pretraining", "check_training"]


def check_training(spec: Benchmark, tasks: dict[str, Task], wrong: Mistakes) -> dict[str, Base]:
    """Return the bases by name; all that is wrong with them, and with what is trained on them, is a mistake."""
    bases = _bases(spec, wrong)
    for key in spec.trained():
        _check_trained(spec, key, bases, wrong)
    _check_seeds(spec, wrong)
    _check_options(spec, tasks, bases, wrong)
    return bases


def _bases(spec: Benchmark, wrong: Mistakes) -> dict[str, Base]:
    """Return the bases by name; one for systems alone that take any type of encoder may be of any type."""
    if not (trained := spec.trained()):
        return {}

    def base(name: str) -> Base:
        kinds = {spec.kind_of(key) for key, system in trained.items() if name in spec.bases_of(system)}
        any_type = all(SYSTEMS.traits(kind).any_type for kind in kinds & set(SYSTEMS))
        return resolve_base(name, any_type=any_type, planned=True)

    bases = wrong.each(spec.bases, base, "bases")
    names = [base.name.replace("/", "-") for base in bases.values()]
    if len(set(names)) < len(names):
        wrong.add("bases", ", ".join(names), "bases of different names", "Rename a folder.")
    return bases


def is_pretrained(spec: Benchmark, kind: Traits, base: Base | None) -> bool:
    """Return whether a system is pre-trained on a base here: without text, one whose base is made for it is not."""
    made = base is not None and base.config.get("model_type") == kind.pretraining
    return kind.pretraining is not None and (bool(spec.text) or not made)


def _check_trained(spec: Benchmark, key: str, bases: dict[str, Base], wrong: Mistakes) -> None:
    """Check that a system is registered, and can be trained as the spec says."""
    system, name, place = spec.systems[key], spec.kind_of(key), f"systems.{key}"
    if name not in SYSTEMS:
        wrong.add(f"{place}.system" if system.system else place, f"unknown system {name!r}",
                  f"one of {', '.join(SYSTEMS)}",
                  f"Correct the name, or say what it is: `system: bert`.{nearest(name, SYSTEMS)}")  # fmt: skip
        return
    kind = SYSTEMS.traits(name)
    if not spec.text and any(is_pretrained(spec, kind, bases.get(name)) for name in spec.bases_of(system)):
        wrong.add("text", f"no files, and {key} is pre-trained", "plain text to pre-train on", "Add the key `text`.")
    if not kind.pretraining and (system.starts_from or system.pretrain.model_dump(exclude_none=True)):
        pretrained = ", ".join(name for name in SYSTEMS if SYSTEMS.traits(name).pretraining)
        wrong.add(place, f"pre-training for {name}, which starts from the base as it is",
                  f"pretrain and starts_from for {pretrained} alone", "Leave them out.")  # fmt: skip
    if system.recogniser is False and kind.defence == "wordrec":
        wrong.add(f"{place}.recogniser", f"false, for {name}", "the recogniser that it is made of",
                  "Leave it out, or use the system bert.")  # fmt: skip
    if system.augment and system.augment.suite is None and kind.augmentation is None:
        wrong.add(f"{place}.augment", "no suite, and a system that has none of its own",
                  "the suite that copies are attacked with",
                  "Add `suite`, or use the system bert_aug.")  # fmt: skip


def _check_options(spec: Benchmark, tasks: dict[str, Task], bases: dict[str, Base], wrong: Mistakes) -> None:
    """Make the checks of `finetune`, `pretrain` and `train-defence` on their options, for each base and task."""
    recognisers: dict[str, BaseModel] = {"recogniser": spec.recogniser} if spec.recogniser else {}
    recognisers |= {f"defences.{key}": part for key, part in spec.defences.items() if part.kind == "wordrec"}
    for place, part in recognisers.items():
        options = part.model_dump(include={*RecogniserOptions.model_fields})
        check = partial(resolve_recogniser, RecogniserKeywords(**options))  # type: ignore[typeddict-item]
        wrong.of_options({place: part}, check)
    for key, system in spec.trained().items():
        for base in (bases[name] for name in spec.bases_of(system) if name in bases):
            if spec.kind_of(key) in SYSTEMS:
                _check_system_options(spec, tasks, key, base, wrong)


def _check_system_options(spec: Benchmark, tasks: dict[str, Task], key: str, base: Base, wrong: Mistakes) -> None:
    system, place = spec.systems[key], f"systems.{key}"
    kind = SYSTEMS.traits(spec.kind_of(key))
    if kind.pretraining and is_pretrained(spec, kind, base):
        parts = {f"{place}.pretrain": system.pretrain, "pretrain": spec.pretrain}
        wrong.of_options(parts, partial(_pretraining, kind.pretraining, spec.pretrain_options(system), base))
    for name in spec.tasks_of(system):
        if name in tasks and spec.tasks[name].train_systems:
            parts = {
                f"{place}.finetune": system.finetune,
                f"tasks.{name}.finetune": spec.tasks[name].finetune,
                "finetune": spec.finetune,
            }
            wrong.of_options(parts, partial(_finetuning, spec.finetune_options(name, system), tasks[name], kind, base))
            if (augment := system.augment) and (augment.suite or kind.augmentation):
                epochs = _epochs(spec, name, system)
                check = partial(resolve_augmentation, augment, kind, tasks[name], epochs)
                wrong.of_options({f"{place}.augment": augment}, check)


def _finetuning(asked: dict[str, Any], task: Task, kind: Traits, base: Base) -> None:
    (options,) = options_of(asked, FinetuneOptions)
    check_finetuning(options, task, kind, base)


def check_finetuning(options: FinetuneOptions, task: Task, kind: Traits, base: Base) -> None:
    """Raise InputError for options that do not fit a base, as far as that is known without a model library."""
    if (limits := _limits(kind, base, options.layers)) is not None:
        resolve_settings(options, seed=0, family=task.family, positions=limits.longest, scale=limits.scale)


def _limits(kind: Traits, base: Base, layers: int | None) -> Limits | None:
    """Return how much a base reads, None where no library is installed that knows. Raises InputError for its layers."""
    if kind.name in SYSTEMS.declared and not kind.any_type:
        return _plain_limits(base, layers)
    if not installed("torch") or not installed("transformers"):
        return None
    from robustbench_char.models.checkpoints import load_config

    limits: Limits = SYSTEMS.get(kind.name).limits(base.folder)
    load_config(base.folder, layers=layers)
    return limits


def _plain_limits(base: Base, layers: int | None) -> Limits:
    check_layers(layers, base.config.get("num_hidden_layers", 12))
    return Limits(positions_in(base.config))


def _pretraining(system: str, asked: dict[str, Any], base: Base) -> None:
    asked.pop("processes", None)
    (options,) = options_of(asked, PretrainOptions)
    check_pretraining(system, options, base)


def check_pretraining(system: str, options: PretrainOptions, base: Base) -> None:
    """Raise InputError for options that do not fit a base."""
    positions = _plain_limits(base, options.layers).longest
    resolve_pretraining(system, options, seed=0, positions=positions, lower=True)


def _check_seeds(spec: Benchmark, wrong: Mistakes) -> None:
    """Check that no test set is attacked with a seed of training copies."""
    for key, task in spec.tasks.items():
        usual, copies = f"tasks.{key}.attack_seeds" if task.attack_seeds else "attack_seeds", _copy_seeds(spec, key)
        for suite, seeds in spec.attack_seeds_of(key).items():
            if both := copies & set(seeds):
                place = f"suite_seeds.{suite}" if suite in spec.suite_seeds else usual
                wrong.add(place, f"{min(both)}, which training copies are attacked with",
                          "other seeds than augment.seed", "Choose another attack seed.")  # fmt: skip


def _copy_seeds(spec: Benchmark, task: str) -> set[int]:
    """Return the seeds of the copies that the systems of a task are trained on."""
    seeds: set[int] = set()
    for key, system in spec.trained().items():
        kind = SYSTEMS.traits(name) if (name := spec.kind_of(key)) in SYSTEMS else None
        if kind and task in spec.tasks_of(system) and (system.augment or kind.augmentation):
            seeds |= set(copy_seeds(system.augment or AugmentOptions(), kind, _epochs(spec, task, system)))
    return seeds


def _epochs(spec: Benchmark, task: str, system: SystemSpec) -> float:
    return float(spec.finetune_options(task, system).get("epochs", FinetuneOptions().epochs))

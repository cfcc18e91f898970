"""Options of a spec that no training could use, by the checks that `finetune`, `pretrain`, `train-recogniser` make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from typing import Any

from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.common.yaml_model import Mistake
from robustbench_char.defences.wordrec import RecogniserSettings
from robustbench_char.experiments.spec import (
    COMMAND_OPTIONS,
    Benchmark,
    SystemSpec,
    finetune_options,
    pretrain_options,
    training_options,
)
from robustbench_char.models.checkpoints import Base, load_config, positions_of
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Task
from robustbench_char.training.augmentation import augmentation_asked
from robustbench_char.training.pretraining.settings import resolve_pretraining
from robustbench_char.training.settings import resolve_settings

__all__ = ["wrong_options"]


def wrong_options(spec: Benchmark, tasks: Mapping[str, Task], bases: Mapping[str, Base]) -> Iterator[Mistake]:
    """Yield what is wrong with numbers and suites of training, by the key of the spec that they stand under."""
    if spec.recogniser:
        yield from _tried({"recogniser": set()}, partial(_recogniser, spec))
    for name, one in spec.systems.items():
        system = one.system or name
        if system not in SYSTEMS or one.predictor or one.saved:
            continue
        for base in (bases[key] for key in one.bases or spec.bases if key in bases):
            yield from _of_system(spec, name, one, SYSTEMS.get(system), base, tasks)


def _of_system(
    spec: Benchmark, name: str, one: SystemSpec, kind: type[System], base: Base, tasks: Mapping[str, Task]
) -> Iterator[Mistake]:
    if kind.pretraining:
        options = training_options(pretrain_options(spec, one))
        options.pop("processes", None)
        stands = {f"systems.{name}.pretrain": one.pretrain.model_fields_set, "pretrain": spec.pretrain.model_fields_set}
        yield from _tried(stands, partial(_pretraining, str(kind.pretraining), options, base))
    for key, task in tasks.items():
        if key in (one.tasks or spec.tasks) and spec.tasks[key].train_systems:
            stands = {
                f"systems.{name}.finetune": one.finetune.model_fields_set,
                f"tasks.{key}.finetune": spec.tasks[key].finetune.model_fields_set,
                "finetune": spec.finetune.model_fields_set,
            }
            yield from _tried(stands, partial(_finetuning, spec, one, key, task, kind, base))
            yield from _tried({f"systems.{name}.augment": set()}, partial(_augmenting, one, kind, task))


def _tried(stands: Mapping[str, Set[str]], check: Callable[[], object]) -> Iterator[Mistake]:
    """Yield the mistake that a check finds, by the nearest part of the spec that states the option.

    `stands` maps each part where the option may stand, the nearest first, to the options that it states.
    """
    try:
        check()
    except InputError as error:
        option = error.place.removeprefix("--").replace("-", "_") if error.place.startswith("--") else ""
        key = _KEYS.get(option, option)
        parts = [part for part, stated in stands.items() if key in stated]
        parts += [part for part, stated in stands.items() if stated]
        place = [*parts, *list(stands)[-1:]][0]
        yield Mistake(f"{place}.{key}" if key else place, error.found, error.expected, error.fix)


_KEYS = {option: key for key, option in COMMAND_OPTIONS.items()} | {
    "augment": "suite",
    **{f"augment_{key}": key for key in ("share", "seed", "without")},
}


def _finetuning(spec: Benchmark, one: SystemSpec, key: str, task: Task, kind: type[System], base: Base) -> None:
    limits, options = kind.limits(base.folder), training_options(finetune_options(spec, key, one))
    settings = resolve_settings(options, family=task.family, positions=limits.longest, scale=limits.scale)
    load_config(base.folder, layers=settings.layers)


def _pretraining(system: str, options: Any, base: Base) -> None:
    config = load_config(base.folder, layers=options.get("layers"))
    resolve_pretraining(system, options, positions=positions_of(config), lower=True)


def _augmenting(one: SystemSpec, kind: type[System], task: Task) -> None:
    asked = one.augment
    if asked and (asked.suite or kind.augmentation):  # else `checks` says what is missing
        augmentation_asked(kind.name, asked.suite, task, share=asked.share, seed=asked.seed, without=asked.without)


def _recogniser(spec: Benchmark) -> None:
    if spec.recogniser:
        settings = RecogniserSettings(**spec.recogniser.model_dump(exclude_none=True, exclude={"text"}))
        load_suites(settings.suite, task="text")

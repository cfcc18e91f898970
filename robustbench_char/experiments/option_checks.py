"""Options of a spec that no training could use, by the checks that `finetune`, `pretrain`, `train-recogniser` make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from typing import Any

from robustbench_char.common.errors import InputError
from robustbench_char.common.options import Option, fields_of, options_of, spelled
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.common.yaml_model import Mistake
from robustbench_char.defences.wordrec.options import RecogniserKeywords
from robustbench_char.defences.wordrec.train import resolve_recogniser
from robustbench_char.experiments.spec import Benchmark, SystemSpec, finetune_options, pretrain_options
from robustbench_char.models.checkpoints import Base, load_config, positions_of
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Task
from robustbench_char.training.augmentation import resolve_augmentation
from robustbench_char.training.options import AugmentOptions, FinetuneOptions, resolve_settings
from robustbench_char.training.pretraining.options import PretrainOptions, resolve_pretraining

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
        options = pretrain_options(spec, one)
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
        key = _KEYS.get(error.place.keyword, error.place.keyword) if isinstance(error.place, Option) else ""
        parts = [part for part, stated in stands.items() if key in stated]
        parts += [part for part, stated in stands.items() if stated]
        place = [*parts, *list(stands)[-1:]][0]
        error = spelled(error, lambda keyword: _KEYS.get(keyword, keyword))
        yield Mistake(f"{place}.{key}" if key else place, error.found, error.expected, error.fix)


_KEYS = {field.keyword: field.name for field in fields_of(AugmentOptions)}


def _finetuning(spec: Benchmark, one: SystemSpec, key: str, task: Task, kind: type[System], base: Base) -> None:
    limits = kind.limits(base.folder)
    (options,) = options_of(finetune_options(spec, key, one), FinetuneOptions)
    resolve_settings(options, seed=0, family=task.family, positions=limits.longest, scale=limits.scale)
    load_config(base.folder, layers=options.layers)


def _pretraining(system: str, asked: Mapping[str, Any], base: Base) -> None:
    (options,) = options_of(asked, PretrainOptions)
    config = load_config(base.folder, layers=options.layers)
    resolve_pretraining(system, options, seed=0, positions=positions_of(config), lower=True)


def _augmenting(one: SystemSpec, kind: type[System], task: Task) -> None:
    if one.augment and (one.augment.suite or kind.augmentation):  # else `resolve` says what is missing
        resolve_augmentation(one.augment, kind, task)


def _recogniser(spec: Benchmark) -> None:
    if spec.recogniser:
        resolve_recogniser(RecogniserKeywords(**spec.recogniser.model_dump(exclude={"text"})))  # type: ignore[typeddict-item]

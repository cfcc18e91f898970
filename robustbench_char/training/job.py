"""A run of fine-tuning, resolved from what was asked, checked and named by a hash before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from robustbench_char._version import __version__
from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common.errors import InputError
from robustbench_char.common.files import safe_name
from robustbench_char.common.options import Option
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.defences.wordrec import Recogniser, RecogniserSettings, recogniser_info, train_recogniser
from robustbench_char.defences.wordrec.files import CONFIG
from robustbench_char.models.charbert import CharBertConfig
from robustbench_char.models.checkpoints import Base, load_config, resolve_base
from robustbench_char.models.folders import reading_sha256
from robustbench_char.models.system import System
from robustbench_char.records.evaluation import PretrainingInfo, RecogniserInfo
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.labels import gold_of, place_of
from robustbench_char.training.augmentation import Augmentation, resolve_augmentation
from robustbench_char.training.checkpoints import machine, run_key
from robustbench_char.training.families import label_names
from robustbench_char.training.options import AugmentOptions, FinetuneOptions, Settings, resolve_settings
from robustbench_char.training.pretraining.files import pretraining_info

__all__ = ["Job", "Request", "resolve", "trained_recogniser"]

RECOGNISERS_FOLDER = "recognisers"
"""Where a store keeps recognisers that were trained for a system, each under the hash of what decides it."""


@dataclass(frozen=True)
class Request:
    """What was asked: see `finetune.finetune`. `sha256` is that of the training data, None for that of the file."""

    task: Task
    train: NativeFile | Sequence[Example]
    sha256: str | None
    system: str
    base: str
    label: str | None
    recogniser: Path | None
    seed: int
    options: FinetuneOptions
    augment: AugmentOptions

    @property
    def place(self) -> object:
        """How messages call the training data."""
        return Option("train") if isinstance(self.train, Sequence) else self.train.path

    @property
    def source(self) -> str:
        """How records call the training data: never a path."""
        return "examples" if isinstance(self.train, Sequence) else safe_name(str(self.train.path))


@dataclass(frozen=True)
class Job:
    """One run as resolved, before anything is trained."""

    request: Request
    system: type[System]
    base: Base
    settings: Settings
    labels: tuple[str, ...]
    examples: list[Example]
    sha256: str
    pretraining: PretrainingInfo | None
    augmentation: Augmentation | None
    recogniser: Recogniser | None
    recogniser_info: RecogniserInfo | None

    @property
    def task(self) -> Task:
        """The task that is trained."""
        return self.request.task

    @cached_property
    def training(self) -> str:
        """The hash of all that decides the weights: systems that differ in what stands before them share it."""
        return run_key(self._weights)

    @cached_property
    def run(self) -> str:
        """The hash of all that decides the result."""
        front = self.recogniser_info and self.recogniser_info.model_dump(mode="json")
        around = {"system": self.request.system, "label": self.request.label, "recogniser": front}
        return run_key({**self._weights, "around": around})

    @cached_property
    def _weights(self) -> dict[str, Any]:
        return {
            "task": self.task.model_dump(mode="json"),
            "system": self.system.recipe,
            "labels": self.labels,
            "base": [self.base.name, self.base.weights_sha256, reading_sha256(self.base.folder)],
            "settings": self.settings.model_dump(mode="json"),
            "train": [self.sha256, len(self.examples)],
            "augment": self.augmentation and self.augmentation.info().model_dump(mode="json"),
            **machine(),
        }


def resolve(asked: Request, store: Path, *, progress: bool) -> Job:
    """Resolve what was asked. A recogniser that a system needs and was not given is trained into `store` here.

    Raises InputError for what cannot be run.
    """
    system: type[System] = SYSTEMS.get(asked.system, place=Option("system"))
    base = resolve_base(asked.base, any_type=system.any_type)
    pretraining = _pretraining(system, base)
    limits, family = system.limits(base.folder), asked.task.family
    settings = resolve_settings(
        asked.options, seed=asked.seed, family=family, positions=limits.longest, scale=limits.scale
    )
    load_config(base.folder, layers=settings.layers)  # says at once when there are fewer layers
    examples = _labelled(asked, settings)
    labels = label_names(asked.task, examples)
    _refuse_unknown(examples, labels, asked.place)
    sha256 = _sha256(asked)
    augmentation = resolve_augmentation(asked.augment, system, asked.task)
    front = _recogniser(asked, system, sha256, store, progress)
    info = recogniser_info(front) if front else None
    return Job(asked, system, base, settings, labels, examples, sha256, pretraining, augmentation, front, info)


def _sha256(asked: Request) -> str:
    if asked.sha256 is not None:
        return asked.sha256
    if isinstance(asked.train, Sequence):
        raise ValueError("examples in memory need train_sha256")
    return source_sha256(asked.train.path)


def _pretraining(system: type[System], base: Base) -> PretrainingInfo | None:
    """Return how a base was pre-trained. Raises InputError when that was not for this system."""
    info, wanted = pretraining_info(base.folder), system.pretraining
    converted = info is None and load_config(base.folder).model_type == CharBertConfig.model_type
    trained_for = CharBertConfig.model_type if converted else info and info.system
    if trained_for == wanted:
        return info
    raise InputError(
        Option("base"),
        found=f"{base.name}, a base that "
        + (f"was pre-trained for {trained_for}" if trained_for else "`pretrain` did not write"),
        expected=f"a base that `pretrain {wanted}` wrote" if wanted else "a plain base checkpoint",
        fix=f"Choose the system {trained_for}, or another base."
        if trained_for
        else f"Pre-train it first: `robustbench-char pretrain {wanted} --base {base.name} --text FILE ...`.",
    )


def _labelled(asked: Request, settings: Settings) -> list[Example]:
    """Return the training examples. Raises InputError for the first one without a label, and when there are none."""
    given = iter(asked.train) if isinstance(asked.train, Sequence) else asked.train.examples()
    examples = list(islice(given, settings.limit))
    for example in examples:
        if gold_of(asked.task, example) is None:
            raise InputError(
                f"{asked.place}: {place_of(example)}",
                found="an example without label",
                expected="labelled examples to train on",
                fix="Train on the train file; test files are often released without labels.",
            )
    if not examples:
        raise InputError(
            asked.place, found="no examples", expected="at least one example", fix="Check the file given to `train=`."
        )
    return examples


def _refuse_unknown(examples: Sequence[Example], labels: tuple[str, ...], where: object) -> None:
    """Raise InputError for the first label that is none of the task's."""
    known = set(labels)
    for example in examples if labels else ():
        for label in (example.label,) if isinstance(example.label, str) else example.label or ():
            if label not in known:
                raise InputError(
                    f"{where}: {place_of(example)}",
                    found=f"the label {label!r}",
                    expected=f"one of {', '.join(labels)}",
                    fix="Correct the label, or the task.",
                )


def _recogniser(asked: Request, system: type[System], sha256: str, store: Path, progress: bool) -> Recogniser | None:
    """Return the recogniser to put in front: the one given, or for a system that needs one, one trained here."""
    if asked.recogniser is not None:
        return Recogniser.load(asked.recogniser)
    if not system.needs_recogniser:
        return None
    if isinstance(asked.train, Sequence):
        raise InputError(
            Option("recogniser"),
            found=f"none, for the system {system.name} and examples in memory",
            expected="a recogniser",
            fix="Train one with `train-recogniser` and name its folder.",
        )
    return trained_recogniser(store, asked.task, asked.train, sha256, asked.options.limit, progress=progress)


def trained_recogniser(
    store: Path, task: Task, train: NativeFile, sha256: str, limit: int | None, *, progress: bool
) -> Recogniser:
    """Return the recogniser for the words of a training file, from the store or trained now with default settings."""
    settings = RecogniserSettings()
    decides = {
        "task": task.model_dump(mode="json"),
        "train": [sha256, limit],
        "settings": settings.model_dump(),
        "suite": load_suites(settings.suite, task=task.name)[0].sha256,
        "version": __version__,
    }
    folder = store / RECOGNISERS_FOLDER / run_key(decides)
    if not (folder / CONFIG).is_file():
        options = settings.model_dump()
        train_recogniser(output=folder, task=task, input=train, examples=limit, progress=progress, **options)
    return Recogniser.load(folder)

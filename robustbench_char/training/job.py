"""A run of fine-tuning, resolved from what was asked, checked and named by a hash before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import torch

import robustbench_char
from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.defences.wordrec import Recogniser, recogniser_info
from robustbench_char.models.charbert import CharBertConfig
from robustbench_char.models.checkpoints import Base, load_config, resolve_base
from robustbench_char.models.folders import reading_sha256
from robustbench_char.models.system import System
from robustbench_char.records.evaluation import PretrainingInfo, RecogniserInfo
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.labels import gold_of, place_of
from robustbench_char.training.augmentation import Augmentation, resolve_augmentation
from robustbench_char.training.checkpoints import run_key
from robustbench_char.training.families import label_names
from robustbench_char.training.fronts import trained_recogniser
from robustbench_char.training.pretraining.files import pretraining_info
from robustbench_char.training.settings import Options, Settings, resolve_settings

__all__ = ["Job", "Request", "resolve"]


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
    augmentation: Augmentation | None
    options: Options

    @property
    def place(self) -> object:
        """How messages call the training data."""
        return "--train" if isinstance(self.train, Sequence) else self.train.path

    @property
    def source(self) -> str:
        """How records call the training data: never a path."""
        return "examples" if isinstance(self.train, Sequence) else safe_name(str(self.train.path))


@dataclass(frozen=True)
class Job:
    """One run as resolved, before anything is trained.

    `run` is the hash of all that decides its result, `training` that of all that decides the weights: systems that
    differ in what stands in front of the encoder share them.
    """

    task: Task
    system: type[System]
    base: Base
    settings: Settings
    labels: tuple[str, ...]
    examples: list[Example]
    source: str
    sha256: str
    label: str | None
    pretraining: PretrainingInfo | None
    recogniser: Recogniser | None
    recogniser_info: RecogniserInfo | None
    augmentation: Augmentation | None
    training: str
    run: str


def resolve(asked: Request, store: Path, *, progress: bool) -> Job:
    """Resolve what was asked. A recogniser that a system needs and was not given is trained into `store` here.

    Raises InputError for what cannot be run.
    """
    kind: type[System] = SYSTEMS.get(asked.system, place="--system")
    base = resolve_base(asked.base, any_type=kind.any_type)
    pretraining = _pretraining(kind, base)
    limits = kind.limits(base.folder)
    settings = resolve_settings(asked.options, family=asked.task.family, positions=limits.longest, scale=limits.scale)
    load_config(base.folder, layers=settings.layers)  # says at once when there are fewer layers
    examples = _labelled(asked, settings)
    labels = label_names(asked.task, examples)
    _refuse_unknown(examples, labels, asked.place)
    sha256 = _sha256(asked)
    augmentation = asked.augmentation
    if augmentation is None and kind.augmentation:
        augmentation = resolve_augmentation(kind.augmentation, asked.task)
    front = _recogniser(asked, kind, sha256, settings.limit, store, progress)
    info = recogniser_info(front) if front else None
    weights = {
        "task": asked.task.model_dump(mode="json"),
        "system": kind.recipe,
        "labels": labels,
        "base": [base.name, base.weights_sha256, reading_sha256(base.folder)],
        "settings": settings.model_dump(mode="json"),
        "train": [sha256, len(examples)],
        "augment": augmentation and augmentation.info().model_dump(mode="json"),
        "device": "gpu" if torch.accelerator.is_available() else "cpu",
        "versions": [robustbench_char.__version__, *map(version, ("torch", "transformers", "tokenizers"))],
    }
    around = {"system": asked.system, "label": asked.label, "recogniser": info and info.model_dump(mode="json")}
    return Job(
        task=asked.task,
        system=kind,
        base=base,
        settings=settings,
        labels=labels,
        examples=examples,
        source=asked.source,
        sha256=sha256,
        label=asked.label,
        pretraining=pretraining,
        recogniser=front,
        recogniser_info=info,
        augmentation=augmentation,
        training=run_key(weights),
        run=run_key({**weights, "around": around}),
    )


def _sha256(asked: Request) -> str:
    if asked.sha256 is not None:
        return asked.sha256
    if isinstance(asked.train, Sequence):
        raise ValueError("examples in memory need train_sha256")
    return source_sha256(asked.train.path)


def _pretraining(kind: type[System], base: Base) -> PretrainingInfo | None:
    """Return how a base was pre-trained. Raises InputError when that was not for this system."""
    info = pretraining_info(base.folder)
    converted = info is None and load_config(base.folder).model_type == CharBertConfig.model_type
    found = CharBertConfig.model_type if converted else info and info.system
    if found == kind.pretraining:
        return info
    made = f"a base that was pre-trained for {found}" if found else "a base that `pretrain` did not write"
    raise InputError(
        f"--base {base.name}",
        found=made,
        expected=f"a base that `pretrain {kind.pretraining}` wrote" if kind.pretraining else "a plain base checkpoint",
        fix=f"Choose --system {found}, or another --base."
        if found
        else f"Pre-train it first: `robustbench-char pretrain {kind.pretraining} --base {base.name} --text FILE ...`.",
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
            asked.place, found="no examples", expected="at least one example", fix="Check the file given to --train."
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


def _recogniser(
    asked: Request, kind: type[System], sha256: str, limit: int | None, store: Path, progress: bool
) -> Recogniser | None:
    """Return the recogniser to put in front: the one given, or for a system that needs one, one trained here."""
    if asked.recogniser is not None:
        return Recogniser.load(asked.recogniser)
    if not kind.needs_recogniser:
        return None
    if isinstance(asked.train, Sequence):
        raise InputError(
            "--recogniser",
            found=f"none, for the system {kind.name} and examples in memory",
            expected="a recogniser",
            fix="Train one with `train-recogniser` and name its folder.",
        )
    return trained_recogniser(store, asked.task, asked.train, sha256, limit, progress=progress)

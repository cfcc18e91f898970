"""Fine-tuning one system on one task: from a native file to a folder that `load_system` reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Unpack

import torch
from transformers import PreTrainedModel, TrainerCallback

import robustbench_char
from robustbench_char.common import InputError
from robustbench_char.common.files import check_output, output_folder, safe_name
from robustbench_char.common.provenance import provenance
from robustbench_char.evaluation.records import PretrainingInfo, RecogniserInfo
from robustbench_char.models.base_models import Base, load_config, positions_of, resolve_base
from robustbench_char.models.bert import BertSystem
from robustbench_char.models.charbert import CharBertConfig
from robustbench_char.models.folders import reading_sha256
from robustbench_char.models.systems import SYSTEMS
from robustbench_char.models.wordrec import Recogniser
from robustbench_char.tasks.attack_files import source_sha256
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.training.augmentation import Augmentation, resolve_augmentation
from robustbench_char.training.batches import Collator
from robustbench_char.training.fronts import recogniser_info, trained_recogniser
from robustbench_char.training.loop import Loop
from robustbench_char.training.pretraining.files import pretraining_info
from robustbench_char.training.recipes import label_names, make_recipe, place_of, training_features
from robustbench_char.training.settings import Options, Settings, resolve_settings
from robustbench_char.training.store import default_store, run_folder, run_key
from robustbench_char.training.system_files import (
    SYSTEMS_FOLDER,
    VOLATILE,
    BaseInfo,
    SystemFile,
    TrainInfo,
    finished_run,
    read_log,
    read_system,
    save_system,
    trained_before,
    write_system,
)
from robustbench_char.training.tagging import IGNORED

__all__ = ["finetune"]


def finetune(
    task: Task,
    *,
    train: NativeFile | Sequence[Example],
    output: Path | None = None,
    train_sha256: str | None = None,
    system: str = "bert",
    base: str = "minilm",
    label: str | None = None,
    recogniser: Path | None = None,
    augmentation: Augmentation | None = None,
    overwrite: bool = False,
    store: Path | None = None,
    save_seconds: float = 120.0,
    progress: bool = True,
    callbacks: Sequence[TrainerCallback] = (),
    **options: Unpack[Options],
) -> Path:
    """Fine-tune a system and write it to `output`, whole or not at all; after a stop, the same call goes on.

    `options` are the settings that `settings.Options` lists. `train_sha256` is that of the file unless given; examples
    in memory need it. `recogniser` is put in front of the system (`bert_wordrec` trains one on the examples where none
    is given), `augmentation` adds attacked copies of the examples (`bert_aug` has one by default), `label` is how
    reports call the system. Without `output` the result goes to the store, named by its hash. A finished result of the
    same call is kept as it is. Unfinished training is kept in `store` (default: the user's data folder), at most every
    `save_seconds`. Raises InputError for settings out of range, an unusable base, a base that was pre-trained for
    another system, examples without label, and an `output` with other content.
    """
    store = store or default_store()
    job = _prepare(task, system, base, options, train, train_sha256, label, recogniser, augmentation, store, progress)
    output = output or store / SYSTEMS_FOLDER / job.run
    if finished_run(output, job.run):
        return output
    check_output(output, overwrite=overwrite)
    with run_folder(store, job.run) as folder:
        trained = _train(job, Loop(folder, save_seconds, progress, tuple(callbacks)), store)
        with output_folder(output, overwrite=overwrite, volatile=VOLATILE) as scratch:
            _write(scratch, job, trained)
    return output


@dataclass(frozen=True)
class _Job:
    """One run as resolved, before anything is trained.

    `run` is the hash of all that decides its result, `training` that of all that decides the weights: systems that
    differ in what stands in front of the encoder share them.
    """

    task: Task
    system: type[BertSystem]
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


@dataclass(frozen=True)
class _Trained:
    model: PreTrainedModel
    kind: BertSystem
    log: list[dict[str, float | None]]
    info: TrainInfo


def _prepare(
    task: Task,
    system: str,
    base: str,
    options: Options,
    train: NativeFile | Sequence[Example],
    sha256: str | None,
    label: str | None,
    recogniser: Path | None,
    augmentation: Augmentation | None,
    store: Path,
    progress: bool,
) -> _Job:
    kind = SYSTEMS.get(system, place="--system")
    start = resolve_base(base)
    pretraining = pretraining_of(kind, start)
    settings = resolve_settings(options, family=task.family, positions=positions_of(load_config(start.folder)))
    load_config(start.folder, layers=settings.layers)  # says at once when there are fewer layers
    examples = _labelled(task, train, settings)
    labels = label_names(task, examples)
    _refuse_unknown(examples, labels, _place(train))
    if sha256 is None:
        if isinstance(train, Sequence):
            raise ValueError("examples in memory need train_sha256")
        sha256 = source_sha256(train.path)
    if augmentation is None and kind.augmentation:
        augmentation = resolve_augmentation(kind.augmentation, task)
    front = _recogniser(kind, recogniser, task, train, sha256, settings.limit, store, progress)
    front_info = recogniser_info(front) if front else None
    weights = {
        "task": task.model_dump(mode="json"),
        "labels": labels,
        "base": [start.name, start.weights_sha256, reading_sha256(start.folder)],
        "settings": settings.model_dump(mode="json"),
        "train": [sha256, len(examples)],
        "augment": augmentation and augmentation.info().model_dump(mode="json"),
        "device": "gpu" if torch.accelerator.is_available() else "cpu",
        "versions": [robustbench_char.__version__, *map(version, ("torch", "transformers", "tokenizers"))],
    }
    around = {"system": system, "label": label, "recogniser": front_info and front_info.model_dump(mode="json")}
    return _Job(
        task,
        kind,
        start,
        settings,
        labels,
        examples,
        _source(train),
        sha256,
        label,
        pretraining,
        front,
        front_info,
        augmentation,
        run_key(weights),
        run_key({**weights, **around}),
    )


def pretraining_of(kind: type[BertSystem], base: Base) -> PretrainingInfo | None:
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


def _labelled(task: Task, train: NativeFile | Sequence[Example], settings: Settings) -> list[Example]:
    """Return the training examples. Raises InputError for the first one without a label, and when there are none."""
    examples = list(islice(iter(train) if isinstance(train, Sequence) else train.examples(), settings.limit))
    recipe = make_recipe(task, (), settings)
    where = _place(train)
    for example in examples:
        if recipe.gold(example) is None:
            raise InputError(
                f"{where}: {place_of(example)}",
                found="an example without label",
                expected="labelled examples to train on",
                fix="Train on the train file; test files are often released without labels.",
            )
    if not examples:
        raise InputError(
            where, found="no examples", expected="at least one example", fix="Check the file given to --train."
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


def _place(train: NativeFile | Sequence[Example]) -> object:
    return "--train" if isinstance(train, Sequence) else train.path


def _source(train: NativeFile | Sequence[Example]) -> str:
    return "examples" if isinstance(train, Sequence) else safe_name(str(train.path))


def _recogniser(
    kind: type[BertSystem],
    given: Path | None,
    task: Task,
    train: NativeFile | Sequence[Example],
    sha256: str,
    limit: int | None,
    store: Path,
    progress: bool,
) -> Recogniser | None:
    """Return the recogniser to put in front: the one given, or for a system that needs one, one trained here."""
    if given is not None:
        return Recogniser.load(given)
    if not kind.needs_recogniser:
        return None
    if isinstance(train, Sequence):
        raise InputError(
            "--recogniser",
            found=f"none, for the system {kind.name} and examples in memory",
            expected="a recogniser",
            fix="Train one with `train-recogniser` and name its folder.",
        )
    return trained_recogniser(store, task, train, sha256, limit, progress=progress)


def _train(job: _Job, loop: Loop, store: Path) -> _Trained:
    """Train on the text as given (a recogniser stands in front when it predicts), or find the trained weights."""
    kind = job.system.open(job.base.folder, words=job.task.family == "tagging")
    done = trained_before(store, job.training)
    if done:
        kind.recogniser = job.recogniser
        return _Trained(kind.load(done, job.task.family), kind, read_log(done), read_system(done).train)
    recipe = make_recipe(job.task, job.labels, job.settings)
    copies = job.augmentation.copies(job.task, job.examples) if job.augmentation else []
    features, truncated = training_features(recipe, kind, [*job.examples, *copies])
    model = kind.build(job.base, job.task.family, job.labels, layers=job.settings.layers, seed=job.settings.seed)
    collator = Collator({**kind.padding(), "labels": IGNORED})
    log = loop.train(model, features, collator, job.settings)
    kind.recogniser = job.recogniser
    info = TrainInfo(
        source=job.source,
        sha256=job.sha256,
        examples=len(job.examples),
        windows=len(features),
        truncated_examples=truncated,
        attacked_copies=len(copies),
    )
    return _Trained(model, kind, log, info)


def _write(folder: Path, job: _Job, trained: _Trained) -> None:
    weights = save_system(folder, trained.model, trained.kind)
    system = SystemFile(
        system=job.system.name,
        task=job.task,
        labels=job.labels,
        base=BaseInfo(name=job.base.name, revision=job.base.revision, weights_sha256=job.base.weights_sha256),
        settings=job.settings,
        train=trained.info,
        parameters=sum(weight.numel() for weight in trained.model.parameters()),
        weights_sha256=weights,
        run=job.run,
        training=job.training,
        provenance=provenance(),
        label=job.label,
        extra_parameters=trained.kind.extra_parameters(trained.model),
        pretraining=job.pretraining,
        augment=job.augmentation.info() if job.augmentation else None,
        recogniser=job.recogniser_info,
    )
    write_system(folder, system, trained.log)

"""Fine-tuning one system on one task: from a native file to a folder that `load_system` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from transformers import PreTrainedModel, TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.common.files import check_output, output_folder
from robustbench_char.common.options import options_of
from robustbench_char.common.provenance import provenance
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import open_source
from robustbench_char.training.checkpoints import default_store, run_folder
from robustbench_char.training.families import IGNORED, make_recipe, training_features
from robustbench_char.training.job import Job, Request, resolve
from robustbench_char.training.loop import Collator, Loop
from robustbench_char.training.options import AugmentOptions, FinetuneKeywords, FinetuneOptions
from robustbench_char.training.saved_system import (
    SYSTEMS_FOLDER,
    VOLATILE,
    BaseInfo,
    SavedSystem,
    SystemFile,
    TrainInfo,
    finished_run,
    read_log,
    read_system,
    save_system,
    trained_before,
    write_system,
)

__all__ = ["finetune"]


def finetune(
    task: Task | str,
    *,
    train: Path | str | NativeFile | Sequence[Example] | None = None,
    data: str | None = None,
    hub: bool = False,
    split: str | None = None,
    data_dir: Path | None = None,
    train_sha256: str | None = None,
    output: Path | str | None = None,
    system: str = "bert",
    base: Path | str = "minilm",
    label: str | None = None,
    recogniser: Path | str | None = None,
    weights: Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
    store: Path | str | None = None,
    save_seconds: float = 120.0,
    progress: bool = True,
    callbacks: Sequence[TrainerCallback] = (),
    **options: Unpack[FinetuneKeywords],
) -> SavedSystem:
    """Fine-tune a system on a file of a task and write it to `output` atomically; rerun the same call to resume.

    Instead of `train`, `data` ("mini"), `hub` or `data_dir` name a source; examples in memory need `train_sha256`.
    `options` are those of `options.FinetuneOptions` and `AugmentOptions`. `recogniser` is put before the system
    (`bert_wordrec` trains one by default). `weights` is a system of the same training, whose weights are taken. Without
    `output` the result goes to `store` (default: the user's data folder), where training is saved every `save_seconds`.
    Raises InputError for wrong options, an unusable base, examples without label, an `output` with other content.
    """
    chosen, augment = options_of(options, FinetuneOptions, AugmentOptions)
    record = get_task(task) if isinstance(task, str) else task
    source = _source(record, train, {"data": data, "hub": hub, "split": split, "data_dir": data_dir})
    front, home = Path(recogniser) if recogniser else None, Path(store) if store else default_store()
    asked = Request(record, source, train_sha256, system, str(base), label, front, seed, chosen, augment)
    job = resolve(asked, home, progress=progress)
    folder = Path(output) if output else home / SYSTEMS_FOLDER / job.run
    loop = partial(Loop, save_seconds=save_seconds, progress=progress, callbacks=tuple(callbacks))
    return _finished(job, folder, overwrite, home, loop, weights)


def _source(
    task: Task, train: Path | str | NativeFile | Sequence[Example] | None, named: dict[str, Any]
) -> NativeFile | Sequence[Example]:
    """Return the training data: the train split of a named source unless it says otherwise."""
    if train is not None and not isinstance(train, Path | str):
        return train
    split = named["split"] if train is not None else named["split"] or "train"
    file = None if train is None else Path(train)
    return open_source(task, input=file, **{**named, "split": split}, option="--train")


def _finished(
    job: Job, output: Path, overwrite: bool, store: Path, loop: Callable[[Path], Loop], weights: Path | None
) -> SavedSystem:
    """Return the result of a run: as it stands where it is finished, else trained or taken over now."""
    if not finished_run(output, job.run):
        check_output(output, overwrite=overwrite)
        with run_folder(store, job.run) as folder:
            done = _trained_alike(job, weights) if weights else trained_before(store, job.training)
            trained = _train(job, loop(folder), done)
            with output_folder(output, overwrite=overwrite, volatile=VOLATILE) as scratch:
                _write(scratch, job, trained)
    return SavedSystem(output, read_system(output))


@dataclass(frozen=True)
class _Trained:
    model: PreTrainedModel
    kind: System
    log: list[dict[str, float | None]]
    info: TrainInfo


def _trained_alike(job: Job, folder: Path) -> Path:
    """Return a system's folder. Raises InputError unless its weights come from the training that this job asks for."""
    if read_system(folder).training != job.training:
        raise InputError(
            folder,
            found="a system that was trained on something else, or with other settings",
            expected="weights of the same training",
            fix="Retrain.",
        )
    return folder


def _train(job: Job, loop: Loop, done: Path | None) -> _Trained:
    """Train on the text as given (a recogniser stands in front when it predicts), or take the weights of `done`."""
    kind = job.system.open(job.base.folder, words=job.task.family == "tagging")
    if done:
        kind.recogniser = job.recogniser
        return _Trained(kind.load(done, job.task.family), kind, read_log(done), read_system(done).train)
    recipe = make_recipe(job.task, job.labels, job.settings)
    copies = job.augmentation.copies(job.task, job.examples) if job.augmentation else []
    features, truncated = training_features(recipe, kind, [*job.examples, *copies])
    model = kind.build(job.base, job.task.family, job.labels, layers=job.settings.layers, seed=job.settings.seed)
    collator = Collator({**kind.padding(), "labels": IGNORED})
    log = loop.train(model, features, collator, job.settings, kind.new_parameters(model))
    kind.recogniser = job.recogniser
    info = TrainInfo(
        source=job.request.source,
        sha256=job.sha256,
        examples=len(job.examples),
        windows=len(features),
        truncated_examples=truncated,
        attacked_copies=len(copies),
    )
    return _Trained(model, kind, log, info)


def _write(folder: Path, job: Job, trained: _Trained) -> None:
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
        label=job.request.label,
        extra_parameters=trained.kind.extra_parameters(trained.model),
        pretraining=job.pretraining,
        augment=job.augmentation.info() if job.augmentation else None,
        recogniser=job.recogniser_info,
    )
    write_system(folder, system, trained.log)

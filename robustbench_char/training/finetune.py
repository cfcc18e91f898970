"""Fine-tuning one system on one task: from a native file to a folder that `load_system` reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from transformers import PreTrainedModel, TrainerCallback

from robustbench_char.common import InputError
from robustbench_char.common.files import check_output, output_folder
from robustbench_char.common.provenance import provenance
from robustbench_char.models.system import System
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.training.augmentation import Augmentation
from robustbench_char.training.batches import Collator
from robustbench_char.training.checkpoints import default_store, run_folder
from robustbench_char.training.families import make_recipe, training_features
from robustbench_char.training.job import Job, Request, resolve
from robustbench_char.training.loop import Loop
from robustbench_char.training.saved_system import (
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
from robustbench_char.training.settings import Options
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
    weights: Path | None = None,
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
    reports call the system. `weights` is a system's folder whose training was the very same (behind another
    recogniser, say): its weights are taken instead of training them again. Without `output` the result goes to the
    store, named by its hash. A finished result of the same call is kept as it is. Unfinished training is kept in
    `store` (default: the user's data folder), at most every `save_seconds`. Raises InputError for settings out of
    range, an unusable base, a base that was pre-trained for another system, examples without label, and an `output`
    with other content.
    """
    store = store or default_store()
    asked = Request(task, train, train_sha256, system, base, label, recogniser, augmentation, options)
    job = resolve(asked, store, progress=progress)
    output = output or store / SYSTEMS_FOLDER / job.run
    if finished_run(output, job.run):
        return output
    check_output(output, overwrite=overwrite)
    with run_folder(store, job.run) as folder:
        done = _trained_alike(job, weights) if weights else trained_before(store, job.training)
        trained = _train(job, Loop(folder, save_seconds, progress, tuple(callbacks)), done)
        with output_folder(output, overwrite=overwrite, volatile=VOLATILE) as scratch:
            _write(scratch, job, trained)
    return output


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
            fix="Train anew.",
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
        source=job.source,
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
        label=job.label,
        extra_parameters=trained.kind.extra_parameters(trained.model),
        pretraining=job.pretraining,
        augment=job.augmentation.info() if job.augmentation else None,
        recogniser=job.recogniser_info,
    )
    write_system(folder, system, trained.log)

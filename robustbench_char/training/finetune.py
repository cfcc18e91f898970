"""Fine-tuning one system on one task: from a native file to a folder that `load_system` reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Unpack

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback

import robustbench_char
from robustbench_char.common import InputError
from robustbench_char.common.files import check_writable, output_folder, safe_name
from robustbench_char.common.provenance import provenance
from robustbench_char.models.base_models import Base, load_config, load_tokenizer, resolve_base
from robustbench_char.models.folders import reading_sha256
from robustbench_char.models.systems import SYSTEMS
from robustbench_char.tasks.attack_files import source_sha256
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.training.batches import Collator
from robustbench_char.training.loop import Loop
from robustbench_char.training.recipes import label_names, make_recipe, place_of, training_features
from robustbench_char.training.settings import Options, Settings, resolve_settings
from robustbench_char.training.store import default_store, run_folder, run_key
from robustbench_char.training.system_files import (
    VOLATILE,
    BaseInfo,
    SystemFile,
    TrainInfo,
    finished_run,
    save_system,
    write_system,
)
from robustbench_char.training.tagging import IGNORED

__all__ = ["finetune"]


def finetune(
    task: Task,
    *,
    train: NativeFile | Sequence[Example],
    output: Path,
    train_sha256: str | None = None,
    system: str = "bert",
    base: str = "minilm",
    overwrite: bool = False,
    store: Path | None = None,
    save_seconds: float = 120.0,
    progress: bool = True,
    callbacks: Sequence[TrainerCallback] = (),
    **options: Unpack[Options],
) -> Path:
    """Fine-tune a system and write it to `output`, whole or not at all; after a stop, the same call goes on.

    `options` are the settings that `settings.Options` lists. `train_sha256` is that of the file unless given; examples
    in memory need it. A finished result of the same call is kept as it is. Unfinished training is kept in `store`
    (default: the user's data folder), at most every `save_seconds`. Raises InputError for settings out of range, an
    unusable base, examples without label, and an `output` with other content.
    """
    job = _prepare(task, system, base, options, train, train_sha256)
    if finished_run(output, job.run):
        return output
    _refuse_other_content(output, overwrite)
    with run_folder(store or default_store(), job.run) as folder:
        trained = _train(job, Loop(folder, save_seconds, progress, tuple(callbacks)))
        with output_folder(output, overwrite=overwrite, volatile=VOLATILE) as scratch:
            _write(scratch, job, trained)
    return output


@dataclass(frozen=True)
class _Job:
    """One run as resolved, before anything is trained. `run` is the hash of all that decides its result."""

    task: Task
    system: str
    base: Base
    settings: Settings
    labels: tuple[str, ...]
    examples: list[Example]
    source: str
    sha256: str
    run: str


@dataclass(frozen=True)
class _Trained:
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    log: list[dict[str, float | None]]
    windows: int
    truncated: int


def _prepare(
    task: Task, system: str, base: str, options: Options, train: NativeFile | Sequence[Example], sha256: str | None
) -> _Job:
    SYSTEMS.get(system, place="--system")
    start = resolve_base(base)
    settings = resolve_settings(options, family=task.family, positions=_positions(start))
    load_config(start.folder, layers=settings.layers)  # says at once when there are fewer layers
    examples = _labelled(task, train, settings)
    labels = label_names(task, examples)
    _refuse_unknown(examples, labels, _place(train))
    if sha256 is None:
        if isinstance(train, Sequence):
            raise ValueError("examples in memory need train_sha256")
        sha256 = source_sha256(train.path)
    decides = {
        "system": system,
        "task": task.model_dump(mode="json"),
        "labels": labels,
        "base": [start.name, start.weights_sha256, reading_sha256(start.folder)],
        "settings": settings.model_dump(mode="json"),
        "train": [sha256, len(examples)],
        "device": "gpu" if torch.accelerator.is_available() else "cpu",
        "versions": [robustbench_char.__version__, *map(version, ("torch", "transformers", "tokenizers"))],
    }
    return _Job(task, system, start, settings, labels, examples, _source(train), sha256, run_key(decides))


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


def _positions(base: Base) -> int:
    """Return the longest input: RoBERTa counts positions from after its padding index."""
    config = load_config(base.folder)
    return int(config.max_position_embeddings - (config.pad_token_id + 1 if config.model_type == "roberta" else 0))


def _refuse_other_content(output: Path, overwrite: bool) -> None:
    """Say before training, not after it, that the folder is taken or cannot be written."""
    check_writable(output)
    taken = output.exists() and not (output.is_dir() and not any(output.iterdir()))
    if taken and not overwrite:
        raise InputError(
            output,
            found="an output folder with other content",
            expected="a new folder, or the result of this very run",
            fix="Choose another --output, or add --overwrite to replace it.",
        )


def _train(job: _Job, loop: Loop) -> _Trained:
    kind = SYSTEMS.get(job.system)()
    tokenizer = load_tokenizer(job.base.folder, words=job.task.family == "tagging")
    recipe = make_recipe(job.task, job.labels, job.settings)
    features, truncated = training_features(recipe, kind, tokenizer, job.examples)
    model = kind.build(job.base, job.task.family, job.labels, layers=job.settings.layers, seed=job.settings.seed)
    collator = Collator({**kind.padding(tokenizer), "labels": IGNORED})
    log = loop.train(model, features, collator, job.settings)
    return _Trained(model, tokenizer, log, len(features), truncated)


def _write(folder: Path, job: _Job, trained: _Trained) -> None:
    weights = save_system(folder, trained.model, trained.tokenizer)
    system = SystemFile(
        system=job.system,
        task=job.task,
        labels=job.labels,
        base=BaseInfo(name=job.base.name, revision=job.base.revision, weights_sha256=job.base.weights_sha256),
        settings=job.settings,
        train=TrainInfo(
            source=job.source,
            sha256=job.sha256,
            examples=len(job.examples),
            windows=trained.windows,
            truncated_examples=trained.truncated,
        ),
        parameters=sum(weight.numel() for weight in trained.model.parameters()),
        weights_sha256=weights,
        run=job.run,
        provenance=provenance(),
    )
    write_system(folder, system, trained.log)

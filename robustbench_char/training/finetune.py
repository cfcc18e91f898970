"""Fine-tuning a system on a task, into a folder that `load_system` reads; a run is named before it is trained."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeGuard, Unpack

from transformers import PreTrainedModel, TrainerCallback

from robustbench_char._version import __version__
from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common.errors import InputError
from robustbench_char.common.files import check_output, output_folder, safe_name
from robustbench_char.common.options import Option, options_of
from robustbench_char.common.provenance import provenance
from robustbench_char.common.seeds import seed_of
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.defences.channel import ChannelOptions
from robustbench_char.defences.opening import identify_defence, open_defence
from robustbench_char.defences.train import TRAINED
from robustbench_char.defences.wordrec import RecogniserSettings
from robustbench_char.models.bases import CHARBERT_MINILM, Base, heads_in, resolve_base
from robustbench_char.models.charbert import CharBertConfig
from robustbench_char.models.checkpoints import load_config
from robustbench_char.models.system import Defence, FromTrainingText, System
from robustbench_char.records.evaluation import DefenceInfo
from robustbench_char.records.training import PretrainingInfo, TrainedAttackInfo
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import Input, LayoutKeywords, LayoutOptions, as_read, open_source
from robustbench_char.training import saved
from robustbench_char.training._examples import attack_behind, known_examples, marks_of, training_examples
from robustbench_char.training.augmentation import Augmentation, resolve_augmentation
from robustbench_char.training.batches import Collator
from robustbench_char.training.checkpoints import default_store, forget_run, machine, run_folder, run_key
from robustbench_char.training.families import IGNORED, label_names, make_recipe, refuse_unknown
from robustbench_char.training.features import training_set
from robustbench_char.training.heads import kept_labels, tell_dropped
from robustbench_char.training.loop import Loop
from robustbench_char.training.options import (
    AugmentOptions,
    FinetuneKeywords,
    FinetuneOptions,
    Settings,
    resolve_settings,
)

__all__ = ["finetune"]

DEFENCES_FOLDER = "recognisers"
"""Where a store keeps defences that were made for a system, each under the hash of what decides it."""

Log = list[dict[str, float | None]]
_LOG = logging.getLogger(__name__)


class _Keywords(LayoutKeywords, FinetuneKeywords, total=False):
    """Options of training, and where columns are."""


def finetune(
    task: Task | Path | str,
    *,
    train: Input | Sequence[Example] | None = None,
    data: str | None = None,
    hub: bool = False,
    split: str | None = None,
    data_dir: Path | str | None = None,
    train_sha256: str | None = None,
    output: Path | str | None = None,
    system: str = "bert",
    base: Path | str = "minilm",
    label: str | None = None,
    defence: Path | str | None = None,
    recogniser: Path | str | None = None,
    weights: Path | str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    store: Path | str | None = None,
    save_seconds: float = 120.0,
    progress: bool = True,
    callbacks: Sequence[TrainerCallback] = (),
    **options: Unpack[_Keywords],
) -> saved.SavedSystem:
    """Fine-tune a system on the data of a task and write it to `output` atomically; rerun the same call to resume.

    `train` is a file, or rows in memory (`Example`s need `train_sha256`); or `data`, `hub` or `data_dir` name a source.
    `options` are those of `FinetuneOptions`, `AugmentOptions` and, for CoNLL files, `LayoutOptions`. `defence`, a
    folder or a ready one, is put before the system (`recogniser`: its earlier name). `weights`: a system of the same
    training, whose weights are taken. Without `output` results go to `store`. Raises InputError for bad input.
    """
    layout, chosen, augment = options_of(options, LayoutOptions, FinetuneOptions, AugmentOptions)
    record = as_read(get_task(task), dict(layout))
    source = _source(record, train, {"data": data, "hub": hub, "split": split, "data_dir": data_dir})
    front, home = named_defence(defence, recogniser), Path(store) if store else default_store()
    asked = _Request(record, source, train_sha256, system, str(base), label, front, seed_of(seed), chosen, augment)
    job = _resolve(asked, home, progress=progress)
    folder = Path(output) if output else home / saved.SYSTEMS_FOLDER / job.run
    loop = partial(Loop, save_seconds=save_seconds, progress=progress, callbacks=tuple(callbacks))
    return _finished(job, folder, overwrite, home, loop, Path(weights) if weights else None)


def _are_examples(train: object) -> TypeGuard[Sequence[Example]]:
    return isinstance(train, list | tuple) and all(isinstance(one, Example) for one in train)


def _source(task: Task, train: Any, named: dict[str, Any]) -> NativeFile | Sequence[Example]:
    """Return the training data: the train split of a named source unless it says otherwise."""
    if _are_examples(train):
        return train
    split = named["split"] if train is not None else named["split"] or "train"
    return open_source(task, input=train, **{**named, "split": split}, option="--train")


def _finished(
    job: _Job, output: Path, overwrite: bool, store: Path, loop: Callable[[Path], Loop], weights: Path | None
) -> saved.SavedSystem:
    """Return the result of a run: as it stands where it is finished, else trained or taken over now."""
    if not saved.finished_run(output, job.run):
        check_output(output, overwrite=overwrite)
        with run_folder(store, job.run) as folder:
            done = _trained_alike(job, weights) if weights else saved.trained_before(store, job.training)
            trained = _train(job, loop(folder), done)
            with output_folder(output, overwrite=overwrite, volatile=saved.VOLATILE) as scratch:
                _write(scratch, job, *trained)
    else:
        forget_run(store, job.run)
    return saved.SavedSystem(output, saved.read_system(output))


def _trained_alike(job: _Job, folder: Path) -> Path:
    """Return a system's folder. Raises InputError unless its weights come from the training that this job asks for."""
    if saved.read_system(folder).training != job.training:
        found = "a system that was trained on something else, or with other settings"
        raise InputError(folder, found=found, expected="weights of the same training", fix="Retrain.")
    return folder


def _train(job: _Job, loop: Loop, done: Path | None) -> tuple[PreTrainedModel, System, Log, saved.TrainInfo]:
    """Train, or take the weights of `done`.

    Attacked copies, and the examples beside them, are read through the defence, as it stands before texts that it does
    not know. Without copies it stands in front only when the system predicts (but where the system is `trained_behind`
    it): those that differ in it alone share weights.
    """
    kind = job.system.open(job.base.folder, words=job.task.family == "tagging")
    if done:
        kind.defence = job.defence
        return kind.load(done, job.task.family), kind, saved.read_log(done), saved.read_system(done).train
    front = job.defence if job.trained_behind else None
    kind.defence = front.for_training() if isinstance(front, FromTrainingText) else front
    data = training_set(make_recipe(job.task, job.labels, job.settings), kind, job.examples, job.augmentation)
    if job.keeps_head:
        model = kind.load(job.base.folder, job.task.family)
    else:
        model = kind.build(job.base, job.task.family, job.labels, layers=job.settings.layers, seed=job.settings.seed)
    collator = Collator({**kind.padding(), "labels": IGNORED})
    log = loop.train(model, data, collator, job.settings, kind.new_parameters(model))
    kind.defence = job.defence
    info = saved.TrainInfo(
        source=job.request.source,
        sha256=job.request.data_sha256,
        examples=len(job.examples),
        windows=data.windows,
        truncated_examples=data.truncated,
        attacked_copies=data.copies,
    )
    return model, kind, log, info


def _write(folder: Path, job: _Job, model: PreTrainedModel, kind: System, log: Log, info: saved.TrainInfo) -> None:
    weights, manifest = saved.save_system(folder, model, kind), job.manifest
    known = saved.write_fingerprints(folder, known_examples(job.examples, job.request.train, manifest))
    info = info.model_copy(update={"attack": manifest and TrainedAttackInfo.of(manifest), "fingerprints_sha256": known})
    system = saved.SystemFile(
        system=job.system.name,
        task=job.task,
        labels=job.labels,
        base=job.base_info,
        settings=job.settings,
        train=info,
        parameters=sum(weight.numel() for weight in model.parameters()),
        weights_sha256=weights,
        run=job.run,
        training=job.training,
        provenance=provenance(),
        label=job.request.label,
        extra_parameters=kind.extra_parameters(model),
        gates=kind.gates(model),
        pretraining=job.pretraining,
        augment=job.augmentation.info() if job.augmentation else None,
        defence=job.defence_info,
    )
    saved.write_history(folder, system, log=log)


@dataclass(frozen=True)
class _Request:
    """What was asked: see `finetune.finetune`. `sha256` is that of the training data, None for that of the file."""

    task: Task
    train: NativeFile | Sequence[Example]
    sha256: str | None
    system: str
    base: str
    label: str | None
    defence: str | None
    seed: int
    options: FinetuneOptions
    augment: AugmentOptions

    @property
    def place(self) -> object:
        """How messages call the training data."""
        return Option("train") if isinstance(self.train, Sequence) else self.train.path

    @cached_property
    def data_sha256(self) -> str:
        """The hash of the training data."""
        if self.sha256 is not None:
            return self.sha256
        if isinstance(self.train, Sequence):
            raise ValueError("examples in memory need train_sha256")
        return source_sha256(self.train.path)

    @property
    def source(self) -> str:
        """How records call the training data: never a path."""
        return "examples" if isinstance(self.train, Sequence) else safe_name(str(self.train.path))


@dataclass(frozen=True)
class _Job:
    """One run as resolved, before anything is trained; `keeps_head` says that the base's own head stays.

    `manifest` is that of the attack which the training file came out of.
    """

    request: _Request
    system: type[System]
    base: Base
    settings: Settings
    labels: tuple[str, ...]
    examples: list[Example]
    manifest: Manifest | None
    pretraining: PretrainingInfo | None
    augmentation: Augmentation | None
    defence: Defence | None
    defence_info: DefenceInfo | None
    keeps_head: bool

    @property
    def task(self) -> Task:
        """The task that is trained."""
        return self.request.task

    @property
    def base_info(self) -> saved.BaseInfo:
        """What is saved of the base."""
        base, head = self.base, None if self.keeps_head else next(iter(heads_in(self.base.config)), None)
        return saved.BaseInfo(
            name=base.name, revision=base.revision, weights_sha256=base.weights_sha256, dropped_head=head
        )

    @cached_property
    def training(self) -> str:
        """The hash of all that decides the weights: systems that differ in what stands before them share it."""
        return run_key(self._weights)

    @cached_property
    def run(self) -> str:
        """The hash of all that decides the result."""
        around = {
            "system": self.request.system,
            "label": self.request.label,
            "recogniser": self._front,  # as ever called
            **({"attack": self.manifest.suite_sha256} if self.manifest else {}),
            **marks_of(self.pretraining.attacks if self.pretraining else ()),
        }
        return run_key({**self._weights, "around": around})

    @cached_property
    def _weights(self) -> dict[str, Any]:
        return {
            "task": self.task.model_dump(mode="json"),
            "system": self.system.recipe,
            "labels": self.labels,
            "base": [self.base.name, self.base.weights_sha256, self.base.reading_sha256],
            "settings": self.settings.model_dump(mode="json"),
            "train": [self.request.data_sha256, len(self.examples)],
            "augment": self.augmentation and self.augmentation.decides(),
            **({"defence": self._front} if self.trained_behind else {}),
            **machine(),
        }

    @property
    def trained_behind(self) -> bool:
        """Whether training reads through the defence."""
        return self.defence is not None and (self.augmentation is not None or self.system.trained_behind)

    @property
    def _front(self) -> dict[str, Any] | None:
        return None if self.defence_info is None else self.defence_info.model_dump(mode="json")


def _resolve(asked: _Request, store: Path, *, progress: bool) -> _Job:
    """Resolve what was asked. A defence that a system needs and was not given is made in `store` here.

    Raises InputError for what cannot be run.
    """
    system: type[System] = SYSTEMS.get(asked.system, place=Option("system"))
    base = resolve_base(asked.base, any_type=system.any_type)
    pretraining = _pretraining(system, base)
    longest, scale = system.limits(base.folder)
    family = asked.task.family
    settings = resolve_settings(asked.options, seed=asked.seed, family=family, positions=longest, scale=scale)
    load_config(base.folder, layers=settings.layers)  # says at once when there are fewer layers
    examples = training_examples(asked.task, asked.train, asked.place, settings.limit)
    manifest = attack_behind(asked.train)
    labels = label_names(asked.task, examples)
    kept = kept_labels(base, system, settings, asked.task, labels)
    tell_dropped(asked.base, base, asked.task, kept is not None)
    refuse_unknown(examples, labels, asked.place)
    augmentation = resolve_augmentation(asked.augment, SYSTEMS.traits(asked.system), asked.task, settings.epochs)
    front = _defence(asked, system, store, progress)
    info = front.info if front else None
    labels, keeps = (labels, False) if kept is None else (kept, True)
    return _Job(
        asked, system, base, settings, labels, examples, manifest, pretraining, augmentation, front, info, keeps
    )


def _pretraining(system: type[System], base: Base) -> PretrainingInfo | None:
    """Return how a base was pre-trained. Raises InputError when that was not for this system."""
    info, wanted = saved.pretraining_info(base.folder), system.pretraining
    converted = info is None and load_config(base.folder).model_type == CharBertConfig.model_type
    trained_for = CharBertConfig.model_type if converted else info and info.system
    if trained_for in (wanted, *saved.ALSO.get(wanted or "", ())):
        return info
    if trained_for:
        fits = next((name for name, also in saved.ALSO.items() if trained_for in also), trained_for)
        history, fix = f"was pre-trained for {trained_for}", f"Choose the system {fits}, or another base."
    else:
        command = f"robustbench-char pretrain {wanted} --base {base.name} --text FILE ..."
        history, fix = "`pretrain` did not write", f"Pre-train it first: `{command}`."
        if (wanted, base.name) == ("charbert", "minilm"):
            fix = f"Take {CHARBERT_MINILM}, whose characters are trained, or pre-train it: `{command}`."
    expected = f"a base that `pretrain {wanted}` wrote" if wanted else "a plain base checkpoint"
    raise InputError(Option("base"), found=f"{base.name}, a base that {history}", expected=expected, fix=fix)


def named_defence(defence: Path | str | None, recogniser: Path | str | None) -> str | None:
    """Return the name of the defence that was asked for, by either option. Raises InputError for both."""
    if recogniser is None:
        return None if defence is None else str(defence)
    if defence is not None:
        found, expected = "two defences", "one, by `defence=`"
        raise InputError(Option("recogniser"), found=found, expected=expected, fix="Leave `recogniser=` out.")
    _LOG.warning("`recogniser` is called `defence` now; this name will go with the next version")
    return str(recogniser)


def _defence(asked: _Request, system: type[System], store: Path, progress: bool) -> Defence | None:
    """Return the defence to put in front: the one given, or for a system that needs one, one made here."""
    name = asked.defence or system.default_defence
    if name is None or asked.defence is not None or name not in TRAINED:
        return None if name is None else open_defence(name)
    if isinstance(asked.train, Sequence):
        found = f"none, for the system {system.name} and examples in memory"
        fix = "Train one with `train-defence` and name its folder."
        raise InputError(Option("defence"), found=found, expected="a defence", fix=fix)
    data = asked.task, asked.train, asked.data_sha256
    return trained_defence(name, store, *data, limit=asked.options.limit, progress=progress)


def trained_defence(
    kind: str, store: Path, task: Task, train: NativeFile, sha256: str, *, limit: int | None, progress: bool
) -> Defence:
    """Return the defence of a kind for the words of a training file: from the store, or made now by default options."""
    decides: dict[str, Any] = {"task": task.model_dump(mode="json"), "train": [sha256, limit], "version": __version__}
    if kind == "wordrec":
        settings = RecogniserSettings()
        suite = load_suites(settings.suite, task=task.name)[0].sha256
        decides |= {"settings": settings.model_dump(), "suite": suite}
        options = settings.model_dump() | {"progress": progress}
    else:
        decides |= {"kind": kind, "dictionary": identify_defence("spell"), "options": ChannelOptions().model_dump()}
        options = {}
    folder = store / DEFENCES_FOLDER / run_key(decides)
    if not folder.is_dir():
        TRAINED.get(kind)(output=folder, task=task, input=train, examples=limit, **options)
    return open_defence(folder)

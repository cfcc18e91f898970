"""Models that were fine-tuned elsewhere, by hub id or folder: any architecture that Transformers' Auto classes load.

The architecture that config.json names says what head a model has. Weights are read from safetensors, with the model's
own tokenizer; no code of a repository is run.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError
from robustbench_char.common.files import read_json
from robustbench_char.defences.opening import open_defence
from robustbench_char.inference._attack_set import PieceCounter, piece_counts
from robustbench_char.inference._defended import defence_identity, defended_info
from robustbench_char.inference._models import LoadedModel
from robustbench_char.inference.options import ModelOptions
from robustbench_char.metrics.base import Prediction
from robustbench_char.metrics.tagging import bio2
from robustbench_char.models.bases import Base, resolve_base
from robustbench_char.models.bert import AUTO_HEADS
from robustbench_char.models.checkpoints import load_tokenizer, read_model
from robustbench_char.models.encoders import INPUT_NAMES, EncoderSystem, length_limit
from robustbench_char.models.folders import CONFIG
from robustbench_char.records.evaluation import ForeignModelInfo, SystemInfo
from robustbench_char.tasks.base import Example, Family, NativeFile, Task
from robustbench_char.tasks.label_names import LabelMap, given_labels, map_labels
from robustbench_char.training.families import Outputs, make_recipe
from robustbench_char.training.options import Reading, reading_of

__all__ = ["TransformersModel"]

UNKNOWN = "unknown"
"""What records name as the base of a model that was fine-tuned elsewhere."""
_HEADS: dict[str, Family] = {
    "ForSequenceClassification": "classification",
    "ForTokenClassification": "tagging",
    "ForQuestionAnswering": "question_answering",
    "ForQuestionAnsweringSimple": "question_answering",
}


class TransformersModel(LoadedModel):
    """A fine-tuned model of Transformers as a source of predictions; `info.model` says how it was read."""

    origin = "as --task says"

    def __init__(self, base: Base, task: Task, options: ModelOptions) -> None:
        started = time.monotonic()
        self.task = task
        config, labels = _checked(base, task, options)
        model = _loaded(base, task.family)
        tokenizer = load_tokenizer(base.folder, words=task.family == "tagging", offsets=False)
        reading = reading_of(task.family, length_limit(model, tokenizer))
        defence = open_defence(options.defence) if options.defence else None
        self.kind = EncoderSystem(tokenizer, _input_names(model), defence)
        self.info = _info(base, config, task, labels, model, tokenizer, reading)
        self.inputs: tuple[Path, ...] = (base.folder,)
        if defence and options.defence:
            self.info = defended_info(self.info, defence, options.defence)
            self.inputs = (*self.inputs, Path(options.defence))
        self.pieces: PieceCounter | None = partial(piece_counts, tokenizer)
        self._kept = [index for index, meant in enumerate(labels.meant) if meant is not None]
        said = tuple(str(labels.meant[index]) for index in self._kept)
        self.classes = task.labels or _tags(task, said) or None
        self.recipe = make_recipe(task, said, reading)
        self.place(model)
        self.seconds = time.monotonic() - started

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Any file of the task will do: what the model was trained on is not known."""

    def said(self, example: Example, readings: Sequence[Any]) -> Prediction:
        """Return the prediction for an example, tags of entities in BIO2 whatever the model's scheme."""
        said = super().said(example, readings)
        if self.task.metric != "entity_f1" or not isinstance(said, tuple):
            return said
        return tuple(None if tag is None else new for tag, new in zip(said, bio2(said), strict=True))

    def forward(self, windows: Sequence[Any]) -> list[Outputs]:
        """Return the logits of each window, of those labels alone that mean something in the task."""
        outputs = super().forward(windows)
        if self.task.family == "question_answering":
            return outputs
        return [{"logits": np.ascontiguousarray(one["logits"][..., self._kept])} for one in outputs]


def _tags(task: Task, said: Sequence[str]) -> tuple[str, ...]:
    """Return the tags that the data may have: those that the task lists, or the model's, with every mark."""
    if task.family != "tagging":
        return ()
    if "tag_names" in task.format_options:
        return tuple(task.format_options["tag_names"])
    if task.metric != "entity_f1":
        return tuple(dict.fromkeys(said))
    kinds = dict.fromkeys(tag[2:] for tag in said if tag != "O")
    return ("O", *(f"{mark}-{kind}" for kind in kinds for mark in "BI"))


def open_named(name: str, task: Task | None, options: ModelOptions) -> TransformersModel:
    """Return the model of a hub id or folder, behind a defence if one is named.

    Raises InputError for what cannot be opened.
    """
    return TransformersModel(resolve_base(name, any_type=True), _named(task), options)


def identify_named(name: str, task: Task | None, options: ModelOptions) -> dict[str, Any]:
    """Return what decides the predictions of a model (see `opening.identify_model`)."""
    base, task = resolve_base(name, any_type=True), _named(task)
    _, labels = _checked(base, task, options)
    return {
        "weights": [base.weights_sha256, base.reading_sha256],
        "labels": labels.meant,
        "defence": defence_identity(options),
    }


def _named(task: Task | None) -> Task:
    if task is None:
        raise InputError("--task", found="none", expected="the task of the data", fix="Name it: --task TASK.")
    return task


def _checked(base: Base, task: Task, options: ModelOptions) -> tuple[dict[str, Any], LabelMap]:
    """Return config.json, and what the labels mean. Raises InputError for a model that cannot be scored on the task."""
    config: dict[str, Any] = read_json(base.folder / CONFIG)
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        remote = "auto_map" in config
        raise InputError(
            base.name,
            found=f"a model of the type {kind!r}, " + ("whose code is in its repository" if remote else "unknown here"),
            expected="an architecture that Transformers has",
            fix="Code of a repository is never run (trust_remote_code stays off): evaluate it through a predictor."
            if remote
            else "Upgrade transformers.",
        )
    _check_head(base.name, config, task.family)
    if task.family == "question_answering":
        return config, LabelMap()
    named = config.get("id2label") or {str(number): f"LABEL_{number}" for number in range(config.get("num_labels", 2))}
    names = [str(named[key]) for key in sorted(named, key=int)]
    return config, map_labels(task, names, given_labels(options.labels), place=base.name)


def _check_head(name: str, config: dict[str, Any], family: Family) -> None:
    """Raise InputError for a model whose head is of another family, or that has none."""
    architectures = config.get("architectures") or []
    heads = {ending: family for ending, family in _HEADS.items() if any(one.endswith(ending) for one in architectures)}
    if not architectures or family in heads.values():
        return
    wanted = next(ending for ending, other in _HEADS.items() if other == family)
    fix = (
        f"Choose a task of its kind ({', '.join(sorted(set(heads.values())))}), or another model."
        if heads
        else f"Put a head on it and train it: robustbench-char finetune TASK --base {name} --train FILE --output DIR."
    )
    found = f"{', '.join(architectures)}" + ("" if heads else ", which has no head for a task")
    raise InputError(name, found=found, expected=f"a model ...{wanted}, for {family.replace('_', ' ')}", fix=fix)


def _loaded(base: Base, family: Family) -> PreTrainedModel:
    model, missing = read_model(AUTO_HEADS[family], base.folder)
    if missing:
        raise InputError(
            base.name,
            found=f"weights without {missing[0]} ({len(missing)} missing)",
            expected="a fine-tuned model with its head",
            fix=f"Put a head on it and train it: robustbench-char finetune TASK --base {base.name} --train FILE"
            " --output DIR; or save the whole model again.",
        )
    return model


def _input_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Return which of a tokenizer's inputs a model takes."""
    taken = inspect.signature(model.forward).parameters
    kinds = getattr(model.config, "type_vocab_size", 2) != 1  # RoBERTa's has one: it does not tell texts apart
    return tuple(name for name in INPUT_NAMES if name in taken and (kinds or name != "token_type_ids"))


def _info(
    base: Base,
    config: dict[str, Any],
    task: Task,
    labels: LabelMap,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    reading: Reading,
) -> SystemInfo:
    return SystemInfo(
        name=base.name,
        base=UNKNOWN,
        parameters=sum(weight.numel() for weight in model.parameters()),
        training_seed=None,
        training_sha256=None,
        settings=reading.model_dump(mode="json"),
        weights_sha256=base.weights_sha256,
        model=ForeignModelInfo(
            source=base.name,
            revision=base.revision,
            architecture=type(model).__name__,
            labels=tuple(zip(labels.names, labels.meant, strict=True)),
            missing=tuple(label for label in task.labels or () if label not in labels.meant),
            tag_scheme=labels.scheme,
            max_length=reading.max_length,
            words_alone=not tokenizer.is_fast,
        ),
    )

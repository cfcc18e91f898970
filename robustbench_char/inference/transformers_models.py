"""Models that were fine-tuned elsewhere, by hub id or folder: any architecture that Transformers' Auto classes load.

Weights are read from safetensors, with the model's own tokenizer; no code of a repository is run. `_identities` checks
what config.json says of head and labels.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError
from robustbench_char.inference._attack_set import PieceCounter, piece_counts
from robustbench_char.inference._defended import defend
from robustbench_char.inference._identities import fine_tuned_model, headless, task_of
from robustbench_char.inference._models import LoadedModel
from robustbench_char.inference.options import ModelOptions
from robustbench_char.metrics.base import Prediction
from robustbench_char.metrics.tagging import bio2
from robustbench_char.models.bases import Base
from robustbench_char.models.batching import Batching, shortest
from robustbench_char.models.bert import AUTO_HEADS
from robustbench_char.models.checkpoints import load_config, load_tokenizer, read_model, refuse_missing
from robustbench_char.models.encoders import INPUT_NAMES, EncoderSystem, length_limit
from robustbench_char.records.evaluation import ForeignModelInfo, SystemInfo
from robustbench_char.records.predictors import EXTERNAL
from robustbench_char.tasks.base import Example, Family, NativeFile, Task
from robustbench_char.tasks.label_names import LabelMap
from robustbench_char.training.families import Outputs, make_recipe
from robustbench_char.training.options import Reading, reading_of

__all__ = ["TransformersModel"]

_LOG = logging.getLogger(__name__)


class TransformersModel(LoadedModel):
    """A fine-tuned model of Transformers as a source of predictions; `info.model` says how it was read."""

    origin = "as --task says"

    def __init__(self, name: str, task: Task, options: ModelOptions) -> None:
        started = time.monotonic()
        base, labels = fine_tuned_model(name, task, options)
        model = _loaded(name, base, task.family, labels.names)
        tokenizer = load_tokenizer(base.folder, words=task.family == "tagging", offsets=False)
        reading = reading_of(task.family, length_limit(model, tokenizer))
        self.batching = _batching(model, tokenizer)
        self.task, self.inputs = task, (base.folder,)
        self.info = _info(base, labels, model, tokenizer, reading)
        self.kind = EncoderSystem(_padding(tokenizer, name), _input_names(model))
        self.pieces: PieceCounter | None = partial(piece_counts, tokenizer)
        self._kept = [index for index, meant in enumerate(labels.meant) if meant is not None]
        said = tuple(str(labels.meant[index]) for index in self._kept)
        self.classes = task.labels or _tags(task, said) or None
        self.recipe = make_recipe(task, said, reading)
        self.place(model)
        self.measure(name)
        if options.defence:
            defend(self, options.defence)
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
    model = TransformersModel(name, task_of(task), options)
    for note in model.info.model.notes if model.info.model else ():
        _LOG.info(note)
    return model


def _loaded(name: str, base: Base, family: Family, labels: Sequence[str]) -> PreTrainedModel:
    """Return a model with its head. Raises InputError for a type that Transformers lacks, and for missing weights."""
    if (kind := base.config.get("model_type")) not in CONFIG_MAPPING:
        found, expected = f"a model of the type {kind!r}", "an architecture that Transformers has"
        raise InputError(name, found=found, expected=expected, fix="Upgrade transformers, or check config.json.")
    config = load_config(base.folder)
    config.id2label = dict(enumerate(labels or ("start", "end")))
    model, missing = read_model(AUTO_HEADS[family], base.folder, config=config)
    own = f"{model.base_model_prefix}."
    refuse_missing(base.folder, [key for key in missing if key.startswith(own) and ".pooler." not in key])
    if missing:
        found = f"weights without {missing[0]} ({len(missing)} missing)"
        raise headless(name, base.config, found, f"all weights of a {type(model).__name__}, its head among them")
    return model


def _padding(tokenizer: PreTrainedTokenizerBase, name: str) -> PreTrainedTokenizerBase:
    """Return a tokenizer with a token for padding: any one, where the model reads texts one by one."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        fix = "Name a token for it: set tokenizer.pad_token and save the tokenizer again."
        raise InputError(name, found="a tokenizer without a token for padding", expected="one that has one", fix=fix)
    return tokenizer


def _batching(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Batching:
    config: Any = model.config
    alone = None in (tokenizer.pad_token_id, config.pad_token_id)
    return Batching(alone=alone, least=shortest(config))


def _input_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Return which of a tokenizer's inputs a model takes."""
    taken = inspect.signature(model.forward).parameters
    kinds = getattr(model.config, "type_vocab_size", 2) != 1  # RoBERTa's has one: it does not tell texts apart
    return tuple(name for name in INPUT_NAMES if name in taken and (kinds or name != "token_type_ids"))


def _info(
    base: Base, labels: LabelMap, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, reading: Reading
) -> SystemInfo:
    return SystemInfo(
        name=base.name,
        base=EXTERNAL,
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
            missing=labels.missing,
            tag_scheme=labels.scheme,
            max_length=reading.max_length,
            words_alone=not tokenizer.is_fast,
        ),
    )

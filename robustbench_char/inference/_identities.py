"""What a named model is by its files alone: what decides its predictions, and whether it can predict. No torch here."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustbench_char.common import InputError
from robustbench_char.common.files import read_json
from robustbench_char.defences.opening import identify_defence
from robustbench_char.inference.options import ModelOptions
from robustbench_char.models.bases import HEADS, Base, heads_in, labels_in, resolve_base
from robustbench_char.models.folders import CONFIG, SUPPORTED_TYPES
from robustbench_char.models.kinds import what_it_reads
from robustbench_char.records.predictors import identity
from robustbench_char.tasks.base import Family, Task
from robustbench_char.tasks.label_names import LabelMap, given_labels, map_labels

__all__ = [
    "defence_identity",
    "fine_tuned_model",
    "identify_fine_tuned",
    "identify_predictor",
    "identify_saved",
    "refuse_labels",
    "task_of",
]

SYSTEM = "system.json"
_WRITERS = ("ForConditionalGeneration", "MTModel")
"""How the names of architectures end that have an encoder, and a decoder with a head for text."""


def identify_saved(name: str, task: Task | None, options: ModelOptions) -> dict[str, Any]:
    """Return what decides the predictions of a folder that `finetune` wrote: its weights are checked when it loads."""
    refuse_labels(options, "a system that `finetune` wrote")
    path = Path(name).expanduser() / SYSTEM
    file = read_json(path)
    if not isinstance(file, dict) or not {"run", "weights_sha256"} <= file.keys():
        fix = "Fine-tune the system again."
        raise InputError(path, found="no run", expected="a file that `finetune` wrote", fix=fix)
    return {"system": [file["run"], file["weights_sha256"]], "defence": defence_identity(options)}


def identify_predictor(name: str, task: Task | None, options: ModelOptions) -> dict[str, Any]:
    """Return what is known of a predictor without importing it."""
    refuse_labels(options, "a predictor")
    return {"predictor": identity(name), "defence": defence_identity(options)}


def identify_fine_tuned(name: str, task: Task | None, options: ModelOptions) -> dict[str, Any]:
    """Return what decides the predictions of a model that was fine-tuned elsewhere."""
    base, labels = fine_tuned_model(name, task_of(task), options)
    return {
        "weights": [base.weights_sha256, base.reading_sha256],
        "labels": list(labels.meant),
        "defence": defence_identity(options),
    }


def defence_identity(options: ModelOptions) -> dict[str, Any] | None:
    """Return what decides what the defence before a model does, None without one."""
    return identify_defence(options.defence) if options.defence else None


def refuse_labels(options: ModelOptions, kind: str) -> None:
    """Raise InputError where labels are given for a model that says its own."""
    if options.labels:
        found, expected = f"labels for {kind}, which names its own", "them for a model of Transformers alone"
        raise InputError("--labels", found=found, expected=expected, fix="Leave --labels out.")


def task_of(task: Task | None) -> Task:
    """Return the task. Raises InputError where none was named for a model that does not say it."""
    if task is None:
        raise InputError("--task", found="none", expected="the task of the data", fix="Name it: --task TASK.")
    return task


def fine_tuned_model(name: str, task: Task, options: ModelOptions) -> tuple[Base, LabelMap]:
    """Return where a model of Transformers stands, and what its labels mean.

    Raises InputError for a folder or id that holds none that can predict the task.
    """
    base = resolve_base(name, any_type=True)
    _check_code(name, base.config)
    check_head(name, base.config, task.family)
    if task.family == "question_answering":
        return base, LabelMap()
    if task.family == "classification":
        _refuse_regression(name, base.config)
    own = labels_in(base.config, place=f"{name}/{CONFIG}", given=bool(options.labels))
    return base, map_labels(task, own, given_labels(options.labels), place=name)


def _refuse_regression(name: str, config: Mapping[str, Any]) -> None:
    outputs = len(config.get("id2label") or ()) or config.get("num_labels")
    if config.get("problem_type") == "regression" or outputs == 1:
        found = "a model that predicts numbers (" + ("one output" if outputs == 1 else "problem_type: regression") + ")"
        fix = "Choose a classifier. If it is one, and problem_type is left over, take it out of a copy of config.json."
        raise InputError(name, found=found, expected="one that predicts classes", fix=fix)


def _check_code(name: str, config: Mapping[str, Any]) -> None:
    kind = str(config.get("model_type"))
    library = f"transformers.models.{kind.replace('-', '_')}"
    if "auto_map" in config and importlib.util.find_spec(library) is None:
        found = f"a model of the type {kind!r}, whose code stands in its repository"
        fix = "Such code is never run (trust_remote_code stays off): evaluate the model through a predictor of yours."
        raise InputError(name, found=found, expected="an architecture that Transformers has", fix=fix)


def check_head(name: str, config: Mapping[str, Any], family: Family) -> None:
    """Raise InputError for a model whose head is of another family, or that has none."""
    architectures = config.get("architectures") or []
    heads = set(heads_in(config).values())
    if family in heads or not architectures:  # without the name, the weights will say
        return
    wanted = next(ending for ending, other in HEADS.items() if other == family)
    expected = f"a model ...{wanted}, for {family.replace('_', ' ')}"
    if not heads:
        found = f"{', '.join(architectures)}, which has no head for such a task"
        if does := what_it_reads(config):
            raise InputError(name, found=found, expected=expected, fix=f"It {does}: choose another model.")
        raise headless(name, config, found, expected)
    fix = f"Choose a task of {' or '.join(sorted(heads)).replace('_', ' ')}, or another model."
    raise InputError(name, found=", ".join(architectures), expected=expected, fix=fix)


def headless(name: str, config: Mapping[str, Any], found: str, expected: str) -> InputError:
    """Return the error for a model without a head for the task."""
    system = "" if config.get("model_type") in SUPPORTED_TYPES else " --system encoder"
    command = f"robustbench-char finetune TASK --base {name}{system} --train FILE --output DIR"
    fix = f"Train it with a new head first: `{command}`."
    architectures = list(map(str, config.get("architectures") or ()))
    if any(one.endswith(_WRITERS) for one in architectures):
        found = f"{', '.join(architectures)}, which writes its answer as text, and has no head for such a task"
        fix = f"Ask it through a predictor of yours (file.py:function), or train a head on its encoder: `{command}`."
    return InputError(name, found=found, expected=expected, fix=fix)

"""What is checked of a command's files, names and options before torch is loaded, which takes seconds.

The functions that do the work make these checks too. `command` calls the one that has the name of its function, with
all that the command was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from robustbench_char.common import SYSTEMS, InputError
from robustbench_char.common.files import check_file, check_output, check_writable, is_free, read_json
from robustbench_char.common.options import Option, fields_of, keywords_of, options_of
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import SourceKeywords, open_source

__all__ = ["CHECKS"]

Given = Mapping[str, Any]


def _finetune(given: Given) -> None:
    from robustbench_char.defences.opening import check_defence
    from robustbench_char.experiments._trainable import check_finetuning
    from robustbench_char.models.bases import resolve_base
    from robustbench_char.training._examples import training_examples
    from robustbench_char.training.augmentation import resolve_augmentation
    from robustbench_char.training.options import AugmentOptions, FinetuneOptions

    task = get_task(given["task"])
    named = {
        **given,
        "input": given.get("train"),
        "split": given.get("split") or (None if "train" in given else "train"),
    }
    source = _source(task, named, option="--train")
    kind = SYSTEMS.traits(given["system"], place=Option("system"))
    options, augment = _options(given, FinetuneOptions, AugmentOptions)
    resolve_augmentation(augment, kind, task, options.epochs)
    for name in {"defence", "recogniser"} & {*given}:
        check_defence(given[name])
    _check_output(given, "system.json")
    check_finetuning(options, task, kind, resolve_base(given["base"], any_type=kind.any_type))
    training_examples(task, source, source.path, options.limit)


def _pretrain(given: Given) -> None:
    from robustbench_char.experiments._trainable import check_pretraining
    from robustbench_char.models.bases import resolve_base
    from robustbench_char.training.pretraining.options import PretrainOptions, check_system

    check_system(given["system"])
    texts = [check_file(path, option=f"--{name}") for name in ("text", "heldout") for path in given.get(name, ())]
    (options,) = _options(given, PretrainOptions)
    _check_output(given, "pretraining.json", texts)
    check_pretraining(given["system"], options, resolve_base(given["base"]))


def _convert(given: Given) -> None:
    folder = given["checkpoint"]
    if not (folder / "config.json").is_file():
        found = "no config.json" if folder.is_dir() else "a file" if folder.exists() else "no such folder"
        expected, fix = "the folder of a CharBERT checkpoint", "Give the folder that has config.json and the weights."
        raise InputError(folder, found=found, expected=expected, fix=fix)
    read_json(folder / "config.json")
    if "char_vocab" in given:
        check_file(given["char_vocab"], option="--char-vocab")
    check_writable(given["output"])


def _train_defence(given: Given) -> None:
    from robustbench_char.defences.train import DefenceOptions, own_options
    from robustbench_char.defences.wordrec.files import CONFIG, check_recogniser
    from robustbench_char.defences.wordrec.options import RecogniserOptions, check_words, resolve_recogniser

    (options,) = _options(given, DefenceOptions)
    own = own_options(given["kind"], keywords_of(options))
    if given["kind"] != "wordrec":  # no torch: all is checked where it is done
        return

    texts = [check_file(path, option="--text") for path in given.get("text", ())]
    task = get_task(given["task"], "--task") if "task" in given else None
    if task or (not {"input", "data", "data_dir"} & {*given} and not given["hub"]):
        check_words(texts, task)
    if task:
        texts.append(_source(task, given).path)
    if "background" in given:
        check_recogniser(Path(given["background"]))
    known = {field.keyword for field in fields_of(RecogniserOptions)}
    resolve_recogniser({name: own[name] for name in known & {*own}}, seed=own.get("seed", 0), task=task)  # type: ignore[arg-type]
    _check_output(given, CONFIG, texts)


def _sensitivity(given: Given) -> None:
    from robustbench_char.inference._attack_set import matching_attack
    from robustbench_char.models.bases import resolve_base

    task = get_task(given["task"], "--task")
    matching_attack(given["attacked"], _source(task, given), task)
    if not (Path(given["model"]).expanduser() / "system.json").is_file():
        resolve_base(given["model"], any_type=True)
    if "output" in given:
        check_writable(given["output"])


CHECKS: dict[str, Callable[[Given], None]] = {
    "finetune": _finetune,
    "pretrain": _pretrain,
    "convert": _convert,
    "train_defence": _train_defence,
    "sensitivity": _sensitivity,
}


def _source(task: Task, given: Given, *, option: str = "--input") -> NativeFile:
    """Open the data that a command names."""
    names = SourceKeywords.__optional_keys__ & {*given}
    return open_source(task, **{name: given[name] for name in names}, option=option)


def _options(given: Given, *models: type[Any]) -> tuple[Any, ...]:
    """Return the options of some models from all that a command was given."""
    known = {field.keyword for model in models for field in fields_of(model)}
    return options_of({name: given[name] for name in known & {*given}}, *models)


def _check_output(given: Given, mark: str, inputs: Iterable[Path] = ()) -> None:
    """Check where the result goes; whether a result of ours there is the one asked for cannot be said yet."""
    if (output := given.get("output")) is None:
        return
    if (output / mark).is_file() or is_free(output):
        check_writable(output)
    else:
        check_output(output, overwrite=given["overwrite"], inputs=inputs)

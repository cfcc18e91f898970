"""A benchmark spec: the YAML file that a run is made of, as frozen, strict models. Names are checked in `checks`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from robustbench_char.common.frozen import Frozen
from robustbench_char.common.resources import find
from robustbench_char.common.yaml_model import Mistake, load_yaml_parts

__all__ = [
    "COMMAND_OPTIONS",
    "SPECS",
    "Augment",
    "Benchmark",
    "Budget",
    "FinetuneOptions",
    "PretrainOptions",
    "RecogniserOptions",
    "SensitivityOptions",
    "SystemSpec",
    "TaskSpec",
    "finetune_options",
    "load_spec",
    "pretrain_options",
    "training_options",
]

SPECS = "benchmarks/suites"
"""Where shipped specs stand."""

COMMAND_OPTIONS = {"learning_rate": "lr", "new_learning_rate": "new_lr"}
"""Options of training that commands call otherwise."""

Precision = Literal["auto", "bf16", "fp32"]


class FinetuneOptions(Frozen):
    """Options of `finetune`; those left out have its defaults. `limit` keeps the first examples."""

    epochs: float | None = None
    learning_rate: float | None = None
    new_learning_rate: float | None = None
    batch_size: int | None = None
    max_length: int | None = None
    doc_stride: int | None = None
    warmup: float | None = None
    weight_decay: float | None = None
    layers: int | None = None
    limit: int | None = None
    precision: Precision | None = None


class PretrainOptions(Frozen):
    """Options of `pretrain`; those left out have its defaults.

    `processes` train together, each on a GPU of its own (or on cores) and on `batch_size` blocks a step.
    """

    processes: int | None = Field(None, ge=1)
    suite: str | None = None
    noise: float | None = None
    mask: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    block_size: int | None = None
    learning_rate: float | None = None
    new_learning_rate: float | None = None
    warmup: float | None = None
    weight_decay: float | None = None
    noised_words: Literal["predict", "context"] | None = None
    term_vocab_size: int | None = None
    unknown_terms: Literal["ignore", "class"] | None = None
    char_vocab_size: int | None = None
    character_case: Literal["lower", "surface"] | None = None
    interaction: bool | None = None
    layers: int | None = None
    evaluate_every: int | None = None
    heldout_blocks: int | None = None
    precision: Precision | None = None


class RecogniserOptions(Frozen):
    """Options of `train-recogniser`. Without `text` one is trained for each task, on the texts of its training data."""

    text: tuple[str, ...] = ()
    suite: str | None = None
    epochs: int | None = None
    steps: int | None = None
    vocabulary: int | None = None
    hidden_size: int | None = None
    learning_rate: float | None = None
    batch_words: int | None = None
    limit: int | None = None
    lower: bool | None = None
    splitter: str | None = None


class Augment(Frozen):
    """Attacked copies of training examples: what `finetune --augment` and its further options say."""

    suite: str | None = None
    share: float = 1.0
    seed: int | None = None
    without: tuple[str, ...] = ()


class SystemSpec(Frozen):
    """One system that is compared. `system` is its registered name, by default the key that it stands under.

    `pretrain` and `finetune` change options for this system alone. `starts_from` names another system of this spec,
    whose encoder its pre-training goes on from. `recogniser` puts the spec's word recogniser in front of it. `bases`
    and `tasks` restrict it to some. `predictor` (a registered callable) or `saved` (the folder of a fine-tuned system,
    by task) take the place of training.
    """

    system: str | None = None
    bases: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    suites: tuple[str, ...] | None = None
    training_seeds: tuple[int, ...] | None = None
    pretrain: PretrainOptions = PretrainOptions()
    finetune: FinetuneOptions = FinetuneOptions()
    starts_from: str | None = None
    augment: Augment | None = None
    recogniser: bool | None = None
    predictor: str | None = None
    saved: dict[str, str] | None = None


class TaskSpec(Frozen):
    """One task. `train` and `test` are paths below the data folder, by default those of `sources.LAYOUT`.

    Where data are `mini` or of the `hub`, they are names of splits (train, dev, test) instead. `test_limit` scores the
    first examples only. `data`, suites and seeds are those of the spec unless given here. With `train_systems` off the
    test set is attacked and nothing else.
    """

    data: Literal["files", "mini", "hub"] | None = None
    train: str | None = None
    test: str | None = None
    test_limit: int | None = Field(None, ge=1)
    train_systems: bool = True
    suites: tuple[str, ...] | None = None
    attack_seeds: tuple[int, ...] | None = None
    training_seeds: tuple[int, ...] | None = None
    finetune: FinetuneOptions = FinetuneOptions()


class SensitivityOptions(Frozen):
    """Where sensitivity S is measured: these suites, these tasks (None: all), the first `limit` examples."""

    suites: tuple[str, ...]
    tasks: tuple[str, ...] | None = None
    limit: int | None = Field(None, ge=1)


class Budget(Frozen):
    """What the run may take; a plan that is expected to take more is refused before any work.

    `hours` are those of the whole run with its workers; `memory_gb` is that of all jobs that run at once.
    """

    hours: float | None = Field(None, gt=0)
    disk_gb: float | None = Field(None, gt=0)
    memory_gb: float | None = Field(None, gt=0)


class Benchmark(Frozen):
    """A whole benchmark; docs/benchmarks.md explains each key.

    Paths are relative to the data folder (`--data-dir`); the text `mini` is that of the generated data sets.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    about: str = ""
    data: Literal["files", "mini", "hub"] = "files"
    bases: tuple[str, ...] = ("minilm",)
    systems: dict[str, SystemSpec]
    tasks: dict[str, TaskSpec]
    suites: tuple[str, ...]
    attack_seeds: tuple[int, ...] = (1,)
    training_seeds: tuple[int, ...] = (0,)
    text: tuple[str, ...] = ()
    heldout_text: tuple[str, ...] = ()
    pretrain: PretrainOptions = PretrainOptions()
    finetune: FinetuneOptions = FinetuneOptions()
    recogniser: RecogniserOptions | None = None
    sensitivity: SensitivityOptions | None = None
    threads: int = Field(1, ge=1)
    device: Literal["cpu", "gpu"] = "cpu"
    gpus_per_job: int = Field(1, ge=1)
    budget: Budget = Budget()
    examples: bool = True


def finetune_options(spec: Benchmark, task: str, system: SystemSpec) -> dict[str, Any]:
    """Return the options of fine-tuning: the system's over the task's over the spec's."""
    parts = (spec.finetune, spec.tasks[task].finetune, system.finetune)
    return {name: value for part in parts for name, value in part.model_dump(exclude_none=True).items()}


def pretrain_options(spec: Benchmark, system: SystemSpec) -> dict[str, Any]:
    """Return the options of pre-training: the system's over the spec's."""
    return spec.pretrain.model_dump(exclude_none=True) | system.pretrain.model_dump(exclude_none=True)


def training_options(options: Mapping[str, Any]) -> Any:
    """Return options as the functions of training take them: `precision` is their `bf16`."""
    found = dict(options)
    precision = found.pop("precision", None)
    if precision is not None:
        found["bf16"] = "auto" if precision == "auto" else precision == "bf16"
    return found


def load_spec(name: str) -> tuple[Path, Benchmark | None, list[Mistake]]:
    """Return the file that `name` stands for, the spec less what is wrong with it, and the mistakes of its form.

    `name` is a shipped file's or the path of a YAML file. `checks.resolve` finds the other mistakes, and reports all.
    Raises InputError for an unknown name, and for a file that is no YAML mapping.
    """
    path = find(SPECS, name, place="SPEC")
    return path, *load_yaml_parts(path, Benchmark)

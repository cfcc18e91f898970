"""A benchmark spec: the YAML file that a run is made of, as frozen, strict models, and all mistakes that it shows.

`resolve` looks up what it names, and finds the other mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from robustbench_char.common.errors import nearest
from robustbench_char.common.files import find_declaration
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.options import Options, all_optional
from robustbench_char.common.seeds import Seed
from robustbench_char.common.yaml_model import Mistake, load_yaml_parts
from robustbench_char.defences.channel.options import ChannelOptions
from robustbench_char.defences.wordrec.options import RecogniserOptions
from robustbench_char.experiments._worst_case import WorstCasePart, unknown, worst_case_mistakes
from robustbench_char.inference.options import ModelOptions
from robustbench_char.tasks.base import Task
from robustbench_char.training.options import AugmentOptions, FinetuneOptions
from robustbench_char.training.pretraining.options import PretrainOptions

__all__ = ["RECOGNISER", "SPECS", "Benchmark", "DefencePart", "Given", "Ready", "load_spec"]

RECOGNISER = "recogniser"
"""The spec's word recogniser among its defences."""

SPECS = "benchmarks/suites"
"""Where shipped specs stand."""


class FinetunePart(all_optional(FinetuneOptions)):  # type: ignore[misc]
    """Options of `finetune`; those left out have its defaults."""


class PretrainPart(all_optional(PretrainOptions)):  # type: ignore[misc]
    """Options of `pretrain`; those left out have its defaults.

    `processes` train together, each on a GPU of its own (or on cores) and on `batch_size` blocks per step.
    """

    processes: int | None = Field(None, ge=1)


class RecogniserPart(all_optional(RecogniserOptions)):  # type: ignore[misc]
    """Options of `train-defence wordrec`. Without `text` one is trained for each task, on its training texts."""

    text: tuple[str, ...] = ()


class DefencePart(all_optional(ChannelOptions), all_optional(RecogniserOptions)):  # type: ignore[misc]
    """A defence that is built: its kind, what it reads, and the options of its kind, as those of `train-defence`.

    `text` are files below the data folder. `training_data` says that it reads the texts of the task's training data:
    one is built for each task then.
    """

    kind: Literal["channel", "wordrec"]
    text: tuple[str, ...] = ()
    training_data: bool | None = None

    @property
    def reads_task(self) -> bool:
        """Whether the task's training data are read: by default, of a word recogniser only where there is no text."""
        return self.kind != "wordrec" or not self.text if self.training_data is None else self.training_data

    @property
    def options(self) -> dict[str, Any]:
        """The options of its kind, those that are given."""
        options: dict[str, Any] = self.model_dump(exclude_none=True, exclude={"kind", "text", "training_data"})
        return options


OPTIONS: dict[str, type[Options]] = {"channel": ChannelOptions, "wordrec": RecogniserOptions}
"""The options of each kind of defence."""


def _seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError("one seed or several, all different")
    return seeds


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("at least one name")
    return names


Seeds = Annotated[tuple[Seed, ...], AfterValidator(_seeds)]
Names = Annotated[tuple[str, ...], AfterValidator(_names)]


class SystemSpec(all_optional(ModelOptions)):  # type: ignore[misc]
    """One system that is compared. `system` is its registered name, by default the key that it stands under.

    `pretrain` and `finetune` change options for this system alone. `starts_from` names another system of this spec,
    whose encoder its pre-training goes on from. `defence` puts one before it: a key of the spec's `defences`, a folder,
    or a ready one; `recogniser` the spec's word recogniser. `bases` and `tasks` restrict it to some. One of these may
    take the place of training: `model` (any that `check` takes, with its options beside it), `predictor` (a registered
    callable), `saved` (the folder of a fine-tuned system, by task).
    """

    system: str | None = None
    bases: Names | None = None
    tasks: tuple[str, ...] | None = None
    suites: tuple[str, ...] | None = None
    training_seeds: Seeds | None = None
    pretrain: PretrainPart = PretrainPart()
    finetune: FinetunePart = FinetunePart()
    starts_from: str | None = None
    augment: AugmentOptions | None = None
    recogniser: bool | None = None
    model: str | None = None
    predictor: str | None = None
    saved: dict[str, str] | None = None

    @property
    def trained(self) -> bool:
        """Whether the system is trained here."""
        return not (self.model or self.predictor or self.saved)

    @property
    def options(self) -> dict[str, Any]:
        """The options of `model`, those that are given."""
        options: dict[str, Any] = self.model_dump(mode="json", include={*ModelOptions.model_fields}, exclude_none=True)
        return options


class TaskSpec(Frozen):
    """One task. `train` and `test` are paths below the data folder, by default those of `resolve.LAYOUT`.

    Where data are `mini` or of the `hub`, they are names of splits (train, dev, test) instead. `test_limit` scores the
    first examples only. `data`, suites and seeds are those of the spec unless given here; `fields` are attacked in
    place of those of a suite. `operations` adds suites of published edit operations, each with its file below the data
    folder. With `train_systems` off the test set is attacked and nothing else.
    """

    data: Literal["files", "mini", "hub"] | None = None
    train: str | None = None
    test: str | None = None
    test_limit: int | None = Field(None, ge=1)
    train_systems: bool = True
    suites: Names | None = None
    fields: Names | None = None
    operations: dict[str, str] = Field(default_factory=dict)
    attack_seeds: Seeds | None = None
    training_seeds: Seeds | None = None
    finetune: FinetunePart = FinetunePart()


class SensitivityOptions(Frozen):
    """Where sensitivity S is measured: these suites, these tasks (None: all), the first `limit` examples."""

    suites: tuple[str, ...]
    tasks: tuple[str, ...] | None = None
    limit: int | None = Field(None, ge=1)


class Budget(Frozen):
    """Limits on the expected cost of a run; a plan that exceeds one is refused before any work.

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
    attack_seeds: Seeds = (1,)
    suite_seeds: dict[str, Seeds] = Field(default_factory=dict)
    training_seeds: Seeds = (0,)
    text: tuple[str, ...] = ()
    heldout_text: tuple[str, ...] = ()
    pretrain: PretrainPart = PretrainPart()
    finetune: FinetunePart = FinetunePart()
    recogniser: RecogniserPart | None = None
    defences: dict[str, DefencePart] = Field(default_factory=dict)
    sensitivity: SensitivityOptions | None = None
    worst_case: dict[str, WorstCasePart] = Field(default_factory=dict)
    threads: int = Field(1, ge=1)
    device: Literal["cpu", "gpu"] = "cpu"
    gpus_per_job: int = Field(1, ge=1)
    budget: Budget = Budget()
    examples: bool = True

    @property
    def files(self) -> set[str]:
        """The names of files of text and of operations."""
        texts = [part.text for part in (*self.defences.values(), self.recogniser) if part]
        published = [path for task in self.tasks.values() for path in task.operations.values()]
        return {*self.text, *self.heldout_text, *published, *(name for text in texts for name in text)}

    def trained(self) -> dict[str, SystemSpec]:
        """Return the systems that are trained here."""
        return {key: system for key, system in self.systems.items() if system.trained}

    def kind_of(self, key: str) -> str:
        """Return the registered name of a system."""
        return self.systems[key].system or key

    def bases_of(self, system: SystemSpec) -> tuple[str, ...]:
        """Return the bases of a system."""
        return system.bases or self.bases

    def tasks_of(self, system: SystemSpec) -> tuple[str, ...]:
        """Return the tasks of this spec that a system is trained or predicts on; `saved` names its own."""
        return tuple(key for key in system.tasks or self.tasks if key in self.tasks)

    def reads_training_data(self, task: str) -> bool:
        """Return whether a system, or the defence that is built before one, is trained on a task."""
        systems = [one for one in self.systems.values() if task in self.tasks_of(one)]
        built = [self.defences[one.defence] for one in systems if one.defence in self.defences]
        trained = self.tasks[task].train_systems and any(one.trained for one in systems)
        return trained or any(part.reads_task for part in built)

    def suites_of(self, task: str) -> tuple[str, ...]:
        """Return the suites that a task is attacked with."""
        return tuple(dict.fromkeys((*(self.tasks[task].suites or self.suites), *self.tasks[task].operations)))

    def attack_seeds_of(self, task: str) -> dict[str, tuple[int, ...]]:
        """Return the seeds that each suite attacks a task with; operations draw nothing, and have the seed 0."""
        asked, usual = self.tasks[task], self.tasks[task].attack_seeds or self.attack_seeds
        return {
            suite: (0,) if suite in asked.operations else self.suite_seeds.get(suite, usual)
            for suite in self.suites_of(task)
        }

    def finetune_options(self, task: str, system: SystemSpec) -> dict[str, Any]:
        """Return the options of fine-tuning: the system's over the task's over the spec's."""
        return _combine(self.finetune, self.tasks[task].finetune, system.finetune)

    def pretrain_options(self, system: SystemSpec) -> dict[str, Any]:
        """Return the options of pre-training: the system's over the spec's."""
        return _combine(self.pretrain, system.pretrain)


def _combine(*parts: Frozen) -> dict[str, Any]:
    return {name: value for part in parts for name, value in part.model_dump(exclude_none=True).items()}


@dataclass(frozen=True)
class Ready:
    """A model that is not trained here: what `open_model` takes, and what decides its predictions on one task."""

    name: Any
    options: Mapping[str, Any]
    identity: Mapping[str, Any]

    @property
    def heavy(self) -> bool:
        """Whether it computes with torch, as far as that is known here."""
        return self.identity["kind"] in ("saved", "transformers")


@dataclass(frozen=True)
class Given:
    """What a spec made in Python brings along: its name, and what its names of tasks and systems stand for."""

    name: str = "benchmark"
    tasks: Mapping[str, Task] = field(default_factory=dict)
    ready: Mapping[str, Ready] = field(default_factory=dict)


def load_spec(name: str) -> tuple[Path, Benchmark | None, list[Mistake]]:
    """Return the file that `name` stands for, the spec less keys of wrong form, and all mistakes that the file shows.

    `name` is a shipped file's or the path of a YAML file. `resolve.resolve` finds the mistakes in what the spec names,
    and reports all. Raises InputError for an unknown name, and for a file that is not a YAML mapping.
    """
    path = find_declaration(SPECS, name, place="SPEC")
    spec, mistakes = load_yaml_parts(path, Benchmark)
    return path, spec, mistakes if spec is None else [*mistakes, *combined(spec)]


def combined(spec: Benchmark) -> Iterator[Mistake]:
    """Yield the mistakes in how the parts of a spec fit each other."""
    for key, thing, example in (("systems", "system", "bert"), ("tasks", "task", "conll2003")):
        if not getattr(spec, key):
            yield Mistake(key, "none", f"at least one {thing}", f"Name one, for example `{example}: {{}}`.")
    needed = {"bases": spec.trained(), "suites": [key for key, task in spec.tasks.items() if task.suites is None]}
    for key, users in needed.items():
        if users and not getattr(spec, key):
            yield Mistake(key, "an empty list", "at least one name", "Name one.")
    for key, system in spec.systems.items():
        yield from _system(spec, f"systems.{key}", system)
        if system.starts_from is not None:
            yield from _starts_from(spec, key, system, system.starts_from)
    yield from unknown(
        "suite_seeds", spec.suite_seeds, {suite for task in spec.tasks for suite in spec.suites_of(task)}
    )
    yield from _defences(spec)
    yield from worst_case_mistakes(spec.worst_case, spec.tasks, spec.systems)
    if spec.sensitivity is not None:
        tasks = spec.sensitivity.tasks
        yield from unknown("sensitivity.tasks", tasks, spec.tasks)
        for task in tasks or spec.tasks:
            if task in spec.tasks:
                yield from unknown("sensitivity.suites", spec.sensitivity.suites, spec.suites_of(task))


def _system(spec: Benchmark, key: str, system: SystemSpec) -> Iterator[Mistake]:
    """Yield the mistakes in what a system names, and in keys of training beside a system that is ready."""
    yield from unknown(f"{key}.tasks", system.tasks, spec.tasks)
    yield from unknown(f"{key}.bases", system.bases, spec.bases)
    yield from unknown(f"{key}.saved", system.saved, spec.tasks)
    run = dict.fromkeys(name for task in spec.tasks_of(system) for name in spec.suites_of(task))
    yield from unknown(f"{key}.suites", system.suites, run)
    beside = () if system.trained else sorted(system.model_fields_set & _OF_TRAINING)
    named = [name for name in ("model", "predictor", "saved") if getattr(system, name)]
    if beside or len(named) > 1:
        yield Mistake(key, f"{', '.join(beside) or ' and '.join(named)} with a system that is ready",
                      "one of: a system that is trained, a model, a predictor, saved folders",
                      "Leave the others out.")  # fmt: skip
    alone = sorted(set(system.options) - ({"defence"} if system.trained else set()))
    if alone and not system.model:
        yield Mistake(key, f"{', '.join(alone)} without a model", "options of `model`",
                      "Name the model: `model: FOLDER_OR_ID`.")  # fmt: skip
    if system.defence and system.recogniser is not None:
        yield Mistake(key, "defence and recogniser", "one defence before a system", "Leave one of them out.")
    if system.saved and system.tasks is not None:
        yield Mistake(f"{key}.tasks", "tasks beside saved folders", "the tasks of `saved` alone", "Leave it out.")


_OF_TRAINING = {
    "system", "bases", "training_seeds", "pretrain", "finetune", "starts_from", "augment", "recogniser",
}  # fmt: skip


def _defences(spec: Benchmark) -> Iterator[Mistake]:
    """Yield the mistakes in how the keys of defences fit their kinds."""
    if RECOGNISER in spec.defences and spec.recogniser is not None:
        yield Mistake(f"defences.{RECOGNISER}", "a second word recogniser", "the key `recogniser` or this one",
                      "Leave one of them out, or rename this one.")  # fmt: skip
    for key, part in spec.defences.items():
        known, place = [*OPTIONS[part.kind].model_fields], f"defences.{key}"
        for name in part.options:
            if name not in known:
                yield Mistake(f"{place}.{name}", f"an option that a defence of kind {part.kind} does not have",
                              f"one of {', '.join(known)}", f"Leave it out.{nearest(name, known)}")  # fmt: skip
        if part.kind == "wordrec" and part.reads_task == bool(part.text):
            found = "true, beside text" if part.text else "false, and no text"
            yield Mistake(f"{place}.training_data", found, "one source of words", "Give text, or true.")


def _starts_from(spec: Benchmark, key: str, system: SystemSpec, first: str) -> Iterator[Mistake]:
    """Yield the mistakes in pre-training that continues another system's: it begins at a base, of the same kind."""
    place, chain = f"systems.{key}.starts_from", [first]
    yield from unknown(place, chain, spec.systems)
    while (other := spec.systems.get(chain[-1])) and other.starts_from and other.starts_from not in chain:
        chain.append(other.starts_from)
    if key in chain:
        yield Mistake(place, f"a circle: {' -> '.join([key, *chain])}", "a chain that begins at a base",
                      "Leave out one starts_from.")  # fmt: skip
    if first not in spec.systems:
        return
    if spec.kind_of(first) != spec.kind_of(key):
        yield Mistake(place, f"{first}, another kind of system", "one of the same kind",
                      "Pre-training continues within one kind of system alone.")  # fmt: skip
    missing = sorted(set(spec.bases_of(system)) - set(spec.bases_of(spec.systems[first])))
    if missing or not spec.systems[first].trained:
        yield Mistake(place, f"{first}, which is not trained {f'on {missing[0]}' if missing else 'here'}",
                      "a system that is pre-trained on the same bases",
                      "Change `bases`, or leave starts_from out.")  # fmt: skip

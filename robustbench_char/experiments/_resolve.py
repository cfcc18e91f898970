"""All that a spec names, looked up before any work: tasks, suites, base checkpoints, data, systems, devices.

Every mistake is reported at once, with its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_char.attack_sets.stream import Attack, suites_of
from robustbench_char.attacks.suites import Suite, check_keeps_words
from robustbench_char.common import InputError
from robustbench_char.common.extras import installed
from robustbench_char.common.systems import SYSTEMS, Traits
from robustbench_char.common.yaml_model import Mistake, all_at_once
from robustbench_char.experiments._defences import Defences, located, resolve_defences, text_files
from robustbench_char.experiments._jobs import MINI, Source, job_name
from robustbench_char.experiments._mistakes import Mistakes
from robustbench_char.experiments._searches import Search, check_fields, resolve_searches
from robustbench_char.experiments._trainable import check_training, is_pretrained
from robustbench_char.experiments.spec import Benchmark, Given, Ready, TaskSpec
from robustbench_char.inference.opening import Kind, identify_model
from robustbench_char.inference.options import ModelOptions
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.training._examples import attack_behind

if TYPE_CHECKING:
    from robustbench_char.models.bases import Base

LAYOUT = {
    "squad_v1": ("squad/train-v1.1.json", "squad/dev-v1.1.json"),
    "squad_v2": ("squad/train-v2.0.json", "squad/dev-v2.0.json"),
    "cola": ("glue/CoLA/train.tsv", "glue/CoLA/dev.tsv"),
    "mrpc": ("glue/MRPC/train.tsv", "glue/MRPC/test.tsv"),
    "qqp": ("glue/QQP/train.tsv", "glue/QQP/dev.tsv"),
    "qnli": ("glue/QNLI/train.tsv", "glue/QNLI/dev.tsv"),
    "conll2003": ("conll2003/train.txt", "conll2003/test.txt"),
    "ptb_pos": ("ptb/wsj@train", "ptb/wsj@test"),
}
"""Train and test file of each task below the data folder, as the sets are released; MRPC's test labels are public."""

_HUB_TEST = {"mrpc": "test", "conll2003": "test"}  # elsewhere labels of test are not public


@dataclass(frozen=True)
class ResolvedTask:
    """A task of the spec, all that it names, and what its jobs share.

    `train` is None where nothing is trained; `examples` counts those of the training and the test data; `suites` are by
    their name in the spec, one per strength; each attacks with each of its `seeds`.
    """

    key: str
    task: Task
    spec: TaskSpec
    train: Source | None
    test: Source
    examples: tuple[int, int]
    suites: dict[str, list[Suite]]
    seeds: dict[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def attacks(self) -> list[tuple[Suite, int, str]]:
        """Suite, seed and the name of the job of each attack."""
        attacks = [(suite, seed) for name, some in self.suites.items() for suite in some for seed in self.seeds[name]]
        return [(suite, seed, job_name("attack", self.name, suite.name, f"seed_{seed}")) for suite, seed in attacks]

    @cached_property
    def params(self) -> dict[str, Any]:
        """What decides how the test data are read."""
        return {"task": self.task.model_dump(mode="json", by_alias=True), "test": self.test.sha256(self.task)}

    @cached_property
    def train_sha256(self) -> str:
        return (self.train or self.test).sha256(self.task)

    @cached_property
    def train_attack(self) -> dict[str, str]:
        """What keys say of the attack that the training file came out of: nothing of a clean one."""
        manifest = self.train and attack_behind(self.train.open(self.task))
        return {"train_attack": manifest.suite_sha256} if manifest else {}

    @property
    def paths(self) -> dict[str, Any]:
        return {"train": self.train and asdict(self.train), "test": asdict(self.test)}

    @property
    def evaluated(self) -> int:
        """How many examples of the test data are predicted."""
        return min(self.examples[1], self.spec.test_limit or self.examples[1])

    def named(self, names: Iterable[str]) -> set[str]:
        """Return the suites, one per strength, that a part of the spec names as the task does."""
        return {suite.name for name in names for suite in self.suites.get(name, ())}

    def conditions(self, suites: Iterable[str] | None) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield clean data and the attacks by some suites (None: all), each with the need of what attacks the data."""
        named = None if suites is None else self.named(suites)
        yield "clean", {}
        for suite, seed, job in self.attacks:
            if named is None or suite.name in named:
                yield f"{suite.name}/seed_{seed}", {"attacked": job}


def _data(task: Task, asked: TaskSpec, kind: str, folder: Path, *, trained: bool) -> tuple[Source | None, Source]:
    """Return the training (None: nothing is trained) and the test data. Raises InputError where no file is named."""
    known = LAYOUT.get(task.name, (None, None))
    if kind != "files":
        known = ("train", _HUB_TEST.get(task.name, "dev") if kind == "hub" else "test")
    paths = {"train": asked.train or known[0]} if trained else {}
    sources = {}
    for key, path in {**paths, "test": asked.test or known[1]}.items():
        if path is None:
            raise InputError(f"tasks.{task.name}.{key}", found="no such key",
                             expected="a path below the data folder, for a task of your own",
                             fix="Add the key.")  # fmt: skip
        sources[key] = _file(folder, path) if kind == "files" else Source(kind, split=path)
    return sources.get("train"), sources["test"]


def _file(folder: Path, path: str) -> Source:
    name, at, split = path.rpartition("@")  # FOLDER@SPLIT: the sections of that split
    if not at or (folder / path).is_file():  # the name of a file may hold an @
        return Source("files", str((folder / path).resolve()))
    return Source("files", str((folder / name).resolve()), split)


def _counts(task: Task, train: Source | None, test: Source) -> tuple[int, int]:
    """Return how many examples the data hold. Raises InputError for a file that cannot be read, and for one as both."""
    counts = sum(1 for _ in train.open(task).examples()) if train else 0, sum(1 for _ in test.open(task).examples())
    if train and train.sha256(task) == test.sha256(task):
        raise InputError(f"tasks.{task.name}.train", found="the very data that are tested on", expected="other data",
                         fix="Name another file for train or test.")  # fmt: skip
    return counts


@dataclass(frozen=True)
class Resolved:
    """A spec with all that it names; keys are those of the spec.

    Those of what is `ready` are system and task, those of `searches` their name and the task.
    """

    spec: Benchmark
    tasks: dict[str, ResolvedTask]
    ready: dict[tuple[str, str], Ready]
    bases: dict[str, Base]
    text: tuple[str, ...]
    heldout: tuple[str, ...]
    defences: Defences
    searches: dict[tuple[str, str], Search]
    folder: Path

    def kind(self, name: str) -> Traits:
        """Return what decides how a system of the spec is trained."""
        return SYSTEMS.traits(self.spec.kind_of(name))

    def is_pretrained(self, base: str, name: str) -> bool:
        """Return whether a system of the spec is pre-trained on one of its bases before it is fine-tuned."""
        return is_pretrained(self.spec, self.kind(name), self.bases[base])


def resolve(
    path: Path, spec: Benchmark | None, mistakes: list[Mistake], data_dir: Path | None, given: Given | None = None
) -> Resolved:
    """Return the spec with all that it names. Raises one InputError that lists every mistake, those given included."""
    if spec is None:
        raise all_at_once(path, mistakes)
    wrong = Mistakes(mistakes)
    resolved = _resolved(spec, data_dir, given or Given(), wrong)
    if wrong:
        raise all_at_once(path, wrong)
    return resolved


def _resolved(spec: Benchmark, data_dir: Path | None, given: Given, wrong: Mistakes) -> Resolved:
    folder = data_dir or Path()
    kinds = {key: task.data or spec.data for key, task in spec.tasks.items()}
    _check_data_dir(data_dir, "files" in kinds.values() or bool(spec.files - {MINI}), wrong)
    tasks = wrong.each(spec.tasks, lambda key: given.tasks.get(key) or get_task(key), "tasks")
    data = wrong.each(
        tasks,
        lambda key: _data(tasks[key], spec.tasks[key], kinds[key], folder, trained=spec.reads_training_data(key)),
        "tasks",
    )
    suites = _suites(spec, tasks, folder, wrong)
    defences = resolve_defences(spec, data_dir, wrong)
    ready = _ready(spec, tasks, folder, given, defences, wrong)
    searches = resolve_searches(spec, tasks, ready, wrong)
    _check_saved(spec, folder, wrong)
    bases = _bases(spec, tasks, wrong)
    own = any(not system.model and not system.predictor for system in spec.systems.values())
    if spec.device == "gpu" or own or any(model.heavy for model in ready.values()):
        _check_device(spec, wrong)
    text, heldout = (text_files(key, getattr(spec, key), data_dir, wrong) for key in ("text", "heldout_text"))
    readable = [key for key in data if data_dir is not None or kinds[key] != "files"]
    examples = wrong.each(readable, lambda key: _counts(tasks[key], *data[key]), "tasks")
    seeds_of = spec.attack_seeds_of
    resolved = {
        key: ResolvedTask(key, tasks[key], spec.tasks[key], *data[key], examples[key], suites[key], seeds_of(key))
        for key in (() if wrong else tasks)
    }
    return Resolved(spec, resolved, ready, bases, text, heldout, defences, searches, folder)


def _check_data_dir(data_dir: Path | None, needed: bool, wrong: Mistakes) -> None:
    if data_dir is None and needed:
        wrong.add("--data-dir", "none, and files below it", "the folder that holds them",
                  "Add --data-dir FOLDER (its layout: docs/benchmarks.md).")  # fmt: skip
    elif data_dir is not None and not data_dir.is_dir():
        wrong.add("--data-dir", f"no folder {data_dir}", "an existing folder", "Check the path.")


def _suites(
    spec: Benchmark, tasks: dict[str, Task], folder: Path, wrong: Mistakes
) -> dict[str, dict[str, list[Suite]]]:
    """Return the suites of each task by their name in the spec, one per strength."""
    resolved = {}
    for key, task in tasks.items():
        files = {name: folder / path for name, path in spec.tasks[key].operations.items()}
        drawn = [name for name in spec.suites_of(key) if name not in files]
        place = f"tasks.{key}.suites" if spec.tasks[key].suites else "suites"
        resolved[key] = wrong.each(drawn, partial(suites_of, task=task), place)
        resolved[key] |= wrong.each(files, partial(_published, task, files), f"tasks.{key}.operations")
        check_fields(f"tasks.{key}.fields", spec.tasks[key].fields or (), {key: task}, wrong)
        named = spec.sensitivity.suites or () if spec.sensitivity else ()
        wrong.each(resolved[key].keys() & set(named), partial(_compared, resolved[key]), "sensitivity.suites")
    return resolved


def _compared(suites: Mapping[str, list[Suite]], name: str) -> None:
    for suite in suites[name]:
        check_keeps_words(suite, "sensitivity compares words one by one")


def _published(task: Task, files: Mapping[str, Path], name: str) -> list[Suite]:
    return [Attack.of(task, name, 0, None, files[name]).suite]


def _bases(spec: Benchmark, tasks: dict[str, Task], wrong: Mistakes) -> dict[str, Base]:
    """Return the bases by name, none where nothing is trained; all mistakes of training are added."""
    if not spec.trained() and spec.recogniser is None and not spec.defences:
        return {}
    return check_training(spec, tasks, wrong)


def _ready(
    spec: Benchmark, tasks: dict[str, Task], folder: Path, given: Given, defences: Defences, wrong: Mistakes
) -> dict[tuple[str, str], Ready]:
    """Return the models and predictors of a spec that are not trained here, for each of their tasks."""
    ready = {}
    for key, system in spec.systems.items():
        asked, options = system.model or system.predictor, system.options
        if options.pop("defence", None) and key in defences.ready:  # else it is built, or a mistake
            options["defence"] = defences.ready[key][0]
        for task in spec.tasks_of(system) if asked else ():
            if asked and task in tasks:
                try:
                    ready[key, task] = given.ready.get(key) or ready_model(
                        asked, tasks[task], options, folder, "predictor" if system.predictor else None
                    )
                except InputError as error:
                    place = f"systems.{key}.{'model' if system.model else 'predictor'}"
                    wrong.add(place, f"{error.found} ({error.place})", error.expected, error.fix)
    return ready


def ready_model(
    name: Any, task: Task, options: Mapping[str, Any], folder: Path = Path(), kind: Kind | None = None
) -> Ready:
    """Return a model that is not trained here, by what `open_model` takes; paths may start at `folder`.

    Raises InputError as `identify_model` does.
    """
    chosen = ModelOptions.model_validate(options, strict=False)
    named = located(folder, str(name)) if isinstance(name, str | Path) else name
    return Ready(named, options, identify_model(named, task, options=chosen, kind=kind))


def _check_saved(spec: Benchmark, folder: Path, wrong: Mistakes) -> None:
    for key, system in spec.systems.items():
        for task, name in (system.saved or {}).items():
            if not (folder / name / "system.json").is_file():
                wrong.add(f"systems.{key}.saved.{task}", f"no system.json in {name}", "a folder that `finetune` wrote",
                          "Check the path, relative to the data folder.")  # fmt: skip


def _check_device(spec: Benchmark, wrong: Mistakes) -> None:
    available, per_job = _gpus(), spec.gpus_per_job
    if spec.device == "cpu":
        if available:
            wrong.add("device", "cpu, on a machine with a GPU", "gpu, which training would use",
                      "Write `device: gpu`, or hide it: CUDA_VISIBLE_DEVICES= robustbench-char run ...")  # fmt: skip
        return
    if available < per_job:
        wrong.add("device", f"gpu, with {per_job} per job; {available} available", "a GPU",
                  "Run on a machine with one, or write `device: cpu`.")  # fmt: skip
    parts = {"pretrain": spec.pretrain}
    parts |= {f"systems.{key}.pretrain": system.pretrain for key, system in spec.systems.items()}
    for place, pretrain in parts.items():
        if (pretrain.processes or 1) > per_job:
            wrong.add(f"{place}.processes", f"{pretrain.processes}", f"at most {per_job}",
                      "Raise gpus_per_job: each process has a GPU of its own.")  # fmt: skip


def _gpus() -> int:
    if not installed("torch"):
        return 0
    import torch

    return torch.cuda.device_count()

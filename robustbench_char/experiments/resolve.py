"""Everything that is wrong with a spec, found before any work: names, combinations, files, devices.

What a spec names is resolved here: tasks, suites, base checkpoints, data with their hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from robustbench_char.attacks.suites import Suite, load_suites
from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.common.yaml_model import Mistake, all_at_once
from robustbench_char.experiments.option_checks import wrong_options
from robustbench_char.experiments.sources import MINI, TaskData
from robustbench_char.experiments.spec import Benchmark, SystemSpec
from robustbench_char.models.checkpoints import Base, resolve_base
from robustbench_char.models.system import System
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.records.predictors import load_predictor
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.registry import get_task
from robustbench_char.training.augmentation import AUGMENT_SEED

__all__ = ["Resolved", "resolve"]

T = TypeVar("T")


@dataclass(frozen=True)
class Resolved:
    """A spec with all that it names. Keys are those of the spec; `suites` maps a task and a suite to one a strength.

    `examples` counts those of the training and the test file of each task.
    """

    spec: Benchmark
    tasks: dict[str, Task]
    data: dict[str, TaskData]
    examples: dict[str, tuple[int, int]]
    predictors: dict[str, SystemInfo]
    suites: dict[tuple[str, str], list[Suite]]
    bases: dict[str, Base]
    text: tuple[str, ...]
    heldout: tuple[str, ...]
    recogniser_text: tuple[str, ...]
    folder: Path

    def kind(self, name: str) -> type[System]:
        """Return the class of a system of the spec that is trained."""
        return SYSTEMS.get(self.spec.systems[name].system or name)

    def conditions(self, task: str) -> Iterator[tuple[Suite, int]]:
        """Yield the attacks of a task: each suite with each seed."""
        asked = self.spec.tasks[task]
        for name in asked.suites or self.spec.suites:
            for suite in self.suites[task, name]:
                for seed in asked.attack_seeds or self.spec.attack_seeds:
                    yield suite, seed


def resolve(path: Path, spec: Benchmark | None, mistakes: list[Mistake], data_dir: Path | None) -> Resolved:
    """Return the spec with all that it names. Raises one InputError that lists every mistake, those given included."""
    if spec is None:
        raise all_at_once(path, Benchmark, mistakes)
    found = _Finder(spec, data_dir, list(mistakes))
    resolved = found.resolved()
    if found.mistakes:
        raise all_at_once(path, Benchmark, found.mistakes)
    return resolved


class _Finder:
    """Collects mistakes while it resolves names; what is wrong is left out of what it returns."""

    def __init__(self, spec: Benchmark, data_dir: Path | None, mistakes: list[Mistake]) -> None:
        self.spec, self.mistakes = spec, mistakes
        self.folder = data_dir or Path()
        self.predictors: dict[str, SystemInfo] = {}
        self.data_dir = data_dir

    def resolved(self) -> Resolved:
        spec = self.spec
        self._data_dir()
        tasks = self._each(spec.tasks, lambda key: get_task(key), "tasks")
        data = self._each(tasks, lambda key: TaskData.of(spec, tasks[key], spec.tasks[key], self.folder), "tasks")
        suites = self._suites(tasks)
        self._systems(tasks)
        self._numbers()
        trained = any(not one.predictor and not one.saved for one in spec.systems.values())
        bases = self._each(spec.bases, self._base, "bases") if trained else {}
        names = [base.name.replace("/", "-") for base in bases.values()]
        if len(set(names)) < len(names):
            self._wrong("bases", f"{', '.join(names)}", "bases of different names", "Rename a folder.")
        self.mistakes += [one for one in wrong_options(spec, tasks, bases) if one not in self.mistakes]
        self._device()
        text, heldout = self._files("text", spec.text), self._files("heldout_text", spec.heldout_text)
        words = self._files("recogniser.text", spec.recogniser.text if spec.recogniser else ())
        readable = [key for key, one in data.items() if self.data_dir is not None or one.test.kind != "files"]
        counted = self._each(readable, lambda key: self._counted(tasks[key], data[key]), "tasks")
        return Resolved(spec, tasks, data, counted, self.predictors, suites, bases, text, heldout, words, self.folder)

    def _each(self, keys: Iterable[str], make: Callable[[str], T], place: str) -> dict[str, T]:
        """Make one thing a key; an InputError is a mistake of that key."""
        made = {}
        for key in keys:
            try:
                made[key] = make(key)
            except InputError as error:
                self._wrong(f"{place}.{key}", f"{_at(error)}{error.found}", error.expected, error.fix)
        return made

    def _base(self, name: str) -> Base:
        """Return a base. It may be of any type where it is for systems that take any."""
        systems = self.spec.systems.items()
        kinds = {
            one.system or key
            for key, one in systems
            if name in (one.bases or self.spec.bases) and not (one.predictor or one.saved)
        }
        return resolve_base(name, any_type=all(SYSTEMS.get(kind).any_type for kind in kinds & set(SYSTEMS)))

    def _wrong(self, key: str, found: str, expected: str, fix: str) -> None:
        self.mistakes.append(Mistake(key, found, expected, fix))

    def _data_dir(self) -> None:
        kinds = {task.data or self.spec.data for task in self.spec.tasks.values()}
        texts = (*self.spec.text, *self.spec.heldout_text, *(self.spec.recogniser.text if self.spec.recogniser else ()))
        if self.data_dir is None and ("files" in kinds or set(texts) - {MINI}):
            self._wrong(
                "--data-dir",
                "none, and files that lie there",
                "the folder that holds them",
                "Add --data-dir FOLDER (its layout: docs/benchmarks.md).",
            )
        elif self.data_dir is not None and not self.data_dir.is_dir():
            self._wrong("--data-dir", f"no folder {self.data_dir}", "an existing folder", "Check the path.")

    def _suites(self, tasks: dict[str, Task]) -> dict[tuple[str, str], list[Suite]]:
        found = {}
        for key in tasks:
            asked = self.spec.tasks[key].suites
            place = f"tasks.{key}.suites" if asked else "suites"
            for name in asked or self.spec.suites:
                made = self._each([name], lambda one, task=tasks[key]: load_suites(one, task=task.name), place)  # type: ignore[misc]
                found.update({(key, name): suites for name, suites in made.items()})
        self.mistakes = list(dict.fromkeys(self.mistakes))  # an unknown suite is so for every task
        self._measured(tasks)
        return found

    def _measured(self, tasks: dict[str, Task]) -> None:
        """Check where sensitivity is measured."""
        asked = self.spec.sensitivity
        if asked is None:
            return
        for key in asked.tasks or ():
            self._known("sensitivity.tasks", key, self.spec.tasks)
        for key in asked.tasks or tasks:
            if key in self.spec.tasks:
                for name in asked.suites:
                    self._known("sensitivity.suites", name, self.spec.tasks[key].suites or self.spec.suites)

    def _known(self, key: str, name: str, known: Iterable[str]) -> None:
        if name not in known:
            self._wrong(
                key,
                f"{name!r}, which this spec does not run",
                f"one of {', '.join(known)}",
                f"Correct the name.{nearest(name, known)}",
            )

    def _systems(self, tasks: dict[str, Task]) -> None:
        if not self.spec.systems:
            self._wrong("systems", "none", "at least one system", "Name one, for example `bert: {}`.")
        for key, one in self.spec.systems.items():
            for name in one.tasks or ():
                self._known(f"systems.{key}.tasks", name, self.spec.tasks)
            for name in one.bases or ():
                self._known(f"systems.{key}.bases", name, self.spec.bases)
            run = dict.fromkeys(
                name
                for task in one.tasks or self.spec.tasks
                if task in self.spec.tasks
                for name in self.spec.tasks[task].suites or self.spec.suites
            )
            for name in one.suites or ():
                self._known(f"systems.{key}.suites", name, run)
            if one.predictor or one.saved:
                self._ready_made(key, one, tasks)
            else:
                self._trained(key, one)
        self._circle()
        self._empty()

    def _trained(self, key: str, one: SystemSpec) -> None:
        name = one.system or key
        place = f"systems.{key}.system" if one.system else f"systems.{key}"
        if name not in SYSTEMS:
            self._wrong(
                place,
                f"unknown system {name!r}",
                f"one of {', '.join(SYSTEMS)}",
                f"Correct the name, or say what it is: `system: bert`.{nearest(name, SYSTEMS)}",
            )
            return
        kind: type[System] = SYSTEMS.get(name)
        if kind.pretraining and not self.spec.text:
            self._wrong(
                "text", f"no files, and {key} is pre-trained", "plain text to pre-train on", "Add the key `text`."
            )
        if not kind.pretraining and (one.starts_from or one.pretrain.model_dump(exclude_none=True)):
            self._wrong(
                f"systems.{key}",
                f"pre-training for {name}, which starts from the base as it is",
                "pretrain and starts_from for bert_mlm, advbert and charbert alone",
                "Leave them out.",
            )
        if one.recogniser is False and kind.needs_recogniser:
            self._wrong(
                f"systems.{key}.recogniser",
                f"false, for {name}",
                "the recogniser that it is made of",
                "Leave it out, or take the system bert.",
            )
        if one.augment and one.augment.suite is None and kind.augmentation is None:
            self._wrong(
                f"systems.{key}.augment",
                "no suite, and a system that has none of its own",
                "the suite that copies are attacked with",
                "Add `suite`, or take the system bert_aug.",
            )

    def _ready_made(self, key: str, one: SystemSpec, tasks: dict[str, Task]) -> None:
        """Check a system that is not trained here."""
        training = {"system", "bases", "training_seeds", "pretrain", "finetune", "starts_from", "augment", "recogniser"}
        asked = one.model_fields_set & training
        if asked or (one.predictor and one.saved):
            self._wrong(
                f"systems.{key}",
                f"{', '.join(sorted(asked)) or 'predictor and saved'} with a system that is ready",
                "one of: a system that is trained, a predictor, saved folders",
                "Leave the others out.",
            )
        if one.saved and one.tasks is not None:
            self._wrong(
                f"systems.{key}.tasks", "tasks beside saved folders", "the tasks of `saved` alone", "Leave it out."
            )
        if one.predictor:
            served = [tasks[name] for name in one.tasks or tasks if name in tasks]
            self._predictor(f"systems.{key}.predictor", one.predictor, served)
        for task, folder in (one.saved or {}).items():
            self._known(f"systems.{key}.saved", task, self.spec.tasks)
            if not (self.folder / folder / "system.json").is_file():
                self._wrong(
                    f"systems.{key}.saved.{task}",
                    f"no system.json in {folder}",
                    "a folder that `finetune` wrote",
                    "Check the path, relative to the data folder.",
                )

    def _predictor(self, key: str, name: str, tasks: Iterable[Task]) -> None:
        try:
            predictor = load_predictor(name)
            for task in tasks:
                predictor.check_serves(task)
            self.predictors[name] = predictor.system
        except InputError as error:
            self._wrong(key, error.found, error.expected, error.fix)

    def _circle(self) -> None:
        """Check that pre-training that goes on from another's comes to an end."""
        for key, one in self.spec.systems.items():
            if one.starts_from is None:
                continue
            self._begins(key, one)
            seen, at = [key], self.spec.systems.get(one.starts_from)
            names = [one.starts_from]
            while at is not None and at.starts_from is not None and at.starts_from not in names:
                names.append(at.starts_from)
                at = self.spec.systems.get(at.starts_from)
            seen += names
            if key in names:
                self._wrong(
                    f"systems.{key}.starts_from",
                    f"a circle: {' -> '.join(seen)}",
                    "a chain that begins at a base",
                    "Leave out one starts_from.",
                )
            first = self.spec.systems.get(one.starts_from)
            self._known(f"systems.{key}.starts_from", one.starts_from, self.spec.systems)
            if first and (first.system or one.starts_from) != (one.system or key):
                self._wrong(
                    f"systems.{key}.starts_from",
                    f"{one.starts_from}, another kind of system",
                    "one of the same kind",
                    "Pre-training goes on for one kind of system alone.",
                )

    def _begins(self, key: str, one: SystemSpec) -> None:
        """Check that the system whose pre-training another goes on from is pre-trained on each of its bases."""
        first = self.spec.systems.get(str(one.starts_from))
        if first is None:
            return
        missing = set(one.bases or self.spec.bases) - set(first.bases or self.spec.bases)
        if first.predictor or first.saved or missing:
            self._wrong(
                f"systems.{key}.starts_from",
                f"{one.starts_from}, which is not trained {f'on {min(missing)}' if missing else 'here'}",
                "a system that is pre-trained on the same bases",
                "Change `bases`, or leave starts_from out.",
            )

    def _empty(self) -> None:
        """Check that nothing is empty that would leave out what the spec asks for."""
        trained = {key: one for key, one in self.spec.systems.items() if not one.predictor and not one.saved}
        lists = [("bases", self.spec.bases)] if trained else []
        lists += [(f"systems.{key}.bases", one.bases) for key, one in trained.items() if one.bases is not None]
        for name, task in self.spec.tasks.items():
            lists.append(("suites", self.spec.suites) if task.suites is None else (f"tasks.{name}.suites", task.suites))
        for place in dict.fromkeys(place for place, names in lists if not names):
            self._wrong(place, "an empty list", "at least one name", "Name one.")

    def _numbers(self) -> None:
        for key, seeds in self._seeds():
            if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**32 for seed in seeds):
                self._wrong(key, str(list(seeds)), "different numbers from 0 to 4294967295", "Correct the list.")
        if not self.spec.tasks:
            self._wrong("tasks", "none", "at least one task", "Name one, for example `conll2003: {}`.")
        copies = {
            one.augment.seed if one.augment and one.augment.seed is not None else AUGMENT_SEED
            for key, one in self.spec.systems.items()
            if one.augment or ((one.system or key) in SYSTEMS and SYSTEMS.get(one.system or key).augmentation)
        }
        for key, task in self.spec.tasks.items():
            both = copies & set(task.attack_seeds or self.spec.attack_seeds)
            if both:
                self._wrong(
                    f"tasks.{key}.attack_seeds" if task.attack_seeds else "attack_seeds",
                    f"{min(both)}, which training copies are attacked with",
                    "other seeds than augment.seed",
                    "Choose another attack seed.",
                )

    def _seeds(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield every list of seeds with its key."""
        yield from (("attack_seeds", self.spec.attack_seeds), ("training_seeds", self.spec.training_seeds))
        for key, task in self.spec.tasks.items():
            for name, seeds in (("attack_seeds", task.attack_seeds), ("training_seeds", task.training_seeds)):
                if seeds is not None:
                    yield f"tasks.{key}.{name}", seeds
        for key, one in self.spec.systems.items():
            if one.training_seeds is not None:
                yield f"systems.{key}.training_seeds", one.training_seeds

    def _device(self) -> None:
        import torch

        there = torch.cuda.device_count()
        if self.spec.device == "gpu" and there < self.spec.gpus_per_job:
            self._wrong(
                "device",
                f"gpu, {self.spec.gpus_per_job} a job, and {there} here",
                "a GPU",
                "Run on a machine with one, or write `device: cpu`.",
            )
        asked = [("pretrain.processes", self.spec.pretrain.processes)]
        asked += [
            (f"systems.{key}.pretrain.processes", one.pretrain.processes) for key, one in self.spec.systems.items()
        ]
        for place, processes in asked:
            if self.spec.device == "gpu" and (processes or 1) > self.spec.gpus_per_job:
                self._wrong(place, f"{processes}", f"at most {self.spec.gpus_per_job}",
                            "Raise gpus_per_job: each process has a GPU of its own.")  # fmt: skip
        if self.spec.device == "cpu" and there:
            self._wrong(
                "device",
                "cpu, on a machine with a GPU",
                "gpu, which training would use",
                "Write `device: gpu`, or hide it: CUDA_VISIBLE_DEVICES= robustbench-char run ...",
            )

    def _files(self, key: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the files of plain text (see `sources.text_path`); one that is missing is a mistake."""
        files = [name if name == MINI else str((self.folder / name).resolve()) for name in names]
        for path in files if self.data_dir is not None else ():
            if path != MINI and not Path(path).is_file():
                self._wrong(key, f"no file {path}", "a file of plain text below the data folder", "Check the path.")
        return tuple(files)

    def _counted(self, task: Task, data: TaskData) -> tuple[int, int]:
        """Return how many examples the files hold. Raises InputError for one that cannot be read."""
        train = sum(1 for _ in data.train.open(task).examples()) if data.train else 0
        return train, sum(1 for _ in data.test.open(task).examples())


def _at(error: InputError) -> str:
    """Return the place of an error where it is a file."""
    return f"in {error.place}, " if "/" in error.place or "." in error.place else ""

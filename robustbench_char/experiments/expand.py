"""From a resolved spec to jobs: what is attacked, pre-trained, fine-tuned, predicted, scored and measured."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.files import read_json, sha256_file
from robustbench_char.common.resources import shipped
from robustbench_char.experiments.jobs import Call, Job, text_path
from robustbench_char.experiments.resolve import Resolved
from robustbench_char.experiments.spec import Augment, SystemSpec, finetune_options, pretrain_options
from robustbench_char.experiments.stages import STAGES, package_sha256
from robustbench_char.experiments.store import Store
from robustbench_char.models.folders import reading_sha256
from robustbench_char.training.checkpoints import run_key
from robustbench_char.training.settings import bf16_helps

__all__ = ["Plan", "expand", "report_job"]

_REPORTED = ("score", "outside", "sensitivity", "price")
_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "numpy", "nlpaug")


def expand(resolved: Resolved) -> Plan:
    """Return the jobs of a benchmark with their keys."""
    spec = resolved.spec
    machine = {
        "threads": spec.threads,
        "device": spec.device,
        "gpus": spec.gpus_per_job if spec.device == "gpu" else 0,
        "machine": platform.machine(),
        "bf16": bf16_helps(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    return Plan(_Expansion(resolved).jobs(), machine)


class _Expansion:
    def __init__(self, resolved: Resolved) -> None:
        self.resolved, self.spec = resolved, resolved.spec
        self.trained: dict[str, str] = {}  # what decides weights -> the job that trains them
        self.hashes: dict[tuple[str, str], str] = {}

    def jobs(self) -> Iterator[Job]:
        """Yield all jobs, long ones that others wait for first."""
        made: dict[str, Job] = {}
        for job in (*self._pretraining(), *self._attacks(), *self._evaluations()):
            if made.setdefault(job.name, job).params != job.params:
                raise InputError(
                    "the spec",
                    found=f"two different jobs called {job.name}",
                    expected="suites, tasks and recognisers of different names",
                    fix="Rename one: of two files with one name, one; a recogniser of a task is for one limit alone.",
                )
        yield from made.values()

    def _systems(self) -> Iterator[tuple[str, str, SystemSpec]]:
        """Yield base, key and entry of each system that is trained."""
        for base in self.spec.bases:
            for key, one in self.spec.systems.items():
                if not one.predictor and not one.saved and base in (one.bases or self.spec.bases):
                    yield base, key, one

    def _pretraining(self) -> Iterator[Job]:
        for base, key, one in self._systems():
            kind = self.resolved.kind(key)
            if kind.pretraining:
                options = {**pretrain_options(self.spec, one), "seed": 0}
                texts = [[self._text(path) for path in part] for part in (self.resolved.text, self.resolved.heldout)]
                yield Job(
                    _name("pretrain", self._short(base), key),
                    "pretrain",
                    {"system": kind.pretraining, "base": self._base(base), "text": texts, "options": options},
                    needs={"base": _name("pretrain", self._short(base), one.starts_from)} if one.starts_from else {},
                    paths={
                        "base": base,
                        "text": self.resolved.text,
                        "heldout": self.resolved.heldout,
                    },
                    work=_tokens(options),
                )

    def _attacks(self) -> Iterator[Job]:
        for key in self.resolved.tasks:
            for suite, seed in self.resolved.conditions(key):
                yield Job(
                    self._attack_name(key, suite, seed),
                    "attack",
                    {
                        "task": self._task(key),
                        "suite": suite.model_dump(mode="json", by_alias=True),
                        "seed": seed,
                        "test": self._hash(key, "test"),
                        **_drawn_by(suite),
                    },
                    paths=self._places(key),
                    work=self.resolved.examples[key][1],
                )

    def _evaluations(self) -> Iterator[Job]:
        for key in self.resolved.tasks:
            for base, name, one in self._systems():
                if self.spec.tasks[key].train_systems and key in (one.tasks or self.spec.tasks):
                    yield from self._trained(key, base, name, one)
            for name, one in self.spec.systems.items():
                if one.saved and key in one.saved:
                    yield from self._saved(key, name, one.saved[key])
                if one.predictor and key in (one.tasks or self.spec.tasks):
                    yield from self._outside(key, one)

    def _trained(self, key: str, base: str, name: str, one: SystemSpec) -> Iterator[Job]:
        kind = self.resolved.kind(name)
        front = one.recogniser or kind.needs_recogniser
        recogniser = self._recogniser(key, one) if front else None
        if recogniser:
            yield recogniser
            yield self._price(key, recogniser.name)
        for seed in one.training_seeds or self.spec.tasks[key].training_seeds or self.spec.training_seeds:
            job = self._finetune(key, base, name, one, seed, recogniser)
            yield job
            yield from self._scored(key, job.name.partition("/")[2], {"system": job.name}, {}, {}, one)

    def _saved(self, key: str, name: str, folder: str) -> Iterator[Job]:
        path = (self.resolved.folder / folder).resolve()
        held = read_json(path / "system.json")
        params = {"system": [held["run"], held["weights_sha256"]], "label": name}
        places = {"system": str(path)}
        job = _name("saved", name, self._task_name(key))
        yield from self._scored(key, job, {}, params, places, self.spec.systems[name])

    def _outside(self, key: str, one: SystemSpec) -> Iterator[Job]:
        system = self.resolved.predictors[str(one.predictor)]
        limit = self.spec.tasks[key].test_limit
        identity = system.model_dump(mode="json", exclude_none=True)
        params = {"task": self._task(key), "test": self._hash(key, "test"), "limit": limit, "predictor": identity}
        work = self._evaluated(key)
        for condition, attacked in self._conditions(key, one):
            name = _name("score", "external", system.name, self._task_name(key), *condition.split("/"))
            yield Job(name, "outside", params, {"attacked": attacked} if attacked else {}, self._places(key), work)

    def _finetune(self, key: str, base: str, name: str, one: SystemSpec, seed: int, recogniser: Job | None) -> Job:
        kind, options = self.resolved.kind(name), finetune_options(self.spec, key, one)
        augment = one.augment or (Augment() if kind.augmentation else None)
        job = _name("finetune", self._short(base), name, self._task_name(key), f"seed_{seed}")
        needs = {"base": _name("pretrain", self._short(base), name)} if kind.pretraining else {}
        params = {
            "system": one.system or name,
            "label": name if one.system and one.system != name else None,
            "task": self._task(key),
            "base": None if needs else self._base(base),
            "train": self._hash(key, "train"),
            "seed": seed,
            "options": options,
            "augment": augment and augment.model_dump(mode="json"),
        }
        alike = [kind.recipe, kind.augmentation, needs]
        weights = repr([alike, {part: value for part, value in params.items() if part not in ("system", "label")}])
        first = self.trained.setdefault(weights, job)
        if first != job:
            needs["weights"] = first
        if recogniser:
            needs["recogniser"] = recogniser.name
        examples = _first(self.resolved.examples[key][0], options.get("limit"))
        work = examples * options.get("epochs", 3.0) * (1 + (augment.share if augment else 0)) if first == job else 1.0
        return Job(job, "finetune", params, needs, {**self._places(key), "base": base}, work)

    def _recogniser(self, key: str, one: SystemSpec) -> Job:
        """Return the job of the recogniser: one on plain text, or one for the words of each task."""
        asked = self.spec.recogniser
        options = asked.model_dump(exclude_none=True, exclude={"text"}) if asked else {}
        if asked and asked.text:
            texts = self.resolved.recogniser_text
            params: dict[str, Any] = {"text": [self._text(path) for path in texts], "options": options}
            return Job("recogniser/text", "recogniser", params, paths={"text": texts})
        params = {
            "task": self._task(key),
            "train": self._hash(key, "train"),
            "examples": finetune_options(self.spec, key, one).get("limit"),
            "options": options,
        }
        return Job(_name("recogniser", self._task_name(key)), "recogniser", params, paths=self._places(key))

    def _price(self, key: str, recogniser: str) -> Job:
        suite, seed = next(self.resolved.conditions(key))
        needs = {"recogniser": recogniser, "attacked": self._attack_name(key, suite, seed)}
        params = {"task": self._task(key), "test": self._hash(key, "test")}
        name = _name("price", self._task_name(key), suite.name, f"seed_{seed}")
        return Job(name, "price", params, needs, self._places(key), self.resolved.examples[key][1])

    def _scored(
        self, key: str, name: str, needs: dict[str, str], extra: dict[str, Any], places: dict[str, Any], one: SystemSpec
    ) -> Iterator[Job]:
        """Yield what is predicted, scored and measured of one trained system on one task."""
        limit = self.spec.tasks[key].test_limit
        params = {"task": self._task(key), "test": self._hash(key, "test"), **extra}
        places = {**self._places(key), **places}
        work = self._evaluated(key)
        for condition, attacked in self._conditions(key, one):
            both = {**needs, **({"attacked": attacked} if attacked else {})}
            predicted = f"predict/{name}/{condition}"
            yield Job(predicted, "predict", {**params, "limit": limit}, both, places, work)
            yield Job(f"score/{name}/{condition}", "score", params, {**both, "predicted": predicted}, places, work)
        yield from self._sensitivity(key, name, needs, params, places, work)

    def _evaluated(self, key: str) -> int:
        """Return how many examples of a test file are predicted."""
        return _first(self.resolved.examples[key][1], self.spec.tasks[key].test_limit)

    def _conditions(self, key: str, one: SystemSpec) -> Iterator[tuple[str, str | None]]:
        """Yield the name of a condition, and the job that attacks the data (None for clean data)."""
        yield "clean", None
        for suite, seed in self.resolved.conditions(key):
            if one.suites is None or suite.name in self._named(key, one.suites):
                yield f"{suite.name}/seed_{seed}", self._attack_name(key, suite, seed)

    def _sensitivity(
        self, key: str, name: str, needs: dict[str, str], params: dict[str, Any], places: dict[str, Any], work: float
    ) -> Iterator[Job]:
        asked = self.spec.sensitivity
        if asked is None or key not in (asked.tasks or self.spec.tasks):
            return
        done = set[str]()
        for suite, seed in self.resolved.conditions(key):  # of several attack seeds the first
            if suite.name in done or suite.name not in self._named(key, asked.suites):
                continue
            done.add(suite.name)
            both = {**needs, "attacked": self._attack_name(key, suite, seed)}
            limit = asked.limit or self.spec.tasks[key].test_limit
            yield Job(
                f"sensitivity/{name}/{suite.name}", "sensitivity", {**params, "limit": limit}, both, places, 2 * work
            )

    def _named(self, key: str, names: Iterable[str]) -> set[str]:
        """Return the suites of a task, one a strength, that a part of the spec names as the task does."""
        return {suite.name for name in names for suite in self.resolved.suites.get((key, name), ())}

    def _short(self, base: str) -> str:
        return self.resolved.bases[base].name

    def _task_name(self, key: str) -> str:
        return self.resolved.tasks[key].name

    def _attack_name(self, key: str, suite: Suite, seed: int) -> str:
        return _name("attack", self._task_name(key), suite.name, f"seed_{seed}")

    def _task(self, key: str) -> dict[str, Any]:
        return self.resolved.tasks[key].model_dump(mode="json", by_alias=True)

    def _base(self, name: str) -> list[str]:
        base = self.resolved.bases[name]
        return [base.name, base.weights_sha256, reading_sha256(base.folder)]

    def _hash(self, key: str, which: str) -> str:
        if (key, which) not in self.hashes:
            data = self.resolved.data[key]
            source = data.test if which == "test" or data.train is None else data.train
            self.hashes[key, which] = source.sha256(self.resolved.tasks[key])
        return self.hashes[key, which]

    def _text(self, name: str) -> str:
        if ("text", name) not in self.hashes:
            self.hashes["text", name] = sha256_file(text_path(name))
        return self.hashes["text", name]

    def _places(self, key: str) -> dict[str, Any]:
        data = self.resolved.data[key]
        return {"train": data.train and data.train.plain(), "test": data.test.plain()}


def _drawn_by(suite: Suite) -> dict[str, Any]:
    """Return the versions that decide what nlpaug's operators draw, where a suite has any; all others are our own."""
    if not any(name.startswith("nlpaug_") for name in suite.operators):
        return {}
    return {"versions": {"nlpaug": version("nlpaug"), "python": platform.python_version()}}


def _first(examples: int, limit: int | None) -> int:
    return examples if limit is None else min(examples, limit)


def _tokens(options: Mapping[str, Any]) -> float:
    """Return the sub-words that each process of a pre-training sees."""
    return float(options.get("steps", 1000) * options.get("batch_size", 16) * options.get("block_size", 128))


def _name(*parts: str) -> str:
    """Return the name of a job: its parts by slashes, of which they have none themselves (a hub id has one)."""
    return "/".join(part.replace("/", "-") for part in parts)


def report_job(plan: Plan, done: Collection[str], *, examples: bool) -> Job:
    """Return the job of the report on the results that are done, in the order in which `report DIR` reads them.

    A report is cheap: it is made again whenever the package or a published number that it shows changes.
    """
    order = sorted((job.name for job in plan.jobs.values() if job.stage in _REPORTED and job.name in done), key=Path)
    reference = {name: sha256_file(path) for name, path in shipped("reports/reference").items()}
    params = {"order": order, "examples": examples, "package": package_sha256(), "reference": reference}
    return Job("report", "report", params, {name: name for name in order}, work=len(order))


class Plan:
    """Jobs in an order in which each comes after what it needs, with their keys.

    `machine` is what decides results besides the spec and the versions of stages: threads, device, kind of machine,
    library versions. `decides` holds, by job, all that decides its result, of which the key is the hash. The stage
    stands there as `finetune/1`, by a version that is raised by hand, and no name of a module, class or function does:
    moving code must not remake results. Raises InputError where jobs need each other in a circle.
    """

    def __init__(self, jobs: Iterable[Job], machine: Mapping[str, Any]) -> None:
        self.jobs: dict[str, Job] = {}
        self.machine = dict(machine)
        self.decides: dict[str, Mapping[str, Any]] = {}
        self.keys: dict[str, str] = {}
        for job in _in_order(list(jobs)):
            self.add(job)

    def add(self, job: Job) -> None:
        """Add a job whose needs are all here."""
        stage = STAGES.get(job.stage)
        self.jobs[job.name] = job
        self.decides[job.name] = {
            "stage": f"{job.stage}/{stage.version}",
            "params": dict(job.params),
            "needs": {role: self.keys[name] for role, name in sorted(job.needs.items())},
            "machine": self.machine if stage.heavy else {},
        }
        self.keys[job.name] = run_key(self.decides[job.name])

    def call(self, job: Job, store: Store, logs: Path, **settings: Any) -> Call:
        """Return the call of a job; `settings` are the further fields of `Call`."""
        inputs = {role: store.path(self.jobs[name].stage, self.keys[name]) for role, name in job.needs.items()}
        return Call(job, self.keys[job.name], self.decides[job.name], inputs, store, logs, **settings)

    def dependents(self, name: str) -> list[str]:
        """Return the jobs that need this one, directly or not, in order."""
        reached = {name}
        for job in self.jobs.values():
            if reached & set(job.needs.values()):
                reached.add(job.name)
        return [other for other in self.jobs if other in reached and other != name]


def _in_order(jobs: list[Job]) -> list[Job]:
    """Return jobs in the order given, but each after those it needs."""
    given, ordered, open_jobs = {job.name: job for job in jobs}, dict[str, Job](), list[str]()

    def place(name: str) -> None:
        if name in ordered:
            return
        if name in open_jobs:
            circle = ", ".join(open_jobs[open_jobs.index(name) :])
            raise InputError("the spec", found=f"jobs that need each other: {circle}",
                             expected="jobs without a circle", fix="Check `starts_from`.")  # fmt: skip
        open_jobs.append(name)
        for other in given[name].needs.values():
            place(other)
        open_jobs.remove(name)
        ordered[name] = given[name]

    for job in jobs:
        place(job.name)
    return list(ordered.values())

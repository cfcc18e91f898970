"""From a resolved spec to jobs: what is attacked, pre-trained, fine-tuned, predicted, scored and measured."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.extras import installed
from robustbench_char.common.files import read_json, sha256_file, shipped
from robustbench_char.experiments._fronts import Front, front_of
from robustbench_char.experiments._jobs import PRICES, READY, Call, Job, job_name, text_path
from robustbench_char.experiments._resolve import Resolved, ResolvedTask
from robustbench_char.experiments._scoring import Subject, evaluated, suite_paths, worst_cases
from robustbench_char.experiments._stages import STAGES, package_sha256
from robustbench_char.experiments.spec import Benchmark, Ready, SystemSpec
from robustbench_char.experiments.store import Store
from robustbench_char.training._examples import attacks_on, marks_of
from robustbench_char.training.checkpoints import run_key
from robustbench_char.training.options import AugmentOptions, bf16_helps

_REPORTED = ("score", *READY, "sensitivity", *PRICES, "worst_case")
_LONGEST = 240
"""Bytes of a job's name, which is that of its log too: file systems take 255."""
_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "numpy", "nlpaug")


def expand(resolved: Resolved) -> Plan:
    """Return the jobs of a benchmark with their keys.

    Raises InputError for different jobs of one name, and for names that no folder can have.
    """
    jobs: dict[str, Job] = {}
    for job in _jobs(resolved):
        parts = job.name.split("/")
        if {"", ".", ".."} & {*parts} or "\0" in job.name or len(job.name.encode()) > _LONGEST:
            raise InputError("the spec", found=f"a job called {job.name!r}",
                             expected=f"names of 1 to {_LONGEST} bytes in all, none of them '.' or '..'",
                             fix="Rename the system, suite or file.")  # fmt: skip
        if jobs.setdefault(job.name, job).params != job.params:
            raise InputError("the spec", found=f"two different jobs called {job.name}",
                             expected="suites, tasks and defences of different names",
                             fix="Rename one of the files; a task's defence allows only one limit.")  # fmt: skip
    heavy = any(STAGES.get(job.stage).heavy for job in jobs.values())
    return Plan(jobs.values(), _machine(resolved.spec) if heavy else {})


def _machine(spec: Benchmark) -> dict[str, Any]:
    """Return what decides results that torch computes."""
    return {
        "threads": spec.threads,
        "device": spec.device,
        "gpus": spec.gpus_per_job if spec.device == "gpu" else 0,
        "machine": platform.machine(),
        "bf16": bf16_helps(),
        "libraries": {name: version(name) if installed(name) else None for name in _LIBRARIES},
    }


def _jobs(resolved: Resolved) -> Iterator[Job]:
    """Yield all jobs, long ones that others wait for first; one that several systems share, for each of them."""
    spec, tasks = resolved.spec, list(resolved.tasks.values())
    trained = [(base, key) for base in spec.bases for key, system in spec.trained().items()
               if base in spec.bases_of(system)]  # fmt: skip
    if pretrained := [pair for pair in trained if resolved.is_pretrained(*pair)]:
        texts = [[sha256_file(text_path(path)) for path in part] for part in (resolved.text, resolved.heldout)]
        marks = marks_of(attacks_on(zip(map(text_path, resolved.text), texts[0], strict=True)))
        yield from (_pretrain(resolved, base, key, {"text": texts, **marks}) for base, key in pretrained)
    for task in tasks:
        yield from _attacks(task, resolved.folder)
    trainings: dict[str, str] = {}
    for task in tasks:
        subjects: list[Subject] = []
        yield from _evaluations(resolved, task, trained, trainings, subjects)
        yield from worst_cases(resolved, task, subjects)


def _evaluations(
    resolved: Resolved,
    task: ResolvedTask,
    trained: Iterable[tuple[str, str]],
    trainings: dict[str, str],
    subjects: list[Subject],
) -> Iterator[Job]:
    """Yield what trains, builds and evaluates all systems on a task; `subjects` gets each, of its first seed."""
    spec = resolved.spec
    for base, key in trained:
        if task.spec.train_systems and task.key in spec.tasks_of(spec.systems[key]):
            yield from _trained(resolved, task, base, key, trainings, subjects)
    for key, system in spec.systems.items():
        if system.saved and task.key in system.saved:
            subjects.append(subject := _saved(resolved, task, key, system.saved[task.key]))
            yield from evaluated(spec, task, system, subject)
        if (key, task.key) in resolved.ready:
            front = front_of(resolved, task, key)
            subjects.append(subject := _ready(task, key, system, resolved.ready[key, task.key], front))
            yield from (*front.jobs, *evaluated(spec, task, system, subject))


def _pretrain(resolved: Resolved, base: str, key: str, texts: Mapping[str, object]) -> Job:
    """Return the job of a pre-training, which may start from that of another system."""
    system, name = resolved.spec.systems[key], resolved.bases[base].name
    options, kind = {**resolved.spec.pretrain_options(system), "seed": 0}, resolved.kind(key)
    decides = {"system": kind.pretraining, "base": _base(resolved, base), **texts, "options": options}
    return Job(
        job_name("pretrain", name, key),
        "pretrain",
        decides | _changed(kind.recipe),
        {"base": job_name("pretrain", name, system.starts_from)} if system.starts_from else {},
        {"base": base, "text": resolved.text, "heldout": resolved.heldout},
        _tokens(options),
    )


def _attacks(task: ResolvedTask, folder: Path) -> Iterator[Job]:
    files = {suite.name: (name, folder / path)
             for name, path in task.spec.operations.items() for suite in task.suites[name]}  # fmt: skip
    for suite, seed, job in task.attacks:
        params = {**task.params, "suite": suite.model_dump(mode="json", by_alias=True), "seed": seed}
        params |= {"fields": list(task.spec.fields)} if task.spec.fields else {}
        name, file = files.get(suite.name, (None, None))
        paths = {**task.paths, "suite": name, "operations": str(file.resolve())} if file else task.paths
        paths = {**paths, **suite_paths(suite)}
        yield Job(job, "attack", {**params, **_drawn_by(suite)}, paths=paths, work=task.examples[1])


def _trained(
    resolved: Resolved, task: ResolvedTask, base: str, key: str, trainings: dict[str, str], subjects: list[Subject]
) -> Iterator[Job]:
    """Yield the jobs of a system that is fine-tuned on a task: its defence, and each seed with its evaluation."""
    spec, system = resolved.spec, resolved.spec.systems[key]
    front, seeds = front_of(resolved, task, key), system.training_seeds or task.spec.training_seeds
    yield from front.jobs
    for number, seed in enumerate(seeds or spec.training_seeds):
        job = _finetune(resolved, task, base, key, seed, front, trainings)
        yield job
        subject = Subject(key, job.name.partition("/")[2], task.params, {"system": job.name}, task.paths)
        subjects += [] if number else [subject]
        yield from evaluated(spec, task, system, subject)


def _finetune(
    resolved: Resolved, task: ResolvedTask, base: str, key: str, seed: int, front: Front, trainings: dict[str, str]
) -> Job:
    """Return the job of a fine-tuning. `trainings` maps what decides weights to the first job that trains them.

    A later job that decides the same takes over its weights, and needs almost no work.
    """
    spec, system, kind = resolved.spec, resolved.spec.systems[key], resolved.kind(key)
    options, short = spec.finetune_options(task.key, system), resolved.bases[base].name
    augment = system.augment or (AugmentOptions() if kind.augmentation else None)
    job = job_name("finetune", short, key, task.name, f"seed_{seed}")
    needs = {"base": job_name("pretrain", short, key)} if resolved.is_pretrained(base, key) else {}
    weights = {
        "task": task.params["task"],
        "base": None if needs else _base(resolved, base),
        "train": task.train_sha256,
        **task.train_attack,
        "seed": seed,
        "options": options,
        "augment": augment and augment.decides(kind.augmentation),
    }
    read_through = [front.needs, front.params] if augment or kind.trained_behind else []
    first = trainings.setdefault(repr([kind.recipe, kind.augmentation, needs, read_through, weights]), job)
    label = key if system.system and system.system != key else None
    examples = min(task.examples[0], options.get("limit") or task.examples[0]) * (1 + (augment.share if augment else 0))
    return Job(
        job,
        "finetune",
        {"system": spec.kind_of(key), "label": label, **weights, **front.params, **_changed(kind.recipe)},
        {**needs, **({"weights": first} if first != job else {}), **front.needs},
        {**task.paths, "base": base, **front.paths},
        examples * options.get("epochs", 3.0) if first == job else 1.0,
    )


def _changed(recipe: str) -> dict[str, str]:
    """Return what keys say of a recipe: nothing of a first one, which keys did not hold from the beginning."""
    return {} if recipe.endswith("/1") else {"recipe": recipe}


def _saved(resolved: Resolved, task: ResolvedTask, key: str, folder: str) -> Subject:
    path = (resolved.folder / folder).resolve()
    saved = read_json(path / "system.json")
    params = {**task.params, "system": [saved["run"], saved["weights_sha256"]], "label": key}
    return Subject(key, job_name("saved", key, task.name), params, {}, {**task.paths, "system": str(path)})


def _ready(task: ResolvedTask, key: str, system: SystemSpec, model: Ready, front: Front) -> Subject:
    """Return a model that is ready, behind the defence that is built before it."""
    name = job_name("models" if system.model else "external", key, task.name)
    params = {**task.params, "model": model.identity, "label": key}
    paths = {**task.paths, "model": model.name, "options": model.options}
    return Subject(key, name, params, front.needs, paths, "model" if model.heavy else "outside")


def _base(resolved: Resolved, name: str) -> list[str]:
    base = resolved.bases[name]
    return [base.name, base.weights_sha256, base.reading_sha256]


def _drawn_by(suite: Suite) -> dict[str, Any]:
    """Return the versions that decide what nlpaug's operators draw, where a suite has any; all others are our own."""
    if not any(name.startswith("nlpaug_") for name in suite.operators):
        return {}
    return {"versions": {"nlpaug": version("nlpaug"), "python": platform.python_version()}}


def _tokens(options: Mapping[str, Any]) -> float:
    """Return the sub-words that each process of a pre-training sees."""
    return float(options.get("steps", 1000) * options.get("batch_size", 16) * options.get("block_size", 128))


def report_job(plan: Plan, done: Collection[str], store: Store, *, examples: bool, run: tuple[str, str]) -> Job:
    """Return the job of the report on the results that are done, in the order in which `report DIR` reads them.

    `run` is name and description of the benchmark, which title the page. A report is cheap: it is made again whenever
    the package or a published number that it shows changes, and where examples had failed, which a later run asks for
    again under the same key.
    """
    order = sorted((job.name for job in plan.jobs.values() if job.stage in _REPORTED and job.name in done), key=Path)
    reference = {name: sha256_file(path) for name, path in shipped("reports/reference").items()}
    params = {
        "order": order,
        "examples": examples,
        "run": list(run),
        "package": package_sha256(),
        "reference": reference,
    }
    results = ((name, plan.jobs[name].stage, plan.keys[name]) for name in order)
    failed = {name: sha256_file(store.path(*at) / "record.json") for name, *at in results if store.failed(*at)}
    params |= {"failed": failed} if failed else {}
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

    def add(name: str) -> None:
        if name in ordered:
            return
        if name in open_jobs:
            circle = ", ".join(open_jobs[open_jobs.index(name) :])
            raise InputError("the spec", found=f"jobs that need each other: {circle}",
                             expected="jobs without a circle", fix="Check `starts_from`.")  # fmt: skip
        open_jobs.append(name)
        for other in given[name].needs.values():
            add(other)
        open_jobs.remove(name)
        ordered[name] = given[name]

    for job in jobs:
        add(job.name)
    return list(ordered.values())

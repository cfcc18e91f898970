"""A whole benchmark: its plan, and its run from a spec's name to a folder with records, report and logs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.extras import require
from robustbench_char.common.provenance import differences
from robustbench_char.common.yaml_model import Mistake, all_at_once
from robustbench_char.experiments._expand import Plan, expand, report_job
from robustbench_char.experiments._jobs import Job, Outcome, State, log_file
from robustbench_char.experiments._resolve import Resolved, resolve
from robustbench_char.experiments._stages import STAGES
from robustbench_char.experiments.estimates import Costs, Estimate
from robustbench_char.experiments.executors import EXECUTORS
from robustbench_char.experiments.executors._local import Executor
from robustbench_char.experiments.run_folder import RunFile, RunFolder, result_path
from robustbench_char.experiments.spec import Benchmark, Given, combined, load_spec
from robustbench_char.experiments.store import Store, default_results
from robustbench_char.experiments.view import View
from robustbench_char.models.bases import MINILM_PACKAGE

__all__ = ["Planned", "default_output", "plan", "run", "slots_of"]

ATTEMPTS = 3
"""How often a job is begun whose process dies: killed for its memory, or with its machine."""
_WAIT = 0.5  # seconds between two looks
_LATER = 1.0  # seconds until a job that another run makes is asked for again
_GB = 1e9


@dataclass(frozen=True)
class Planned:
    """A benchmark before any work: its jobs, which of them are done, and the expected cost of the others."""

    path: Path
    resolved: Resolved
    plan: Plan
    store: Store
    states: dict[str, State]
    costs: Costs

    @property
    def name(self) -> str:
        """The name of the benchmark: of a file, without its ending."""
        return self.path.stem if self.path.suffix in (".yaml", ".yml") else self.path.name

    @property
    def waiting(self) -> list[str]:
        """The jobs that are to be done."""
        return [name for name, state in self.states.items() if state == "waiting"]

    def explain(self, name: str) -> list[str]:
        """Return lines that say why a job is up to date or must be rerun. Raises InputError for an unknown job."""
        plan, store = self.plan, self.store
        if name not in plan.jobs:
            raise InputError("--explain", found=f"unknown job {name!r}", expected="a job that `--plan` lists",
                             fix=f"Correct the name.{nearest(name, plan.jobs)}")  # fmt: skip
        job, key = plan.jobs[name], plan.keys[name]
        lines = [f"{name}: {self.states[name]}", f"key {key}"]
        if self.states[name] == "done":
            cost = store.read(job.stage, key).cost
            return [*lines, f"made {cost.created} on {cost.host} in {cost.wall_seconds:.1f} s"]
        if self.states[name] == "not needed":
            return [*lines, "everything that needs its result is done"]
        if store.path(job.stage, key).exists():
            return [*lines, f"its result is not whole: {store.damage(job.stage, key)}"]
        return [*lines, *_explain_changes(job, plan.decides[name], store)]

    def estimate(self, slots: int) -> Estimate:
        """Return the expected cost of these jobs, run so many at once."""
        return self.costs.estimate(self.plan, self.waiting, slots)


def _explain_changes(job: Job, decides: Mapping[str, Any], store: Store) -> list[str]:
    """Return lines on what differs from the nearest earlier result of a job."""
    earlier = [file for file in store.files() if file.name == job.name and file.stage == job.stage]
    if not earlier:
        return ["no result of this name is in the store"]
    decides = json.loads(json.dumps(decides))
    last = min(earlier, key=lambda file: (len(list(differences(file.decides, decides))), file.cost.created))
    changes = sorted(differences(last.decides, decides), key=lambda change: change[0])
    first = f"the nearest earlier result was made {last.cost.created}; since then:"
    return [first, *(_change(job, *change) for change in changes)]


def _change(job: Job, key: str, old: object, new: object) -> str:
    """Return one thing that differs from an earlier result; of another input, the job that makes it."""
    role = key.removeprefix("needs.")
    if role != key:
        return f"  {role}: another result of {job.needs.get(role, '(none is needed now)')}"
    if key == "stage":
        return f"  {key}: {old} -> {new}, a version with other results"
    return f"  {key}: {_short(old)} -> {_short(new)}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def plan(
    spec: Path | str | Benchmark,
    *,
    data_dir: Path | str | None = None,
    store: Path | str | None = None,
    thorough: bool = False,
    given: Given | None = None,
) -> Planned:
    """Return the plan of a benchmark without running it. Raises InputError with all mistakes of the spec.

    `spec` is a file's (see `run`), or a `Benchmark` with what is `given` along with it. `thorough` checks the hash of
    every result, not only of small ones.
    """
    given = given or Given()
    made = (Path(given.name), spec, list(combined(spec))) if isinstance(spec, Benchmark) else load_spec(str(spec))
    resolved = resolve(*made, None if data_dir is None else Path(data_dir), given)
    jobs, results = expand(resolved), Store(default_results() if store is None else Path(store))
    states = states_of(jobs, results, lambda job: result_path(job.name) is not None, thorough=thorough)
    return Planned(made[0], resolved, jobs, results, states, Costs.of(results))


def default_output(name: str) -> Path:
    """Return the folder of a run without `output`: `runs/` and the name of the benchmark, in the working directory."""
    return Path("runs") / Path(name).stem


def run(
    spec: Path | str | Benchmark,
    *,
    output: Path | str | None = None,
    data_dir: Path | str | None = None,
    executor: str = "processes",
    workers: int | None = None,
    address: str | None = None,
    store: Path | str | None = None,
    save_seconds: float = 120.0,
    tensorboard: bool = False,
    given: Given | None = None,
) -> RunFile:
    """Run a benchmark, and return its `run.json`, whose `errors` name the jobs that failed.

    `spec` is a shipped benchmark, the path of a YAML file, whose data paths start at `data_dir`, or a `Benchmark` with
    what is `given` along with it. Records, report and logs go to `output` (see `default_output`). Results in `store`,
    of any run, are reused, so a stopped run is resumed. `executor` is local, processes or ray (a cluster at `address`),
    with `workers` jobs at once; training saves a checkpoint every `save_seconds`, and with `tensorboard` event files to
    OUTPUT/tensorboard. None of these changes a result. Raises InputError with all mistakes of the spec, for a budget
    that the plan exceeds, and for an executor or an output that is not available.
    """
    planned = plan(spec, data_dir=data_dir, store=store, thorough=True, given=given)
    benchmark = planned.resolved.spec
    folder = RunFolder(Path(output or Path("runs") / planned.name), examples=benchmark.examples)
    events = folder.path / "tensorboard" if tensorboard else None
    settings = {"threads": benchmark.threads, "save_seconds": save_seconds, "tensorboard": events}
    with _executor(executor, benchmark, workers, address) as made:
        _check_extras(planned, tensorboard)
        _check_budget(planned, made.slots)
        folder.clear(planned.plan.keys)
        planned.store.tidy()
        return _run_in(folder, planned, made, settings, executor)


def _run_in(folder: RunFolder, planned: Planned, made: Executor, settings: Mapping[str, Any], executor: str) -> RunFile:
    benchmark = planned.resolved.spec
    with View(planned.plan, folder.logs, planned.costs, made.slots) as view:
        publish = partial(folder.put, plan=planned.plan, store=planned.store)
        runner = Runner(planned.plan, planned.store, folder.logs, made, view, planned.states, publish, settings)
        header = {"name": planned.name, "spec": benchmark.model_dump(mode="json", by_alias=True)}

        def write() -> RunFile:
            states, errors = runner.states, runner.errors
            return folder.write(planned.plan, planned.store, states, errors, executor=executor, **header)

        return _run(runner, write, examples=benchmark.examples, run=(planned.name, benchmark.about))


def _check_extras(planned: Planned, tensorboard: bool) -> None:
    """Raise InputError, before any work is done, for an extra that these jobs need and that is not installed."""
    if tensorboard:
        require("tensorboard", place="--tensorboard")
    if any(STAGES.get(planned.plan.jobs[name].stage).heavy for name in planned.waiting):
        if any(base.name == "minilm" for base in planned.resolved.bases.values()):
            require(MINILM_PACKAGE, place="minilm")
        require("torch", "transformers", "accelerate")


def _run(runner: Runner, write: Callable[[], RunFile], *, examples: bool, run: tuple[str, str]) -> RunFile:
    """Do all jobs, then the report on every result that there is. `run.json` is the first file: it marks the folder."""
    write()
    try:
        for name in runner.done():
            runner.publish(runner.plan.jobs[name])
        runner.finish()
        report = report_job(runner.plan, runner.done(), runner.store, examples=examples, run=run)
        if report.needs:
            runner.add(report)
            runner.finish()
    finally:
        file = write()
    return file


def slots_of(planned: Planned, executor: str, workers: int | None = None, address: str | None = None) -> int:
    """Return how many jobs would run at once. Raises InputError as a run would."""
    with _executor(executor, planned.resolved.spec, workers, address) as made:
        return made.slots


def _executor(name: str, spec: Benchmark, workers: int | None, address: str | None) -> closing[Executor]:
    gpus = spec.gpus_per_job if spec.device == "gpu" else 0
    kind = EXECUTORS.get(name, place="--executor")
    return closing(kind(threads=spec.threads, gpus=gpus, workers=workers, address=address))


def _check_budget(planned: Planned, slots: int) -> None:
    """Raise InputError where the plan is expected to exceed the budget of the spec."""
    budget, estimate = planned.resolved.spec.budget, planned.estimate(slots)
    mistakes = [
        Mistake(f"budget.{key}", f"{allowed:g}, and about {expected:.2g} expected", "a plan that fits",
                "Raise it, or leave out systems, tasks, seeds or steps (`--plan` prints the cost of each job).")
        for key, allowed, expected in (
            ("hours", budget.hours, estimate.wall_seconds / 3600),
            ("disk_gb", budget.disk_gb, estimate.disk_bytes / _GB),
            ("memory_gb", budget.memory_gb, estimate.memory_bytes / _GB),
        )
        if allowed is not None and expected > allowed
    ]  # fmt: skip
    if mistakes:
        raise all_at_once(planned.path, mistakes)


def states_of(plan: Plan, store: Store, wanted: Callable[[Job], bool], *, thorough: bool) -> dict[str, State]:
    """Return which jobs are done, which wait, and which are not needed, because all that needs them is done.

    `wanted` tells the jobs whose results the run is for. A damaged result counts as missing; `thorough` reads through
    those that are asked for, not weights that nothing needs any more.
    """
    states: dict[str, State] = {}
    needed = set[str]()
    for job in reversed(plan.jobs.values()):
        asked = wanted(job) or job.name in needed
        if store.damage(job.stage, plan.keys[job.name], thorough=thorough and asked) is None:
            states[job.name] = "done"
        elif asked:
            states[job.name] = "waiting"
            needed.update(job.needs.values())
        else:
            states[job.name] = "not needed"
    return {name: states[name] for name in plan.jobs}


@dataclass
class Runner:
    """Does the jobs of a plan that wait. `published` is called with each job that is done.

    `settings` are further fields of `jobs.Call`. `errors` holds the reason by failed job. `later` tells when a job that
    another run was making may be asked for again.
    """

    plan: Plan
    store: Store
    logs: Path
    executor: Executor
    view: View
    states: dict[str, State]
    published: Callable[[Job], None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    later: dict[str, float] = field(default_factory=dict)

    def done(self) -> set[str]:
        """Return the jobs that are done."""
        return {name for name, state in self.states.items() if state == "done"}

    def add(self, job: Job) -> None:
        """Add a job to the plan; its result may be in the store already."""
        self.plan.add(job)
        self.states[job.name] = "waiting"
        if self.store.damage(job.stage, self.plan.keys[job.name]) is None:
            self.states[job.name] = "done"
            self.publish(job)

    def finish(self) -> bool:
        """Do all jobs that wait; return whether all went well. A failed job blocks only its dependents."""
        self.logs.mkdir(parents=True, exist_ok=True)
        while True:
            for job in self._ready():
                self.states[job.name] = "running"
                self.executor.submit(self.plan.call(job, self.store, self.logs, **self.settings))
            self.view.show(self.states)
            if "running" in self.states.values():
                for outcome in self.executor.finished(_WAIT):
                    self._end(outcome)
            elif any(self.states[name] == "waiting" for name in self.later):
                time.sleep(_WAIT)
            else:
                return not self.errors

    def _ready(self) -> list[Job]:
        """Return the jobs that can begin now: as many as there is room for, and none twice at once."""
        busy = {self.plan.keys[name] for name, state in self.states.items() if state == "running"}
        ready: list[Job] = []
        room = self.executor.slots - sum(state == "running" for state in self.states.values())
        for name, job in self.plan.jobs.items():
            if len(ready) >= room:
                break
            needs = [self.states[other] for other in job.needs.values()]
            due = self.later.get(name, 0.0) <= time.monotonic()
            if due and self.states[name] == "waiting" and set(needs) <= {"done"} and self.plan.keys[name] not in busy:
                busy.add(self.plan.keys[name])
                ready.append(job)
        return ready

    def _end(self, outcome: Outcome) -> None:
        job = self.plan.jobs[outcome.name]
        if outcome.state == "done":
            self._done(job, outcome)
        elif outcome.state == "busy":  # another run makes it: look again later
            self.states[job.name] = "waiting"
            self.later[job.name] = time.monotonic() + _LATER
        elif outcome.state == "lost" and self.attempts.get(job.name, 1) < ATTEMPTS:
            self.attempts[job.name] = self.attempts.get(job.name, 1) + 1
            self.states[job.name] = "waiting"
            self.view.say(f"{job.name}: {outcome.error}; begun again")
        else:
            self._failed(job, outcome)

    def _done(self, job: Job, outcome: Outcome) -> None:
        key = self.plan.keys[job.name]
        for name in self.plan.jobs:
            if self.plan.keys[name] == key and self.states[name] != "done":
                self.states[name] = "done"
                self.publish(self.plan.jobs[name])
        self.view.say(f"{job.name}: done in {outcome.wall_seconds:.1f} s")

    def publish(self, job: Job) -> None:
        """Hand on a finished job; where that fails, the run goes on and ends with an error."""
        try:
            self.published(job)
        except InputError as error:
            self.errors[job.name] = str(error)
            self.view.say(f"{job.name}: {error}")

    def _failed(self, job: Job, outcome: Outcome) -> None:
        self.states[job.name] = "failed"
        self.errors[job.name] = outcome.error
        blocked = [name for name in self.plan.dependents(job.name) if self.states[name] == "waiting"]
        self.states.update(dict.fromkeys(blocked, "blocked"))
        left_out = f"; {len(blocked)} jobs that need it are left out" if blocked else ""
        self.view.say(f"{job.name}: FAILED ({outcome.error}), log {log_file(self.logs, job.name)}{left_out}")

"""A whole benchmark: from a spec's name to a folder with records, tables, figures and a report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from robustbench_char.common.yaml_model import Mistake, all_at_once
from robustbench_char.experiments.estimates import Costs, Estimate
from robustbench_char.experiments.executors import EXECUTORS
from robustbench_char.experiments.executors.base import Executor, Resources
from robustbench_char.experiments.expand import expand, report_job, result_path
from robustbench_char.experiments.jobs import Job, Plan
from robustbench_char.experiments.resolve import Resolved, resolve
from robustbench_char.experiments.run_folder import RunFolder
from robustbench_char.experiments.runner import Run, State, Workplace, states_of
from robustbench_char.experiments.spec import Benchmark, load_spec
from robustbench_char.experiments.store import Store, default_results
from robustbench_char.experiments.view import View

__all__ = ["Planned", "Where", "plan_benchmark", "run_benchmark", "slots_of"]

GB = 1e9


@dataclass(frozen=True)
class Where:
    """Where and how a benchmark runs, none of which changes a number."""

    data_dir: Path | None = None
    store: Path | None = None
    executor: str = "processes"
    workers: int | None = None
    address: str | None = None
    save_seconds: float = 120.0
    tensorboard: bool = False


@dataclass(frozen=True)
class Planned:
    """A benchmark before any work: its jobs, which are done, and what the others are expected to take."""

    path: Path
    resolved: Resolved
    plan: Plan
    store: Store
    states: dict[str, State]
    costs: Costs

    @property
    def name(self) -> str:
        """What the benchmark is called: by its file."""
        return self.path.stem

    @property
    def waiting(self) -> list[str]:
        """The jobs that are to be done."""
        return [name for name, state in self.states.items() if state == "waiting"]

    def estimate(self, slots: int) -> Estimate:
        """Return what they are expected to take, so many at a time."""
        return self.costs.estimate(self.plan, self.waiting, slots)


def plan_benchmark(name: str, where: Where, *, thorough: bool = False) -> Planned:
    """Return what a spec means here. `thorough` reads every result through, instead of the small ones.

    Raises InputError with all that is wrong with the spec.
    """
    path, spec, mistakes = load_spec(name)
    resolved = resolve(path, spec, mistakes, where.data_dir)
    plan, store = expand(resolved), Store(where.store or default_results())
    states = states_of(plan, store, lambda job: result_path(job) is not None, thorough=thorough)
    return Planned(path, resolved, plan, store, states, Costs.of(store))


def run_benchmark(name: str, output: Path, where: Where) -> bool:
    """Run a benchmark into the folder `output`; return whether every job went well.

    What was done before, by any run with this store, is found again. Raises InputError with all that is wrong with
    the spec, for a budget that the plan does not fit, and for an executor or an output that cannot be had.
    """
    planned = plan_benchmark(name, where, thorough=True)
    spec = planned.resolved.spec
    folder = RunFolder(output, examples=spec.examples)
    tensorboard = output / "tensorboard" if where.tensorboard else None
    place = Workplace(planned.store, folder.logs, spec.threads, where.save_seconds, tensorboard)
    with _executor(where, spec) as executor:
        _fits(planned, executor.slots)
        folder.clear(planned.plan)
        with View(planned.plan, place, planned.costs, executor.slots) as view:
            run = Run(planned.plan, place, executor, view, planned.states, lambda job: _put(folder, planned, job))
            told = planned.name, spec.model_dump(mode="json", by_alias=True), planned.plan, planned.store
            folder.write(*told, run.states, run.errors, where.executor)  # first of all: it says whose folder this is
            try:
                for name in _done(planned.states):
                    run.publish(planned.plan.jobs[name])
                well = run.finish()
                report = report_job(planned.plan, _done(planned.states), examples=spec.examples)
                well = _report(run, report) and well if report.needs else well
            finally:
                folder.write(*told, run.states, run.errors, where.executor)
    return well


def _report(run: Run, job: Job) -> bool:
    """Write the report on all results that are there; return whether it went well."""
    run.plan.add(job)
    whole = run.place.store.damage(job.stage, run.plan.keys[job.name]) is None
    run.states[job.name] = "done" if whole else "waiting"
    before = dict(run.errors)
    if whole:
        run.publish(job)
    run.finish()
    return run.errors == before


def _done(states: dict[str, State]) -> set[str]:
    return {name for name, state in states.items() if state == "done"}


def _put(folder: RunFolder, planned: Planned, job: Job) -> None:
    folder.put(job, planned.plan.keys[job.name], planned.store)


def slots_of(where: Where, spec: Benchmark) -> int:
    """Return how many jobs would run at once. Raises InputError as a run would."""
    with _executor(where, spec) as executor:
        return executor.slots


@contextmanager
def _executor(where: Where, spec: Benchmark) -> Iterator[Executor]:
    gpus = spec.gpus_per_job if spec.device == "gpu" else 0
    resources = Resources(spec.threads, gpus, where.workers, where.address)
    executor: Executor = EXECUTORS.get(where.executor, place="--executor")(resources)
    try:
        yield executor
    finally:
        executor.close()


def _fits(planned: Planned, slots: int) -> None:
    """Raise InputError where the budget of the spec is smaller than what the plan is expected to take."""
    budget, found = planned.resolved.spec.budget, planned.estimate(slots)
    wrong = [
        Mistake(f"budget.{key}", f"{allowed:g}, and about {expected:.2g} expected", "a plan that fits",
                "Raise it, or leave out systems, tasks, seeds or steps (`--plan` tells what takes how long).")
        for key, allowed, expected in (
            ("hours", budget.hours, found.wall_seconds / 3600),
            ("disk_gb", budget.disk_gb, found.disk_bytes / GB),
            ("memory_gb", budget.memory_gb, found.memory_bytes / GB),
        )
        if allowed is not None and expected > allowed
    ]  # fmt: skip
    if wrong:
        raise all_at_once(planned.path, Benchmark, wrong)

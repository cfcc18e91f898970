"""The runner: what is done already, what is ready, who does it, and what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from robustbench_char.common import InputError
from robustbench_char.experiments.executors.base import Executor
from robustbench_char.experiments.jobs import Job, Plan
from robustbench_char.experiments.store import Store
from robustbench_char.experiments.worker import Assignment, Outcome

__all__ = ["Progress", "Run", "State", "Workplace", "states_of"]

State = Literal["done", "waiting", "running", "failed", "blocked", "not needed"]
ATTEMPTS = 3
"""How often a job is begun whose process dies: killed for its memory, or with its machine."""
_WAIT = 0.5  # seconds between two looks
_LATER = 1.0  # seconds until a job that another run makes is asked for again


class Progress(Protocol):
    """What a view of the run is told."""

    def show(self, states: dict[str, State]) -> None:
        """Take the states of all jobs; called at every look."""
        ...

    def say(self, text: str) -> None:
        """Take one line of news."""
        ...


@dataclass(frozen=True)
class Workplace:
    """Where a run works: the store, the folder for logs, the threads of each job, a folder for event files.

    Training saves itself every `save_seconds`.
    """

    store: Store
    logs: Path
    threads: int
    save_seconds: float = 120.0
    tensorboard: Path | None = None

    def log(self, job: str) -> Path:
        """Return where the words of a job go."""
        return self.logs / f"{_file_name(job)}.log"

    def status(self, job: str) -> Path:
        """Return where a job's training tells how far it is."""
        return self.logs / f"{_file_name(job)}.status"

    def assignment(self, plan: Plan, job: Job) -> Assignment:
        """Return a job as an executor takes it."""
        return Assignment(
            name=job.name,
            stage=job.stage,
            key=plan.keys[job.name],
            decides=plan.decides[job.name],
            params=job.params,
            places=job.places,
            needs={role: (plan.jobs[other].stage, plan.keys[other]) for role, other in job.needs.items()},
            work=job.work,
            store=self.store.folder,
            log=self.log(job.name),
            status=self.status(job.name),
            threads=self.threads,
            save_seconds=self.save_seconds,
            tensorboard=self.tensorboard and self.tensorboard / _file_name(job.name),
        )


def _file_name(job: str) -> str:
    return job.replace("/", "-")


def states_of(plan: Plan, store: Store, wanted: Callable[[Job], bool], *, thorough: bool) -> dict[str, State]:
    """Return which jobs are done, which wait, and which are not needed, because all that needs them is done.

    `wanted` says whose result the run is for. A damaged result counts as missing; `thorough` reads through those that
    are asked for, not weights that nothing needs any more.
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
class Run:
    """One run of a plan. `done` is called with each job that is done, `errors` says of each failed one why.

    `later` tells when a job that another run was making may be asked for again.
    """

    plan: Plan
    place: Workplace
    executor: Executor
    progress: Progress
    states: dict[str, State]
    done: Callable[[Job], None]
    errors: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    later: dict[str, float] = field(default_factory=dict)

    def finish(self) -> bool:
        """Do all jobs that wait; return whether all went well. What fails keeps only what needs it from being done."""
        self.place.logs.mkdir(parents=True, exist_ok=True)
        while True:
            for job in self._ready():
                self.states[job.name] = "running"
                self.executor.submit(self.place.assignment(self.plan, job))
            self.progress.show(self.states)
            if "running" in self.states.values():
                for outcome in self.executor.finished(_WAIT):
                    self._end(outcome)
            elif any(self.states[name] == "waiting" for name in self.later):
                time.sleep(_WAIT)
            else:
                return not self.errors

    def _ready(self) -> Iterable[Job]:
        """Return what can begin now: as many jobs as there is room for, and none twice at once."""
        busy = {self.plan.keys[name] for name, state in self.states.items() if state == "running"}
        found: list[Job] = []
        room = self.executor.slots - sum(state == "running" for state in self.states.values())
        for name, job in self.plan.jobs.items():
            if len(found) >= room:
                break
            needs = [self.states[other] for other in job.needs.values()]
            due = self.later.get(name, 0.0) <= time.monotonic()
            if due and self.states[name] == "waiting" and set(needs) <= {"done"} and self.plan.keys[name] not in busy:
                busy.add(self.plan.keys[name])
                found.append(job)
        return found

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
            self.progress.say(f"{job.name}: {outcome.error}; begun again")
        else:
            self._failed(job, outcome)

    def _done(self, job: Job, outcome: Outcome) -> None:
        key = self.plan.keys[job.name]
        for name in self.plan.jobs:
            if self.plan.keys[name] == key and self.states[name] != "done":
                self.states[name] = "done"
                self.publish(self.plan.jobs[name])
        self.progress.say(f"{job.name}: done in {outcome.wall_seconds:.1f} s")

    def publish(self, job: Job) -> None:
        """Tell of a result that is there; where that fails, the run goes on and ends as one with errors."""
        try:
            self.done(job)
        except InputError as error:
            self.errors[job.name] = str(error)
            self.progress.say(f"{job.name}: {error}")

    def _failed(self, job: Job, outcome: Outcome) -> None:
        self.states[job.name] = "failed"
        self.errors[job.name] = outcome.error
        blocked = [name for name in self.plan.dependents(job.name) if self.states[name] == "waiting"]
        self.states.update(dict.fromkeys(blocked, "blocked"))
        held = f"; {len(blocked)} jobs that need it are left out" if blocked else ""
        self.progress.say(f"{job.name}: FAILED ({outcome.error}), log {self.place.log(job.name)}{held}")

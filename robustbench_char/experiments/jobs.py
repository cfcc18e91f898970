"""Jobs: what is to be done, what decides its result, and which other jobs come before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robustbench_char.common import InputError
from robustbench_char.experiments.stages import STAGES
from robustbench_char.training.checkpoints import run_key

__all__ = ["Decides", "Job", "Plan"]


@dataclass(frozen=True)
class Job:
    """One step of a benchmark.

    `params` is what decides the result besides the stage's version, the machine and the results it needs; `places` is
    where data lie, which does not. `needs` maps what the stage calls an input to the job that makes it. `work` is a
    number that the time grows with: examples, or sub-words.
    """

    name: str
    stage: str
    params: Mapping[str, Any]
    needs: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Any] = field(default_factory=dict)
    work: float = 1.0


Decides = Mapping[str, Any]
"""All that decides a job's result, by name; the key is its hash. The stage stands there as `finetune/1`, by a version
that is raised by hand, and no name of a module, class or function does: moving code must not remake results."""


class Plan:
    """Jobs in an order in which each comes after what it needs, with their keys.

    `machine` is what decides results besides the spec and the versions of stages: threads, device, kind of machine,
    library versions. Raises InputError where jobs need each other in a circle.
    """

    def __init__(self, jobs: Iterable[Job], machine: Mapping[str, Any]) -> None:
        self.jobs = {job.name: job for job in _in_order(list(jobs))}
        self.machine = dict(machine)
        self.decides: dict[str, Decides] = {}
        self.keys: dict[str, str] = {}
        for job in self.jobs.values():
            self._add(job)

    def add(self, job: Job) -> None:
        """Add a job whose needs are all here."""
        self.jobs[job.name] = job
        self._add(job)

    def _add(self, job: Job) -> None:
        stage = STAGES.get(job.stage)
        self.decides[job.name] = {
            "stage": f"{job.stage}/{stage.version}",
            "params": dict(job.params),
            "needs": {role: self.keys[name] for role, name in sorted(job.needs.items())},
            "machine": self.machine if stage.heavy else {},
        }
        self.keys[job.name] = run_key(self.decides[job.name])

    def dependents(self, name: str) -> list[str]:
        """Return the jobs that need this one, directly or not, in order."""
        found = {name}
        for job in self.jobs.values():
            if found & set(job.needs.values()):
                found.add(job.name)
        return [other for other in self.jobs if other in found and other != name]


def _in_order(jobs: list[Job]) -> list[Job]:
    """Return jobs in the order given, but each after those it needs."""
    given, found, open_jobs = {job.name: job for job in jobs}, dict[str, Job](), list[str]()

    def take(name: str) -> None:
        if name in found:
            return
        if name in open_jobs:
            raise InputError(
                "the spec",
                found=f"jobs that need each other: {', '.join(open_jobs[open_jobs.index(name) :])}",
                expected="jobs without a circle",
                fix="Check `starts_from`.",
            )
        open_jobs.append(name)
        for other in given[name].needs.values():
            take(other)
        open_jobs.remove(name)
        found[name] = given[name]

    for job in jobs:
        take(job.name)
    return list(found.values())

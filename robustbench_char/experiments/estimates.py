"""What a run will take: estimates from what earlier jobs took, in this store or in the results that are shipped.

A job is expected to take as long as the nearest earlier ones, for each unit of its work: those of the same stage,
system and task, else of the same stage and system, else of the same stage.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from robustbench_char.common.resources import shipped_file
from robustbench_char.experiments.jobs import Job, Plan
from robustbench_char.experiments.store import Store

__all__ = ["Costs", "Estimate", "JobEstimate", "kinds_of"]


class JobEstimate(NamedTuple):
    """What one job is expected to take."""

    seconds: float
    disk_bytes: float
    memory_bytes: float


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take with so many workers.

    `core_seconds` adds up all jobs that wait; `wall_seconds` is what they take side by side, each after what it needs.
    `unknown` are jobs of a stage that nothing is known of, which count nothing.
    """

    jobs: dict[str, JobEstimate]
    wall_seconds: float
    job_seconds: float
    disk_bytes: float
    memory_bytes: float
    unknown: tuple[str, ...]


class _Seen(NamedTuple):
    kinds: tuple[tuple[str, ...], ...]
    seconds: float
    disk: float
    memory: float


class Costs:
    """What earlier jobs took a unit of work."""

    def __init__(self, seen: Iterable[_Seen]) -> None:
        self._by_kind: defaultdict[tuple[str, ...], list[_Seen]] = defaultdict(list)
        for one in seen:
            for kind in one.kinds:
                self._by_kind[kind].append(one)

    @classmethod
    def of(cls, store: Store) -> Costs:
        """Return what this store tells, and for stages that it has nothing of what is shipped."""
        own = list(_of_store(store))
        stages = {one.kinds[-1] for one in own}
        return cls([*own, *(one for one in _shipped() if one.kinds[-1] not in stages)])

    def of_job(self, job: Job) -> JobEstimate | None:
        """Return what a job is expected to take, or None where nothing like it was done."""
        for kind in kinds_of(job.stage, job.name, job.params, job.needs):
            seen = self._by_kind.get(kind)
            if seen:
                seconds = median(one.seconds for one in seen) * job.work
                return JobEstimate(seconds, median(one.disk for one in seen), max(one.memory for one in seen))
        return None

    def estimate(self, plan: Plan, waiting: Iterable[str], slots: int) -> Estimate:
        """Return what the jobs that wait are expected to take, `slots` at a time."""
        found = {name: self.of_job(plan.jobs[name]) for name in waiting}
        known = {name: one for name, one in found.items() if one is not None}
        memory = sorted((one.memory_bytes for one in known.values()), reverse=True)[:slots]
        return Estimate(
            known,
            _wall(plan, {name: known[name].seconds if name in known else 0.0 for name in found}, slots),
            sum(one.seconds for one in known.values()),
            sum(one.disk_bytes for one in known.values()),
            sum(memory),
            tuple(name for name, one in found.items() if one is None),
        )


def _wall(plan: Plan, seconds: Mapping[str, float], slots: int) -> float:
    """Return when the last job ends, where the first that is ready begins as soon as a slot is free."""
    waiting, ends, running, now = list(seconds), dict[str, float](), list[tuple[float, str]](), 0.0
    while waiting or running:
        for name in list(waiting):
            needs = [need for need in plan.jobs[name].needs.values() if need in seconds]
            if len(running) < slots and all(ends.get(need, now + 1) <= now for need in needs):
                waiting.remove(name)
                heapq.heappush(running, (now + seconds[name], name))
        if not running:
            break
        now, name = heapq.heappop(running)
        ends[name] = now
    return now


def _of_store(store: Store) -> Iterator[_Seen]:
    for file in store.costs():
        cost, work = file.cost, max(file.cost.work, 1e-9)
        params, needs = (file.decides.get(part, {}) for part in ("params", "needs"))
        yield _Seen(
            tuple(kinds_of(file.stage, file.name, params, needs)),
            cost.wall_seconds / work,
            cost.result_bytes,
            cost.peak_memory_bytes,
        )


def _shipped() -> Iterator[_Seen]:
    """Yield the costs that are shipped: one line of JSON a kind of job, measured in results/cpu."""
    path = shipped_file("benchmarks/costs.jsonl")
    for line in path.read_text(encoding="utf-8").splitlines() if path else ():
        value = json.loads(line)
        kind = tuple(value["kind"])
        kinds = tuple(kind[:length] for length in range(len(kind), 0, -1))
        yield _Seen(kinds, value["seconds_a_unit"], value["disk_bytes"], value["memory_bytes"])


def kinds_of(stage: str, name: str, params: Mapping[str, Any], needs: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield what a job is like, the nearest first: names of jobs tell system and task."""
    parts = name.split("/")
    if "weights" in needs:  # nothing is trained: another system's weights are taken over
        yield (f"{stage}, weights taken over",)
        return
    if stage in ("finetune", "predict", "score", "sensitivity") and len(parts) > 3:
        yield stage, parts[2], parts[3]
        yield stage, parts[2]
    elif stage == "pretrain":
        yield stage, str(params.get("system"))
    elif len(parts) > 1:
        yield stage, parts[1]
    yield (stage,)

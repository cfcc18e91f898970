"""Estimated cost of a run, from earlier jobs in this store or from the costs that are shipped.

The time per unit of work is that of the nearest earlier jobs: those of the same stage, system and task, else of the
same stage and task, else of the same stage and system, else of the same stage. How much a search for the worst case
asks is not known before: only parts of the same search of the same task tell it.
"""

from __future__ import annotations

import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Any, NamedTuple

from robustbench_char.common.files import shipped_file
from robustbench_char.experiments._expand import Plan
from robustbench_char.experiments._jobs import READY, Job
from robustbench_char.experiments.store import Store

__all__ = ["kinds_of"]

Kind = tuple[str, ...]
"""Stage, then system, then task of jobs that cost alike, as far as they are told apart."""


class JobCost(NamedTuple):
    """Cost of one job; of earlier ones, seconds per unit of work."""

    seconds: float
    disk_bytes: float
    memory_bytes: float


class Estimate(NamedTuple):
    """Expected cost of the jobs that wait, with some number of workers.

    `job_seconds` is their sum, `wall_seconds` the time until the last one ends. `unknown` names jobs of stages without
    an earlier cost, which count as 0.
    """

    jobs: dict[str, JobCost]
    wall_seconds: float
    job_seconds: float
    disk_bytes: float
    memory_bytes: float
    unknown: list[str]


class Costs:
    """Costs of earlier jobs, by kind."""

    def __init__(self, costs: Iterable[tuple[Iterable[Kind], JobCost]]) -> None:
        self._by_kind: defaultdict[Kind, list[JobCost]] = defaultdict(list)
        for kinds, cost in costs:
            for kind in kinds:
                self._by_kind[kind].append(cost)

    @classmethod
    def of(cls, store: Store) -> Costs:
        """Return the costs in this store, and the shipped ones for stages that it does not have."""
        own = list(_of_store(store))
        stages = {kinds[-1] for kinds, _ in own}
        return cls([*own, *((kinds, cost) for kinds, cost in _shipped() if kinds[-1] not in stages)])

    def of_job(self, job: Job) -> JobCost | None:
        """Return the expected cost of a job, or None where nothing like it was done."""
        for kind in kinds_of(job.stage, job.name, job.params, job.needs):
            if costs := self._by_kind.get(kind):
                seconds, disk, memory = zip(*costs, strict=True)
                return JobCost(median(seconds) * job.work, median(disk), max(memory))
        return None

    def estimate(self, plan: Plan, waiting: Iterable[str], slots: int) -> Estimate:
        """Return the expected cost of jobs that wait, `slots` at once."""
        costs = {name: self.of_job(plan.jobs[name]) for name in waiting}
        known = {name: cost for name, cost in costs.items() if cost is not None}
        memory = sorted((cost.memory_bytes for cost in known.values()), reverse=True)[:slots]
        return Estimate(
            known,
            _wall(plan, {name: cost.seconds if cost else 0.0 for name, cost in costs.items()}, slots),
            sum(cost.seconds for cost in known.values()),
            sum(cost.disk_bytes for cost in known.values()),
            sum(memory),
            [name for name in costs if name not in known],
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


def _of_store(store: Store) -> Iterator[tuple[list[Kind], JobCost]]:
    for file in store.files():
        cost, decides = file.cost, file.decides
        kinds = list(kinds_of(file.stage, file.name, decides.get("params", {}), decides.get("needs", {})))
        seconds = cost.wall_seconds / max(cost.work, 1e-9)
        yield kinds, JobCost(seconds, cost.result_bytes, cost.peak_memory_bytes)


def _shipped() -> Iterator[tuple[list[Kind], JobCost]]:
    """Yield the costs that are shipped: one line of JSON per kind of job, measured on two cores."""
    path = shipped_file("benchmarks/costs.jsonl")
    for line in path.read_text(encoding="utf-8").splitlines() if path else ():
        value = json.loads(line)
        kind = tuple(value["kind"])
        kinds = [kind, *_of_task(kind), *(kind[:length] for length in range(len(kind) - 1, 0, -1))]
        yield kinds, JobCost(value["seconds_a_unit"], value["disk_bytes"], value["memory_bytes"])


def kinds_of(stage: str, name: str, params: Mapping[str, Any], needs: Mapping[str, str]) -> Iterator[Kind]:
    """Yield the kinds of a job, the narrowest first: names of jobs hold system and task."""
    parts = name.split("/")
    if "weights" in needs:  # nothing is trained: the weights are another system's
        yield (f"{stage}, weights taken over",)
        return
    if stage in ("worst_part", "worst_part_outside"):  # what another search asks tells nothing
        search = json.dumps([params["suite"]["name"], params["fields"], params["search"]])
        yield from ((stage, system, parts[3], search) for system in (parts[2], "any system"))
        return
    if stage in ("finetune", "predict", "score", "sensitivity", *READY) and len(parts) > 3:
        yield stage, parts[2], parts[3]
        yield from _of_task((stage, parts[2], parts[3]))
        yield stage, parts[2]
    elif stage in ("pretrain", "defence"):
        yield stage, str(params.get("system") or params.get("kind"))
    elif len(parts) > 1:
        yield stage, parts[1]
    yield (stage,)


def _of_task(kind: Kind) -> list[Kind]:
    """Return the kind of all systems on a task, where the kind tells the task."""
    return [(kind[0], "any system", kind[2])] if len(kind) == 3 else []

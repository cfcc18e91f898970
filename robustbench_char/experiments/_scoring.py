"""The jobs that predict and score with one system on one task: clean and attacked, measured, and at its worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robustbench_char.attacks.suites import Suite
from robustbench_char.experiments._jobs import Job
from robustbench_char.experiments._resolve import Resolved, ResolvedTask
from robustbench_char.experiments._searches import Search
from robustbench_char.experiments.spec import Benchmark, SystemSpec

__all__ = ["Subject", "evaluated", "suite_paths", "worst_cases"]


class Subject(NamedTuple):
    """A system on one task: its key in the spec, how the names of its jobs begin, and what these have in common.

    `name` is BASE/SYSTEM/TASK/seed_S of one that is trained, else its kind/SYSTEM/TASK. `stage` is that which predicts
    and scores in one job; without, there are two.
    """

    key: str
    name: str
    params: Mapping[str, Any]
    needs: Mapping[str, str]
    paths: Mapping[str, Any]
    stage: str | None = None

    def scored(self, condition: str, attacked: Mapping[str, str], limit: int | None, work: float) -> Iterator[Job]:
        """Yield what predicts and scores the first `limit` examples, as the job that is needed attacked them."""
        inputs, limited = {**self.needs, **attacked}, {**self.params, "limit": limit}
        predict, score = f"predict/{self.name}/{condition}", f"score/{self.name}/{condition}"
        if self.stage is not None:
            yield Job(score, self.stage, limited, inputs, self.paths, work)
            return
        yield Job(predict, "predict", limited, inputs, self.paths, work)
        yield Job(score, "score", self.params, {**inputs, "predicted": predict}, self.paths, work)


def evaluated(spec: Benchmark, task: ResolvedTask, system: SystemSpec, subject: Subject) -> Iterator[Job]:
    """Yield what is predicted, scored and measured of one system."""
    for condition, attacked in task.conditions(system.suites):
        yield from subject.scored(condition, attacked, task.spec.test_limit, task.evaluated)
    if subject.stage != "outside":
        yield from _sensitivity(spec, task, subject)


def _sensitivity(spec: Benchmark, task: ResolvedTask, subject: Subject) -> Iterator[Job]:
    """Yield what measures the sensitivity of one system, where the spec asks for it."""
    asked = spec.sensitivity
    if asked and task.key in (asked.tasks or spec.tasks):
        params, suites = {**subject.params, "limit": asked.limit or task.spec.test_limit}, task.named(asked.suites)
        first: dict[str, str] = {}  # of several attack seeds
        for suite, _, job in task.attacks:
            if suite.keeps_words:
                first.setdefault(suite.name, job)
        for suite_name in (suite_name for suite_name in first if suite_name in suites):
            name, inputs = f"sensitivity/{subject.name}/{suite_name}", {**subject.needs, "attacked": first[suite_name]}
            yield Job(name, "sensitivity", params, inputs, subject.paths, 2 * task.evaluated)


def worst_cases(resolved: Resolved, task: ResolvedTask, subjects: Sequence[Subject]) -> Iterator[Job]:
    """Yield the searches for the worst case of systems on a task, and the scores of systems on what they find.

    The names of scores hold the search and the system that it is the worst case of.
    """
    for name, part in resolved.spec.worst_case.items():
        search, targets = resolved.searches.get((name, task.key)), part.systems or resolved.spec.systems
        for target in subjects if search else ():
            if search and target.key in targets:
                base, short = target.name.split("/")[:2]
                limit = min(filter(None, (part.limit, task.spec.test_limit)), default=None)
                examples = min(task.examples[1], limit or task.examples[1])
                yield from _searched(target, name, search, limit, examples)
                found = {"attacked": f"worst_case/{target.name}/{name}"}
                for subject in subjects:
                    if subject is target or part.transfers_to(subject.key):
                        yield from subject.scored(f"worst_case/{name}/{base}/{short}", found, limit, examples)


def _searched(target: Subject, name: str, search: Search, limit: int | None, examples: int) -> Iterator[Job]:
    """Yield the parts of a search, which share the examples, and the job that makes an attack set of what they find."""
    (part, attack, plan), needs = search, dict[str, str]()
    params = {
        **target.params,
        "suite": attack.suite.model_dump(mode="json", by_alias=True),
        "fields": list(attack.fields),
        "search": plan._asdict(),
        "limit": limit,
    }
    paths = {**target.paths, **suite_paths(attack.suite)}
    stage = "worst_part_outside" if target.stage == "outside" else "worst_part"
    for number in range(part.parts):
        job, own = f"worst_part/{target.name}/{name}/part_{number}", {**params, "part": [number, part.parts]}
        yield Job(job, stage, own, target.needs, paths, examples / part.parts)
        needs[f"part_{number}"] = job
    yield Job(f"worst_case/{target.name}/{name}", "worst_case", params, needs, paths, examples)


def suite_paths(suite: Suite) -> dict[str, str]:
    """Return where what a suite reads stands, which is no part of the suite."""
    listing = suite.misspellings.path if suite.misspellings else None
    return {"misspellings": str(listing.resolve())} if listing else {}

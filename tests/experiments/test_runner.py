"""The runner: order, failures, lost workers, other runs; with jobs that take no time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_char.common import InputError
from robustbench_char.experiments._expand import Plan
from robustbench_char.experiments._jobs import Call, Job, Outcome, State
from robustbench_char.experiments.run import ATTEMPTS, Runner, states_of
from robustbench_char.experiments.store import Store

Ends = Callable[[Call], Outcome]


class Executor:
    """Ends each job as `ends` says, one at a look."""

    def __init__(self, ends: Ends, slots: int = 2) -> None:
        self.ends, self.slots = ends, slots
        self.begun: list[str] = []
        self.waiting: list[Call] = []

    def submit(self, call: Call) -> None:
        self.begun.append(call.job.name)
        self.waiting.append(call)
        assert len(self.waiting) <= self.slots

    def finished(self, seconds: float) -> list[Outcome]:
        return [self.ends(self.waiting.pop(0))]

    def close(self) -> None:
        raise AssertionError("not used")


class Silent:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def show(self, states: dict[str, State]) -> None:
        pass

    def say(self, text: str) -> None:
        self.lines.append(text)


def done(call: Call) -> Outcome:
    return Outcome(call.job.name, "done")


def diamond() -> Plan:
    """`a` before `b` and `c`, both before `d`; `e` alone."""
    jobs = [
        Job("d", "score", {"n": 4}, {"x": "b", "y": "c"}),
        Job("b", "predict", {"n": 2}, {"x": "a"}),
        Job("c", "predict", {"n": 3}, {"x": "a"}),
        Job("a", "finetune", {"n": 1}),
        Job("e", "attack", {"n": 5}),
    ]
    return Plan(jobs, {"threads": 1})


def run(plan: Plan, ends: Ends, tmp_path: Path, slots: int = 2) -> tuple[Runner, Executor, bool]:
    executor, store = Executor(ends, slots), Store(tmp_path / "store")
    states: dict[str, State] = dict.fromkeys(plan.jobs, "waiting")
    runner = Runner(plan, store, tmp_path / "logs", executor, Silent(), states, lambda job: None)
    return runner, executor, runner.finish()


def test_jobs_come_after_what_they_need(tmp_path: Path) -> None:
    assert list(diamond().jobs) == ["a", "b", "c", "d", "e"]
    runner, executor, well = run(diamond(), done, tmp_path)
    assert well
    assert set(runner.states.values()) == {"done"}
    assert executor.begun.index("a") < executor.begun.index("b") < executor.begun.index("d")


def test_a_circle_is_refused() -> None:
    with pytest.raises(InputError, match="jobs that need each other: a, b"):
        Plan([Job("a", "score", {}, {"x": "b"}), Job("b", "score", {}, {"x": "a"})], {})


def test_a_failure_leaves_out_only_what_needs_it(tmp_path: Path) -> None:
    def ends(call: Call) -> Outcome:
        return Outcome(call.job.name, "failed", "because") if call.job.name == "b" else done(call)

    runner, _, well = run(diamond(), ends, tmp_path)
    assert not well
    assert runner.states == {"a": "done", "b": "failed", "c": "done", "d": "blocked", "e": "done"}
    assert runner.errors == {"b": "because"}
    (line,) = [line for line in runner.view.lines if "FAILED" in line]  # type: ignore[attr-defined]
    assert "because" in line
    assert "logs/b.log" in line
    assert "1 jobs that need it" in line


@pytest.mark.parametrize(("losses", "state"), [(ATTEMPTS - 1, "done"), (ATTEMPTS, "failed")])
def test_a_lost_job_is_begun_again_so_many_times(tmp_path: Path, losses: int, state: State) -> None:
    left = [losses]

    def ends(call: Call) -> Outcome:
        if call.job.name == "e" and left[0]:
            left[0] -= 1
            return Outcome("e", "lost", "its process ended with code -9")
        return done(call)

    runner, executor, well = run(diamond(), ends, tmp_path)
    assert runner.states["e"] == state
    assert well == (state == "done")
    assert executor.begun.count("e") == min(losses + 1, ATTEMPTS)


def test_a_job_that_another_run_makes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.experiments.run._LATER", 0.05)
    monkeypatch.setattr("robustbench_char.experiments.run._WAIT", 0.02)
    left = [3]

    def ends(call: Call) -> Outcome:
        if call.job.name == "a" and left[0]:
            left[0] -= 1
            return Outcome("a", "busy")
        return done(call)

    _, executor, well = run(diamond(), ends, tmp_path)
    assert well
    assert executor.begun.count("a") == 4


def test_equal_jobs_are_done_once(tmp_path: Path) -> None:
    plan = Plan([Job("one", "attack", {"n": 1}), Job("two", "attack", {"n": 1}), Job("three", "attack", {"n": 3})], {})
    runner, executor, _ = run(plan, done, tmp_path)
    assert sorted(executor.begun) == ["one", "three"]
    assert set(runner.states.values()) == {"done"}


def test_a_key_is_that_of_all_that_decides() -> None:
    """A change of a job, or of the machine, changes its key and those of what needs it, and no other."""
    before = diamond().keys

    def changed(plan: Plan) -> set[str]:
        return {name for name, key in plan.keys.items() if before[name] != key}

    jobs = list(diamond().jobs.values())
    assert changed(Plan(jobs, {"threads": 1})) == set()
    assert changed(Plan(jobs, {"threads": 2})) == {"a", "b", "c", "d"}  # attacks are the same on any machine
    other = [Job("b", "predict", {"n": 9}, {"x": "a"}) if job.name == "b" else job for job in jobs]
    assert changed(Plan(other, {"threads": 1})) == {"b", "d"}
    moved = [Job(job.name, job.stage, job.params, job.needs, {"path": "/elsewhere"}) for job in jobs]
    assert changed(Plan(moved, {"threads": 1})) == set()


def test_what_only_done_jobs_need_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {"d"}
    plan = diamond()
    names = {key: name for name, key in plan.keys.items()}
    monkeypatch.setattr(Store, "damage", lambda self, stage, key, thorough: None if names[key] in whole else "gone")
    store = Store(tmp_path)
    assert states_of(plan, store, lambda job: job.name in "de", thorough=True) == {
        "a": "not needed", "b": "not needed", "c": "not needed", "d": "done", "e": "waiting",
    }  # fmt: skip
    whole.clear()
    assert set(states_of(plan, store, lambda job: job.name in "de", thorough=True).values()) == {"waiting"}

"""What a user sees of a run: one live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from robustbench_char.common.errors import visible
from robustbench_char.experiments._expand import Plan
from robustbench_char.experiments._jobs import READY, Job, State, log_file
from robustbench_char.experiments.estimates import Costs

__all__ = ["duration"]


class View:
    """Shows how many jobs are done, those that run, and the time expected to be left.

    Of training the latest loss is shown, of each model that is ready a bar of its own.
    """

    def __init__(self, plan: Plan, logs: Path, costs: Costs, slots: int, console: Console | None = None) -> None:
        self.plan, self.logs, self.costs, self.slots = plan, logs, costs, slots
        self.console = console or Console(file=sys.stderr)  # this one: the local executor sends stderr to logs
        self.started = time.monotonic()
        self.states: dict[str, State] = {}
        self.begun: dict[str, float] = {}
        self._left, self._looked = 0.0, -60.0
        self._models = _models(plan)
        self._speeds = dict[str, _Speed]()
        self.live = Live(console=self.console, refresh_per_second=2, transient=True, get_renderable=self._table)

    def __enter__(self) -> View:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def show(self, states: dict[str, State]) -> None:
        """Take the states of all jobs."""
        self.states = dict(states)
        for name, state in states.items():
            if state == "running":
                self.begun.setdefault(name, time.monotonic())
            else:
                self.begun.pop(name, None)

    def say(self, text: str) -> None:
        """Print one line of news, with the time since the start and the number of jobs that are done."""
        states = Counter(self.states.values())
        done, all_jobs = states["done"], sum(states.values()) - states["not needed"]
        line = f"[{duration(time.monotonic() - self.started):>8}] {min(done + 1, all_jobs)}/{all_jobs} {text}"
        self.console.print(Text(visible(line)), soft_wrap=True)

    def _table(self) -> Group:
        states = Counter(self.states.values())
        counts = ", ".join(f"{number} {state}" for state, number in states.items() if number and state != "not needed")
        table = Table("job", "for", "step", "loss", box=None)
        for name, begun in self.begun.items():
            step, loss = _progress(log_file(self.logs, name, "status"))
            table.add_row(Text(visible(name)), duration(time.monotonic() - begun), step, loss)
        left = self._remaining()
        return Group(Text(counts + (f"; about {duration(left)} left" if left else "")), self._bars(), table)

    def _bars(self) -> Table:
        """Return a row per model: what part of its examples was predicted, and the time left at its speed so far."""
        table = Table.grid(padding=(0, 2))
        for model, jobs in self._models.items():
            done, total = sum(map(self._done, jobs)), sum(job.work for job in jobs)
            left = self._speeds.setdefault(model, _Speed(done)).left(done, total)
            share = ProgressBar(total, done, width=40)
            amount, time_left = f"{done:,.0f} of {total:,.0f}", "" if left is None else f"{duration(left)} left"
            table.add_row(Text(visible(model)), share, amount, time_left)
        return table

    def _done(self, job: Job) -> float:
        """Return how many examples of a job are predicted."""
        state = self.states.get(job.name)
        if state == "running":
            status = _status(log_file(self.logs, job.name, "status"))
            return job.work * status["step"] / max(1, status["steps"]) if status else 0.0
        return job.work if state in ("done", "not needed") else 0.0

    def _remaining(self) -> float:
        """Return the seconds that are expected to be left, looked up every ten seconds; 0 where that is not known."""
        now = time.monotonic()
        if now - self._looked > 10:
            self._looked = now
            left = [name for name, state in self.states.items() if state in ("waiting", "running")]
            spent = sum(now - begun for begun in self.begun.values()) / max(1, self.slots)
            estimate = self.costs.estimate(self.plan, left, self.slots)
            self._left = 0.0 if estimate.unknown else max(0.0, estimate.wall_seconds - spent)
        return self._left


def _left(seconds: float | None, done: bool) -> str:
    return "done" if done else "" if seconds is None else f"{duration(seconds)} left"


class _Speed:
    """How fast a number grows, from the moment that it is first seen to grow."""

    def __init__(self, start: float) -> None:
        self.start, self.since = start, time.monotonic()

    def left(self, done: float, total: float) -> float | None:
        """Return the seconds until `done` is `total`, or None where nothing was done yet."""
        now = time.monotonic()
        if done <= self.start:
            self.since = now
            return None
        return (total - done) * (now - self.since) / (done - self.start)


def _models(plan: Plan) -> dict[str, list[Job]]:
    """Return the jobs of each model that predicts without being trained here, by its name."""
    models = defaultdict[str, list[Job]](list)
    for job in plan.jobs.values():
        if job.stage in READY:
            models[job.name.split("/")[2]].append(job)
    return models


def _progress(path: Path) -> tuple[str, str]:
    """Return step and loss of a job as texts; empty where it has not begun, or does not tell."""
    status = _status(path)
    if status is None:
        return "", ""
    loss = status.get("loss")
    return f"{status['step']:,.0f} of {status['steps']:,.0f}", "" if loss is None else f"{loss:.3f}"


def _status(path: Path) -> dict[str, Any] | None:
    """Return what `write_status` wrote about a job, or None where there is nothing."""
    try:
        status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it ends, or is being written
        return None
    return status


def duration(seconds: float) -> str:
    """Return a time as text: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"

"""What a user sees of a run: one live view on a terminal, plain lines elsewhere; and why a job is done, or not."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from robustbench_char.common import InputError
from robustbench_char.common.errors import nearest
from robustbench_char.common.provenance import differences
from robustbench_char.experiments.estimates import Costs
from robustbench_char.experiments.expand import Plan
from robustbench_char.experiments.jobs import Job, State, status_file
from robustbench_char.experiments.store import Store

__all__ = ["View", "duration", "explain"]


class View:
    """Shows how many jobs are done, those that run with their latest loss, and the time expected to be left."""

    def __init__(self, plan: Plan, logs: Path, costs: Costs, slots: int, console: Console | None = None) -> None:
        self.plan, self.logs, self.costs, self.slots = plan, logs, costs, slots
        self.console = console or Console(stderr=True)
        self.started = time.monotonic()
        self.states: dict[str, State] = {}
        self.begun: dict[str, float] = {}
        self._left, self._looked = 0.0, -60.0
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
        self.console.print(Text(line), soft_wrap=True)

    def _table(self) -> Group:
        states = Counter(self.states.values())
        counts = ", ".join(f"{number} {state}" for state, number in states.items() if number and state != "not needed")
        table = Table("job", "for", "step", "loss", box=None)
        for name, begun in self.begun.items():
            status = _read(status_file(self.logs, name))
            step = f"{status['step']:,} of {status['steps']:,}" if status else ""
            loss = f"{status['loss']:.3f}" if status and status.get("loss") is not None else ""
            table.add_row(name, duration(time.monotonic() - begun), step, loss)
        return Group(Text(f"{counts}; about {duration(self._remaining())} left"), table)

    def _remaining(self) -> float:
        """Return the seconds that are expected to be left, looked up every ten seconds."""
        now = time.monotonic()
        if now - self._looked > 10:
            self._looked = now
            left = [name for name, state in self.states.items() if state in ("waiting", "running")]
            spent = sum(now - begun for begun in self.begun.values()) / max(1, self.slots)
            self._left = max(0.0, self.costs.estimate(self.plan, left, self.slots).wall_seconds - spent)
        return self._left


def _read(path: Path) -> Mapping[str, Any] | None:
    """Return the status that a training wrote, or None: it has not begun, or the job is not a training."""
    try:
        status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it ends, or is being written
        return None
    return status


def explain(plan: Plan, store: Store, states: Mapping[str, State], name: str) -> list[str]:
    """Return lines that say why a job is up to date or must be rerun. Raises InputError for an unknown job."""
    if name not in plan.jobs:
        raise InputError("--explain", found=f"unknown job {name!r}", expected="a job that `--plan` lists",
                         fix=f"Correct the name.{nearest(name, plan.jobs)}")  # fmt: skip
    job, key = plan.jobs[name], plan.keys[name]
    lines = [f"{name}: {states[name]}", f"key {key}"]
    if states[name] == "done":
        cost = store.read(job.stage, key).cost
        return [*lines, f"made {cost.created} on {cost.host} in {cost.wall_seconds:.1f} s"]
    if states[name] == "not needed":
        return [*lines, "everything that needs its result is done"]
    if store.path(job.stage, key).exists():
        return [*lines, f"its result is damaged: {store.damage(job.stage, key)}"]
    earlier = [file for file in store.files() if file.name == name and file.stage == job.stage]
    if not earlier:
        return [*lines, "no result of this name is in the store"]
    decides = json.loads(json.dumps(plan.decides[name]))
    last = min(earlier, key=lambda file: (len(list(differences(file.decides, decides))), file.cost.created))
    changes = sorted(differences(last.decides, decides), key=lambda change: change[0])
    return [
        *lines,
        f"the nearest earlier result was made {last.cost.created}; since then:",
        *(_change(job, *change) for change in changes),
    ]


def _change(job: Job, key: str, old: object, new: object) -> str:
    """Return one thing that differs from an earlier result; of another result that came in, the job that makes it."""
    role = key.removeprefix("needs.")
    if role != key:
        return f"  {role}: another result of {job.needs.get(role, '(none is needed now)')}"
    if key == "stage":
        return f"  {key}: {old} -> {new}, a version with other results"
    return f"  {key}: {_short(old)} -> {_short(new)}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def duration(seconds: float) -> str:
    """Return a time as text: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"

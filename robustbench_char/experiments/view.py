"""What a user sees of a run: one live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from robustbench_char.experiments._expand import Plan
from robustbench_char.experiments._jobs import State, log_file
from robustbench_char.experiments.estimates import Costs

__all__ = ["duration"]


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
            step, loss = _progress(log_file(self.logs, name, "status"))
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


def _progress(path: Path) -> tuple[str, str]:
    """Return the step and the loss that a training wrote; empty where it has not begun, or for another job."""
    try:
        status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it ends, or is being written
        return "", ""
    loss = status.get("loss")
    return f"{status['step']:,} of {status['steps']:,}", "" if loss is None else f"{loss:.3f}"


def duration(seconds: float) -> str:
    """Return a time as text: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"

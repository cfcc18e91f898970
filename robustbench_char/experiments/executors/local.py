"""Jobs in this very process, one after another: the simplest way, and the one for a debugger."""

from __future__ import annotations

import contextlib

from robustbench_char.experiments.executors.base import Resources
from robustbench_char.experiments.worker import Assignment, Outcome, perform

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """Runs a job when it is submitted, with its words going to its log."""

    slots = 1

    def __init__(self, resources: Resources) -> None:
        self._done: list[Outcome] = []

    def submit(self, assignment: Assignment) -> None:
        """Do the job."""
        with (
            assignment.log.open("a", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            self._done.append(perform(assignment))

    def finished(self, seconds: float) -> list[Outcome]:
        """Return what ended since the last call."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Do nothing: there are no processes."""

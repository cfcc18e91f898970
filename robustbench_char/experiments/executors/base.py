"""What the runner asks of an executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from robustbench_char.experiments.worker import Assignment, Outcome

__all__ = ["Executor", "Resources", "thread_variables"]


@dataclass(frozen=True)
class Resources:
    """What each job gets, and how many run at once (`workers`: None for as many as there is room for).

    `address` is that of a Ray cluster.
    """

    threads: int
    gpus: int = 0
    workers: int | None = None
    address: str | None = None


class Executor(Protocol):
    """Does jobs. Made from `Resources`; raises InputError there where they are not to be had."""

    slots: int

    def submit(self, assignment: Assignment) -> None:
        """Begin a job, now or as soon as there is room."""
        ...

    def finished(self, seconds: float) -> list[Outcome]:
        """Return the jobs that ended since the last call, after at most so many seconds of waiting for one."""
        ...

    def close(self) -> None:
        """End all processes, with whatever they are doing."""
        ...


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment variables that tell numeric libraries, when they are imported, how many threads to use."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))

"""A job on its way: what is asked (`Job`), one execution of it (`Call`), and how that ended (`Outcome`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robustbench_char.experiments.store import Store

__all__ = ["Call", "Job", "Outcome", "State", "log_file", "status_file"]

State = Literal["done", "waiting", "running", "failed", "blocked", "not needed"]


@dataclass(frozen=True)
class Job:
    """One job of a benchmark, as the spec asks for it.

    `params` decides the result, with the stage's version, the machine and the results needed; `paths` tells where the
    data are, which does not. `needs` maps what the stage calls an input to the job that makes it. `work` is a number
    that the time grows with: examples, or sub-words.
    """

    name: str
    stage: str
    params: Mapping[str, Any]
    needs: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, Any] = field(default_factory=dict)
    work: float = 1.0


@dataclass(frozen=True)
class Call:
    """One execution of a job, as plain values that may go to another process or machine.

    `key` names the result in the store: it is the hash of `decides`. `inputs` maps the job's needs to folders of
    results. Training saves a checkpoint every `save_seconds`, and writes event files below `tensorboard`, if given.
    """

    job: Job
    key: str
    decides: Mapping[str, Any]
    inputs: Mapping[str, Path]
    store: Store
    logs: Path
    threads: int = 1
    save_seconds: float = 120.0
    tensorboard: Path | None = None

    @property
    def events(self) -> Path | None:
        """The folder for the job's event files."""
        return self.tensorboard and self.tensorboard / self.log.stem

    @property
    def log(self) -> Path:
        """The file that everything goes to which the job prints."""
        return log_file(self.logs, self.job.name)

    @property
    def status(self) -> Path:
        """The file in which training tells how far it is."""
        return status_file(self.logs, self.job.name)

    @property
    def unfinished(self) -> Path:
        """The folder for checkpoints, which outlives a stop."""
        return self.store.unfinished(self.key)


@dataclass(frozen=True)
class Outcome:
    """How an execution ended: `busy` where another run is making the same result, `lost` where its process died."""

    name: str
    state: Literal["done", "busy", "failed", "lost"]
    error: str = ""
    wall_seconds: float = 0.0


def log_file(logs: Path, job: str) -> Path:
    """Return the log of a job in a folder of logs."""
    return logs / f"{job.replace('/', '-')}.log"


def status_file(logs: Path, job: str) -> Path:
    """Return the status file of a job in a folder of logs."""
    return logs / f"{job.replace('/', '-')}.status"

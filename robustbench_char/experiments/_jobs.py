"""A job on its way: what is asked (`Job`), one execution of it (`Call`), how that ended (`Outcome`); and data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.experiments.store import Store
from robustbench_char.tasks.base import NativeFile, Task
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.sources import MINI_TEXT, open_source

MINI = "mini"
"""The text that is made of the generated data sets."""

READY = ("model", "outside")
"""The stages of models that predict and are not trained here: those that need torch, and all others."""

PRICES = ("price", "defence_price")
"""The stages of the price of a defence: of a word recogniser, which needs torch, and of all others."""

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
        return self.tensorboard and self.tensorboard / self.log.stem

    @property
    def log(self) -> Path:
        """The file that everything goes to which the job prints."""
        return log_file(self.logs, self.job.name)

    @property
    def status(self) -> Path:
        """The file in which training tells how far it is."""
        return log_file(self.logs, self.job.name, "status")

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


def log_file(logs: Path, job: str, kind: Literal["log", "status"] = "log") -> Path:
    """Return the log, or the status file, of a job in a folder of logs."""
    return logs / f"{job.replace('/', '-')}.{kind}"


@dataclass(frozen=True)
class Source:
    """One file of data, as plain values: a worker on another machine opens it again. `kind` is files, mini or hub.

    `path` is a file, a folder of trees (with `split`, by sections), or empty for mini and the hub (by `split`).
    """

    kind: str
    path: str = ""
    split: str | None = None

    def open(self, task: Task) -> NativeFile:
        """Open it. Raises InputError as the readers do."""
        if self.kind == "files":
            folder = Path(self.path)
            return open_source(task, data_dir=folder, split=self.split) if self.split else open_native(task, folder)
        data = "mini" if self.kind == "mini" else None
        return open_source(task, data=data, hub=self.kind == "hub", split=self.split)

    def sha256(self, task: Task) -> str:
        """Return the hash of its content."""
        return source_sha256(self.open(task).path) + (f"@{self.split}" if self.path and self.split else "")


def job_name(*parts: str) -> str:
    """Return the name of a job: its parts by slashes, of which they have none themselves (a hub id has one)."""
    return "/".join(part.replace("/", "-") for part in parts)


def text_path(name: str) -> Path:
    """Return the file of plain text that a name or path stands for."""
    return MINI_TEXT if name == MINI else Path(name)

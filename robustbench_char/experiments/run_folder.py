"""The folder of a run: the numbers of all its jobs by name, the report, the logs, and `run.json`, which tells of them.

Weights, attacked texts and checkpoints stay in the store. Predictions hold the texts of the test set: without
`examples` they stay there too, and the folder may be published.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from robustbench_char.common import InputError
from robustbench_char.common.files import put_json, scratch_of
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance, provenance
from robustbench_char.experiments.expand import result_path
from robustbench_char.experiments.jobs import Job, Plan
from robustbench_char.experiments.store import Cost, Store

__all__ = ["RUN", "RunFile", "RunFolder"]

RUN = "run.json"
NUMBERS = {
    "score": ("record.json", "counts.parquet"),
    "outside": ("record.json", "counts.parquet"),
    "sensitivity": ("sensitivity.json",),
    "price": ("recogniser_price.json",),
    "attack": ("manifest.json",),
    "pretrain": ("pretraining.json", "training_log.json"),
}
"""The files of each stage that hold numbers alone."""
TEXTS = {"score": ("predictions.parquet",), "outside": ("predictions.parquet",), "sensitivity": ("words.parquet",)}
"""Those that hold texts of the data, or are large, which go with them if `examples` are wanted."""


class JobLine(Frozen):
    """One job in `run.json`: its key, how it ended, why it failed, and what its result took when it was made."""

    stage: str
    key: str
    state: str
    error: str | None = None
    cost: Cost | None = None


class RunFile(Frozen):
    """`run.json`: what was asked and what became of it. Times, hosts and commits differ between equal runs."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str
    spec: dict[str, Any]
    machine: dict[str, Any]
    executor: str
    jobs: dict[str, JobLine]
    created: str
    provenance: Provenance


class RunFolder:
    """The folder that `run --output` names. Raises InputError for one that holds something else."""

    def __init__(self, folder: Path, *, examples: bool) -> None:
        self.folder, self.examples = folder, examples
        self.logs = folder / "logs"
        if folder.is_dir() and not (folder / RUN).is_file() and set(folder.iterdir()) - {scratch_of(folder / RUN)}:
            raise InputError(folder, found="a folder with other content",
                             expected="a new folder, or that of an earlier run",
                             fix="Choose another --output.")  # fmt: skip
        if folder.exists() and not folder.is_dir():
            raise InputError(folder, found="a file", expected="a folder", fix="Choose another --output.")
        self.held: dict[str, str] = self._earlier() if (folder / RUN).is_file() else {}

    def _earlier(self) -> dict[str, str]:
        file = read_json_model(self.folder / RUN, RunFile, expected="what `run` wrote", fix="Choose another --output.")
        return {name: job.key for name, job in file.jobs.items()}

    def clear(self, plan: Plan) -> None:
        """Remove what an earlier run of another spec, code or data left here."""
        for name, key in self.held.items():
            path = _path_of(name)
            if path is not None and plan.keys.get(name) != key:
                shutil.rmtree(self.folder / path, ignore_errors=True)
                self._remove_empty(path.parent)

    def _remove_empty(self, path: Path) -> None:
        """Remove folders that hold nothing any more, up to that of the run."""
        while path != Path() and (self.folder / path).is_dir() and not any((self.folder / path).iterdir()):
            (self.folder / path).rmdir()
            path = path.parent

    def put(self, job: Job, key: str, store: Store) -> None:
        """Copy the numbers of a result to its place here, whole or not at all. Raises InputError for a full disk."""
        path = result_path(job)
        if path is None:
            return
        source, target = store.place(job.stage, key), self.folder / path
        names = NUMBERS.get(job.stage, ()) + (TEXTS.get(job.stage, ()) if self.examples else ())
        with _written(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
                new = Path(scratch) / target.name
                shutil.copytree(source, new, ignore=_others(names, source, job.stage))
                if target.exists():
                    shutil.rmtree(target)
                os.replace(new, target)

    def write(
        self,
        name: str,
        spec: Mapping[str, Any],
        plan: Plan,
        store: Store,
        states: Mapping[str, str],
        errors: Mapping[str, str],
        executor: str,
    ) -> None:
        """Write `run.json`, whole or not at all. Raises InputError for a full disk."""
        jobs = {
            job.name: JobLine(
                stage=job.stage,
                key=plan.keys[job.name],
                state=states[job.name],
                error=errors.get(job.name),
                cost=_cost(store, job, plan) if states[job.name] == "done" else None,
            )
            for job in plan.jobs.values()
        }
        file = RunFile(
            name=name,
            spec=dict(spec),
            machine=plan.machine,
            executor=executor,
            jobs=jobs,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            provenance=provenance(),
        )
        with _written(self.folder / RUN):
            self.folder.mkdir(parents=True, exist_ok=True)
            put_json(self.folder / RUN, file.model_dump(mode="json", by_alias=True))


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Say where and why something could not be written."""
    try:
        yield
    except OSError as error:
        raise InputError(path, found=f"it cannot be written ({error})", expected="a folder with room to write",
                         fix="Free space or check permissions, and run again.") from None  # fmt: skip


def _path_of(name: str) -> Path | None:
    return result_path(Job(name, "", {}))


def _others(names: Collection[str], source: Path, stage: str) -> Any:
    """Return what `copytree` is to leave out: all but `names` at the top; of a report, `job.json` alone."""

    def ignored(folder: str, content: list[str]) -> list[str]:
        if stage == "report":
            return [one for one in content if one == "job.json"]
        return [one for one in content if one not in names] if Path(folder) == source else []

    return ignored


def _cost(store: Store, job: Job, plan: Plan) -> Cost | None:
    try:
        return store.read(job.stage, plan.keys[job.name]).cost
    except InputError:
        return None

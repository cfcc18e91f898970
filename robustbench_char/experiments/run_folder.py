"""The folder of a run: the numbers of all its jobs by name, the report, the logs, and `run.json`, which lists the jobs.

Weights, attacked texts and checkpoints stay in the store. Predictions hold the texts of the test set: without
`examples` they stay there too, and the folder may be published.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from robustbench_char.common import InputError
from robustbench_char.common.files import check_links, output_folder, put_json, scratch_of
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance, provenance
from robustbench_char.experiments._expand import Plan
from robustbench_char.experiments._jobs import PRICES, READY, Job
from robustbench_char.experiments.store import Cost, Store

__all__ = ["RunFile"]

RUN = "run.json"
FOLDERS = {
    "score": "records",
    "sensitivity": "sensitivity",
    "price": "defences",
    "attack": "manifests",
    "pretrain": "pretraining",
    "worst_case": "worst_case",
    "report": "report",
}
"""Where the numbers of jobs go, by the first part of their names; those of other jobs stay in the store."""
NUMBERS = {
    "score": ("record.json", "counts.parquet"),
    "model": ("record.json", "counts.parquet"),
    "outside": ("record.json", "counts.parquet"),
    "sensitivity": ("sensitivity.json",),
    **dict.fromkeys(PRICES, ("defence_price.json", "recogniser_price.json")),
    "attack": ("manifest.json",),
    "pretrain": ("pretraining.json", "training_log.json"),
    "worst_case": ("worst_case.json", "worst_case.parquet", "manifest.json"),
}
"""The files of each stage that hold numbers alone."""
TEXTS = dict.fromkeys(("score", *READY), ("predictions.parquet",)) | {"sensitivity": ("words.parquet",)}
"""Those with texts of the data, or large ones, which go with them if `examples` are wanted."""


def result_path(name: str) -> Path | None:
    """Return where the numbers of a job go below the folder of a run, or None where they stay in the store."""
    kind, *rest = name.split("/")
    return Path(FOLDERS[kind], *rest) if kind in FOLDERS and ".." not in rest else None


class JobLine(Frozen):
    """One job in `run.json`: its key, how it ended, why it failed, and the cost of its result when it was made."""

    stage: str
    key: str
    state: str
    error: str | None = None
    cost: Cost | None = None


class RunFile(Frozen):
    """`run.json`: the spec, and how each job ended. Times, hosts and commits differ between equal runs."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str
    spec: dict[str, Any]
    machine: dict[str, Any]
    executor: str
    jobs: dict[str, JobLine]
    created: str
    provenance: Provenance

    @property
    def errors(self) -> dict[str, str]:
        """The reason by failed job; empty where every job went well."""
        return {name: job.error for name, job in self.jobs.items() if job.error is not None}


class RunFolder:
    """The folder that `run --output` names. Raises InputError for one that holds something else."""

    def __init__(self, path: Path, *, examples: bool) -> None:
        self.path, self.examples, self.logs = path, examples, path / "logs"
        if path.is_dir() and not (path / RUN).is_file() and set(path.iterdir()) - {scratch_of(path / RUN)}:
            raise InputError(path, found="a folder with other content",
                             expected="a new folder, or that of an earlier run",
                             fix="Choose another --output.")  # fmt: skip
        if path.exists() and not path.is_dir():
            raise InputError(path, found="a file", expected="a folder", fix="Choose another --output.")
        check_links(path, "the folder of a run, with its files in it")
        self.keys: dict[str, str] = {}
        if (path / RUN).is_file():
            file = read_json_model(path / RUN, RunFile, expected="what `run` wrote", fix="Choose another --output.")
            self.keys = {name: job.key for name, job in file.jobs.items()}

    def clear(self, keys: Mapping[str, str]) -> None:
        """Remove what an earlier run left here whose jobs do not have these keys now."""
        for name, key in self.keys.items():
            path = result_path(name)
            if path is not None and keys.get(name) != key:
                shutil.rmtree(self.path / path, ignore_errors=True)
                self._remove_empty(path.parent)

    def _remove_empty(self, path: Path) -> None:
        """Remove folders that hold nothing any more, up to that of the run."""
        while path != Path() and (self.path / path).is_dir() and not any((self.path / path).iterdir()):
            (self.path / path).rmdir()
            path = path.parent

    def put(self, job: Job, *, plan: Plan, store: Store) -> None:
        """Copy the numbers of a result to its place here, atomically. Raises InputError for a full disk."""
        path = result_path(job.name)
        if path is None:
            return
        source, target = store.path(job.stage, plan.keys[job.name]), self.path / path
        names = NUMBERS.get(job.stage, ()) + (TEXTS.get(job.stage, ()) if self.examples else ())
        with _written(target), output_folder(target, earlier=lambda _: True) as new:
            written = store.read(job.stage, plan.keys[job.name]).files
            wanted = [name for name in written if job.stage == "report" or name in names]
            shutil.copytree(source, new, ignore=_all_but(wanted, source), dirs_exist_ok=True)

    def write(
        self, plan: Plan, store: Store, states: Mapping[str, str], errors: Mapping[str, str], **header: Any
    ) -> RunFile:
        """Write `run.json` atomically, and return it; `header` has name, spec and executor.

        Raises InputError for a full disk.
        """
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
            **header,
            machine=plan.machine,
            jobs=jobs,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            provenance=provenance(),
        )
        with _written(self.path / RUN):
            self.path.mkdir(parents=True, exist_ok=True)
            put_json(self.path / RUN, file.model_dump(mode="json", by_alias=True))
        return file


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Raise InputError with the path and the reason where something cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(path, found=f"it cannot be written ({error})", expected="a folder with room to write",
                         fix="Free space or check permissions, and rerun.") from None  # fmt: skip


def _all_but(wanted: Iterable[str], source: Path) -> Callable[[str, list[str]], list[str]]:
    """Return what `copytree` leaves out: all but the wanted files, so what somebody put or linked beside them."""
    kept = {source / part for name in wanted for part in (Path(name), *Path(name).parents)}
    return lambda folder, content: [name for name in content if Path(folder, name) not in kept]


def _cost(store: Store, job: Job, plan: Plan) -> Cost | None:
    try:
        return store.read(job.stage, plan.keys[job.name]).cost
    except InputError:
        return None

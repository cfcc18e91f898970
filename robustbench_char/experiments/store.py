"""The store of results: one folder per job, named by the hash of all that decides the result, written atomically.

    STORE/STAGE/KEY/          the result, with job.json, which lists every file with its size and hash
    STORE/STAGE/KEY.lock      held by the process that makes it, wherever it runs
    STORE/unfinished/KEY/     checkpoints of training that stopped

A result is written beside its path and moved there in one step, so a reader sees all of it or nothing; what a killed
process left is removed by the next one that makes the same result.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import platformdirs
from filelock import FileLock, Timeout
from pydantic import Field

from robustbench_char.common import InputError
from robustbench_char.common.files import not_writable, read_json, sha256_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.common.provenance import Provenance

__all__ = ["JobFile", "Store"]

JOB = "job.json"
_WHOLE = 16 << 20  # bytes up to which a quick look reads a file whole


def default_results() -> Path:
    """Return the store of results in the user's data folder."""
    return platformdirs.user_data_path("robustbench-char") / "results"


class Cost(Frozen):
    """The cost of a job: wall-clock and CPU seconds, peak memory of its process, bytes of its result.

    `work` is the number that time grows with (see `jobs.Job`). A job that was stopped and resumed counts its last
    attempt only.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    result_bytes: int
    work: float
    host: str
    created: str


class _File(Frozen):
    bytes: int
    sha256: str


class JobFile(Frozen):
    """`job.json`: what was done, all that decided it, its cost, and the files of the result."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str
    stage: str
    key: str
    decides: dict[str, Any]
    cost: Cost
    provenance: Provenance
    files: dict[str, _File]


class Store:
    """Results on disk, which several runs, on several machines with one file system, may share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, stage: str, key: str) -> Path:
        """Return the folder of a result, which need not exist yet."""
        return self.folder / stage / key

    def unfinished(self, key: str) -> Path:
        """Return where training keeps its checkpoints until the job is done."""
        return self.folder / "unfinished" / key

    def read(self, stage: str, key: str) -> JobFile:
        """Return the `job.json` of a result. Raises InputError where it is missing or damaged."""
        return read_json_model(
            self.path(stage, key) / JOB, JobFile, expected="the file of a finished job", fix="Rerun the benchmark."
        )

    def damage(self, stage: str, key: str, *, thorough: bool = True) -> str | None:
        """Return what is wrong with a result, or None for a whole one. One with failed examples is not.

        Files of more than 16 MiB are read through only if `thorough`; otherwise their size is compared.
        """
        folder = self.path(stage, key)
        if not (folder / JOB).is_file():
            return "no such result"
        try:
            files = self.read(stage, key).files
        except InputError as error:
            return str(error)
        there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_symlink()}
        for name, file in files.items():
            path = there.get(name, folder / "none")
            if not path.is_file() or path.stat().st_size != file.bytes:
                return f"{name}: missing or of another size"
            if (thorough or file.bytes <= _WHOLE) and sha256_file(path) != file.sha256:
                return f"{name}: another content than was written"
        return self.failed(stage, key)

    def failed(self, stage: str, key: str) -> str | None:
        """Return how many examples a predictor failed on, which a later run asks for again, or None."""
        if stage != "outside":
            return None
        record = read_json(self.path(stage, key) / "record.json")
        number = record["counts"].get("failed_examples") if record["system"].get("predictor") else None
        return f"{number} failed examples, which are asked for again" if number else None

    @contextmanager
    def writing(self, stage: str, key: str) -> Iterator[Path | None]:
        """Give a new folder for a result, which `finish` moves to its path; None while another process makes the same.

        Raises InputError where the store cannot be written.
        """
        target = self.path(stage, key)
        lock = FileLock(target.with_name(f"{key}.lock"), timeout=0)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            yield None
            return
        except OSError as error:
            raise not_writable(self.folder, error, "--store") from None
        try:
            _remove_scratch(target)
            yield _scratch(target)
        finally:
            _remove_scratch(target)
            lock.release()

    def finish(self, folder: Path, file: Mapping[str, Any], cost: Mapping[str, Any]) -> None:
        """Write `job.json` into a result made below the folder of `writing`, and move it to its path."""
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        listed = {name: _File(bytes=path.stat().st_size, sha256=sha256_file(path)) for name, path in files.items()}
        size = sum(file.bytes for file in listed.values())
        job = JobFile(**file, cost=Cost(**cost, result_bytes=size), files=listed)
        target = self.path(job.stage, job.key)
        try:
            write_json(folder / JOB, job.model_dump(mode="json", by_alias=True))
            _flush([*files.values(), folder / JOB, folder])
            if target.exists():  # a damaged one: `writing` holds the lock, nobody else writes here
                shutil.rmtree(target)
            os.chmod(folder, 0o755)
            os.replace(folder, target)
        except OSError as error:
            raise not_writable(self.folder, error, "--store") from None
        shutil.rmtree(self.unfinished(job.key), ignore_errors=True)

    def tidy(self) -> None:
        """Remove what killed processes left after they had moved a result to its place: nobody makes that one again."""
        for left in self.folder.glob("*/.*.*"):
            lock = FileLock(left.with_name(f"{left.name[1:].partition('.')[0]}.lock"), timeout=0)
            with suppress(Timeout, OSError), lock:
                shutil.rmtree(left, ignore_errors=True)

    def files(self) -> Iterator[JobFile]:
        """Yield the `job.json` of every readable result."""
        for path in sorted(self.folder.glob(f"*/*/{JOB}")):
            try:
                yield self.read(path.parent.parent.name, path.parent.name)
            except InputError:
                continue  # a run that needs it makes a damaged result again


def _flush(paths: list[Path]) -> None:
    """Flush files to the disk before the result appears."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _scratch(target: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise not_writable(target.parent, error, "--store") from None


def _remove_scratch(target: Path) -> None:
    for left in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(left, ignore_errors=True)

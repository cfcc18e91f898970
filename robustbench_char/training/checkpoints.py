"""Where unfinished training lives: one folder per run in our own store, named by the hash of what decides the result.

Resuming reads files that torch serialised (optimizer, scheduler, random state), with `weights_only`. They are read from
this store alone, which holds only what this program wrote; a finished model folder has none of them. A checkpoint
counts once its mark, which is written last, lists every file with its size.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from robustbench_char._version import __version__
from robustbench_char.common import InputError
from robustbench_char.common.files import not_writable, put_json, sha256_bytes

__all__ = ["run_key"]

_MARK = "complete.json"


def default_store() -> Path:
    """Return the folder of unfinished training in the user's data folder."""
    return platformdirs.user_data_path("robustbench-char") / "training"


def run_key(decides: Mapping[str, object]) -> str:
    """Return the hash that names a run: SHA-256 of the canonical JSON of what decides its result."""
    return sha256_bytes(json.dumps(decides, sort_keys=True, ensure_ascii=True, allow_nan=False).encode())


def machine() -> dict[str, object]:
    """Return what decides a result besides what was asked: kind of device, versions of this package and libraries."""
    import torch

    libraries = map(version, ("torch", "transformers", "tokenizers"))
    return {"device": "gpu" if torch.accelerator.is_available() else "cpu", "versions": [__version__, *libraries]}


@contextmanager
def run_folder(store: Path, key: str) -> Iterator[Path]:
    """Give the folder of a run to this process alone; only a run that stopped after a checkpoint leaves it behind.

    Raises InputError when another process trains the same run, or when the store cannot be written.
    """
    folder, lock = store / key, store / f"{key}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(store, error, "`store=`") from None
    try:
        with FileLock(lock, timeout=0):
            try:
                yield folder
            except BaseException:
                if last_checkpoint(folder) is None:
                    shutil.rmtree(folder)
                raise
            shutil.rmtree(folder)
            lock.unlink(missing_ok=True)
    except Timeout:
        found, fix = "another process that trains the same run", "Wait for it, or end it first."
        raise InputError(folder, found=found, expected="one process per run", fix=fix) from None


def forget_run(store: Path, key: str) -> None:
    """Remove what is left of a finished run that was killed, or could not remove it, after its result was written."""
    folder, lock = store / key, store / f"{key}.lock"
    if folder.is_dir() or lock.is_file():
        with suppress(OSError, Timeout), FileLock(lock, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink()


def mark_complete(checkpoint: Path) -> None:
    """Mark a checkpoint as complete, and remove the older ones beside it."""
    (checkpoint / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing needs
    sizes = {path.name: path.stat().st_size for path in sorted(checkpoint.iterdir()) if path.is_file()}
    put_json(checkpoint / _MARK, sizes)
    for other in _checkpoints(checkpoint.parent):
        if other != checkpoint:
            shutil.rmtree(other)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the latest complete checkpoint of a run, and remove the incomplete ones."""
    for checkpoint in _checkpoints(folder):
        if checkpoint.is_symlink():  # ours are folders: training would write where it leads
            checkpoint.unlink()
        elif not _is_complete(checkpoint):
            shutil.rmtree(checkpoint)
    return next(reversed(_checkpoints(folder)), None)


def _checkpoints(folder: Path) -> list[Path]:
    numbered = (path for path in folder.glob("checkpoint-*") if path.name.rpartition("-")[2].isdecimal())
    return sorted(numbered, key=lambda path: int(path.name.rpartition("-")[2]))


def _is_complete(checkpoint: Path) -> bool:
    mark = checkpoint / _MARK
    if not mark.is_file():
        return False
    sizes: dict[str, int] = json.loads(mark.read_text(encoding="utf-8"))
    files = {checkpoint / name: size for name, size in sizes.items()}
    return all(file.is_file() and file.stat().st_size == size for file, size in files.items())

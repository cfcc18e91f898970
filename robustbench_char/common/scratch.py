"""New content beside its place: written into a hidden folder, then moved there at once, whenever the process is killed.

    .NAME.unfinished-XXXXXXXX   is being written, or was replaced, by the process that holds its lock
    .NAME.replaced-XXXXXXXX     what stood at NAME, where two folders cannot be exchanged at once

What killed processes left is removed by the next one that writes the same.
"""

from __future__ import annotations

import ctypes
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["move_to", "scratch_folder"]

_UNFINISHED, _REPLACED = "unfinished-", "replaced-"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Give a new hidden folder beside `target`, whose content `move_to` may put there; else it is removed at the end.

    Raises OSError where it cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(target)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.{_UNFINISHED}", dir=target.parent))
    with _held(scratch):
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def move_to(target: Path, folder: Path) -> None:
    """Move a folder to its place; an earlier one there goes where the new one was, or away.

    A stop leaves the one or the other. Raises OSError with the earlier one in its place.
    """
    if not target.exists():
        os.replace(folder, target)
    elif not _exchange(folder, target):
        retired = target.with_name(f".{target.name}.{_REPLACED}{os.urandom(4).hex()}")
        with _held(target):
            os.replace(target, retired)
            try:
                os.replace(folder, target)
            except OSError:
                os.replace(retired, target)
                raise
            shutil.rmtree(retired, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where system and file system can; return whether they did."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return bool(rename and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _remove_left(target: Path) -> None:
    """Remove what killed processes left beside `target`; an earlier content that they had moved away comes back."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*-????????"):
        kind = left.name.removeprefix(f".{target.name}.")[:-8]
        if kind not in (_UNFINISHED, _REPLACED):
            continue
        with _held(left) as ours:
            if ours and kind == _REPLACED and not target.exists():
                os.replace(left, target)
            elif ours:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Lock a folder as long as this process lives; give False where another has it, or the system has no such locks."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(handle)

"""What a computation shares with its process: progress (a bar, a file), random state, the search for cycles."""

from __future__ import annotations

import gc
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["cycles_kept", "progress_bar", "progress_to", "random_state_kept", "write_status"]

_REPORTED: list[Path] = []
"""The files that progress is written to, innermost last."""
_EVERY = 1.0  # seconds between two writes


@contextmanager
def progress_to(path: Path) -> Iterator[None]:
    """Have progress bars that begin in this block write how far they are to a file too, as `write_status` does."""
    _REPORTED.append(path)
    try:
        yield
    finally:
        _REPORTED.remove(path)


def write_status(path: Path, *, step: float, steps: float, loss: float | None = None) -> None:
    """Write how far something is as JSON, atomically, for whoever watches from another process."""
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(json.dumps({"step": step, "steps": steps, "loss": loss}), encoding="utf-8")
    os.replace(scratch, path)


def progress_bar(shown: bool) -> Progress:
    """Return a progress bar on standard error; on anything but a terminal it prints one line at the end."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    if not _REPORTED:
        return progress.Progress(*columns, console=Console(stderr=True), disable=not shown)

    class Reported(progress.Progress):
        """Writes about once per second how far its latest task is."""

        path, last = _REPORTED[-1], 0.0

        def advance(self, task_id: progress.TaskID, advance: float = 1) -> None:
            super().advance(task_id, advance)
            if time.monotonic() - self.last >= _EVERY:
                self.last = time.monotonic()
                task: Any = self.tasks[-1]
                write_status(self.path, step=task.completed, steps=task.total or 0)

    return Reported(*columns, console=Console(stderr=True))


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put the random state of Python and of numpy back at the end of the block, also after an error."""
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def cycles_kept() -> Iterator[None]:
    """Put off Python's search for cycles to the end of a block that makes many objects and no cycles: each hundred
    thousand would start it in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

"""What a computation shares with its process: the terminal (a progress bar) and the process-wide random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["progress_bar", "random_state_kept"]


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
    return progress.Progress(*columns, console=Console(stderr=True), disable=not shown)


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

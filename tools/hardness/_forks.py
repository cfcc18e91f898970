"""Work in forked processes: a child begins with what its parent has loaded, and ends with the code of its work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

__all__ = ["forked", "waited"]

_FAILED = 70
"""The exit code of a child whose work raised."""


def forked(work: Callable[[], int]) -> int:
    """Begin some work in a forked child, which ends without what the parent does as it ends; return its number."""
    if child := os.fork():
        return child
    code = _FAILED
    try:
        code = work()
    finally:
        os._exit(code)


def waited(child: int, seconds: float | None = None) -> int | None:
    """Return the exit code of a child (negative for a signal), None where it has not ended in so many seconds."""
    if seconds is None:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None

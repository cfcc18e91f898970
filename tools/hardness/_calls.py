"""Commands run in this process, in a folder of their own, and what they said and wrote."""

from __future__ import annotations

import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["MEGABYTES", "Call", "Place", "bound", "call", "call_outside"]

_VARIABLES = {
    "HOME": "home", "XDG_CACHE_HOME": "home/cache", "XDG_DATA_HOME": "home/data", "XDG_STATE_HOME": "home/state",
    "TMPDIR": "tmp", "HF_HOME": "home/hf",
}  # fmt: skip
SECONDS = 30
"""How long a command may take, in time of the processor."""
MEGABYTES = 1500
"""How much memory a command may take."""
BOUND = 8 << 30
"""Bytes of memory at which a process of commands is stopped."""


def bound() -> None:
    """Bound the memory of this process: what takes more fails in it, rather than on the machine."""
    resource.setrlimit(resource.RLIMIT_DATA, (BOUND, BOUND))


class Call(NamedTuple):
    """How a command ended: its exit code, its output, the traceback of an error that it did not expect, what it wrote
    (paths that are new, changed or gone), and by how much the memory of the process grew.
    """

    code: int | None
    output: str
    error: str | None
    wrote: tuple[str, ...]
    megabytes: int


class Place:
    """A folder that holds all that a command can reach by its environment: working directory, home, temporary files."""

    def __init__(self, root: Path) -> None:
        self.root, self.work = root, root / "work"
        for variable, name in _VARIABLES.items():
            os.environ[variable] = str(root / name)
        tempfile.tempdir = str(root / "tmp")

    def clear(self) -> None:
        """Make the folder anew."""
        os.chdir("/")
        shutil.rmtree(self.root, ignore_errors=True)
        for name in ("work", "home", "tmp"):
            (self.root / name).mkdir(parents=True)
        os.chdir(self.work)

    def tree(self) -> dict[str, tuple[int, int]]:
        """Return all files and folders with size and time of the last change."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                stat = os.lstat(path)
                size = (stat.st_size, stat.st_mtime_ns) if name in files else (0, 0)
                found[os.path.relpath(path, self.root)] = size
        return found


@contextmanager
def _within(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of the processor: other work on the machine does not count
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def call(place: Place, arguments: Sequence[str]) -> Call:
    """Run a command of the command line."""
    from robustbench_char.cli.main import main

    out, before, argv = io.StringIO(), place.tree(), sys.argv
    code: Any = 0
    error, most = None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.argv = ["robustbench-char", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(out), _within(SECONDS):
            main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # whatever it is, it is what a user would see as a traceback
        code, error = None, traceback.format_exc()
    finally:
        sys.argv = argv
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most) // 1024
    after = place.tree()
    wrote = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return Call(code, out.getvalue(), error, tuple(wrote), grown)


def call_outside(place: Place, arguments: Sequence[str]) -> Call:
    """Run a command in a process of its own, of bounded memory."""
    before = place.tree()
    command = [sys.executable, "-m", "robustbench_char.cli.main", *arguments]
    ended = subprocess.run(command, capture_output=True, timeout=20 * SECONDS, check=False, preexec_fn=bound)
    output, after = (ended.stdout + ended.stderr).decode("utf-8", "replace"), place.tree()
    wrote = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return Call(ended.returncode, output, output if "Traceback (most" in output else None, tuple(wrote), 0)

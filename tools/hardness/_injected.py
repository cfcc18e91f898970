"""Commands in forked processes, with a fault at one of their calls that touch the disk.

`_faults.c` is compiled and preloaded, so the writes of pyarrow, safetensors and SQLite are seen as well as Python's.
The process that forks has imported everything: a command takes what its work takes.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools.hardness._forks import forked, waited

__all__ = ["FAULTS", "Ended", "Fault", "counted", "ended", "import_as", "killed", "preload"]

_SOURCE = Path(__file__).with_name("_faults.c")
_LOADED = "ROBUSTBENCH_FAULTS"
_COUNT, _KILL, _TORN, _ONCE, _FROM = range(5)
_CHANGES, _SPACE, _READS = 1, 2, 4
_LONGEST = 120  # seconds that a command may take


@dataclass(frozen=True)
class Fault:
    """What happens at a call: its name, which calls are counted, how it is done (see _faults.c), the error."""

    name: str
    counted: int
    how: int
    error: int = 0

    @property
    def kills(self) -> bool:
        """Whether the process dies of it."""
        return self.how in (_KILL, _TORN)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill", _CHANGES, _KILL),  # before a call that changes the disk
        Fault("torn", _CHANGES, _TORN),  # a write is half done
        Fault("full", _SPACE, _FROM, errno.ENOSPC),  # from here on nothing more fits, after half a write
        Fault("error", _CHANGES, _ONCE, errno.EIO),  # one call fails
        Fault("dead", _CHANGES, _FROM, errno.EIO),  # all calls fail from here on
        Fault("unreadable", _READS, _ONCE, errno.EIO),  # one opening, listing or reading fails
    )
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative for a signal), what it printed, and the calls that were seen."""

    code: int
    printed: str
    calls: list[str]


def preload() -> None:
    """Start this program again with the faults loaded, where they are not. Ends with a reason where gcc is missing."""
    if os.environ.get(_LOADED):
        return
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        sys.exit("skipped: faults are injected by a C library, which needs Linux and gcc (apt-get install gcc)")
    library = Path(tempfile.mkdtemp(prefix="faults-")) / "faults.so"
    subprocess.run([compiler, "-O1", "-w", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"], check=True)
    variables = {
        "LD_PRELOAD": str(library),
        _LOADED: str(library),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
    }
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **variables})


def import_as(command: Sequence[str], box: Path, beside: Path) -> None:
    """Import what a command imports, which it does in a process of its own: nothing runs here."""

    def work() -> int:
        _run(command, box, beside / "printed")
        (beside / "modules").write_text("\n".join(sys.modules))
        return 0

    waited(forked(work))
    for name in (beside / "modules").read_text().split("\n"):
        if name not in sys.modules and "__" not in name:
            try:
                __import__(name)
            except ImportError:
                continue  # a module that another one made
    gc.collect()
    gc.freeze()  # forked processes need not look at what is here


def ended(command: Sequence[str], box: Path, beside: Path, fault: Fault | None = None, at: int = 0) -> Ended:
    """Run a command in the folder `box`, with a fault at the `at`-th call below it; without one the calls are told."""
    calls, printed = beside / "calls", beside / "printed"
    fault = fault or Fault("none", _CHANGES, _COUNT)

    def work() -> int:
        signal.alarm(_LONGEST)
        log = os.open(calls, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        return _run(command, box, printed, (fault.counted, fault.how, at, fault.error, log))

    return _ended(waited(forked(work)), printed, calls.read_text().splitlines())


def counted(command: Sequence[str], box: Path, beside: Path, fault: Fault) -> Ended:
    """Run a command whole, and tell the calls that a fault would count."""
    return ended(command, box, beside, Fault("none", fault.counted, _COUNT))


def killed(command: Sequence[str], box: Path, beside: Path, seconds: float, whom: str) -> Ended:
    """Run a command, and kill it, or a worker of it first, after so many seconds, if it has not ended by then."""

    def work() -> int:
        signal.alarm(_LONGEST)
        return _run(command, box, beside / "printed")

    process = forked(work)
    code = waited(process, seconds)
    if code is None and whom == "worker" and (workers := _children(process)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(workers[-1], signal.SIGKILL)
        code = waited(process, seconds / 2)
    if code is None:
        os.kill(process, signal.SIGKILL)
        code = waited(process)
    return _ended(code, beside / "printed", [])


def _ended(code: int | None, printed: Path, calls: list[str]) -> Ended:
    if code is None:
        raise ValueError("the process has not ended")
    return Ended(code, printed.read_text(encoding="utf-8", errors="replace"), calls)


def _children(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _run(command: Sequence[str], box: Path, printed: Path, armed: tuple[int, ...] | None = None) -> int:
    """Be the program, until it exits; return its code."""
    output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(box)
    os.environ.update(environment(box))
    tempfile.tempdir = None
    sys.argv = list(command)
    code = 0
    if armed is not None:
        what, how, at, error, log = armed
        ctypes.CDLL(None).faults_arm(str(box).encode(), what, how, ctypes.c_long(at), error, log)
    try:
        _program(command)()
        atexit._run_exitfuncs()
    except SystemExit as end:
        code = int(end.code or 0)
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _program(command: Sequence[str]) -> Callable[[], object]:
    """Return what a command runs: a command of the package, or the tool that publishes."""
    if command[1] == "publish":
        from tools import publish

        return partial(publish.main, Path(command[2]), Path(command[3]))
    from robustbench_char.cli.main import main

    return main


def environment(box: Path) -> dict[str, str]:
    """Return the variables that keep all that a command writes below one folder."""
    names = {"HOME": "home", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data"}
    return {name: str(box / folder) for name, folder in names.items()}

"""One job in one process, wherever that runs, and the simplest executor: jobs in this process, one after another."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from robustbench_char.common import InputError
from robustbench_char.common.files import machine_error
from robustbench_char.common.process import progress_to
from robustbench_char.common.provenance import provenance
from robustbench_char.experiments._jobs import Call, Outcome
from robustbench_char.experiments._stages import STAGES


class Executor(Protocol):
    """Runs jobs, `slots` at once.

    It is made from `threads` and `gpus` of each job, `workers` (jobs at once; None for as many as there is room for)
    and `address` (of a Ray cluster). Raises InputError there where these are not available.
    """

    slots: int

    def submit(self, call: Call) -> None:
        """Begin a job, now or as soon as there is room."""
        ...

    def finished(self, seconds: float) -> list[Outcome]:
        """Return the jobs that ended since the last call, after waiting at most so many seconds for one."""
        ...

    def close(self) -> None:
        """End all processes, with whatever they are doing."""
        ...


class LocalExecutor:
    """Runs a job when it is submitted, and sends its output to its log: the executor for a debugger."""

    slots = 1

    def __init__(self, *, threads: int, gpus: int = 0, workers: int | None = None, address: str | None = None) -> None:
        self._outcomes: list[Outcome] = []

    def submit(self, call: Call) -> None:
        with (
            call.log.open("a", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            self._outcomes.append(perform(call))

    def finished(self, seconds: float) -> list[Outcome]:
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def close(self) -> None:
        """Do nothing: there are no processes."""


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment variables that tell numeric libraries, when they are imported, how many threads to use."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))


def perform(call: Call) -> Outcome:
    """Do one job, with the number of threads that its key holds, and put its result into the store."""
    name, started = call.job.name, time.monotonic()
    try:
        with call.store.writing(call.job.stage, call.key) as folder:
            if folder is None:
                return Outcome(name, "busy")
            if call.store.damage(call.job.stage, call.key) is not None:  # nobody made it while this one waited
                _make(call, folder)
    except InputError as error:
        _print(str(error))
        return Outcome(name, "failed", str(error), time.monotonic() - started)
    except Exception as error:  # whatever goes wrong in one job must not end the others: the log has the traceback
        _print(traceback.format_exc())
        told = machine_error(error) or f"{type(error).__name__}: {error}"
        return Outcome(name, "failed", str(told), time.monotonic() - started)
    finally:
        with contextlib.suppress(OSError):  # a status that stays is that of a job which ended: nobody reads it
            call.status.unlink(missing_ok=True)
    return Outcome(name, "done", wall_seconds=time.monotonic() - started)


def _make(call: Call, folder: Path) -> None:
    job, stage = call.job, STAGES.get(call.job.stage)
    started, before = time.monotonic(), sum(os.times()[:4])
    _print(f"{datetime.now(UTC).isoformat(timespec='seconds')} {job.name} ({call.key})")
    _reset_peak()
    with progress_to(call.status), _repeatable(call.threads) if stage.heavy else nullcontext():
        stage.run(call, folder / call.key)
    file = {"name": job.name, "stage": job.stage, "key": call.key, "decides": dict(call.decides)}
    cost = {
        "wall_seconds": time.monotonic() - started,
        "cpu_seconds": sum(os.times()[:4]) - before,
        "peak_memory_bytes": _peak(),
        "work": job.work,
        "host": socket.gethostname(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    call.store.finish(folder / call.key, {**file, "provenance": provenance()}, cost)
    _print(f"done in {cost['wall_seconds']:.1f} s")


@contextmanager
def _repeatable(threads: int) -> Iterator[None]:
    """Make what torch computes depend on the key alone: fix its threads, and use deterministic algorithms."""
    import torch

    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def _reset_peak() -> None:
    """Return memory that earlier jobs left free, and reset the peak, where the system can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc, which otherwise keeps freed memory
    if trim is not None:
        trim(0)
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the peak memory in bytes: since `_reset_peak` on Linux, else of the whole process."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

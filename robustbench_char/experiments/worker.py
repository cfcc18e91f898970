"""One job in one process: the same steps wherever it runs, in this process, in a worker of ours, or on a Ray node."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.experiments.stages import STAGES, Call
from robustbench_char.experiments.store import Store

__all__ = ["Assignment", "Outcome", "perform"]

State = Literal["done", "busy", "failed", "lost"]


@dataclass(frozen=True)
class Assignment:
    """One job as plain values, for another process. `needs` maps inputs to stage and key of results in the store.

    `log` is the file that the job's words go to, `status` the one that tells how far training is, which saves itself
    every `save_seconds`; `tensorboard` is a folder for event files, or None.
    """

    name: str
    stage: str
    key: str
    decides: Mapping[str, Any]
    params: Mapping[str, Any]
    places: Mapping[str, Any]
    needs: Mapping[str, tuple[str, str]]
    work: float
    store: Path
    log: Path
    status: Path
    threads: int
    save_seconds: float = 120.0
    tensorboard: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended: `busy` where another run is making the same result, `lost` where its process died."""

    name: str
    state: State
    error: str = ""
    wall_seconds: float = 0.0


def perform(assignment: Assignment) -> Outcome:
    """Do one job, with the number of threads that its key holds, and put its result into the store."""
    started = time.monotonic()
    store = Store(assignment.store)
    try:
        with store.writing(assignment.stage, assignment.key) as folder:
            if folder is None:
                return Outcome(assignment.name, "busy")
            if store.damage(assignment.stage, assignment.key) is not None:  # nobody made it while this one waited
                _make(assignment, store, folder)
    except InputError as error:
        _say(str(error))
        return Outcome(assignment.name, "failed", str(error), time.monotonic() - started)
    except Exception as error:  # whatever went wrong in one job must not end the others: it stands in the job's log
        _say(traceback.format_exc())
        return Outcome(assignment.name, "failed", f"{type(error).__name__}: {error}", time.monotonic() - started)
    finally:
        assignment.status.unlink(missing_ok=True)
    return Outcome(assignment.name, "done", wall_seconds=time.monotonic() - started)


def _make(assignment: Assignment, store: Store, folder: Path) -> None:
    stage, started, before = STAGES.get(assignment.stage), time.monotonic(), sum(os.times()[:4])
    _say(f"{datetime.now(UTC).isoformat(timespec='seconds')} {assignment.name} ({assignment.key})")
    _forget_peak()
    call = Call(
        params=assignment.params,
        places=assignment.places,
        needs={role: store.place(*place) for role, place in assignment.needs.items()},
        output=folder / assignment.key,
        unfinished=store.unfinished(assignment.key),
        status=assignment.status,
        save_seconds=assignment.save_seconds,
        tensorboard=assignment.tensorboard,
    )
    with _repeatable(assignment.threads) if stage.heavy else nullcontext():
        stage.run(call)
    file = {
        "name": assignment.name,
        "stage": assignment.stage,
        "key": assignment.key,
        "decides": dict(assignment.decides),
        "provenance": provenance(),
    }
    cost = {
        "wall_seconds": time.monotonic() - started,
        "cpu_seconds": sum(os.times()[:4]) - before,
        "peak_memory_bytes": _peak(),
        "work": assignment.work,
        "host": socket.gethostname(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    store.finish(call.output, file, cost)
    _say(f"done in {cost['wall_seconds']:.1f} s")


@contextmanager
def _repeatable(threads: int) -> Iterator[None]:
    """Make what torch computes depend on the key alone: its threads, and algorithms that give the same bits."""
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


def _forget_peak() -> None:
    """Give back what earlier jobs left free, and begin to measure the peak of memory anew, where the system can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc, which else keeps freed memory for itself
    if trim is not None:
        trim(0)
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the peak of memory in bytes: since `_forget_peak` on Linux, else of the whole process."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

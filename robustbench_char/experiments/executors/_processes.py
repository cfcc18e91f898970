"""Jobs in processes of this machine, each on its own cores or GPUs.

A process serves many jobs, and is replaced when it dies.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

from robustbench_char.common import InputError
from robustbench_char.experiments._jobs import Call, Outcome
from robustbench_char.experiments.executors._local import perform, thread_variables

T = TypeVar("T")


@dataclass
class _Worker:
    """One process, and the job that it does (None: it waits for one)."""

    process: BaseProcess
    pipe: Connection
    call: Call | None = None


class ProcessExecutor:
    """As many processes as there is room for, or as `workers` says.

    Each has `threads` cores of its own, as long as they last, and `gpus` GPUs. Raises InputError where there are fewer.
    """

    def __init__(self, *, threads: int, gpus: int = 0, workers: int | None = None, address: str | None = None) -> None:
        self._threads, self._gpus = threads, gpus
        cores, devices = _cores(), _devices() if gpus else []
        room = len(devices) // gpus if gpus else max(1, len(cores) // threads)
        self.slots = room if workers is None else workers
        if (gpus and self.slots > room) or self.slots < 1:
            found = f"{self.slots} workers × {gpus} GPUs requested; {len(devices)} available"
            raise InputError("--workers", found=found, expected=f"from 1 to {room}", fix="Request fewer.")
        self._shares = [(_share(cores, number, threads), _share(devices, number, gpus)) for number in range(self.slots)]
        self._workers: list[_Worker | None] = [None] * self.slots
        self._waiting: deque[Call] = deque()

    def submit(self, call: Call) -> None:
        self._waiting.append(call)
        self._hand_out()

    def finished(self, seconds: float) -> list[Outcome]:
        """Return what ended since the last call; a process that died has lost its job."""
        busy = {worker.pipe: number for number, worker in enumerate(self._workers) if worker and worker.call}
        if not busy:
            time.sleep(seconds)
            return []
        outcomes = [self._end(busy[pipe]) for pipe in wait(list(busy), timeout=seconds)]  # type: ignore[index]
        self._hand_out()
        return outcomes

    def close(self) -> None:
        processes = [worker.process for worker in self._workers if worker]
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(10)
            if process.is_alive():
                process.kill()

    def _hand_out(self) -> None:
        for number, worker in enumerate(self._workers):
            if not self._waiting:
                return
            if worker is not None and worker.call is not None:
                continue  # busy, or dead with a job that `finished` will call lost
            if worker is None or not worker.process.is_alive():
                worker = self._workers[number] = self._start(number)
            worker.call = self._waiting.popleft()
            with suppress(OSError):  # it died at this moment: its pipe tells `finished`
                worker.pipe.send(worker.call)

    def _start(self, number: int) -> _Worker:
        cores, gpus = self._shares[number]
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=_serve, args=(theirs, cores, os.getpid()), daemon=True)
        with _environment(self._threads, gpus if self._gpus else None), _without_main():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _end(self, number: int) -> Outcome:
        worker = self._workers[number]
        if worker is None or worker.call is None:
            raise ValueError(f"worker {number} runs no job")
        call, worker.call = worker.call, None
        try:
            outcome: Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(10)
            self._workers[number] = None
            return Outcome(call.job.name, "lost", f"its process ended with code {worker.process.exitcode}")
        return outcome


def _serve(pipe: Connection, cores: Sequence[int], parent: int) -> None:
    """Do jobs as they come, until the process that sends them is gone."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    while True:
        try:
            call: Call = pipe.recv()
        except (EOFError, OSError):
            return
        with output_to(call.log):
            outcome = perform(call)
        pipe.send(outcome)


def _follow(parent: int) -> None:
    """End this process when the one that started it is gone, killed for instance."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Append all that this process and its libraries print to a log file, until the end of the block."""
    kept = [os.dup(1), os.dup(2)]
    with path.open("a", encoding="utf-8") as log:
        _flush_to(log.fileno(), log.fileno())
    try:
        yield
    finally:
        _flush_to(*kept)
        for stream in kept:
            os.close(stream)


def _flush_to(output: int, errors: int) -> None:
    """Flush what is printed so far, and send what follows to other streams."""
    for stream, number, target in ((sys.stdout, 1, output), (sys.stderr, 2, errors)):
        stream.flush()
        os.dup2(target, number)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the program from a process started inside: it needs nothing of it, and a script would run there again."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


@contextmanager
def _environment(threads: int, gpus: Sequence[str] | None) -> Iterator[None]:
    """Set the environment that libraries of a process started inside read when they are imported."""
    wanted = thread_variables(threads)
    if gpus is not None:
        wanted["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    before = {name: os.environ[name] for name in wanted if name in os.environ}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in wanted:
            del os.environ[name]
        os.environ.update(before)


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def _devices() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]


def _share(things: Sequence[T], number: int, size: int) -> list[T]:
    """Return the part of one worker: `size` things of its own, or none where they do not last: it is not bound then."""
    part = list(things[number * size : (number + 1) * size])
    return part if len(part) == size else []

"""Jobs in processes of this machine, each on its own cores or GPUs. A process serves many jobs, and is replaced when it
dies."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeVar

from robustbench_char.common import InputError
from robustbench_char.experiments.executors.base import Resources, thread_variables
from robustbench_char.experiments.worker import Assignment, Outcome, perform

__all__ = ["ProcessExecutor", "words_to"]

T = TypeVar("T")


@dataclass
class _Worker:
    """One process: the cores and GPUs that are its own, and the job it does (None: it waits for one)."""

    cores: Sequence[int]
    gpus: Sequence[str]
    process: BaseProcess
    pipe: Connection
    job: Assignment | None = None


class ProcessExecutor:
    """As many processes as there is room for, or as `workers` says.

    Each has `threads` cores of its own, as long as they last, and `gpus` GPUs. Raises InputError where there are fewer.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        cores, gpus = _cores(), _gpus() if resources.gpus else []
        room = len(gpus) // resources.gpus if resources.gpus else max(1, len(cores) // resources.threads)
        self.slots = room if resources.workers is None else resources.workers
        if (resources.gpus and self.slots > room) or self.slots < 1:
            raise InputError("--workers", found=f"{self.slots} with {resources.gpus} GPUs each, and {len(gpus)} here",
                             expected=f"from 1 to {room}", fix="Ask for fewer.")  # fmt: skip
        self._places = [(_share(cores, number, resources.threads), _share(gpus, number, resources.gpus))
                        for number in range(self.slots)]  # fmt: skip
        self._workers: list[_Worker | None] = [None] * self.slots
        self._waiting: deque[Assignment] = deque()

    def submit(self, assignment: Assignment) -> None:
        """Give the job to a process that is free, or to the next one that is."""
        self._waiting.append(assignment)
        self._hand_out()

    def finished(self, seconds: float) -> list[Outcome]:
        """Return what ended since the last call; a process that died has lost its job."""
        busy = {worker.pipe: number for number, worker in enumerate(self._workers) if worker and worker.job}
        if not busy:
            time.sleep(seconds)
            return []
        found = [self._end(busy[pipe]) for pipe in wait(list(busy), timeout=seconds)]  # type: ignore[index]
        self._hand_out()
        return found

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            if worker:
                worker.process.terminate()
        for worker in self._workers:
            if worker:
                worker.process.join(10)
                if worker.process.is_alive():
                    worker.process.kill()

    def _hand_out(self) -> None:
        for number, worker in enumerate(self._workers):
            if not self._waiting:
                return
            if worker is not None and worker.job is not None:
                continue  # busy, or dead with a job that `finished` will call lost
            if worker is None or not worker.process.is_alive():
                worker = self._workers[number] = self._start(number)
            worker.job = self._waiting.popleft()
            with suppress(OSError):  # it died this moment: then its pipe tells `finished` so
                worker.pipe.send(worker.job)

    def _start(self, number: int) -> _Worker:
        cores, gpus = self._places[number]
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=_serve, args=(theirs, cores, os.getpid()), daemon=True)
        with _environment(self._resources.threads, gpus if self._resources.gpus else None):
            process.start()
        theirs.close()
        return _Worker(cores, gpus, process, ours)

    def _end(self, number: int) -> Outcome:
        worker = self._workers[number]
        if worker is None or worker.job is None:
            raise ValueError("no job was running there")
        job, worker.job = worker.job, None
        try:
            outcome: Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(10)
            self._workers[number] = None
            return Outcome(job.name, "lost", f"its process ended with code {worker.process.exitcode}")
        return outcome


def _serve(pipe: Connection, cores: Sequence[int], parent: int) -> None:
    """Do jobs as they come, until the one that gives them is gone."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    while True:
        try:
            assignment: Assignment = pipe.recv()
        except (EOFError, OSError):
            return
        with words_to(assignment):
            outcome = perform(assignment)
        pipe.send(outcome)


def _follow(parent: int) -> None:
    """End this process when the one that started it is gone, killed for instance."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@contextmanager
def words_to(assignment: Assignment) -> Iterator[None]:
    """Send all that this process and its libraries write to the job's log."""
    with assignment.log.open("a", encoding="utf-8") as log:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        yield
        sys.stdout.flush()
        sys.stderr.flush()


@contextmanager
def _environment(threads: int, gpus: Sequence[str] | None) -> Iterator[None]:
    """Set, for the processes started inside, what libraries read when they are imported."""
    wanted = thread_variables(threads)
    if gpus is not None:
        wanted["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _gpus() -> list[str]:
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]


def _share(things: Sequence[T], number: int, size: int) -> list[T]:
    """Return the part of one worker: `size` things of its own, or none where they do not last (it then floats)."""
    part = list(things[number * size : (number + 1) * size])
    return part if len(part) == size else []

"""Jobs on the machines of a Ray cluster: one task per job, on any machine that has its cores and GPUs free.

Machines share results through the store and nothing else, so all that a run reads and writes (its working directory,
output, store, data, base models) lies on a file system that all of them see under the same paths.
"""

from __future__ import annotations

import os
import platform
import socket
import time
import uuid
from contextlib import chdir
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import shorten
from typing import Any

from robustbench_char.common import InputError
from robustbench_char.common.extras import require
from robustbench_char.experiments._jobs import Call, Outcome
from robustbench_char.experiments._stages import package_sha256
from robustbench_char.experiments.executors._local import perform, thread_variables
from robustbench_char.experiments.executors._processes import output_to
from robustbench_char.training.options import bf16_helps

_PROBE = 5.0  # seconds that a machine has to answer
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)  # HTTP/2, which gRPC speaks: RFC 9113, 3.4
_SETTINGS = b"\x04"  # the type of the frame that such a server begins with, after three bytes of length
_STORE_BYTES = 80_000_000  # of Ray's own object store, which carries outcomes and nothing large


class RayExecutor:
    """Runs each job as a Ray task with `threads` CPUs and `gpus` GPUs of its own.

    The cluster is that of `address`, else of RAY_ADDRESS; without both, a Ray of this machine that lives as long as the
    run. Raises InputError where Ray is not installed, where the address does not answer, and where no machine has room.
    """

    def __init__(self, *, threads: int, gpus: int = 0, workers: int | None = None, address: str | None = None) -> None:
        self._ray, self._threads, self._gpus, self._workers = _ray(), threads, gpus, workers
        self._running: dict[Any, Call] = {}
        self._marks: dict[Path, Path] = {}
        self._connected = not self._ray.is_initialized()
        if self._connected:
            _connect(self._ray, address)
        self._task = self._ray.remote(
            num_cpus=threads,
            num_gpus=gpus,
            max_retries=0,  # the runner begins a lost job again, and counts
            max_calls=1 if gpus else 0,  # a process keeps the GPUs that CUDA saw first
            runtime_env={"env_vars": _environment(threads, gpus)},
        )(_serve)
        if self._room() == 0:
            self.close()
            raise _no_room(threads, gpus)

    @property
    def slots(self) -> int:
        """How many jobs the machines of this moment have room for, at most `workers`; never less than one.

        A machine that joins is used. Where all are gone, the next job waits for one.
        """
        room = max(1, self._room())
        return room if self._workers is None else min(room, self._workers)

    def submit(self, call: Call) -> None:
        task = self._task.options(name=call.job.name)
        mark = self._mark(call.store.folder)
        self._running[task.remote(call, mark, Path.cwd(), package_sha256())] = call

    def finished(self, seconds: float) -> list[Outcome]:
        """Return what ended since the last call; a job whose process or machine died is lost."""
        if not self._running:
            time.sleep(seconds)
            return []
        tasks = list(self._running)
        first, _ = self._ray.wait(tasks, num_returns=1, timeout=seconds)
        ended, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0) if first else ([], [])
        return [self._outcome(task, self._running.pop(task)) for task in ended]

    def close(self) -> None:
        """End what runs, and the connection or the Ray that was made for it."""
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._running.clear()
        for mark in self._marks.values():
            mark.unlink(missing_ok=True)
        if self._connected:
            self._ray.shutdown()

    def _outcome(self, task: Any, call: Call) -> Outcome:
        errors = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(task)
        except (errors.RayTaskError, errors.RuntimeEnvSetupError, errors.TaskUnschedulableError) as error:
            return Outcome(call.job.name, "failed", _line(error))
        except errors.RayError as error:
            return Outcome(call.job.name, "lost", _line(error))
        return outcome if outcome.state != "done" else _seen(outcome, call)

    def _room(self) -> int:
        return sum(self._jobs_at_once(node["Resources"]) for node in self._ray.nodes() if node["Alive"])

    def _jobs_at_once(self, machine: dict[str, float]) -> int:
        """Return how many jobs a machine with these CPUs and GPUs has room for."""
        room = int(machine.get("CPU", 0)) // self._threads
        return min(room, int(machine.get("GPU", 0)) // self._gpus) if self._gpus else room

    def _mark(self, store: Path) -> Path:
        """Return a file in the store by which a machine tells this store from one of its own."""
        if store not in self._marks:
            mark = store / f".ray-{uuid.uuid4().hex}"
            store.mkdir(parents=True, exist_ok=True)
            mark.touch()
            self._marks[store] = mark
        return self._marks[store]


def _serve(call: Call, mark: Path, folder: Path, package: str) -> Outcome:
    """Do one job on the machine where this runs, in the folder where the benchmark was started."""
    with chdir(folder if folder.is_dir() else "."):
        reason = _not_shared(call, mark, folder) or _other_versions(call, package)
        if reason is not None:
            return Outcome(call.job.name, "failed", f"on {socket.gethostname()}: {reason}")
        with output_to(call.log):
            return perform(call)


def _not_shared(call: Call, mark: Path, folder: Path) -> str | None:
    """Return which folder this machine does not share with the one that runs the benchmark, or None."""
    shared = ((folder, folder.is_dir()), (call.store.folder, mark.is_file()), (call.logs, call.logs.is_dir()))
    for path, seen in shared:
        if not seen:
            return f"no shared folder {path}; put it on a file system that all machines see under the same path"
    return None


def _other_versions(call: Call, package: str) -> str | None:
    """Return why this machine would not make the result that the job's key stands for, or None."""
    if package_sha256() != package:
        return "another version of robustbench-char than on the machine that runs the benchmark; install the same"
    machine = call.decides["machine"]
    here: dict[str, object] = {
        "machine": platform.machine(),
        "libraries": {name: _version(name) for name in machine.get("libraries", ())},
        "bf16": bf16_helps() if "bf16" in machine else None,
    }
    for key, value in here.items():
        if key in machine and machine[key] != value:
            return f"{key} {value} and not {machine[key]}, which the key of the job holds; make the machines alike"
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _seen(outcome: Outcome, call: Call) -> Outcome:
    """Look for a result that another machine made: listing a folder of a network file system brings it up to date."""
    if call.key in os.listdir(call.store.folder / call.job.stage):
        return outcome
    error = f"done, but its result does not appear in {call.store.folder} on this machine"
    return Outcome(call.job.name, "failed", error)


def _environment(threads: int, gpus: int) -> dict[str, str]:
    """Return the variables that libraries read when a worker imports them, and the driver's path of modules."""
    hidden = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
    path = os.environ.get("PYTHONPATH")
    code = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))} if path else {}
    return {**thread_variables(threads), **hidden, **code}


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    require("ray", place="--executor ray")
    import ray

    return ray


def _connect(ray: Any, given: str | None) -> None:
    """Connect to the cluster at an address, else to that of RAY_ADDRESS, else start a Ray here."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address = given or os.environ.get("RAY_ADDRESS")
    if not address:
        ray.init(address="local", include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
        return
    option = "--address" if given else "RAY_ADDRESS"
    _probe(option, address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise _unreachable(option, address, _line(error.__cause__ or error)) from None


def _probe(option: str, address: str) -> None:
    """Open a connection as Ray would, which tries for minutes where nothing or something else answers."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise _unreachable(option, address, "no HOST:PORT")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE) as peer:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                peer.sendall(_HELLO)
                if peer.recv(4)[3:] != _SETTINGS:
                    raise _unreachable(option, address, "something other than Ray does")
    except (OSError, OverflowError) as error:
        raise _unreachable(option, address, str(error)) from None


def _unreachable(option: str, address: str, why: str) -> InputError:
    return InputError(option, found=f"{address}, no connection to a Ray cluster ({why})",
                      expected="HOST:PORT of a cluster's head, from a machine of that cluster",
                      fix="Check it: ray status --address HOST:PORT, or start one: ray start --head.")  # fmt: skip


def _no_room(threads: int, gpus: int) -> InputError:
    need = f"{threads} CPUs" + (f" and {gpus} GPUs" if gpus else "")
    return InputError("--executor", found=f"ray, and no machine of the cluster has {need}",
                      expected="a machine with room for one job",
                      fix="Add one (ray start --address HOST:PORT), or lower threads or gpus_per_job.")  # fmt: skip


def _line(error: BaseException) -> str:
    """Return the message of an error of Ray, or of the error that it wraps, in one line."""
    cause = getattr(error, "cause", None)
    shown = cause if isinstance(cause, BaseException) else error
    return shorten(f"{type(shown).__name__}: {shown}", 240)

"""Local processes: what they get, and what becomes of a job whose process dies."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.experiments import store
from robustbench_char.experiments._jobs import Call, Job, Outcome
from robustbench_char.experiments._stages import STAGES, Stage
from robustbench_char.experiments.executors import _processes as processes
from robustbench_char.experiments.executors._local import LocalExecutor
from robustbench_char.experiments.executors._on_ray import RayExecutor
from robustbench_char.experiments.executors._processes import ProcessExecutor
from robustbench_char.experiments.store import Store


def call(tmp_path: Path, name: str, stage: str = "attack") -> Call:
    (tmp_path / "logs").mkdir(exist_ok=True)
    return Call(Job(name, stage, {}), name, {}, {}, Store(tmp_path / "store"), tmp_path / "logs")


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(threads=1, workers=2)
    yield made
    made.close()


def outcomes(executor: ProcessExecutor, number: int) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    deadline = time.monotonic() + 300
    while len(found) < number and time.monotonic() < deadline:
        found |= {outcome.name: outcome for outcome in executor.finished(0.2)}
    return found


def test_a_job_that_cannot_be_done_fails_and_says_why(executor: ProcessExecutor, tmp_path: Path) -> None:
    executor.submit(call(tmp_path, "x"))
    (outcome,) = outcomes(executor, 1).values()
    assert (outcome.state, outcome.error) == ("failed", "KeyError: 'task'")
    assert "Traceback" in (tmp_path / "logs" / "x.log").read_text()


def test_a_job_that_the_disk_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(call: Call, output: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", "x.parquet")

    monkeypatch.setitem(STAGES._entries, "report", Stage(fail, heavy=False))
    local = LocalExecutor(threads=1)
    local.submit(call(tmp_path, "x", "report"))
    (outcome,) = local.finished(0)
    assert outcome.error.startswith("x.parquet: found it cannot be read or written (Input/output error); expected")
    assert "Traceback" in (tmp_path / "logs" / "x.log").read_text()


def test_a_result_that_cannot_be_read_ends_a_run_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails is told; what is there already is not made again as if it were missing."""
    (tmp_path / "rule.py").write_text("def predict(batch):\n    return ['acceptable'] * len(batch)")
    (tmp_path / "in.tsv").write_text("x\t1\t\tThe ferry left.\nx\t0\t\tLeft ferry the.\n")
    systems = "systems: {rule: {predictor: 'rule.py:predict'}}"
    (tmp_path / "spec.yaml").write_text(f"schema: 1\nsuites: [drop]\ntasks: {{cola: {{test: in.tsv}}}}\n{systems}\n")
    monkeypatch.chdir(tmp_path)
    ran = {"data_dir": ".", "output": "out", "store": "store", "executor": "local"}
    assert rbc.run("spec.yaml", **ran).jobs["report"].state == "done"

    def sha256(path: Path) -> str:
        if path.name == "index.html":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return sha256_file(path)

    monkeypatch.setattr(store, "sha256_file", sha256)
    with pytest.raises(OSError, match="Input/output error"):
        rbc.run("spec.yaml", **ran)
    assert json.loads(Path("out/run.json").read_text())["jobs"]["report"]["state"] == "waiting"


def test_a_killed_process_loses_its_job_and_no_other(executor: ProcessExecutor, tmp_path: Path) -> None:
    """Also when a further job is handed in between the death and the next look."""
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "logs").mkdir()
    os.symlink(tmp_path / "gate", tmp_path / "logs" / "stuck.log")  # opening it waits for a reader
    executor.submit(call(tmp_path, "stuck"))
    (worker,) = [one for one in executor._workers if one]
    time.sleep(1.0)
    os.kill(worker.process.pid or 0, signal.SIGKILL)
    worker.process.join(10)
    executor.submit(call(tmp_path, "next"))
    found = outcomes(executor, 2)
    assert {name: outcome.state for name, outcome in found.items()} == {"stuck": "lost", "next": "failed"}
    assert "code -9" in found["stuck"].error


def test_each_process_has_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cores", lambda: [0, 1, 2, 3, 4])
    assert ProcessExecutor(threads=2)._shares == [([0, 1], []), ([2, 3], [])]
    assert ProcessExecutor(threads=2, workers=3)._shares[2] == (
        [],
        [],
    )  # more than there is room for: it floats
    assert ProcessExecutor(threads=8).slots == 1


def test_each_process_has_its_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(processes, "_devices", lambda: ["0", "1", "3"])
    assert ProcessExecutor(threads=1, gpus=1)._shares == [([0], ["0"]), ([1], ["1"]), ([2], ["3"])]
    assert ProcessExecutor(threads=1, gpus=2).slots == 1
    with pytest.raises(
        InputError, match=r"--workers: found 2 workers × 2 GPUs requested; 3 available; expected from 1 to"
    ):
        ProcessExecutor(threads=1, gpus=2, workers=2)


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"--executor ray: found no package ray.*robustbench-char\[ray\]"):
        RayExecutor(threads=1)


def test_the_environment_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with processes._environment(3, ["1"]):
        assert os.environ["OMP_NUM_THREADS"] == "3"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ

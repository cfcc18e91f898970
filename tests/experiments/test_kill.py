"""Stops at any moment: a run killed at random moments ends with the results of an unbroken one."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Write = Callable[..., str]

pytestmark = pytest.mark.slow

# Long enough to be killed in the middle of training, which saves itself twice a second here.
SPEC: dict[str, Any] = {
    "systems": {"bert": {}, "advbert": {}},
    "text": ["mini"],
    "pretrain": {"steps": 300, "batch_size": 8, "block_size": 32, "heldout_blocks": 4, "evaluate_every": 100},
    "finetune": {"limit": 400, "epochs": 4.0, "max_length": 48, "batch_size": 8},
    "suites": ["drop"],
    "tasks": {"qnli": {"test_limit": 60}},
}
OPTIONS = ("--executor=processes", "--workers=2", "--save-seconds=0.5")


@pytest.fixture(scope="session")
def outcomes(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    return load_module(Path(__file__).parent / "outcomes.py")


def kill(process: subprocess.Popen[str], whom: str) -> None:
    """Kill the runner, or one of its workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    victims = children if whom == "worker" and children else [str(process.pid)]
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(victims[-1]), signal.SIGKILL)


def killed_runs(spec: str, output: Path, store: Path, times: int, outcomes: ModuleType) -> list[str]:
    """Begin a run and kill it, or a worker of it, at a random moment, so many times; say when and whom."""
    generator, told = np.random.default_rng(0), []
    for number in range(times):
        line = outcomes.command(spec, output, store, *OPTIONS)
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        moment, whom = float(generator.uniform(3.0, 18.0)), ("runner", "worker")[number % 2]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        if process.poll() is None:
            kill(process, whom)
            time.sleep(0.2)
            process.kill()
        process.wait()
        told.append(f"{moment:.1f} s: {whom}, code {process.returncode}")
    return told


LONG = pytest.mark.skipif("ROBUSTBENCH_SLOW" not in os.environ, reason="takes a quarter of an hour: ROBUSTBENCH_SLOW=1")


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=LONG)])
def test_killed_runs_end_like_an_unbroken_one(
    write_spec: Write, tmp_path: Path, outcomes: ModuleType, times: int
) -> None:
    spec = write_spec("long", **SPEC)
    unbroken = outcomes.run(spec, tmp_path / "unbroken", tmp_path / "whole", *OPTIONS)
    assert unbroken.returncode == 0, unbroken.stderr
    told = killed_runs(spec, tmp_path / "broken", tmp_path / "store", times, outcomes)
    resumed = list((tmp_path / "store" / "unfinished").glob("*/*/checkpoint-*/complete.json"))
    last = outcomes.run(spec, tmp_path / "broken", tmp_path / "store", *OPTIONS)
    assert last.returncode == 0, last.stderr
    assert outcomes.outcome(tmp_path / "broken") == outcomes.outcome(tmp_path / "unbroken"), told
    left = [path for path in (tmp_path / "store").glob("*/.*") if path.is_dir()]
    assert left == [], "scratch folders of killed jobs stay"
    report = "\n".join([*told, f"checkpoints that the last run went on from: {len(resumed)}"])
    (tmp_path / "kills.txt").write_text(report)


def test_a_lost_worker_does_not_end_the_run(write_spec: Write, tmp_path: Path, outcomes: ModuleType) -> None:
    spec = write_spec("long", **SPEC)
    line = outcomes.command(spec, tmp_path / "out", tmp_path / "store", *OPTIONS)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "out" / "logs").glob("finetune-*.status")) and time.monotonic() < deadline:
            time.sleep(0.1)
        kill(process, "worker")
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "its process ended with code -9; begun again" in errors


def test_two_runs_share_one_store(write_spec: Write, tmp_path: Path, outcomes: ModuleType) -> None:
    """Each job is done once by one of them, and both end with all results."""
    spec, store = write_spec("long", **SPEC), tmp_path / "store"
    lines = [outcomes.command(spec, tmp_path / name, store, "--executor=processes", "--workers=1") for name in "ab"]
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for line in lines]
    errors = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert outcomes.outcome(tmp_path / "a") == outcomes.outcome(tmp_path / "b")
    began = [
        log.read_text().count("finetune/tiny/bert/qnli/seed_0 (")
        for log in tmp_path.glob("*/logs/finetune-tiny-bert-*")
    ]
    assert sum(began) == 1


def test_a_full_disk_fails_jobs_and_the_next_run_goes_on(
    write_spec: Write, tmp_path: Path, outcomes: ModuleType
) -> None:
    """The limit on file size makes writing weights fail as a full disk does, in the middle of a file."""

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    args = (write_spec(), tmp_path / "out", tmp_path / "store", "--executor=processes", "--workers=1")
    full = outcomes.run(*args, preexec_fn=small_files)
    assert full.returncode == 1
    assert "finetune/tiny/bert/qnli/seed_0: FAILED" in full.stderr
    assert "cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list((tmp_path / "store" / "finetune").glob("*/job.json"))
    then = outcomes.run(*args)
    assert then.returncode == 0, then.stderr
    assert len(list((tmp_path / "out" / "records").glob("**/record.json"))) == 2

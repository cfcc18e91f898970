"""Ray: a cluster of three nodes on this machine, of which one dies in mid-run; and all that can be wrong before."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.experiments import run as benchmark
from robustbench_char.experiments._expand import Plan
from robustbench_char.experiments._jobs import Call
from robustbench_char.experiments._stages import package_sha256
from robustbench_char.experiments.executors import _on_ray as on_ray
from robustbench_char.experiments.executors._local import Executor, LocalExecutor
from robustbench_char.experiments.executors._on_ray import RayExecutor
from robustbench_char.experiments.store import Store
from robustbench_char.records.evaluation import read_record, result_part

pytest.importorskip("ray")
pytestmark = pytest.mark.slow  # needs Ray, which the quick tests do without

Write = Callable[..., str]
NODE = {"object_store_memory": 80_000_000, "include_dashboard": False}


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """No usage statistics, and a token for the Ray of this machine, which would keep one in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # Ray's own is 15, which waits for every test beside it
        patch.setenv("RAY_AUTH_MODE", "")  # Ray itself sets it: so it is put back
        patch.delenv("RAY_AUTH_MODE")
        patch.setenv("RAY_AUTH_TOKEN", "of-the-clusters-of-these-tests-alone")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="module")
def cluster(environment: None) -> Iterator[Any]:
    """A head without CPUs and two nodes with one each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1, **NODE)
        yield made
    finally:
        made.shutdown()


class Listener:
    """Keeps the news of a run, and does something at every look."""

    def __init__(self, at_each_look: Callable[[], None] = lambda: None) -> None:
        self.news: list[str] = []
        self.at_each_look = at_each_look

    def show(self, states: dict[str, Any]) -> None:
        self.at_each_look()

    def say(self, text: str) -> None:
        self.news.append(text)


def run(spec: str, folder: Path, executor: Executor, progress: Listener) -> tuple[Plan, Store]:
    """Do all jobs of a spec."""
    planned = benchmark.plan(spec, store=folder / "store")
    runner = benchmark.Runner(
        planned.plan, planned.store, folder / "logs", executor, progress, planned.states, lambda job: None
    )
    assert runner.finish(), progress.news
    return planned.plan, planned.store


def results(plan: Plan, store: Store) -> dict[str, Any]:
    """Return what each job made, without times, commits and hosts."""
    found: dict[str, Any] = {}
    for job in plan.jobs.values():
        folder = store.path(job.stage, plan.keys[job.name])
        for name, file in store.read(job.stage, plan.keys[job.name]).files.items():
            if not name.endswith(".json"):
                found[f"{job.name}/{name}"] = file.sha256
            elif name == "record.json":
                found[f"{job.name}/{name}"] = result_part(read_record(folder / name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look five times per second, as often as makes the seconds."""
    for _ in range(round(5 * seconds)):
        if condition():
            return
        time.sleep(0.2)
    pytest.fail(f"still not so after {seconds} seconds")


def node_of(cluster: Any, job: str) -> Any:
    """Return the node that does a job: Ray calls a worker's process after its task."""
    import psutil

    for node in cluster.worker_nodes:
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        if any(f"ray::{job}" in " ".join(child.cmdline()) for child in raylet.children()):
            return node
    return None


def test_a_node_dies_and_results_are_those_of_one_process(cluster: Any, write_spec: Write, tmp_path: Path) -> None:
    # Long enough that the node dies before the training ends, on a fast and idle machine too.
    spec = write_spec(finetune={"limit": 96, "epochs": 80.0, "max_length": 48})
    training, killed = "finetune/", []

    def kill_in_training() -> None:
        if not killed and list((tmp_path / "ray" / "logs").glob("finetune-*.status")):
            node = node_of(cluster, training)
            if node is not None:
                cluster.remove_node(node, allow_graceful=False)
                killed.append(node)

    executor, progress = RayExecutor(threads=1, address=cluster.address), Listener(kill_in_training)
    try:
        assert executor.slots == 2
        found = results(*run(spec, tmp_path / "ray", executor, progress))
        assert killed
        assert any("NodeDiedError" in line and "begun again" in line for line in progress.news), progress.news
        wait_for(lambda: executor.slots == 1)  # the head asks its nodes every few seconds whether they live
        cluster.add_node(num_cpus=1, **NODE)
        assert executor.slots == 2
    finally:
        executor.close()
    assert not list((tmp_path / "ray" / "store").glob(".ray-*"))
    (log,) = (tmp_path / "ray" / "logs").glob("score-*-clean.log")
    assert "done in" in log.read_text(encoding="utf-8")
    assert found == results(*run(spec, tmp_path / "local", LocalExecutor(threads=1), Listener()))


def test_workers_bound_the_slots(cluster: Any, write_spec: Write, tmp_path: Path) -> None:
    planned = benchmark.plan(write_spec(), store=tmp_path)
    assert benchmark.slots_of(planned, "ray", workers=1, address=cluster.address) == 1


def test_no_machine_with_room(cluster: Any) -> None:
    import ray

    with pytest.raises(InputError, match=r"--executor: found ray, and no machine of the cluster has 2 CPUs; expected"):
        RayExecutor(threads=2, address=cluster.address)
    with pytest.raises(InputError, match=r"has 1 CPUs and 1 GPUs"):
        RayExecutor(threads=1, gpus=1, address=cluster.address)
    assert not ray.is_initialized()


def test_a_head_that_ray_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def refuse(**given: Any) -> None:
        raise RuntimeError("Version mismatch: the cluster was started with:\n    Ray: 1.0")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(on_ray, "_probe", lambda place, address: None)
    with pytest.raises(InputError, match=r"--address: .* \(RuntimeError: Version mismatch: .* with: Ray: 1\.0\)"):
        RayExecutor(threads=1, address="head:6379")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "127.0.0.1:{closed}",
            r"no connection to a Ray cluster \(.*refused\); expected HOST:PORT of a cluster's head",
        ),
        ("no-such-host.invalid:6379", r"found no-such-host\.invalid:6379, no connection to a Ray cluster"),
        ("127.0.0.1:99999", r"no connection to a Ray cluster"),
        ("auto", r"found auto, no connection to a Ray cluster \(no HOST:PORT\)"),
        ("ray://127.0.0.1:10001", r"\(no HOST:PORT\)"),
    ],
)
def test_address_that_does_not_answer(address: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is tried before Ray is asked, which would wait for minutes."""
    monkeypatch.setattr("ray.init", lambda **given: pytest.fail("Ray was asked"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    with pytest.raises(InputError, match=f"--address: .*{message}"):
        RayExecutor(threads=1, address=address.format(closed=closed))


@pytest.mark.parametrize(("said", "why"), [(b"SSH-2.0-x\r\n", "something other than Ray does"), (b"", "timed out")])
def test_address_of_something_else(said: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "_PROBE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        if said:
            threading.Thread(target=lambda: server.accept()[0].send(said) and None, daemon=True).start()
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(InputError, match=rf"RAY_ADDRESS: found 127\.0\.0\.1:\d+, .*{why}"):
            RayExecutor(threads=1)


@pytest.fixture
def attack(write_spec: Write, tmp_path: Path) -> Call:
    """A quick job, and the folders that the machine of the run makes for it."""
    planned = benchmark.plan(write_spec(), store=tmp_path / "store")
    (tmp_path / "logs").mkdir()
    job = next(job for job in planned.plan.jobs.values() if job.stage == "attack")
    return planned.plan.call(job, planned.store, tmp_path / "logs")


def test_a_machine_that_would_make_another_result(attack: Call, tmp_path: Path) -> None:
    mark, none = tmp_path / "mark", tmp_path / "none"
    mark.touch()
    machine = {"machine": os.uname().machine, "libraries": {"numpy": "0.1"}}
    for call, mark_seen, folder, message in (
        (attack, mark, none, "no shared folder .*none"),
        (attack, none, tmp_path, "no shared folder .*store"),
        (dataclasses.replace(attack, logs=none), mark, tmp_path, "no shared folder .*none"),
        (_decided(attack, "machine", machine), mark, tmp_path, r"libraries {'numpy': '[\d.]+'} and not .*0\.1"),
    ):
        outcome = on_ray._serve(call, mark_seen, folder, package_sha256())
        assert outcome.state == "failed"
        assert re.search(message, outcome.error), outcome.error
    assert "another version of robustbench-char" in on_ray._serve(attack, mark, tmp_path, "other code").error


def _decided(call: Call, key: str, value: Any) -> Call:
    return dataclasses.replace(call, decides={**call.decides, key: value})


def test_a_ray_of_this_machine(attack: Call) -> None:
    """It stays last: Ray asks for a token from here on, which the cluster above was started without."""
    import ray

    executor = RayExecutor(threads=1, workers=1)
    try:
        executor.submit(attack)
        (outcome,) = executor.finished(60)
        assert (outcome.name, outcome.state) == (attack.job.name, "done")
        assert executor.finished(0) == []
    finally:
        executor.close()
    assert not ray.is_initialized()

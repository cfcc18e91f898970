"""A run's folder or a store from a stranger: nothing outside is read into a run, written or removed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.experiments._jobs import Job
from robustbench_char.experiments.run_folder import RunFolder, result_path
from robustbench_char.experiments.store import JOB, Store
from robustbench_char.training.checkpoints import last_checkpoint

COST = {"wall_seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_bytes": 1, "work": 1.0, "host": "h", "created": "now"}
KEY = "k" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with a report of two files."""
    store = Store(tmp_path / "store")
    with store.writing("report", KEY) as folder:
        assert folder is not None
        (folder / KEY / "tables").mkdir(parents=True)
        (folder / KEY / "index.html").write_text("page")
        (folder / KEY / "tables" / "a.csv").write_text("a")
        file = {"name": "report", "stage": "report", "key": KEY, "decides": {}, "provenance": provenance()}
        store.finish(folder / KEY, file, COST)
    (tmp_path / "private").write_text("private")
    return store


def run_file(folder: Path, *jobs: str) -> None:
    folder.mkdir()
    lines = {name: {"stage": "score", "key": KEY, "state": "done"} for name in jobs}
    made = provenance().model_dump(mode="json")
    file = {"schema": 1, "name": "x", "spec": {}, "machine": {}, "executor": "local", "created": "", "provenance": made}
    (folder / "run.json").write_text(json.dumps(file | {"jobs": lines}))


def test_names_of_jobs_remove_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run_file(tmp_path / "run", "score/../../mine", "score/a/../../../mine", "score//mine", "price/..", "report/..")
    RunFolder(tmp_path / "run", examples=True).clear({})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "run"]
    assert (tmp_path / "run" / "run.json").is_file()
    assert result_path("score/../../mine") is None


@pytest.mark.parametrize("name", ["records", "run.json", ".run.json", "logs", "report/index.html", "logs/report.log"])
def test_a_folder_with_links_out_of_it_is_refused(tmp_path: Path, name: str) -> None:
    """What is written, or removed, would be elsewhere."""
    run_file(tmp_path / "run", "score/a")
    path = tmp_path / "run" / name
    path.parent.mkdir(exist_ok=True)
    mine = path.rename(tmp_path / "mine") if path.is_file() else tmp_path / "mine"
    path.symlink_to(mine)
    with pytest.raises(InputError, match=rf"run/{name}: found a link to .*mine; expected the folder of a run"):
        RunFolder(tmp_path / "run", examples=True)


def test_only_what_a_job_wrote_is_copied(store: Store, tmp_path: Path) -> None:
    result = store.path("report", KEY)
    (result / "more.txt").symlink_to(tmp_path / "private")
    (result / "all").symlink_to(tmp_path)
    plan: Any = SimpleNamespace(keys={"report": KEY})
    RunFolder(tmp_path / "run", examples=True).put(Job("report", "report", {}), plan=plan, store=store)
    copied = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*")}
    assert copied == {"report", "report/index.html", "report/tables", "report/tables/a.csv"}


def test_a_link_is_no_result(store: Store, tmp_path: Path) -> None:
    page = store.path("report", KEY) / "index.html"
    assert store.damage("report", KEY) is None
    page.rename(tmp_path / "page.html")
    page.symlink_to(tmp_path / "page.html")
    assert store.damage("report", KEY) == "index.html: missing or of another size"


@pytest.mark.parametrize("name", ["../../../private", "/dev/null", "tables/../index.html", ""])
def test_a_result_has_its_files_in_its_folder(store: Store, name: str) -> None:
    path = store.path("report", KEY) / JOB
    job = json.loads(path.read_text())
    job["files"] = {name: job["files"]["index.html"]}
    path.write_text(json.dumps(job))
    assert store.damage("report", KEY) == f"{name}: missing or of another size"


def test_a_checkpoint_is_a_folder(tmp_path: Path) -> None:
    """A link is not written through, and no name ends in a traceback."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "run").mkdir()
    for name in ("checkpoint-2", "checkpoint-x", "checkpoint-"):
        (tmp_path / "run" / name).symlink_to(tmp_path / "mine")
    assert last_checkpoint(tmp_path / "run") is None
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoint-", "checkpoint-x"]
    assert (tmp_path / "mine").is_dir()

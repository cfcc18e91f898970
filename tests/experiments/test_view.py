"""What a user sees of a run, and what it is expected to take."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from robustbench_char.common.process import progress_bar, progress_to, write_status
from robustbench_char.common.provenance import provenance
from robustbench_char.experiments._expand import Plan
from robustbench_char.experiments._jobs import Job, log_file
from robustbench_char.experiments.estimates import Costs
from robustbench_char.experiments.store import Store
from robustbench_char.experiments.view import View, duration

BERT = "finetune/minilm/bert/qnli/seed_0"


def plan() -> Plan:
    jobs = [
        Job("finetune/minilm/bert/qnli/seed_0", "finetune", {"n": 1}, work=100.0),
        Job("finetune/minilm/charbert/qnli/seed_0", "finetune", {"n": 2}, work=100.0),
        Job(
            "predict/minilm/bert/qnli/seed_0/clean",
            "predict",
            {},
            {"system": "finetune/minilm/bert/qnli/seed_0"},
            work=10.0,
        ),
    ]
    return Plan(jobs, {})


def known(store: Store, name: str, seconds: float, work: float, memory: int = 10) -> None:
    """Put a result into the store that took so long for so much work."""
    stage = name.partition("/")[0]
    key = name.replace("/", "-")
    with store.writing(stage, key) as folder:
        assert folder is not None
        (folder / key).mkdir()
        (folder / key / "x").write_text("12345")
        cost = {"wall_seconds": seconds, "cpu_seconds": seconds, "peak_memory_bytes": memory, "work": work,
                "host": "h", "created": "now"}  # fmt: skip
        file = {"name": name, "stage": stage, "key": key, "decides": {}, "provenance": provenance()}
        store.finish(folder / key, file, cost)


def test_estimates_come_from_the_nearest_earlier_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.experiments.estimates._shipped", lambda: iter(()))
    store, jobs = Store(tmp_path), plan()
    empty = Costs.of(store).estimate(jobs, jobs.jobs, 2)
    assert len(empty.unknown) == 3
    assert empty.wall_seconds == 0
    known(store, "finetune/minilm/bert/qnli/seed_7", 20.0, 50.0, memory=30)  # the same system and task: 0.4 s a unit
    known(store, "finetune/minilm/bert/cola/seed_7", 1.0, 50.0)
    known(store, "predict/minilm/advbert/cola/seed_0/clean", 5.0, 10.0)  # of another system: its stage alone
    found = Costs.of(store).estimate(jobs, jobs.jobs, 2)
    seconds = [found.jobs[name].seconds for name in jobs.jobs]
    assert seconds == pytest.approx([40.0, 40.0, 5.0])  # charbert: as another system on the same task
    assert found.unknown == []
    assert found.job_seconds == pytest.approx(85.0)
    assert found.wall_seconds == pytest.approx(45.0)  # predicting waits for its system; two at a time
    assert Costs.of(store).estimate(jobs, jobs.jobs, 1).wall_seconds == pytest.approx(85.0)
    assert found.disk_bytes == 15
    assert found.memory_bytes == 60


def test_shipped_costs_stand_in_where_the_store_has_none(tmp_path: Path) -> None:
    jobs = plan()
    shipped = Costs.of(Store(tmp_path)).estimate(jobs, jobs.jobs, 2)
    assert shipped.unknown == []
    assert shipped.wall_seconds > 0


def test_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    shown = io.StringIO()
    with View(plan(), tmp_path / "logs", Costs([]), 2, Console(file=shown, force_terminal=False)) as view:
        view.show({"a": "running", "b": "done", "c": "not needed"})
        view.say("b: done in 1.0 s")
    assert shown.getvalue() == "[     0 s] 2/2 b: done in 1.0 s\n"


def test_a_live_view_on_a_terminal(tmp_path: Path) -> None:
    """Jobs that run, with step and latest loss as training wrote them, and the time that is expected to be left."""
    jobs, logs = plan(), tmp_path / "logs"
    name = next(iter(jobs.jobs))
    logs.mkdir()
    status = jobs.call(jobs.jobs[name], Store(tmp_path), logs).status
    status.write_text(json.dumps({"step": 1200, "steps": 5000, "loss": 0.4567}))
    screen = io.StringIO()
    with View(jobs, logs, Costs([]), 2, Console(file=screen, force_terminal=True, width=120)) as view:
        view.show(dict.fromkeys(jobs.jobs, "waiting") | {name: "running"})
        view.live.refresh()
    shown = screen.getvalue()
    assert "1 running, 2 waiting" in shown
    assert name in shown
    assert "1,200 of 5,000" in shown
    assert "0.457" in shown


def test_a_bar_for_each_model(tmp_path: Path) -> None:
    """Its share of examples, those of a running job as far as it is, and the time left at the speed so far."""
    jobs = Plan(
        [
            Job(f"score/models/{model}/qnli/{condition}", "outside", {"n": model + condition}, work=100.0)
            for model in ("mine[b]\x1b[5m", "theirs")
            for condition in ("clean", "drop")
        ],
        {},
    )
    first, logs = next(iter(jobs.jobs)), tmp_path / "logs"
    logs.mkdir()
    write_status(log_file(logs, first, "status"), step=25, steps=50)
    screen = io.StringIO()
    with View(jobs, logs, Costs([]), 2, Console(file=screen, force_terminal=True, width=120)) as view:
        view.show(dict.fromkeys(jobs.jobs, "waiting"))
        view.live.refresh()
        view.show(dict.fromkeys(jobs.jobs, "waiting") | {first: "running"})
        view.live.refresh()
    shown = screen.getvalue()
    assert "50 of 200" in shown
    assert "0 of 200" in shown
    assert r"score/models/mine[b]\u001b[5m/qnli/clean" in shown
    assert "\nmine[b]\\u001b[5m " in shown
    assert re.search(r"50 of 200 +\S+ s left", shown)
    assert "about" not in shown  # nothing like these jobs was done before


def test_a_progress_bar_tells_a_file_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.common.process._EVERY", 0.0)
    with progress_to(tmp_path / "status"), progress_bar(True) as bar:
        bar.advance(bar.add_task("predicting", total=8), 3)
    assert json.loads((tmp_path / "status").read_text()) == {"step": 3, "steps": 8, "loss": None}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7801, "2 h 10 min")]
)
def test_durations_as_people_write_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text

"""The benchmark `cpu` as committed: its pages show what was measured, and tell of every job."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_char.experiments.run_folder import RunFile
from robustbench_char.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "reports" / "results" / "cpu"
SYSTEMS = ("bert", "bert_mlm", "advbert", "charbert", "bert_wordrec", "bert_aug")
SEEN = ("bert_wordrec", "bert_aug")
"""Systems that saw the operators of `charbert_2020` in training."""

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmark's results are not here")


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def overview(task: str) -> dict[str, dict[str, str]]:
    with (FOLDER / "report" / "tables" / f"overview_{task}.csv").open(encoding="utf-8", newline="") as file:
        return {line["system"]: line for line in csv.DictReader(file)}


def tasks() -> list[str]:
    return [task for task in TASKS if (FOLDER / "report" / "tables" / f"overview_{task}.csv").is_file()]


def cell(line: dict[str, str], system: str) -> str:
    """Return clean / attacked with its interval; † marks operators that the system saw."""
    attacked, low, high = (line[f"charbert_2020{end}"] for end in ("", "_low", "_high"))
    interval = f" [{float(low):.1f}, {float(high):.1f}]" if low else ""  # none where a system says one thing alone
    return f"{float(line['clean']):.1f} / {float(attacked):.1f}{interval}{' †' if system in SEEN else ''}"


def main_rows(base: str = "") -> list[str]:
    """Return a row a task, which links to the manifest of its first attacked set."""
    lines = []
    for task in tasks():
        table = overview(task)
        link = f"[{task}]({base}manifests/{task}/charbert_2020/seed_1/manifest.json)"
        lines.append(row(link, *(cell(table[name], name) for name in SYSTEMS)))
    return lines


def run() -> RunFile:
    return RunFile.model_validate_json((FOLDER / "run.json").read_bytes())


def core_minutes() -> str:
    seconds = sum(job.cost.cpu_seconds for job in run().jobs.values() if job.cost is not None)
    return f"{seconds / 60:.0f} core-minutes"


def stands_in(page: Path, rows: list[str]) -> bool:
    lines = page.read_text(encoding="utf-8").splitlines()
    return any(lines[start : start + len(rows)] == rows for start in range(len(lines)))


def test_every_job_was_done() -> None:
    assert {name: job.state for name, job in run().jobs.items() if job.state not in ("done", "not needed")} == {}


def test_every_record_is_that_of_its_job() -> None:
    records = {f"score/{path.parent.relative_to(FOLDER / 'records').as_posix()}"
               for path in (FOLDER / "records").rglob("record.json")}  # fmt: skip
    assert records == {name for name, job in run().jobs.items() if job.stage == "score"}
    for path in (FOLDER / "manifests").rglob("manifest.json"):
        assert json.loads(path.read_text())["provenance"]["git_dirty"] is False


@pytest.mark.parametrize(("page", "base"), [(FOLDER / "README.md", ""), (ROOT / "README.md", "reports/results/cpu/")])
def test_the_main_table_is_that_of_the_report(page: Path, base: str) -> None:
    assert stands_in(page, main_rows(base))


@pytest.mark.parametrize("said", [core_minutes])
def test_the_page_says_what_it_took(said: Callable[[], str]) -> None:
    assert said() in (FOLDER / "README.md").read_text(encoding="utf-8")

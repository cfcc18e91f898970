"""The benchmark `cpu` as committed: its pages show what was measured, and tell of every job."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from robustbench_char.experiments.run_folder import RunFile
from robustbench_char.records.evaluation import find_records
from robustbench_char.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "reports" / "results" / "cpu"
SYSTEMS = ("bert", "bert_mlm", "advbert", "charbert", "bert_wordrec", "bert_aug")
SEEN = ("bert_wordrec", "bert_aug")
"""Systems that saw the operators of `charbert_2020` in training."""

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmark's results are not here")


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def overview() -> tuple[dict[str, int], dict[str, list[str]]]:
    """Return the columns, and the cells of each system, of the table of all tasks in the committed report."""
    lines = (FOLDER / "report" / "report.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| System | cola "))
    title, _, *body = lines[start : start + 2 + len(SYSTEMS)]
    columns = {name.split()[0]: number for number, name in enumerate(cells(title))}
    return columns, {cells(line)[0]: cells(line) for line in body}


def cells(line: str) -> list[str]:
    """Return the cells of a row of Markdown, without marks, plain minus signs in them."""
    return [re.sub(r"[\\*†]", "", cell).replace("−", "-").strip() for cell in line.split("|")[1:-1]]


def main_rows() -> list[str]:
    """Return a row per task: clean / attacked with its interval; † marks operators that the system saw.

    Of what has not learnt its task there is a dash, and of a task that none has learnt no row.
    """
    columns, systems = overview()

    def scores(task: str, name: str) -> str:
        if systems[name][columns[task]] == "–":
            return "–"
        attacked, _, kept = systems[name][columns[task]].partition(" of ")  # "34.3 [31.3, 37.3] of 75.3: 45.6%"
        return f"{re.split('[:,]', kept)[0]} / {attacked}" + (" †" if name in SEEN else "")

    return [row(task, *(scores(task, name) for name in SYSTEMS)) for task in TASKS if task in columns]


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
    records = {f"score/{path.relative_to(FOLDER / 'records').as_posix()}" for path, _ in find_records([FOLDER])}
    assert records == {name for name, job in run().jobs.items() if job.stage == "score"}


@pytest.mark.parametrize("folder", [FOLDER, ROOT / "reports"], ids=lambda folder: folder.name)
def test_the_main_table_is_that_of_the_report(folder: Path) -> None:
    assert len(main_rows()) == 6
    assert stands_in(folder / "README.md", main_rows())


@pytest.mark.parametrize("said", [core_minutes])
def test_the_page_says_what_it_took(said: Callable[[], str]) -> None:
    assert said() in (FOLDER / "README.md").read_text(encoding="utf-8")

"""The benchmark `cpu` as committed: its pages show what was measured, and tell of every job."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustbench_char.analysis.scores import MAIN_SUITE
from robustbench_char.experiments.run_folder import RunFile
from robustbench_char.records.evaluation import find_records
from robustbench_char.reports import report_tables

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "reports" / "results" / "cpu"
PAGES = [FOLDER / "README.md", ROOT / "reports" / "README.md", ROOT / "README.md"]
SYSTEMS = (
    "bert", "bert_mlm", "advbert", "charbert", "bert_aug", "charbert_aug", "bert_wordrec", "bert_spell",
    "bert_channel", "bert_channel_soft", "charbert_channel",
)  # fmt: skip
TASKS = ("conll2003", "ptb_pos", "qnli", "mrpc", "cola", "squad_v1", "squad_v2")


@cache
def tables() -> Mapping[str, pd.DataFrame]:
    return report_tables([FOLDER])


def cell(task: str, system: str) -> str:
    """Return clean / attacked with its interval; nothing for what was not run, a dash for what has not learnt."""
    rows = tables()[f"overview_{task}"].set_index("system")
    if system not in rows.index:
        return ""
    found: Any = rows.loc[system]
    if not found["learnt"]:
        return "–"
    limits = f"[{found[f'{MAIN_SUITE}_low']:.1f}, {found[f'{MAIN_SUITE}_high']:.1f}]"
    mark = " †" if isinstance(found[f"{MAIN_SUITE}_saw_attack"], str) else ""
    return f"{found['clean']:.1f} / {found[MAIN_SUITE]:.1f} {limits}{mark}"


def main_rows() -> list[str]:
    """Return a row for each system, of the tasks that one of them has learnt."""
    cells = {task: [cell(task, system) for system in SYSTEMS] for task in TASKS}
    shown = [task for task in TASKS if {*cells[task]} - {"", "–"}]
    rows = [("system", *shown), ("---",) * (1 + len(shown)),
            *((system, *(cells[task][at] for task in shown)) for at, system in enumerate(SYSTEMS))]  # fmt: skip
    return [f"| {' | '.join(row)} |" for row in rows]


def run() -> RunFile:
    return RunFile.model_validate_json((FOLDER / "run.json").read_bytes())


def core_minutes() -> str:
    seconds = sum(job.cost.cpu_seconds for job in run().jobs.values() if job.cost is not None)
    return f"{len(run().jobs):,} jobs took {seconds / 60:.0f} core-minutes"


def test_every_record_is_that_of_its_job() -> None:
    records = {f"score/{path.relative_to(FOLDER / 'records').as_posix()}" for path, _ in find_records([FOLDER])}
    assert records == {name for name, job in run().jobs.items() if job.stage == "score"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_main_table_is_that_of_the_records(page: Path) -> None:
    assert len(main_rows()) == 2 + len(SYSTEMS)
    assert main_rows()[0].count("|") == 2 + len(TASKS)
    assert "\n".join(main_rows()) in page.read_text(encoding="utf-8")


def test_the_page_says_what_it_took() -> None:
    assert core_minutes() in PAGES[0].read_text(encoding="utf-8")


if __name__ == "__main__":
    print("\n".join([*main_rows(), core_minutes()]))  # noqa: T201 (to be pasted into the pages)

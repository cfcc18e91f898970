"""The benchmark `worst_case` as committed: its page shows what was measured, and what it took."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustbench_char.experiments.run_folder import RunFile
from robustbench_char.reports import report_tables

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "results" / "worst_case"
PAGE = FOLDER / "README.md"
HEAD = ("task", "examples", "edits", "search", "system", "clean", "random", "worst of seeds", "worst case", "broken, %",
        "queries")  # fmt: skip


@cache
def searches() -> pd.DataFrame:
    return report_tables([FOLDER])["worst_case"]


def scored(row: dict[str, Any], name: str) -> str:
    if pd.isna(row[name]):
        return ""
    return f"{row[name]:.1f} [{row[f'{name}_low']:.1f}, {row[f'{name}_high']:.1f}]"


def rows() -> list[str]:
    """Return a row for each search."""
    table = [HEAD, ("---",) * len(HEAD)]
    for row in searches().to_dict("records"):
        worst = "exact" if pd.isna(row["found"]) else "found"
        table.append((
            row["task"], row["examples"], row["edits"], row["search"], row["name"], scored(row, "clean"),
            scored(row, "random"), scored(row, "worst_of_seeds"), scored(row, worst), scored(row, "broken"),
            f"{row['total_questions']:,}",
        ))  # fmt: skip
    return [f"| {' | '.join(map(str, row))} |" for row in table]


def orders() -> list[str]:
    """Return what the report says of the order of systems under random attacks and at the worst."""
    report = (FOLDER / "report" / "report.md").read_text(encoding="utf-8")
    return re.findall(r"^.* at the worst .* the other way round\.$", report, flags=re.MULTILINE)


def cost() -> str:
    jobs = RunFile.model_validate_json((FOLDER / "run.json").read_bytes()).jobs
    own = ("attack", "predict", "score", "worst_part", "worst_case", "report")
    seconds = {name: sum(job.cost.cpu_seconds for job in jobs.values() if job.cost and job.stage == name)
               for name in own}  # fmt: skip
    whole, searching = sum(seconds.values()) / 60, seconds["worst_part"] / 60
    queries = searches()["total_questions"].sum()
    return f"{whole:.0f} core-minutes of processor time, {searching:.0f} of them for {queries:,} queries"


def sentence() -> str:
    """Return what README.md says of the exact worst case."""
    exact = searches().query("task == 'conll2003' and edits == 1").set_index("name")
    falls = (f"{row['clean']:.1f} to {row['exact']:.1f} (a random one: to {row['random']:.1f})"
             for name, row in exact.loc[["bert", "bert_channel"]].iterrows())  # fmt: skip
    return "One typo in a sentence, the worst that can be, takes bert from {}, bert_channel from {}".format(*falls)


@pytest.mark.parametrize("made", [rows, orders, lambda: [cost()]], ids=["table", "orders", "cost"])
def test_the_page_is_that_of_the_records(made: Any) -> None:
    assert made()
    page = PAGE.read_text(encoding="utf-8")
    assert [line for line in made() if line not in page] == []


def test_the_first_page_says_so_too() -> None:
    assert sentence() in (FOLDER.parents[2] / "README.md").read_text(encoding="utf-8")


def test_no_search_is_worse_for_a_system_than_the_exact_worst_case() -> None:
    exact = searches().dropna(subset=["exact"])
    assert len(exact)
    for name in ("random", "worst_of_seeds", "found"):
        known = exact.dropna(subset=[name])
        assert (known[name] >= known["exact"] - 1e-9).all()


if __name__ == "__main__":
    print("\n".join([*rows(), "", *orders(), "", cost(), sentence()]))  # noqa: T201 (to be pasted into the page)

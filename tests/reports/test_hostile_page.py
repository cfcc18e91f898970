"""A report of a stranger's records: markup in every text of a record runs nothing and asks for nothing; names of files
and cells of tables stay what they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from robustbench_char.common import InputError
from robustbench_char.records.evaluation import read_record
from robustbench_char.reports import write_report
from robustbench_char.reports._render import slug, spreadsheet
from robustbench_char.reports.page import report_tables

MARKUP = (
    "</script></style></title></svg>]]>--><script>window.hit=1</script>"
    "<img src=http://h.invalid/x onerror=window.hit=1>"
    "<svg onload=window.hit=1><a href=javascript:hit>'\"`{{7*7}}&amp;\n| x"
)
OPEN = (
    ("task",), ("system", "name"), ("system", "base"), ("system", "weights_sha256"), ("data", "attack", "suite"),
    ("data", "source"), ("device",), ("created",), ("provenance", "package_version"), ("provenance", "git_commit"),
    ("provenance", "platform"), ("provenance", "python"), ("provenance", "libraries", "torch"), ("task_note",),
)  # fmt: skip
"""Texts of a record that may be anything; the others have a form, or are held against something."""


def rewrite(runs: Path, change: Callable[[tuple[str, ...], Any], Any], paths: tuple[tuple[str, ...], ...]) -> None:
    for file in sorted(runs.rglob("record.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        for *parents, name in paths:
            part: Any = record
            for parent in parents:
                part = part and part.get(parent)
            if part and (name in part or name == "task_note"):
                part[name] = change((*parents, name), part.get(name))
        file.write_text(json.dumps(record), encoding="utf-8")
        read_record(file)


@pytest.fixture
def browser(load_module: Callable[[Path], ModuleType]) -> Iterator[Any]:
    module = load_module(Path(__file__).with_name("chromium.py"))
    if module.executable() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium is installed (apt-get install chromium)")
    with module.Chromium() as opened:
        yield opened


@pytest.mark.slow
def test_nothing_runs_and_nothing_is_asked_for(make_runs: Callable[..., Path], tmp_path: Path, browser: Any) -> None:
    runs = make_runs(systems=("bert", "charbert"), suites=("drop",), count=30)
    rewrite(runs, lambda _, value: f"{value or ''}{MARKUP}", OPEN)
    page = write_report([runs], tmp_path / "report")
    figures = sorted((page.parent / "figures").glob("*.svg"))
    assert figures
    for opened in (page, *figures):
        browser.open(opened)
        assert browser.run("typeof window.hit") == "undefined", opened
    assert browser.errors() == []
    assert {url for url in browser.requests() if not url.startswith(("file:", "data:", "about:"))} == set()
    assert {path.resolve().relative_to(page.parent.resolve()).parts[0] for path in page.parent.rglob("*")} <= {
        "index.html", "report.md", "tables", "figures",
    }  # fmt: skip
    markdown = [path.read_text(encoding="utf-8") for path in page.parent.rglob("*.md")]
    assert markdown
    assert not any("<script" in text or "<img" in text or "<svg" in text for text in markdown)


def test_names_of_any_length_are_names_of_files(make_runs: Callable[..., Path], tmp_path: Path) -> None:
    runs = make_runs(suites=("drop",), count=20)
    rewrite(runs, lambda _, value: f"../../{value}/\0{'é' * 400}", (("task",), ("data", "attack", "suite")))
    page = write_report([runs], tmp_path / "report")
    assert {path.parent.name for path in page.parent.rglob("*.csv")} == {"tables"}
    assert max(len(path.name.encode()) for path in page.parent.rglob("*")) < 180
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "report"}


def test_a_short_name_stays_and_long_ones_differ() -> None:
    assert slug("tasks_drop@0.3") == "tasks_drop-0-3"
    one, other = slug("a" * 300), slug("a" * 301)
    assert one != other
    assert len(one) == len(other) == 160


def test_names_that_are_written_alike_are_files_of_their_own(make_runs: Callable[..., Path], tmp_path: Path) -> None:
    runs = make_runs(tasks=("qnli", "cola"), suites=("drop",), count=20)
    names = {"qnli": "a b", "cola": "A-b"}
    rewrite(runs, lambda _, value: names[value], (("task",),))
    page = write_report([runs], tmp_path / "report")
    named = {kind: [path.stem for path in (page.parent / kind).glob("scores_*")] for kind in ("tables", "figures")}
    assert [len({name.casefold() for name in names}) for names in named.values()] == [2, 2]
    text = page.read_text(encoding="utf-8")
    assert all(f"figures/{name}.svg" in text for name in named["figures"])
    assert len([name for name in report_tables([runs]) if name.startswith("scores_")]) == 2


def test_a_family_of_tasks_that_is_none(make_runs: Callable[..., Path]) -> None:
    runs = make_runs(suites=("drop",), count=20)
    with pytest.raises(InputError, match=r"record\.json: family: found .* 'classification', 'tagging' or"):
        rewrite(runs, lambda _, value: "ranking", (("family",),))


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_reads_no_formula(text: str) -> None:
    """Names and answers are written with ' before them, which spreadsheets do not show; numbers stay numbers."""
    frame = spreadsheet(pd.DataFrame({"system": [text, "bert", None], "drop": [-1.5, 2.0, None], "seed": [1, -2, 3]}))
    assert frame["system"].tolist()[:2] == [f"'{text}", "bert"]
    assert frame.to_csv(index=False).split("\n")[-3:] == ["bert,2.0,-2", ",,3", ""]

"""A report of a stranger's records: markup in every text of a record runs nothing and asks for nothing; names of files
and cells of tables stay what they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from robustbench_char.common import InputError
from robustbench_char.records.evaluation import read_predictions, read_record, write_predictions
from robustbench_char.reports import write_report
from robustbench_char.reports._render import slug, spreadsheet
from robustbench_char.reports.page import report_tables

MARKUP = (
    "</script></style></title></svg>]]>--><script>window.hit=1</script>"
    "<img src=http://h.invalid/x onerror=window.hit=1>"
    "<svg onload=window.hit=1><a href=javascript:hit>'\"`{{7*7}}&amp;\n| x"
)
CHAT = {
    "endpoint": "javascript:window.hit=1", "model": "data:text/html,<script>window.hit=1</script>", "prompt": "p",
    "prompt_sha256": "0" * 64, "messages": {"user": "{text}"}, "choices": ["a"], "parameters": {"seed": 0},
}  # fmt: skip
FOREIGN = {
    "source": "javascript:window.hit=1", "architecture": "Bert", "labels": [["a", "b"]], "missing": ["c"],
    "max_length": 9,
}  # fmt: skip
KEPT = {("metric",), ("headline",), ("family",), ("predictions_sha256",), ("counts_sha256",)}
EVERYTHING = """document.querySelectorAll("details").forEach((one) => { one.open = true; });
document.querySelectorAll("[id^=explorer-row]").forEach((one) => one.click())"""
OF_MARKUP = "img, iframe, object, embed, image, foreignObject, [onload], [onerror], base, link, a:not([href^='#'])"
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


def hostile_texts(runs: Path) -> int:
    """Put markup into each text of the records that may hold it, and into all of the predictions; return how many."""
    changed = 0
    for file in sorted(runs.rglob("record.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        frame = read_predictions(file.parent)
        assert frame is not None
        for name in ("fields", "gold", "prediction"):
            frame[name] = [json.dumps(marked(json.loads(value))) for value in frame[name]]
        frame = frame.assign(id=frame["id"] + MARKUP, error=[None, *[f"failed {MARKUP}"] * (len(frame) - 1)])
        record["predictions_sha256"] = write_predictions(file.parent, frame)
        record["system"] |= deepcopy({"chat": CHAT, "model": FOREIGN})
        record["counts"][MARKUP], record["provenance"]["libraries"][MARKUP] = 1, "1"
        if record["data"]["attack"]:
            record["data"]["attack"]["counts_by_operator"][MARKUP] = 1
        for path in list(texts_in(record)):
            changed += mark(file, record, path)
        file.write_text(json.dumps(record), encoding="utf-8")
        read_record(file)
    about = {"schema": 1, "name": MARKUP, "spec": {"about": MARKUP}}
    (runs / "run.json").write_text(json.dumps(about), encoding="utf-8")
    return changed


def mark(file: Path, record: dict[str, Any], path: tuple[Any, ...]) -> bool:
    """Put markup at the end of one text of a record, unless that makes it none; return whether it is there."""
    *parents, last = path
    part: Any = record
    for parent in parents:
        part = part[parent]
    old = part[last]
    part[last] = f"{old}{MARKUP}"
    file.write_text(json.dumps(record), encoding="utf-8")
    try:
        read_record(file)
    except InputError:
        part[last] = old
    return path not in KEPT and bool(part[last] != old)


def texts_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where texts stand in JSON, but for those that are held against files and other records."""
    if isinstance(value, str) and path not in KEPT:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from texts_in(inner, (*path, key))


def marked(value: Any) -> Any:
    """Return JSON with markup at the end of its texts, of lists at that of the last: edits before it still fit."""
    if isinstance(value, dict):
        return {key: marked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [*value[:-1], *map(marked, value[-1:])]
    return value + MARKUP if isinstance(value, str) else value


@pytest.mark.slow
def test_nothing_runs_and_nothing_is_asked_for(
    make_comparison: Callable[..., Path], tmp_path: Path, browser: Any
) -> None:
    systems = ("bert", "charbert", "bert_wordrec")
    runs = make_comparison(tasks=("qnli", "conll2003"), systems=systems, suites=("drop",), count=40)
    assert hostile_texts(runs) > 300
    page = write_report([runs], tmp_path / "report")
    figures = sorted((page.parent / "figures").glob("*.svg"))
    assert figures
    for opened in (page, *figures):
        browser.open(opened)
        browser.run(EVERYTHING)
        assert browser.run("typeof window.hit") == "undefined", opened
        assert browser.run(f"document.querySelectorAll({json.dumps(OF_MARKUP)}).length") == 0, opened
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

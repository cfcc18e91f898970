"""What a page begins with, what it hides and folds, and that a report may be written again."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.common import InputError
from robustbench_char.records.evaluation import read_record, write_record
from robustbench_char.reports import write_report
from robustbench_char.reports.blocks import Table, texts
from robustbench_char.reports.results import load_results

Make = Callable[..., Path]


def _page(*folders: Path, output: Path) -> str:
    return write_report(folders, output).read_text(encoding="utf-8")


def test_one_task_has_sentence_table_figure_and_two_examples_in_this_order(make_runs: Make, tmp_path: Path) -> None:
    page = _page(make_runs(("conll2003",), counts=True), output=tmp_path / "out")
    marks = [
        "<h1>bert on conll2003</h1>",
        'class="verdict">At 31.7% of words',
        "<td",
        "<svg",
        "Worst kept by bert",
        "Best kept",
    ]
    places = [page.index(mark) for mark in [*marks, '<section id="task-conll2003"', '<section id="examples"']]
    assert places == sorted(places)
    assert page.count('<article class="card">') == 2
    assert "never for claims" not in page
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# bert on conll2003\n")
    assert text.index("Worst kept by bert") < text.index("## conll2003")


def test_mini_has_a_banner_and_a_run_its_name(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(("qnli", "cola"), counts=True)
    for path in root.glob("*-clean-*/record.json"):
        record = read_record(path)
        write_record(path.parent, record.model_copy(update={"data": record.data.model_copy(update={"source": "mini"})}))
    (root / "run.json").write_text(json.dumps({"name": "mine", "spec": {"about": "Two tasks."}}), encoding="utf-8")
    page = _page(root, output=tmp_path / "out")
    assert page.index("mini: generated data, never for claims") < page.index("<h1>mine</h1>")
    assert "<title>mine</title>" in page
    assert "Two tasks. 1 system, 2 tasks, 2 attack suites." in page
    assert '<article class="card">' not in page  # the explorer has the examples of several tasks
    assert page.count('class="verdict"') == 2


def test_a_page_of_check_is_named_by_its_models(make_runs: Make, tmp_path: Path) -> None:
    out = write_report([make_runs()], tmp_path / "out", run=("bert-qnli", "bert on qnli"))
    page = out.read_text(encoding="utf-8")
    assert "<h1>bert on qnli</h1>" in page
    assert '<p class="lead">1 system, 1 task, 2 attack suites.</p>' in page


def read_table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def unlearn(root: Path) -> None:
    """Let a constant answer be better than what the systems below a folder answer."""
    for path in root.rglob("record.json"):
        write_record(path.parent, read_record(path).model_copy(update={"constant_score": 99.0}))


TELL_OF_SETTINGS = {"systems", "compared", "fairness"}
"""Tables of what was done, not of how well."""


def test_what_has_not_learnt_is_named_once_and_stands_in_files_alone(make_comparison: Make, tmp_path: Path) -> None:
    systems, suites = ("bert", "bert_aug", "advbert"), ("charbert_2020", "drop", "swap", "mixed@0.1", "mixed@0.2")
    root = make_comparison(("qnli", "conll2003"), systems, suites, counts=True)
    unlearn(root / "2")
    out = write_report([root], tmp_path / "out").parent
    page, text = ((out / name).read_text(encoding="utf-8") for name in ("index.html", "report.md"))
    said = re.findall(r"Left out: .*", text)
    (note,) = said
    for task in ("qnli, accuracy", "conll2003, F1"):
        assert re.search(rf"advbert on {task} \S+ \\\[\S+ \S+\\\], best constant 99\.0[;.]", note)
    assert page.count("Left out: ") == 1
    for path in (out / "tables").glob("*.csv"):
        if path.stem in TELL_OF_SETTINGS or "advbert" not in path.read_text(encoding="utf-8"):
            continue
        assert "advbert" not in path.with_suffix(".md").read_text(encoding="utf-8"), path.stem
        assert "advbert" not in path.with_suffix(".tex").read_text(encoding="utf-8"), path.stem
        for row in read_table(path):
            told = row["learnt"] if "advbert" in row.values() else row.get("advbert_learnt", "False")
            assert told == "False", path.stem
    for path in (out / "figures").glob("*.svg"):
        assert "advbert" not in path.read_text(encoding="utf-8"), path.stem
        assert "bert_aug" in path.read_text(encoding="utf-8"), path.stem


def test_gains_over_what_has_not_learnt_are_not_given(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(("qnli",), ("bert", "advbert"), ("charbert_2020",), counts=True)
    unlearn(root / "0")
    out = write_report([root], tmp_path / "out").parent
    assert not (out / "tables" / "gains.csv").exists()
    assert "(+" not in (out / "tables" / "overview_qnli.md").read_text(encoding="utf-8")
    assert "word_subword" not in "".join(path.name for path in (out / "figures").iterdir())


def test_a_page_on_what_nobody_learnt_says_so_and_has_neither_table_nor_figure(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(("qnli",), counts=True)
    unlearn(root)
    out = write_report([root], tmp_path / "out").parent
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "Left out: bert on qnli" in text
    assert "No system has learnt qnli." in text
    assert not (out / "figures").exists()
    assert "## Before" not in text
    assert [row["learnt"] for row in read_table(out / "tables" / "summary.csv")] == ["False"]
    with pytest.raises(InputError, match="none to draw; expected results of a system that has learnt its task"):
        load_results(root).plot()


def test_columns_of_dashes_are_not_printed() -> None:
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["–", "–"], "c": ["–", "z"]})
    columns, rows = Table("t", "T.", frame, texts("A", "B", "C")).printed()
    assert [column.title for column in columns] == ["A", "C"]
    assert [[cell.text for cell in row] for row in rows] == [["x", "–"], ["y", "z"]]


def test_a_report_is_written_again_into_its_own_folder(make_runs: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_report([make_runs(("qnli", "cola"))], out)
    write_report([folder for folder in (tmp_path / "runs").iterdir() if folder.name.startswith("cola")], out)
    assert not list(out.rglob("*qnli*"))
    (out / "notes.md").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="other content"):
        write_report([tmp_path / "runs"], out)
    assert (out / "notes.md").is_file()


def test_a_page_of_somebody_else_is_refused(make_runs: Make, tmp_path: Path) -> None:
    page = tmp_path / "site" / "index.html"
    page.parent.mkdir()
    page.write_text("<title>My site</title>", encoding="utf-8")
    with pytest.raises(InputError, match="other content"):
        write_report([make_runs()], page.parent)
    assert page.read_text(encoding="utf-8") == "<title>My site</title>"

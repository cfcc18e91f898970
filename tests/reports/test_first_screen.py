"""What a page begins with, what it hides and folds, and that a report may be written again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.common import InputError
from robustbench_char.records.evaluation import read_record, write_record
from robustbench_char.reports import write_report
from robustbench_char.reports.blocks import Table, texts

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


def test_what_has_not_learnt_is_marked_wherever_it_stands(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(("qnli",), ("bert", "advbert"), ("charbert_2020",), counts=True)
    for path in root.glob("1/*/record.json"):
        write_record(path.parent, read_record(path).model_copy(update={"constant_score": 99.0}))
    out = write_report([root], tmp_path / "out").parent
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "Not learnt (the best constant answer has 99.0): advbert" in text
    assert text.count("Not learnt: the lower limit of the clean score") == 1
    for name in ("summary", "tasks_charbert_2020", "overview_qnli", "scores_qnli"):
        (line,) = [
            line for line in (out / "tables" / f"{name}.md").read_text("utf-8").splitlines() if "| advbert" in line
        ]
        assert "not learnt" in line
    for name in ("scores_qnli", "before_after"):
        assert "not learnt" in (out / "figures" / f"{name}.svg").read_text(encoding="utf-8")


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

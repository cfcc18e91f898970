"""The written report: what it holds, what it must not hold, and how it fails."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from robustbench_char.analysis.compare_runs import compare
from robustbench_char.analysis.pairs import comparison_table, pair_records
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.records.evaluation import find_records, read_record, write_record
from robustbench_char.records.published import publish
from robustbench_char.reports import report_frame, report_tables, sections, write_report
from robustbench_char.reports.sections import SECTIONS

Make = Callable[..., Path]
TASKS = ("qnli", "conll2003", "squad_v2")
BERT = "qnli-bert-0"
TEXTS = ("Lindqvist", "Haddad", "geometry", "clockmaker", "entailment", "B-LOC", "winter", "qnli-1")
"""Of fields, gold, predictions and ids of the made-up evaluations."""


class Page(HTMLParser):
    """Collects tags with their attributes, and the text of the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def update(folder: Path, **values: Any) -> None:
    write_record(folder, read_record(folder / "record.json").model_copy(update=values))


def all_text(folder: Path) -> str:
    texts = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".png")
    return "\n".join(path.read_text(encoding="utf-8") for path in texts)


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_written(make_runs: Make, tmp_path: Path) -> None:
    index = write_report([make_runs(TASKS)], tmp_path / "out")
    assert index == tmp_path / "out" / "index.html"
    out = index.parent
    each = {f"{kind}_{task}" for kind in ("scores", "all_scores") for task in TASKS}
    tables = each | {"summary", "systems", "data", "attacks", "versions", "tasks_drop", "tasks_swap", "published"}
    figures = {f"scores_{task}" for task in TASKS} | {"before_after"}
    assert {path.name for path in out.iterdir()} == {"index.html", "report.md", "tables", "figures"}
    assert {path.name for path in (out / "tables").iterdir()} == {
        f"{name}.{kind}" for name in tables for kind in ("csv", "md", "tex")
    }
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"{name}.{kind}" for name in figures for kind in ("svg", "png")
    }


def test_the_header_says_what_was_run(make_runs: Make, tmp_path: Path) -> None:
    text = Page(write_report([make_runs()], tmp_path / "out")).text
    for part in ("robustbench-char 0.1.0", "git commit 0123456789ab", "2026-01-05", "bert", "minilm", "22,713,216",
                 "777777777777", "cpu (2 cores)", "37.5 s"):  # fmt: skip
        assert part in text
    assert "dirty" not in text


def test_what_a_task_says_of_its_scores_is_printed(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(("cola",), suites=("drop",))
    for path in root.rglob("record.json"):
        update(path.parent, task_note="A typo may change what is acceptable.")
    text = Page(write_report([root], tmp_path / "out")).text
    assert text.count("A typo may change what is acceptable.") == 1


def test_dirty_and_mixed_versions_are_warned_of(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs()
    made = read_record(root / f"{BERT}-drop-1" / "record.json").provenance
    update(root / f"{BERT}-drop-1", provenance=made.model_copy(update={"git_dirty": True, "package_version": "0.2.0"}))
    text = Page(write_report([root], tmp_path / "out")).text
    assert "0123456789ab (dirty)" in text
    assert "marked dirty" in text
    assert "made by different versions" in text


def test_the_page_asks_for_nothing_from_outside(make_runs: Make, tmp_path: Path) -> None:
    index = write_report([make_runs(TASKS)], tmp_path / "out")
    page, source = Page(index), index.read_text(encoding="utf-8")
    assert not {tag for tag, _ in page.tags} & {"img", "link", "iframe", "object", "embed", "image"}
    scripts = re.findall(r"<script>(.*?)</script>", source, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in source
    assert len(scripts) == 1
    assert source.count("<script") == 2  # the other holds the examples, and is no script to a browser
    links = [value for _, attributes in page.tags for name, value in attributes.items()
             if name in {"src", "href", "xlink:href", "action"}]  # fmt: skip
    assert links
    assert all(value is not None and value.startswith("#") for value in links)
    assert "@import" not in source
    assert re.findall(r"url\((?!#)", source) == []


def test_ids_are_unique_and_links_lead_somewhere(make_runs: Make, tmp_path: Path) -> None:
    page = Page(write_report([make_runs(TASKS, ("bert", "charbert"))], tmp_path / "out"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"} <= set(ids)


def test_tables_hold_full_precision_and_print_one_decimal(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(count=117)
    out = write_report([root], tmp_path / "out").parent
    expected = comparison_table(pair_records(find_records([root])))
    rows = read_table(out / "tables" / "scores_qnli.csv")
    assert [float(row["attacked"]) for row in rows] == expected["attacked"].tolist()
    assert [float(row["retention"]) for row in rows] == expected["retention"].tolist()
    markdown = (out / "report.md").read_text(encoding="utf-8")
    assert f"| {expected['drop'][0]:.1f} | {100 * expected['relative_drop'][0]:.1f}% |" in markdown
    assert f"{expected['attacked'][0]}" not in markdown


def test_accuracy_has_its_interval_and_other_scores_have_none(make_runs: Make, tmp_path: Path) -> None:
    out = write_report([make_runs(("qnli", "conll2003"))], tmp_path / "out").parent
    row = read_table(out / "tables" / "scores_qnli.csv")[0]
    assert float(row["attacked_low"]) < float(row["attacked"]) < float(row["attacked_high"])
    assert read_table(out / "tables" / "scores_conll2003.csv")[0]["attacked_low"] == ""


def test_question_answering_is_scored_against_clean_answers_too(make_runs: Make, tmp_path: Path) -> None:
    out = write_report([make_runs(("squad_v2", "qnli"))], tmp_path / "out").parent
    row = read_table(out / "tables" / "scores_squad_v2.csv")[0]
    assert float(row["clean_gold_attacked"]) == pytest.approx(float(row["attacked"]) - 1.75)
    assert (out / "report.md").read_text(encoding="utf-8").count("Against clean answers") == 1
    every = read_table(out / "tables" / "all_scores_squad_v2.csv")
    assert [row["gold"] for row in every] == ["the file", "the file", "clean answers", "the file", "clean answers"]


def test_a_clean_score_of_nothing_defines_no_retention(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(("cola",), suites=("drop",))
    update(root / "cola-bert-0-clean-1", scores={"matthews": -3.0})
    out = write_report([root], tmp_path / "out").parent
    assert "Left out: bert on cola, Matthews correlation −3.0. Not" in (out / "report.md").read_text(encoding="utf-8")
    assert read_table(out / "tables" / "scores_cola.csv")[0]["retention"] == ""


def test_an_attacked_result_without_clean_partner_is_shown_and_warned_of(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs()
    text = Page(write_report([root / f"{BERT}-drop-1"], tmp_path / "out")).text
    assert "No clean result of the same weights on the same data was given for bert under drop." in text
    assert "not defined" not in text
    assert "No examples can be shown" in text


def test_clean_results_alone_are_shown(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs()
    out = write_report([root / f"{BERT}-clean-1"], tmp_path / "out").parent
    assert "No attacked data was evaluated on this task" in Page(out / "index.html").text
    assert len(read_table(out / "tables" / "all_scores_qnli.csv")) == 1


@pytest.mark.parametrize(("count", "warned"), [(99, True), (100, False)])
def test_few_examples_are_warned_of(make_runs: Make, tmp_path: Path, count: int, warned: bool) -> None:
    out = write_report([make_runs(count=count)], tmp_path / "out").parent
    assert ("Only 99 examples" in Page(out / "index.html").text) is warned
    assert ("**Warning:** Only 99" in (out / "report.md").read_text(encoding="utf-8")) is warned


def test_without_examples_no_text_of_a_prediction_is_written(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(TASKS)
    alone = [folder for folder in root.iterdir() if folder.name.startswith("conll2003-")]
    for number, folders in enumerate(([root], alone)):
        shown = all_text(write_report(folders, tmp_path / f"with{number}").parent)
        hidden = all_text(write_report(folders, tmp_path / f"without{number}", examples=False).parent)
        assert "explorer-data" in shown
        assert not [text for text in (*TEXTS, "explorer-data") if text in hidden]
    assert "B-LOC" in shown  # of one task two examples stand on the first screen
    assert "made without examples" in hidden


def test_published_results_without_predictions_make_a_page(make_runs: Make, tmp_path: Path) -> None:
    page = Page(write_report([make_runs(keep=False)], tmp_path / "out"))
    assert "No examples can be shown" in page.text
    assert not {"mark", "script"} & {tag for tag, _ in page.tags}
    assert "script-src 'none'" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_texts_and_names_are_data_not_markup(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(systems=("<script>alert(1)</script>",))
    out = write_report([root], tmp_path / "out").parent
    page = Page(out / "index.html")
    assert "b" not in {tag for tag, _ in page.tags}
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "<script>alert(1)</script>" in page.text
    assert "<b>nobody" in page.text
    markdown = (out / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown
    assert "<b>" not in markdown


def test_half_a_surrogate_pair_is_shown_as_its_escape(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(suites=("drop",))
    path = root / f"{BERT}-drop-1" / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame.assign(prediction=json.dumps("\ud83d")).to_parquet(path, index=False)
    update(path.parent, predictions_sha256=sha256_file(path))
    assert "\\ud83d" in write_report([root], tmp_path / "out").read_text(encoding="utf-8")


def test_a_pipe_does_not_break_a_markdown_table(make_runs: Make, tmp_path: Path) -> None:
    out = write_report([make_runs(TASKS, systems=("a|b",))], tmp_path / "out").parent
    width = 0
    for line in (out / "report.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (0, cells), line
        width = cells
    assert r"a\|b" in (out / "report.md").read_text(encoding="utf-8")


def test_edits_are_marked(make_runs: Make, tmp_path: Path) -> None:
    out = write_report([make_runs(suites=("swap",))], tmp_path / "out").parent
    for source in ((out / name).read_text(encoding="utf-8") for name in ("index.html", "report.md")):
        assert re.search(r"<del>\w\w</del><ins>\w\w</ins>", source)


def test_a_task_may_have_any_name(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(suites=("drop",))
    for condition in ("clean", "drop"):
        update(root / f"{BERT}-{condition}-1", task="../my task")
    out = write_report([root], tmp_path / "out").parent
    assert (out / "tables" / "scores_-my-task.csv").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "out"}


def test_the_same_records_give_the_same_bytes(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs(TASKS, ("bert", "charbert"))
    one = write_report([root], tmp_path / "one").parent
    folders = sorted(root.iterdir(), reverse=True)
    other = write_report([*folders, root], tmp_path / "other").parent
    assert all_text(one) == all_text(other)
    write_report([root], tmp_path / "one")  # the same again is no overwriting


def test_an_output_with_other_content_is_kept(make_runs: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    root = make_runs()
    with pytest.raises(InputError, match="an output folder with other content"):
        write_report([root], out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    with pytest.raises(InputError, match="something that this program did not write"):
        write_report([root], out, overwrite=True)
    shutil.copyfile(write_report([root], tmp_path / "earlier"), out / "index.html")
    assert write_report([root], out, overwrite=True).is_file()
    assert not (out / "mine.txt").exists()


def test_an_output_that_cannot_be_written(make_runs: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="it cannot be written"):
        write_report([make_runs()], tmp_path / "file" / "out")


def test_a_folder_without_records(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no record\.json; expected at least one evaluation"):
        write_report([tmp_path], tmp_path / "out")
    with pytest.raises(InputError, match="no such folder"):
        write_report([tmp_path / "absent"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_predictions_that_are_not_those_of_the_record(make_runs: Make, tmp_path: Path) -> None:
    root = make_runs()
    path = root / f"{BERT}-drop-1" / "predictions.parquet"
    path.write_bytes((root / f"{BERT}-swap-1" / "predictions.parquet").read_bytes())
    with pytest.raises(InputError, match=r"predictions\.parquet: found another content than its record"):
        write_report([root], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert write_report([root], tmp_path / "out", examples=False).is_file()  # scores do not stand on predictions


def test_the_frame_is_the_comparison_table(make_runs: Make) -> None:
    root = make_runs(TASKS, ("charbert", "bert"))
    frame = report_frame([root])
    assert len(frame) == 12
    assert frame["task"].is_monotonic_increasing
    assert list(frame.columns) == list(comparison_table([]).columns)


def test_every_file_of_sections_is_registered() -> None:
    folder = Path(str(sections.__file__)).parent
    registered = {SECTIONS.get(name).__module__.rpartition(".")[2] for name in SECTIONS}
    assert registered == {path.stem for path in folder.glob("*.py")} - {"__init__"} | {"examples"}


def test_a_published_set_gives_the_tables_of_its_run(make_comparison: Make, tmp_path: Path) -> None:
    run, published = make_comparison(TASKS, ("bert", "advbert"), ("drop",), count=40, counts=True), tmp_path / "set"
    publish(run, published)
    tables, same = report_tables([run]), report_tables([published])
    assert list(tables) == list(same)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, same[name])
    compared = compare(run, published)
    assert (compared.matched, compared.only_a, compared.only_b) == (len(compared.rows), (), ())
    assert {row.verdict for row in compared.rows} == {"same"}

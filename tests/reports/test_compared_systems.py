"""A report on several systems: their order, labels, marks, gains and costs."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure

from robustbench_char.analysis.pairs import comparison_table, pair_records
from robustbench_char.records.evaluation import find_records, read_record, write_record
from robustbench_char.records.training import AugmentInfo
from robustbench_char.reports import _formatting as formatting
from robustbench_char.reports import report_frame, score_figure, write_report
from robustbench_char.reports.sections.systems import _augmentation

Make = Callable[..., Path]
SYSTEMS = ("charbert", "bert_aug without keyboard", "bert", "bert_wordrec", "bert_aug", "advbert", "bert_mlm")
ORDER = ["bert", "charbert", "bert_aug without keyboard", "bert_wordrec", "bert_aug", "advbert", "bert_mlm"]


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def printed_table(out: Path, first_row: str) -> dict[str, list[str]]:
    """Return the cells of the first Markdown table with this head, by the first cell of each row."""
    text = (out / "report.md").read_text(encoding="utf-8")
    rows = text[text.index(first_row) :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {name: rest for name, *rest in cells}


def panels(figure: Figure) -> dict[str, list[str]]:
    """Return the labels of the bars by the title of their panel, those of systems that are not there left out."""
    return {axes.get_title(loc="left"): [text.get_text() for text in axes.texts] for axes in figure.axes}


def test_systems_stand_in_order_of_appearance_but_bert_first(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(("qnli", "conll2003"), SYSTEMS, ("drop",), count=20)
    frame = report_frame([root])
    assert list(dict.fromkeys(frame["label"])) == ORDER
    assert frame["task"].is_monotonic_increasing
    out = write_report([root], tmp_path / "out").parent
    assert [row["system"] for row in read_table(out / "tables" / "compared.csv")] == ORDER
    assert [row["label"] for row in read_table(out / "tables" / "scores_qnli.csv")] == ORDER
    assert [row["system"] for row in read_table(out / "tables" / "overview_conll2003.csv")] == ORDER


def test_two_variants_of_one_system_are_two_rows(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(systems=("bert_aug", "bert_aug without keyboard"), suites=("drop",))
    frame = report_frame([root])
    assert frame["system"].tolist() == ["bert_aug", "bert_aug"]
    assert frame["label"].tolist() == ["bert_aug", "bert_aug without keyboard"]
    assert [text.get_text() for text in score_figure(frame, "qnli").legends[0].get_texts()] == frame["label"].tolist()
    text = write_report([root], tmp_path / "out").read_text(encoding="utf-8")
    assert "2 systems, 1 task" in text
    assert "bert_aug without keyboard: " in text


def test_scores_under_an_attack_that_was_seen_are_marked(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(suites=("charbert_2020", "keyboard", "pruthi_2019_random"), count=30)
    out = write_report([root], tmp_path / "out").parent
    rows = printed_table(out, "| System | clean | charbert_2020 | keyboard | pruthi_2019_random |")
    marks = {name: ["".join(re.findall("[†‡]", cell)) for cell in cells] for name, cells in rows.items()}
    assert marks == {
        "bert": ["", "", "", ""],
        "bert_mlm": ["", "", "", ""],
        "advbert": ["", "", "", ""],
        "bert_wordrec": ["", "†", "†", "‡"],
        "charbert": ["", "", "", ""],
        "bert_aug": ["", "‡", "†", "†"],
        "bert_aug without keyboard": ["", "†", "", "†"],
    }
    markdown = (out / "report.md").read_text(encoding="utf-8")
    assert "† The system saw operators of this attack in training" in markdown
    saw = [row["saw_attack"] for row in read_table(out / "tables" / "scores_qnli.csv") if row["label"] == "bert_aug"]
    assert saw == ["suite", "operators", "operators"]
    seen = [line for line in markdown.splitlines() if line.startswith("| bert_aug | charbert_2020 |")]
    assert [line.count("‡") for line in seen] == [1]


def test_without_a_mark_there_is_no_footnote(make_comparison: Make, tmp_path: Path) -> None:
    text = write_report([make_comparison(systems=("bert", "charbert"))], tmp_path / "out").read_text(encoding="utf-8")
    assert "†" not in text
    assert "‡" not in text


def test_the_overview_holds_scores_and_gains(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(systems=("bert", "charbert"), suites=("drop", "swap"))
    table = comparison_table(pair_records(find_records([root]))).set_index(["label", "suite"])
    out = write_report([root], tmp_path / "out").parent
    bert, charbert = read_table(out / "tables" / "overview_qnli.csv")
    before, after = (table.loc[(name, "swap")] for name in ("bert", "charbert"))
    assert float(charbert["swap"]) == after["attacked"]
    assert float(charbert["swap_gain"]) == pytest.approx(after["attacked"] - before["attacked"])
    assert float(charbert["clean_gain"]) == pytest.approx(after["clean"] - before["clean"])
    assert float(charbert["swap_retention"]) == after["retention"]
    assert bert["swap_gain"] == ""
    markdown = (out / "report.md").read_text(encoding="utf-8")
    assert (
        f"{formatting.score(after['attacked'])} ({formatting.gain(after['attacked'] - before['attacked'])}) |"
        in markdown
    )
    assert "Gain over bert" in markdown


def test_the_systems_are_described(make_comparison: Make, tmp_path: Path) -> None:
    out = write_report([make_comparison(("qnli", "squad_v2"), suites=("drop",), count=20)], tmp_path / "out").parent
    rows = {row["system"]: row for row in read_table(out / "tables" / "compared.csv")}
    assert {row["tasks"] for row in rows.values()} == {"qnli, squad_v2"}
    assert rows["charbert"]["extra_parameters"] == "1500000"
    assert rows["bert_wordrec"]["extra_parameters"] == "1234567"
    costs = {row["system"]: row for row in read_table(out / "tables" / "costs.csv")}
    assert costs["bert_wordrec"]["parameters"] == str(22713216 + 1234567)
    assert rows["charbert"]["pretraining_tokens"] == "2457600"
    assert rows["charbert"]["pretraining_seconds"] == "2400.0"
    assert rows["bert"]["pretraining_tokens"] == ""
    assert rows["bert_aug without keyboard"]["augmentation"] == "charbert_2020 without keyboard; share 50.0%; seed 9"
    page = (out / "index.html").read_text(encoding="utf-8")
    for part in (
        "2,457,600 tokens",
        "1,200 steps, 40.0 min",
        "noise charbert_nlm_2020 on 15.0% of words",
        "clean text",
        "10,000 words, back-off pass-through",
        "1,234,567 parameters",
        "without keyboard",
        "share 50.0%",
    ):
        assert part in page


def test_the_cost_is_that_of_clean_data_over_all_seeds(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(systems=("bert", "charbert"), suites=("drop",), count=120)
    again = read_record(root / "1" / "qnli-charbert-0-clean-1" / "record.json")
    system = again.system.model_copy(update={"training_seed": 5, "weights_sha256": "another"})
    other = {"system": system, "predict_seconds": 1.2, "counts": {**again.counts, "pieces": 2000}}
    (root / "more").mkdir()
    write_record(root / "more", again.model_copy(update=other))
    attacked = root / "0" / "qnli-bert-0-drop-1"
    slow = read_record(attacked / "record.json").model_copy(update={"predict_seconds": 99.0})
    write_record(attacked, slow)
    out = write_report([root], tmp_path / "out", examples=False).parent
    bert, charbert = read_table(out / "tables" / "costs.csv")
    assert float(bert["microseconds"]) == pytest.approx(1e6 * 0.12 / 6000)
    assert float(charbert["microseconds"]) == pytest.approx(1e6 * (0.6 + 1.2) / (6000 + 2000))
    assert charbert["training_examples"] == "925"
    assert "| 20.0 |" in (out / "report.md").read_text(encoding="utf-8")


def test_records_that_tell_nothing_of_systems_make_no_such_section(make_runs: Make, tmp_path: Path) -> None:
    out = write_report([make_runs()], tmp_path / "out").parent
    assert not {"compared.csv", "costs.csv", "overview_qnli.csv"} & {path.name for path in out.iterdir()}
    columns = read_table(out / "tables" / "scores_qnli.csv")[0].keys()
    assert not {"label", "gain", "gain_clean", "saw_attack"} & columns


def test_a_result_found_twice_is_counted_once_in_every_table(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(systems=("bert", "bert_aug"), suites=("drop",))
    one = write_report([root], tmp_path / "one", examples=False).parent
    shutil.copytree(root, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("record.json"):
        later = {"created": "2027-01-01T00:00:00+00:00", "wall_seconds": 99.0, "predict_seconds": 99.0}
        write_record(path.parent, read_record(path).model_copy(update=later))
    two = write_report([tmp_path / "copy", root], tmp_path / "two", examples=False).parent
    files = [path.relative_to(one) for path in sorted(one.rglob("*")) if path.is_file()]
    assert files == [path.relative_to(two) for path in sorted(two.rglob("*")) if path.is_file()]
    for path in files:
        assert (one / path).read_bytes() == (two / path).read_bytes(), path


def test_many_systems_are_drawn_in_panels(make_comparison: Make) -> None:
    frame = report_frame([make_comparison(count=40)])
    figure = score_figure(frame, "qnli")
    figure.draw_without_rendering()
    assert list(panels(figure)) == ["clean", "add", "charbert_2020", "drop", "keyboard", "swap"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == list(dict.fromkeys(frame["label"]))
    keyboard = frame[frame["suite"] == "keyboard"]
    assert [patch.get_width() for patch in figure.axes[4].patches] == keyboard["attacked"].tolist()
    assert panels(figure)["keyboard"] == [
        formatting.score(value) + formatting.mark(saw)
        for value, saw in zip(keyboard["attacked"], keyboard["saw_attack"], strict=True)
    ]
    assert figure.axes[0].patches[0].get_hatch() != figure.axes[0].patches[1].get_hatch()
    assert figure.get_figwidth() <= 12


def test_no_text_of_the_panels_lies_on_another(make_comparison: Make) -> None:
    with matplotlib.rc_context({"font.size": 10.0}):
        figure = score_figure(report_frame([make_comparison(count=40)]), "qnli")
        figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels(), axes.title)]
    boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
    boxes += [axes.get_title(loc="left") and axes._left_title.get_window_extent() for axes in figure.axes]
    assert len(boxes) > 50
    assert not [
        (one, other)
        for index, one in enumerate(boxes)
        for other in boxes[:index]
        if one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1
    ]


def test_a_system_that_lacks_a_suite_leaves_its_row_empty(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(suites=("drop", "swap"), count=20)
    shutil.rmtree(root / "4" / "qnli-charbert-0-swap-1")
    figure = score_figure(report_frame([root]), "qnli")
    assert [len(texts) for texts in panels(figure).values()] == [7, 7, 6]
    out = write_report([root], tmp_path / "out").parent
    rows = {row["system"]: row for row in read_table(out / "tables" / "overview_qnli.csv")}
    assert rows["charbert"]["swap"] == ""
    assert printed_table(out, "| System | clean | drop | swap |")["charbert"][2] == formatting.DASH


def test_fresh_copies_and_consistency_are_named() -> None:
    copies: Any = {"suite": "charbert_2020", "suite_sha256": "5", "operators": ("drop",), "share": 0.5, "seed": 9}
    info = AugmentInfo(**copies, fresh=True, seeds=3, consistency=0.5)
    assert _augmentation(info, None) == "charbert_2020; share 50.0%; fresh in each epoch, seeds from 9; consistency 0.5"

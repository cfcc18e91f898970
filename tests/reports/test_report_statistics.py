"""Intervals, ties, seeds, breakdowns and sensitivity in a report: made of counts and measurements, nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustbench_char.analysis.breakdowns import cell_statistics
from robustbench_char.analysis.pairs import drop, pair_records
from robustbench_char.analysis.scores import error_reduction, family_gains
from robustbench_char.analysis.statistics import CLEAN, Statistics, statistics_of
from robustbench_char.common import InputError
from robustbench_char.records.evaluation import Record, find_records, read_record, write_record
from robustbench_char.records.sensitivity import (
    Group,
    Profile,
    ProfileWord,
    SensitivityRecord,
    write_sensitivity,
)
from robustbench_char.reports import report_figures, report_frame, report_tables, score_figure, write_report
from robustbench_char.reports.blocks import Table
from robustbench_char.reports.evidence import read_evidence
from robustbench_char.reports.sections import SECTIONS

Make = Callable[..., Path]
THREE = ("bert", "advbert", "charbert")
BERT, CHARBERT = ("bert", "minilm"), ("charbert", "minilm")


@pytest.fixture
def root(make_comparison: Make) -> Path:
    """Return evaluations of three systems with counts; on QNLI `charbert` is right in nearly all attacked examples."""
    return make_comparison(("qnli", "conll2003"), THREE, ("charbert_2020", "drop"), count=90, counts=True)


def statistics(root: Path) -> Statistics:
    return statistics_of(pair_records(find_records([root])))


def printed(root: Path, out: Path, name: str) -> dict[str, str]:
    """Return the lines of a printed table by their first cell."""
    write_report([root], out)
    lines = (out / "tables" / f"{name}.md").read_text(encoding="utf-8").splitlines()
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


def test_each_run_has_its_interval(root: Path) -> None:
    table = report_tables([root])["scores_conll2003"].set_index(["system", "suite"])
    runs = statistics(root).run_frame()
    runs = runs[runs["task"] == "conll2003"].set_index(["label", "suite"]).reindex(table.index)
    for name in ("clean", "attacked", "drop", "retention"):
        for end in ("low", "high"):
            assert table[f"{name}_{end}"].tolist() == runs[f"{name}_{end}"].tolist()
    assert set(table["interval"]) == {"bootstrap"}


def test_means_have_intervals_and_gains(root: Path, tmp_path: Path) -> None:
    found, means = statistics(root), read_evidence([root], examples=False).means
    row = means.set_index(["task", "label", "suite"]).loc[("qnli", "charbert", "drop")]
    expected = {
        "clean": found.score("qnli", CHARBERT, CLEAN),
        "attacked": found.score("qnli", CHARBERT, "drop"),
        "drop": found.change("qnli", CHARBERT, "drop", drop),
        "gain": found.difference("qnli", CHARBERT, BERT, "drop"),
    }
    for name, one in expected.items():
        assert one is not None
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (pytest.approx(one.value), one.low, one.high)
    text = printed(root, tmp_path / "out", "overview_qnli")["charbert"]
    assert f"\\[{row['attacked_low']:.1f}, {row['attacked_high']:.1f}\\]" in text


def test_what_is_not_told_apart_from_the_best_is_bold(root: Path, tmp_path: Path) -> None:
    found = statistics(root)
    table = report_tables([root])["overview_qnli"].set_index("system")
    for condition in (CLEAN, "charbert_2020", "drop"):
        best = {system for system, bold in table[f"{condition}_best"].items() if bold}
        assert best == {label for label, _ in found.best("qnli", condition)}
    lines = printed(root, tmp_path / "out", "overview_qnli")
    assert ("**" in lines["bert"]) is bool(table.loc["bert", [f"{name}_best" for name in (CLEAN, "drop")]].any())
    caption = (tmp_path / "out" / "tables" / "overview_qnli.md").read_text(encoding="utf-8")
    assert "not significantly different from it (permutation test, Holm" in caption
    assert "Effective strength, of eligible words: charbert\\_2020 48.8%" in caption.replace("charbert_", "charbert\\_")


def test_lines_of_figures_are_intervals(root: Path) -> None:
    means = read_evidence([root], examples=False).means
    figure = score_figure(report_frame([root]), "qnli", means)
    spans = [tuple(line.get_segments()[0][:, 1]) for line in figure.axes[0].collections]
    part = means[means["task"] == "qnli"]
    assert {(row["attacked_low"], row["attacked_high"]) for row in part.to_dict("records")} <= set(spans)


def test_seeds_stand_apart(make_comparison: Make, tmp_path: Path) -> None:
    root = make_comparison(("qnli",), ("bert", "charbert"), ("drop",), counts=True)
    assert "seeds_qnli" not in report_tables([root])
    for system in ("bert", "charbert"):
        for path in list(root.rglob(f"qnli-{system}-0-*/record.json")):
            made = read_record(path)
            folder = path.parent.with_name(path.parent.name.replace("-0-", "-7-"))
            folder.mkdir()
            for name in ("counts.parquet", "predictions.parquet"):
                (folder / name).write_bytes((path.parent / name).read_bytes())
            info = made.system.model_copy(update={"training_seed": 7, "weights_sha256": f"{system} again"})
            score = {"accuracy": made.scores["accuracy"] - 2.0}
            write_record(folder, made.model_copy(update={"system": info, "scores": score}))
    row = report_tables([root])["seeds_qnli"].set_index("system").loc["bert"]
    first = read_record(root / "0" / "qnli-bert-0-drop-1" / "record.json").scores["accuracy"]
    assert (row["training_seeds"], row["attack_seeds"]) == (2, 1)
    assert row["mean"] == pytest.approx(first - 1.0)
    assert row["training_spread"] == pytest.approx(np.sqrt(2.0))
    assert row["worst"] == pytest.approx(first - 2.0)


def test_word_and_subword_are_scored_apart(root: Path, tmp_path: Path) -> None:
    pairs = [pair for pair in pair_records(find_records([root])) if pair.attacked.condition == "charbert_2020"]
    found = cell_statistics(pairs, statistics_of(pairs), ["pieces"])
    table = report_tables([root])["by_pieces"].set_index(["task", "label", "value"])
    assert list(table.index.unique("value")) == ["Word", "Subword"]
    for value in ("Word", "Subword"):
        one = found["pieces", value].difference("conll2003", CHARBERT, BERT, "charbert_2020", clean=True)
        row = table.loc[("conll2003", "charbert", value)]
        assert one is not None
        assert row["gain_clean"] == one.value
    caption = (write_report([root], tmp_path / "out").parent / "report.md").read_text(encoding="utf-8")
    assert "Diamonds: the paper's gains of charbert on clean CoNLL-2003 (Word +0.29, Subword +0.68)" in caption
    axes = report_figures([root])["word_subword"].axes
    titles = [one.get_title(loc="left") for one in axes]
    assert titles == ["conll2003, clean", "conll2003, attacked", "qnli, clean", "qnli, attacked"]
    assert [list(line.get_xdata()) for line in axes[0].get_lines() if line.get_marker() == "D"] == [[0.29, 0.68]]


def test_results_without_counts_have_no_breakdowns(make_comparison: Make) -> None:
    tables = report_tables([make_comparison(("conll2003",), THREE, ("drop",))])
    assert not [name for name in tables if name.startswith("by_")]


def test_relative_error_reduction() -> None:
    assert error_reduction(85.0, 5.0) == pytest.approx(0.25)  # of 20 errors 15 are left
    assert error_reduction(70.0, -10.0) == pytest.approx(-0.5)
    assert error_reduction(100.0, 0.0) is None


def test_gains_are_means_over_the_tasks_of_a_family() -> None:
    rows = [("qnli", 80.0, 10.0), ("cola", 60.0, -20.0)]
    means = pd.DataFrame(
        [{"task": task, "label": "charbert", "suite": "drop", "clean": score, "attacked": score, "gain": gain,
          "gain_clean": gain} for task, score, gain in rows]
    )  # fmt: skip
    (row,) = family_gains(means, {"qnli": "classification", "cola": "classification"}, "drop").to_dict("records")
    assert (row["tasks"], row["gain"]) == ("qnli, cola", -5.0)
    assert row["error_reduction"] == pytest.approx((10 / 30 - 20 / 20) / 2)


def measured(record: Record, s: float, *, seed: int = 0) -> SensitivityRecord:
    """Return a made-up measurement of a system."""
    assert record.data.attack is not None
    cells = (("all", "all"), ("changed", "changed"), ("changed", "unchanged"), ("pieces", "Word"),
             ("pieces", "Subword"), ("operator", "drop"))  # fmt: skip
    groups = [
        Group(group=group, value=value, words=100 + place, left_out=place, s=s + place / 100, low=s - 0.01,
              high=s + 0.09, half=(s + place / 100) / 2)
        for place, (group, value) in enumerate(cells)
    ]  # fmt: skip
    system = record.system.model_copy(update={"training_seed": seed})
    return SensitivityRecord(
        task=record.task, system=system, layer=-1, pooling="mean", stream="both", max_length=128, examples=90,
        clean_sha256=record.data.attack.clean_sha256, attacked_sha256=record.data.sha256, attack=record.data.attack,
        summary=tuple(groups), words_sha256="", wall_seconds=1.0, device="cpu", created=record.created,
        provenance=record.provenance,
    )  # fmt: skip


@pytest.fixture
def with_sensitivity(root: Path) -> Path:
    """Return the evaluations of `root` with a measurement of each system on CoNLL-2003, two of `charbert`."""
    for number, (system, s, seed) in enumerate(
        (("charbert", 0.3, 0), ("charbert", 0.4, 1), ("bert", 0.2, 0), ("advbert", 0.1, 0))
    ):
        path = next(root.rglob(f"conll2003-{system}-0-charbert_2020-1/record.json"))
        folder = root / "sensitivity" / f"{number}"
        folder.mkdir(parents=True)
        words = (ProfileWord(word="harbour", attacked="harbuor", distance=s), ProfileWord(word="is", attacked="is",
                 distance=None))  # fmt: skip
        profile = (Profile(id="conll2003-1", row=1, words=words),)
        write_sensitivity(folder, measured(read_record(path), s, seed=seed), profile)
    return root


def test_sensitivity_stands_beside_the_papers_and_against_the_drop(with_sensitivity: Path, tmp_path: Path) -> None:
    tables = report_tables([with_sensitivity])
    table = tables["sensitivity"].set_index("system")
    assert list(table.index) == ["bert", "advbert", "charbert"]
    assert table["all"].tolist() == pytest.approx([0.2, 0.1, 0.35])
    assert table["half"].tolist() == pytest.approx([0.1, 0.05, 0.175])
    assert table["published"].tolist() == [0.0612, 0.0407, 0.0986]
    assert table["runs"].tolist() == [1, 1, 2]
    assert table["S_drop"].tolist() == pytest.approx([0.25, 0.15, 0.4])
    assert len(tables["sensitivity_groups"]) == 4 * 6
    (axes,) = report_figures([with_sensitivity])["sensitivity_drop"].axes
    drops = report_tables([with_sensitivity])["tasks_charbert_2020"].set_index("system")["conll2003_drop"]
    points = {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines()}
    assert points["charbert"] == (pytest.approx(0.35), drops["charbert"])
    line = printed(with_sensitivity, tmp_path / "out", "sensitivity")["conll2003"]
    assert re.search(r"\| charbert \| charbert_2020 \| 100 \| 0\.3500 \|.*\| 0\.1750 \| 0\.0986 \| 2 \|", line)


def test_a_system_measured_in_two_ways_has_a_point_for_each(with_sensitivity: Path) -> None:
    path = with_sensitivity / "sensitivity" / "1" / "sensitivity.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"layer": 3}), encoding="utf-8")
    (axes,) = report_figures([with_sensitivity])["sensitivity_drop"].axes
    points = {line.get_label(): (*line.get_xdata(), *line.get_ydata()) for line in axes.get_lines()}
    tables = report_tables([with_sensitivity])
    drop = tables["tasks_charbert_2020"].set_index("system").loc["charbert", "conll2003_drop"]
    assert points["charbert (layer -1)"] == (pytest.approx(0.3), drop)
    assert points["charbert (layer 3)"] == (pytest.approx(0.4), drop)
    assert set(points) == set(tables["sensitivity"]["system"])
    assert not {"label", "base"} & set(tables["sensitivity"])


def test_findings_of_the_paper_stand_beside_ours(with_sensitivity: Path) -> None:
    table = report_tables([with_sensitivity])["findings"].set_index(["finding", "system"])
    row = table.loc[("sensitivity", "bert")]
    assert (row["published"], row["ours"], row["ours_low"]) == (0.0612, 0.2, pytest.approx(0.19))
    assert table.loc[("sensitivity", "charbert"), "ours"] == pytest.approx(0.35)
    assert np.isnan(table.loc[("sensitivity", "charbert"), "ours_low"])  # over two seeds there is no one interval
    frame = report_tables([with_sensitivity])["by_pieces"].set_index(["task", "label", "value"])
    gain = table.loc[("f1_gain_over_bert_on_subword_words", "charbert")]
    assert gain["ours"] == frame.loc[("conll2003", "charbert", "Subword"), "gain_clean"]
    shares = {name: row["ours"] for (name, _), row in table.iterrows() if name.startswith("subword_share")}
    assert shares["subword_share_of_words"] == pytest.approx(100 * 108 / (108 + 106))
    units = frame.sort_index().loc[("conll2003", "bert")]["units"]
    assert shares["subword_share_of_entities"] == pytest.approx(100 * units["Subword"] / units.sum())


def test_profiles_are_drawn_only_with_examples(with_sensitivity: Path, tmp_path: Path) -> None:
    out = write_report([with_sensitivity], tmp_path / "with").parent
    assert (out / "figures" / "profile_1.svg").is_file()
    assert "harbuor" in (out / "index.html").read_text(encoding="utf-8")
    hidden = write_report([with_sensitivity], tmp_path / "without", examples=False).parent
    assert not (hidden / "figures" / "profile_1.svg").exists()
    texts = [path for path in hidden.rglob("*") if path.suffix in {".md", ".html", ".csv", ".tex", ".svg"}]
    assert not [path for path in texts if "harbuor" in path.read_text(encoding="utf-8")]


def test_a_measurement_of_a_newer_schema_is_refused(with_sensitivity: Path, tmp_path: Path) -> None:
    path = with_sensitivity / "sensitivity" / "0" / "sensitivity.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2}))
    with pytest.raises(InputError, match=r"sensitivity\.json: schema: found 2, of a newer version"):
        write_report([with_sensitivity], tmp_path / "out")


def test_counts_of_another_record_are_refused(root: Path, tmp_path: Path) -> None:
    path = next(root.rglob("qnli-bert-0-drop-1/counts.parquet"))
    path.write_bytes(next(root.rglob("qnli-charbert-0-clean-1/counts.parquet")).read_bytes())
    with pytest.raises(InputError, match=r"counts\.parquet: found another content than its record was made with"):
        write_report([root], tmp_path / "out")


def test_counts_without_intervals_say_why(make_comparison: Make) -> None:
    root = make_comparison(("qnli",), ("bert", "charbert"), ("drop",), count=1, counts=True)
    means: Any = read_evidence([root], examples=False).means
    assert set(means["attacked_note"]) == {"one example"}
    assert means["attacked_low"].isna().all()
    (table,) = [table for table in report_captions(root) if table.startswith("qnli: accuracy of all systems")]
    assert "not significantly different from it (permutation test" in table


def test_ties_are_untested_only_where_a_system_has_no_counts(root: Path) -> None:
    for path in root.rglob("qnli-advbert-0-*/record.json"):
        write_record(path.parent, read_record(path).model_copy(update={"counts_sha256": None}))
    captions = report_captions(root)
    (both,) = [caption for caption in captions if caption.startswith("All tasks under drop")]
    assert "p ≥ 0.05); of qnli under drop, where not all systems have counts of each example, the highest score" in both
    overviews = {caption.partition(":")[0]: caption for caption in captions if "of all systems, clean" in caption}
    assert "not significantly different from it" in overviews["conll2003"]
    assert "Bold: the highest score (ties are tested only where all systems have counts" in overviews["qnli"]


def report_captions(root: Path) -> list[str]:
    """Return the captions of all tables."""
    evidence = read_evidence([root], examples=False)
    sections = [section for name in SECTIONS for section in SECTIONS.get(name)(evidence)]
    return [block.caption for section in sections for block in section.blocks if isinstance(block, Table)]

"""Results as a data frame, with the tables, figures and report made from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import robustbench_char as rbc
from robustbench_char.records.evaluation import find_records, write_predictions
from robustbench_char.reports import report_tables
from robustbench_char.reports.examples._choice import OUTCOMES
from robustbench_char.reports.examples._frame import EXAMPLE_COLUMNS
from robustbench_char.reports.results import FRAME_COLUMNS

SET = Path(__file__).resolve().parents[2] / "reports" / "results" / "first_comparison"


def test_one_row_per_record_with_its_headline_score() -> None:
    results = rbc.load_results(SET)
    records = [record for _, record in find_records([SET])]
    assert results["score"].tolist() == [record.scores[record.headline] for record in records]
    assert results["condition"].tolist() == [record.condition for record in records]
    clean = results[results["condition"] == "clean"]
    assert type(clean) is pd.DataFrame
    assert clean["attack_seed"].isna().all()
    assert (results.groupby("task")["score"].max() == clean.set_index("task")["score"]).all()


def test_tables_figures_and_report_are_those_of_the_report(tmp_path: Path) -> None:
    results = rbc.load_results(str(SET))
    pd.testing.assert_frame_equal(results.table("scores_qnli"), report_tables([SET])["scores_qnli"])
    assert results.figure("scores_qnli").axes
    page = results.report(tmp_path / "report", examples=False)
    assert page == tmp_path / "report" / "index.html"
    assert (tmp_path / "report" / "tables" / "scores_qnli.csv").is_file()
    with pytest.raises(rbc.InputError, match=r"table name: found 'score_qnli'.*Did you mean 'scores_qnli'"):
        results.table("score_qnli")
    with pytest.raises(rbc.InputError, match=r"figure name: found 'x'; expected one of before_after, scores_conll2003"):
        results.figure("x")


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(rbc.InputError, match="at least one evaluation"):
        rbc.load_results(tmp_path)


def test_a_row_per_task_system_and_suite_with_intervals(make_runs: Callable[..., Path]) -> None:
    folder = make_runs(tasks=("qnli", "conll2003"), systems=("bert", "charbert"), counts=True)
    results = rbc.load_results(folder)
    frame = results.frame()
    assert type(frame) is pd.DataFrame
    assert tuple(frame.columns) == FRAME_COLUMNS
    assert len(frame) == len(frame[["task", "system", "suite"]].drop_duplicates()) > 2
    assert ((frame["attacked_low"] <= frame["attacked"]) & (frame["attacked"] <= frame["attacked_high"])).all()
    assert frame["drop"].tolist() == pytest.approx((frame["clean"] - frame["attacked"]).tolist())
    html = results._repr_html_()
    assert all(text in html for text in ("<table", "charbert", "words mistyped"))
    assert all(text in str(results) for text in ("Clean", "charbert", "words mistyped"))


def test_clean_results_alone_have_a_row_and_no_figure(make_runs: Callable[..., Path]) -> None:
    results = rbc.load_results(make_runs(suites=()))
    (row,) = results.frame().to_dict("records")
    assert (row["system"], row["task"], pd.isna(row["suite"]), pd.isna(row["attacked"])) == ("bert", "qnli", True, True)
    with pytest.raises(rbc.InputError, match=r"none to draw; expected results of a system that .* on clean and on at"):
        results.plot()
    with pytest.raises(rbc.InputError, match=r"found no predictions on both clean and attacked data"):
        results.examples()


@pytest.mark.parametrize("task", ["qnli", "conll2003", "squad_v2"])
def test_examples_before_and_after(make_runs: Callable[..., Path], task: str) -> None:
    results = rbc.load_results(make_runs(tasks=(task,)))
    every = results.examples(None, most=None)
    assert tuple(every.columns) == EXAMPLE_COLUMNS
    assert set(every["outcome"]) <= set(OUTCOMES)
    assert (every["text"] != every["attacked_text"]).all()
    broken = results.examples()
    assert (broken["outcome"] == "broken").all()
    assert (broken["lost"] > 0).all()
    assert broken.groupby("suite")["lost"].apply(lambda lost: lost.is_monotonic_decreasing).all()
    assert len(results.examples(most=1)) == broken["suite"].nunique()
    before, after = broken.iloc[0]["edits"].split(", ")[0].split(" → ")
    assert before in broken.iloc[0]["text"]
    assert after in broken.iloc[0]["attacked_text"]
    with pytest.raises(
        rbc.InputError, match=r"outcome: found 'brokn'; expected one of broken, .*Did you mean 'broken'"
    ):
        results.examples("brokn")


def test_an_attack_without_edits_has_no_examples(make_runs: Callable[..., Path]) -> None:
    folder = make_runs(suites=("drop",))
    attacked = next(folder.glob("*drop*"))
    frame = pd.read_parquet(attacked / "predictions.parquet").assign(edits="[]")
    record = json.loads((attacked / "record.json").read_text())
    record["predictions_sha256"] = write_predictions(attacked, frame)
    (attacked / "record.json").write_text(json.dumps(record))
    assert rbc.load_results(folder).examples().empty


def test_the_figure_is_a_curve_bars_or_all_tasks(make_runs: Callable[..., Path]) -> None:
    results = rbc.load_results(make_runs(tasks=("qnli", "conll2003"), counts=True))
    assert results.plot("qnli").axes[0].patches  # bars
    assert results.plot().axes
    with pytest.raises(rbc.InputError, match=r"task: found 'qnl'; expected one of .*qnli.*Did you mean 'qnli'"):
        results.plot("qnl")


def test_a_sweep_is_drawn_as_a_curve(monkeypatch: pytest.MonkeyPatch, make_runs: Callable[..., Path]) -> None:
    results = rbc.load_results(make_runs())
    drawn: list[pd.DataFrame] = []
    monkeypatch.setattr("robustbench_char.reports.results.strength_sweeps", lambda means: means)
    monkeypatch.setattr("robustbench_char.reports.results.strength_figure", drawn.append)
    results.plot()
    assert drawn[0]["task"].tolist()[0] == "qnli"


def test_records_that_do_not_belong_in_one_table_are_shown_by_row(make_runs: Callable[..., Path]) -> None:
    folder = make_runs()
    (path, *_) = sorted(folder.rglob("record.json"))
    other = json.loads(path.read_text()) | {"metric": "matthews", "headline": "matthews", "scores": {"matthews": 1.0}}
    (folder / "other").mkdir()
    (folder / "other" / "record.json").write_text(json.dumps(other))
    results = rbc.load_results(folder)
    with pytest.raises(rbc.InputError, match="one table"):
        results.frame()
    assert "effective_strength" in results._repr_html_()

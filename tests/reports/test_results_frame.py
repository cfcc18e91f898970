"""Results as a data frame, with the tables, figures and report made from them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import robustbench_char as rbc
from robustbench_char.records.evaluation import find_records
from robustbench_char.reports import report_tables

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

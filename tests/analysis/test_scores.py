"""The scores of tables, from published results: means over seeds, intervals, what is best, gains, sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from scipy.stats import binomtest

from robustbench_char.analysis.pairs import Pair, comparison_table, pair_records, root_of
from robustbench_char.analysis.scores import (
    error_reduction,
    family_gains,
    main_suite,
    mean_scores,
    run_scores,
    single_operators,
    strength_sweeps,
    strongest,
    suites_of,
    system_labels,
    ties_tested,
    wilson,
)
from robustbench_char.analysis.statistics import Statistics, statistics_of
from robustbench_char.records.evaluation import find_records

NO_COUNTS = Statistics({}, {})
RECORDS = Path(__file__).resolve().parents[2] / "reports" / "results" / "six_systems_gpu" / "records"


class Made(NamedTuple):
    pairs: list[Pair]
    frame: pd.DataFrame
    statistics: Statistics
    means: pd.DataFrame


@pytest.fixture(scope="module")
def made() -> Made:
    """Three systems on qnli, two training seeds, five suites."""
    pairs = pair_records(find_records([RECORDS / name / "qnli" for name in ("bert", "advbert", "bert_aug")]))
    frame, statistics = comparison_table(pairs), statistics_of(pairs)
    return Made(pairs, frame, statistics, mean_scores(frame, pairs, statistics))


def test_means_are_over_seeds_and_lie_in_their_intervals(made: Made) -> None:
    rows = made.means.set_index(["label", "suite"])
    for (label, suite), part in made.frame.groupby(["label", "suite"]):
        row = rows.loc[(label, suite)]
        assert row["attacked"] == pytest.approx(part["attacked"].mean())
        assert row["drop"] == pytest.approx(part["clean"].mean() - part["attacked"].mean())
        assert row["runs"] == len(part) == 2
        for name in ("clean", "attacked", "drop", "retention"):
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    bert = made.means["label"] == "bert"
    assert made.means.loc[bert, "gain"].isna().all()
    gains = rows["attacked"] - rows["attacked"].xs("bert").reindex(rows.index, level="suite")
    pd.testing.assert_series_equal(rows["gain"].dropna(), gains[rows["gain"].notna()], check_names=False)
    saw = {label: strongest(part) for label, part in made.frame.groupby("label")["saw_attack"]}
    assert saw == {"bert": None, "advbert": None, "bert_aug": "operators"}


def test_the_best_is_marked_with_what_is_not_told_apart(made: Made) -> None:
    for _, part in made.means.groupby("suite"):
        assert part.loc[part["attacked"].idxmax(), "attacked_best"]
    assert ties_tested(made.means).all()
    alone = mean_scores(made.frame[made.frame["label"] == "bert"], _of(made, "bert"), made.statistics)
    assert not alone[["clean_best", "attacked_best"]].to_numpy().any()
    uncounted = mean_scores(made.frame, made.pairs, NO_COUNTS)
    best = uncounted[uncounted["attacked_best"]]
    assert best["attacked"].tolist() == uncounted.groupby("suite", sort=False)["attacked"].max()[best["suite"]].tolist()
    assert uncounted["attacked_low"].isna().all()
    assert not ties_tested(uncounted).any()


def _of(made: Made, label: str) -> list[Pair]:
    return [pair for pair in made.pairs if pair.attacked.system.shown == label]


def test_each_run_has_its_interval(made: Made) -> None:
    runs = run_scores(made.frame, made.pairs, made.statistics)
    assert (runs["interval"] == "bootstrap").all()
    assert runs["attacked"].between(runs["attacked_low"], runs["attacked_high"]).all()
    without = run_scores(made.frame, made.pairs, NO_COUNTS)
    assert (without["interval"] == "wilson").all()
    assert without["drop_low"].isna().all()
    pair, row = made.pairs[0], without.iloc[0]
    test = binomtest(pair.attacked.counts["correct"], pair.attacked.counts["examples"])
    exact = test.proportion_ci(0.95, method="wilson")
    assert (row["attacked_low"], row["attacked_high"]) == pytest.approx((100 * exact.low, 100 * exact.high))


@pytest.mark.parametrize(("right", "trials"), [(0, 3), (3, 3), (17, 40), (512, 1365)])
def test_wilson_is_that_of_scipy(right: int, trials: int) -> None:
    exact = binomtest(right, trials).proportion_ci(0.95, method="wilson")
    assert wilson(right / trials, trials) == pytest.approx((exact.low, exact.high))


def test_suites_operators_and_sweeps(made: Made) -> None:
    assert suites_of(made.means)[0] == main_suite(made.means) == "charbert_2020"
    assert main_suite(made.means[made.means["suite"] != "charbert_2020"]) in {"add", "drop", "keyboard", "swap"}
    single = single_operators(made.means)
    assert set(single["operators"]) == {"add", "drop", "keyboard", "swap"}
    weaker = made.means.assign(
        effective_strength=made.means["effective_strength"] / 2, suite=made.means["suite"] + "@0.5"
    )
    both = pd.concat([weaker, made.means], ignore_index=True)
    pd.testing.assert_frame_equal(single_operators(both).reset_index(drop=True), single.reset_index(drop=True))
    sweeps = strength_sweeps(both)
    assert len(sweeps) == len(both)
    assert all(part["effective_strength"].is_monotonic_increasing for _, part in sweeps.groupby(["label", "sweep"]))
    assert strength_sweeps(made.means).empty
    assert strength_sweeps(made.means.assign(effective_strength=float("nan"))).empty


def test_gains_by_family(made: Made) -> None:
    gains = family_gains(made.means, {"qnli": "classification"}, "drop").set_index("label")
    rows = made.means[made.means["suite"] == "drop"].set_index("label")
    assert gains.index.tolist() == [label for label in rows.index if label != "bert"]
    for label, row in gains.iterrows():
        assert (row["family"], row["tasks"]) == ("classification", "qnli")
        assert row["gain"] == pytest.approx(rows.loc[label, "gain"])
        assert row["error_reduction"] == pytest.approx(
            error_reduction(rows.loc[label, "attacked"], rows.loc[label, "gain"])
        )
    assert error_reduction(100.0, 0.0) is None


def test_labels_tell_bases_apart(made: Made) -> None:
    assert set(system_labels(made.frame)) == {"bert", "advbert", "bert_aug"}
    two = made.frame.assign(base=["minilm", "other"] * (len(made.frame) // 2))
    assert "bert (other)" in set(system_labels(two))
    assert {root_of(pair.attacked) for pair in made.pairs} == {"minilm"}

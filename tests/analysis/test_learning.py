"""What has not learnt its task has no retention, and is never the best."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustbench_char.analysis.learning import constant_score, is_learnt, learning
from robustbench_char.analysis.pairs import Pair, comparison_table, pair_records
from robustbench_char.analysis.scores import mean_scores, run_scores
from robustbench_char.analysis.statistics import Statistics, statistics_of
from robustbench_char.metrics.bootstrap import Interval
from robustbench_char.records.evaluation import find_records

RECORDS = Path(__file__).resolve().parents[2] / "reports" / "results" / "cpu_six_systems" / "records" / "minilm"
NO_COUNTS = Statistics({}, {})


def _pairs(task: str, *systems: str) -> list[Pair]:
    return pair_records(find_records([RECORDS / name / task for name in systems]))


def test_a_system_at_the_majority_class_has_not_learnt() -> None:
    pairs = _pairs("mrpc", "bert", "charbert")
    statistics = statistics_of(pairs)
    known = {system[0]: found for (_, system), found in learning(pairs, statistics).items()}
    majority = 100 * max(share := 279 / 408, 1 - share)
    assert known["bert"] == (pytest.approx(majority), True)
    assert known["charbert"] == (pytest.approx(majority), False)
    frame = comparison_table(pairs)
    means = mean_scores(frame, pairs, statistics).set_index("label")
    assert means.loc["charbert", "attacked"].min() > means.loc["bert", "attacked"].max()
    assert not means.loc["charbert", ["clean_best", "attacked_best"]].to_numpy().any()
    assert means.loc["charbert", ["retention", "retention_low", "relative_drop"]].isna().to_numpy().all()
    assert set(means.loc["charbert", "retention_note"]) == {"not learnt"}
    runs = run_scores(frame, pairs, statistics).set_index("label")
    assert runs.loc["charbert", ["retention", "relative_drop", "retention_low"]].isna().to_numpy().all()
    assert runs.loc["bert", "retention"].notna().all()
    assert runs["drop"].notna().all()


def test_a_record_says_its_constant_where_counts_do_not() -> None:
    pairs = _pairs("qnli", "bert")
    assert [found for found, _ in learning(pairs, statistics_of(pairs)).values()] == [None]
    pair = pairs[0]
    assert pair.clean is not None
    told = pair.clean.model_copy(update={"constant_score": 99.0})
    assert constant_score(told) == 99.0
    known = learning([Pair(pair.attacked, pair.attacked_folder, told, pair.clean_folder)], NO_COUNTS)
    assert list(known.values()) == [(99.0, False)]


@pytest.mark.parametrize(
    ("low", "constant", "learnt"), [(51.0, 50.0, True), (50.0, 50.0, False), (None, 50.0, True), (1.0, None, True)]
)
def test_the_lower_limit_must_be_above(low: float | None, constant: float | None, learnt: bool) -> None:
    assert is_learnt(Interval(60.0, low, 70.0), 60.0, constant) is learnt

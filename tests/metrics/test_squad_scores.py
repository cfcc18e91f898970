"""SQuAD's scores against golden cases made by the official rules, and an oracle that states those rules again."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.metrics.base import QaGold, QaPrediction, Scores, score
from robustbench_char.metrics.squad import normalize_answer

CASES = Path(__file__).parent / "cases"

pieces = st.sampled_from(
    ["a", "An", "the", "mill", "Mill", "old", "dam", "x-y", "…", "“", "'s", ".", " ", "\u00a0", "_", "é"]
)
texts = st.lists(pieces, max_size=6).flatmap(
    lambda parts: st.sampled_from(["".join(parts), " ".join(parts)])
) | st.text(max_size=8)
questions = st.fixed_dictionaries(
    {
        "answers": st.lists(texts, max_size=3),
        "text": texts,
        "best_text": texts | st.just(""),
        "null_odds": st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0]) | st.floats(-5, 5),
    }
)


def _score(metric: str, rows: list[dict[str, Any]]) -> Scores:
    golds = [QaGold(tuple(row["answers"])) for row in rows]
    said = [QaPrediction(row["text"], row.get("best_text", row["text"]), row.get("null_odds", 0.0)) for row in rows]
    return score(metric, golds, said)


def _cases() -> list[Any]:
    cases = []
    for metric in ("squad_v1", "squad_v2"):
        read = json.loads((CASES / f"{metric}.json").read_text(encoding="utf-8"))
        cases += [pytest.param(metric, case, id=f"{metric}: {case['name']}") for case in read]
    return cases


@pytest.mark.parametrize(("metric", "case"), _cases())
def test_golden_cases(metric: str, case: dict[str, Any], squad_official: ModuleType) -> None:
    assert _score(metric, case["questions"]).scores == pytest.approx(case["expected"], abs=1e-12)
    oracle = squad_official.evaluate_v1 if metric == "squad_v1" else squad_official.evaluate_v2
    assert oracle(case["questions"]) == pytest.approx(case["expected"], abs=1e-12)


@given(text=texts)
@example(text="The İ ǅ Σ. AN_the-a\u0301")
def test_normalization_is_the_official_one(text: str, squad_official: ModuleType) -> None:
    assert normalize_answer(text) == squad_official.normalize(text)


@given(rows=st.lists(questions.filter(lambda row: row["answers"]), min_size=1, max_size=6))
def test_v1_is_the_official_one(rows: list[dict[str, Any]], squad_official: ModuleType) -> None:
    assert _score("squad_v1", rows).scores == pytest.approx(squad_official.evaluate_v1(rows), abs=1e-9)


@given(rows=st.lists(questions, min_size=1, max_size=8))
def test_v2_is_the_official_one(rows: list[dict[str, Any]], squad_official: ModuleType) -> None:
    expected = squad_official.evaluate_v2(rows)
    found = _score("squad_v2", rows).scores
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-9)


@given(rows=st.lists(questions, min_size=1, max_size=8))
def test_the_parts_of_v2_make_up_the_whole(rows: list[dict[str, Any]]) -> None:
    result = _score("squad_v2", rows)
    counts, scores = result.counts, result.scores
    assert counts["answerable"] + counts["unanswerable"] == counts["examples"] == len(rows)
    parts = counts["answerable"] * scores.get("HasAns_f1", 0) + counts["unanswerable"] * scores.get("NoAns_f1", 0)
    assert scores["f1"] == pytest.approx(parts / len(rows))
    assert scores["f1"] == pytest.approx(100 * sum(result.per_example) / len(rows))


def test_two_empty_texts_divide_the_versions() -> None:
    row = {"answers": ["The"], "text": "a"}
    assert _score("squad_v1", [row]).scores == {"exact": 100.0, "f1": 0.0}
    assert _score("squad_v2", [row]).scores["f1"] == 100.0


def test_v1_needs_an_answer_for_each_question() -> None:
    with pytest.raises(InputError, match=r"row 1: found a question without answers; expected at least one.*squad_v2"):
        _score("squad_v1", [{"answers": ["x"], "text": "x"}, {"answers": [], "text": ""}])


@pytest.mark.parametrize("odds", [math.nan, math.inf])
def test_null_odds_must_be_finite(odds: float) -> None:
    with pytest.raises(InputError, match=f"row 0: found null odds of {odds}; expected a finite number"):
        _score("squad_v2", [{"answers": [], "text": "", "null_odds": odds}])


@pytest.mark.data
def test_the_gold_answers_of_real_files_score_100(shared_data: Path) -> None:
    for metric, name in (("squad_v1", "dev-v1.1.json"), ("squad_v2", "dev-v2.0.json")):
        data = json.loads((shared_data / "squad" / name).read_text(encoding="utf-8"))["data"]
        asked = [qa for article in data for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
        rows = [{"answers": [a["text"] for a in qa["answers"]]} for qa in asked]
        rows = [row | {"text": (row["answers"] or [""])[-1], "null_odds": -float(bool(row["answers"]))} for row in rows]
        scores = _score(metric, rows).scores
        assert {name: value for name, value in scores.items() if "thresh" not in name} == dict.fromkeys(
            (name for name in scores if "thresh" not in name), 100.0
        )


def test_without_odds_the_best_answer_stands() -> None:
    assert QaPrediction("a tower", "a tower").null_odds == 0.0

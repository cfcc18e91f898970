"""Drop and retention, and which results are set beside each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.analysis.pairs import (
    comparison_table,
    distinct,
    drop,
    pair_records,
    relative_drop,
    retention,
)
from robustbench_char.common import InputError
from robustbench_char.records.evaluation import DefenceInfo, Record
from robustbench_char.records.training import PretrainingInfo

MakeRecord = Callable[..., Record]
COLUMNS = [
    "task",
    "system",
    "label",
    "base",
    "training_seed",
    "suite",
    "attack_seed",
    "metric",
    "clean",
    "attacked",
    "drop",
    "relative_drop",
    "retention",
    "examples",
    "words",
    "eligible_words",
    "edits",
    "effective_strength",
    "truncated_words_clean",
    "truncated_words_attacked",
    "clean_gold_attacked",
    "gain_clean",
    "gain",
    "saw_attack",
]


def _in_folders(*records: Record) -> list[tuple[Path, Record]]:
    return [(Path(f"run-{number}"), record) for number, record in enumerate(records)]


def test_drop_is_in_points_and_retention_a_share() -> None:
    assert drop(80.0, 60.0) == 20.0
    assert retention(80.0, 60.0) == 0.75
    assert relative_drop(80.0, 60.0) == 0.25
    assert drop(60.0, 80.0) == -20.0


@given(clean=st.floats(-100, 100), attacked=st.floats(-100, 100))
def test_the_three_agree_where_they_are_defined(clean: float, attacked: float) -> None:
    kept, lost = retention(clean, attacked), relative_drop(clean, attacked)
    assert (kept is None) == (lost is None) == (clean <= 0)
    if kept is not None and lost is not None and clean > 1e-6:
        assert kept + lost == pytest.approx(1)
        assert lost * clean == pytest.approx(drop(clean, attacked), abs=1e-9)


def test_an_attacked_result_finds_its_clean_one(make_record: MakeRecord) -> None:
    clean, attacked = make_record(80.0), make_record(60.0, suite="drop")
    for order in ([clean, attacked], [attacked, clean]):
        records = _in_folders(*order)
        (pair,) = pair_records(records)
        assert (pair.attacked, pair.clean) == (attacked, clean)
        assert (pair.attacked_folder, pair.attacked) in records
        assert (pair.clean_folder, pair.clean) in records


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "ptb_pos"},
        {"metric": "tag_accuracy"},
        {"weights": "others"},
        {"data": {"sha256": "other data"}},
        {"system": {"name": "charbert"}},
    ],
    ids=str,
)
def test_other_clean_results_are_no_partners(changes: dict[str, Any], make_record: MakeRecord) -> None:
    clean = make_record(80.0)
    updates = {
        key: getattr(clean, key).model_copy(update=value) if isinstance(value, dict) else value
        for key, value in changes.items()
        if key != "weights"
    }
    other = make_record(80.0, **{key: changes[key] for key in changes if key == "weights"}).model_copy(update=updates)
    (pair,) = pair_records(_in_folders(other, make_record(60.0, suite="drop")))
    assert pair.clean is None
    assert pair.clean_folder is None


def test_suites_and_seeds_are_rows_of_their_own(make_record: MakeRecord) -> None:
    attacked = [make_record(suite="drop"), make_record(suite="swap"), make_record(suite="drop", seed=8)]
    pairs = pair_records(_in_folders(make_record(), *attacked))
    assert [(pair.attacked.condition, pair.clean is not None) for pair in pairs] == [
        ("drop", True),
        ("swap", True),
        ("drop", True),
    ]


@pytest.mark.parametrize("suite", [None, "drop"])
def test_a_result_found_twice_counts_once_unless_it_differs(suite: str | None, make_record: MakeRecord) -> None:
    again = make_record(80.0, suite=suite, wall_seconds=9.0)
    pairs = pair_records(_in_folders(make_record(80.0, suite=suite), again, make_record(60.0, suite="swap")))
    assert [pair.attacked.condition for pair in pairs] == (["drop", "swap"] if suite else ["swap"])
    with pytest.raises(InputError, match="run-0 and run-1: found different scores of bert on conll2003, "):
        pair_records(_in_folders(make_record(80.0, suite=suite), make_record(79.0, suite=suite)))


def test_an_attack_that_changes_nothing_is_not_taken_for_the_clean_result(make_record: MakeRecord) -> None:
    attacked = make_record(60.0, suite="drop")
    unchanged = attacked.model_copy(update={"data": attacked.data.model_copy(update={"sha256": "clean data"})})
    (pair,) = pair_records(_in_folders(make_record(80.0), unchanged))
    assert pair.clean is not None
    assert pair.clean.condition == "clean"


def test_the_table_holds_what_the_records_say(make_record: MakeRecord) -> None:
    pairs = pair_records(
        _in_folders(make_record(80.0), make_record(60.0, suite="drop", clean_gold_scores={"f1": 61.0}))
    )
    table = comparison_table(pairs)
    assert list(table.columns) == COLUMNS
    assert table.loc[0, ["gain_clean", "gain", "saw_attack"]].isna().all()
    assert table.loc[0].drop(["gain_clean", "gain", "saw_attack"]).to_dict() == {
        "task": "conll2003",
        "system": "bert",
        "label": "bert",
        "base": "minilm",
        "training_seed": 1,
        "suite": "drop",
        "attack_seed": 7,
        "metric": "f1",
        "clean": 80.0,
        "attacked": 60.0,
        "drop": 20.0,
        "relative_drop": 0.25,
        "retention": 0.75,
        "examples": 20,
        "words": 160,
        "eligible_words": 100,
        "edits": 40,
        "effective_strength": 0.4,
        "truncated_words_clean": 1,
        "truncated_words_attacked": 3,
        "clean_gold_attacked": 61.0,
    }


def test_what_is_not_defined_or_not_known_is_missing(make_record: MakeRecord) -> None:
    without, below = make_record(60.0, suite="drop"), make_record(5.0, suite="swap", weights="bad", counts={})
    table = comparison_table(pair_records(_in_folders(without, make_record(-1.0, weights="bad", counts={}), below)))
    partner = ["clean", "drop", "relative_drop", "retention", "truncated_words_clean", "clean_gold_attacked"]
    assert table.loc[0, partner].isna().all()
    assert table.loc[1, ["relative_drop", "retention", "truncated_words_attacked"]].isna().all()
    assert table.loc[1, "drop"] == -6.0
    assert str(table["truncated_words_clean"].dtype) == "Int64"


def _gains(*records: Record) -> pd.DataFrame:
    return comparison_table(pair_records(_in_folders(*records))).set_index("label")[["gain_clean", "gain"]]


def test_the_gain_is_over_bert_on_the_same_data(make_record: MakeRecord) -> None:
    bert = [make_record(80.0), make_record(60.0, suite="drop")]
    other = {"name": "charbert", "weights": "c", "base": "pretrained"}
    charbert = [make_record(79.0, **other), make_record(68.5, suite="drop", **other)]
    elsewhere = [make_record(79.0, **other), make_record(68.5, suite="drop", seed=8, **other)]
    assert _gains(*charbert, *bert).loc["charbert"].tolist() == [-1.0, 8.5]
    assert _gains(*charbert, *bert).loc["bert"].isna().all()
    assert _gains(*charbert).loc["charbert"].isna().all()
    assert _gains(*elsewhere, *bert).loc["charbert"].isna().all()


def test_the_gain_is_over_the_mean_of_berts_seeds(make_record: MakeRecord) -> None:
    seeds = [{"weights": f"seed {seed}", "training_seed": seed} for seed in (1, 2)]
    bert = [make_record(score, **seed) for seed, score in zip(seeds, (80.0, 82.0), strict=True)]
    bert += [make_record(score, suite="drop", **seed) for seed, score in zip(seeds, (60.0, 64.0), strict=True)]
    other = {"name": "advbert", "weights": "a"}
    table = _gains(*bert, make_record(83.0, **other), make_record(61.0, suite="drop", **other))
    assert table.loc["advbert"].tolist() == [2.0, -1.0]


def test_of_several_bases_the_gain_is_over_bert_of_the_same_one(make_record: MakeRecord) -> None:
    bert = [make_record(60.0, suite="drop", base=base, weights=base) for base in ("minilm", "large")]
    bert[1] = bert[1].model_copy(update={"scores": {"f1": 75.0}})
    pretraining = PretrainingInfo(system="charbert", base="large", steps=1, tokens=2)
    parts = {"pretraining": pretraining}
    charbert = make_record(76.0, suite="drop", name="charbert", base="pretrained", weights="c", parts=parts)
    assert _gains(*bert, charbert).loc["charbert", "gain"] == 1.0


def test_labels_and_recognisers_make_results_of_their_own(make_record: MakeRecord) -> None:
    """The same weights stand behind a plain system, the same with a recogniser, and with another one."""
    recognisers = [
        DefenceInfo(kind="wordrec", name="wordrec", sha256=weights, parameters=5, operators=("swap",))
        for weights in "ab"
    ]
    parts: list[dict[str, Any]] = [{}, *({"defence": one} for one in recognisers), {"label": "bert, renamed"}]
    records = [make_record(80.0 + n, parts=part) for n, part in enumerate(parts)]
    records += [make_record(60.0 + n, suite="drop", parts=part) for n, part in enumerate(parts)]
    pairs = pair_records(_in_folders(*records))
    assert [pair.attacked.scores["f1"] for pair in pairs] == [60.0, 61.0, 62.0, 63.0]
    assert [pair.clean.scores["f1"] for pair in pairs if pair.clean] == [80.0, 81.0, 82.0, 83.0]
    assert comparison_table(pairs)["label"].tolist() == ["bert", "bert", "bert", "bert, renamed"]


def test_a_result_counts_once_clean_ones_too(make_record: MakeRecord) -> None:
    records = _in_folders(make_record(80.0), make_record(80.0, wall_seconds=9.0), make_record(60.0, suite="drop"))
    assert distinct(records) == [records[0], records[2]]


def test_no_pairs_give_an_empty_table() -> None:
    table = comparison_table([])
    assert list(table.columns) == COLUMNS
    assert table.empty
    assert isinstance(table, pd.DataFrame)

"""A worst case stands beside random attacks that had the same choice, and never beside anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.analysis.pairs import (
    check_together,
    comparison_table,
    drawn_and_searched,
    pair_records,
    side_by_side,
)
from robustbench_char.analysis.scores import mean_scores
from robustbench_char.analysis.statistics import statistics_of
from robustbench_char.analysis.worst_case import curve_frame, transfer_frame, worst_case_frame, worst_of
from robustbench_char.attacks.search_info import SearchInfo
from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS
from robustbench_char.records.counts import write_counts
from robustbench_char.records.evaluation import Record
from robustbench_char.records.worst_case import WorstCases

MakeRecord = Callable[..., Record]
MakeWorst = Callable[..., WorstCases]
RIGHT, WRONG = (1.0, 1.0, 1.0), (0.0, 1.0, 1.0)
RANDOM = {"requested_edits": 1, "constraints": "constraints"}


@pytest.fixture
def write(tmp_path: Path, make_record: MakeRecord) -> Callable[..., tuple[Path, Record]]:
    """Return a function that writes a record with its counts: an entity of each example, right or not."""

    def written(
        right: str, suite: str | None = None, *, attack: dict[str, Any] | None = None, **changes: Any
    ) -> tuple[Path, Record]:
        made = make_record(suite=suite, **changes)
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        counts = [RIGHT if letter == "1" else WRONG for letter in right]
        table = pd.DataFrame(counts, columns=["right", "predicted", "gold"]).assign(
            row=range(len(right)), dimension="all", value="all"
        )
        sha = write_counts(
            folder, table[["row", "dimension", "value", "right", "predicted", "gold"]].astype({"row": "int32"})
        )
        data = made.data.model_copy(update={"examples": len(right)})
        if data.attack and attack:
            data = data.model_copy(update={"attack": data.attack.model_copy(update=attack)})
        score = 100 * right.count("1") / len(right)
        return folder, made.model_copy(update={"counts_sha256": sha, "data": data, "scores": {"f1": score}})

    return written


Write = Callable[..., tuple[Path, Record]]


def searched(record: Record, sha: str, **changes: Any) -> dict[str, Any]:
    """Return what an attack says of the search for the worst case of the system of a record."""
    named: dict[str, Any] = {"name": record.system.shown, "model_sha256": record.system.model_sha256}
    named |= {"search": "exhaustive", "edits": 1, "size": 1, "budget": None, "guided_by": "scores"}
    return {"search": SearchInfo.model_validate(named | changes), "suite_sha256": sha, "constraints": "constraints"}


def broken(*edits: int) -> list[list[tuple[int, int, tuple[float, ...]]]]:
    """Return steps of examples that so many edits break; 0 is never, -1 wrong before."""
    begun: dict[bool, list[tuple[int, int, tuple[float, ...]]]] = {True: [(0, 0, WRONG)], False: [(0, 0, RIGHT)]}
    return [begun[number < 0] + ([(10 * number, number, WRONG)] if number > 0 else []) for number in edits]


def test_random_worst_of_seeds_search_and_exact_stand_in_one_row(
    write: Write, make_worst_case: MakeWorst, tmp_path: Path
) -> None:
    clean = write("11111")
    records = [clean, *(write(right, "p@1", seed=seed, attack=RANDOM) for seed, right in enumerate(("01111", "11011")))]
    exact = make_worst_case(tmp_path / "exact", clean[1], broken(1, 1, 1, 0, 0))
    greedy = make_worst_case(tmp_path / "greedy", clean[1], broken(1, 0, 1, 0, 0), exact=False, search="beam", size=4)
    frame = worst_case_frame([exact, greedy], records)
    assert frame["random"].tolist() == [80.0, 80.0]
    assert frame["worst_of_seeds"].tolist() == [60.0, 60.0]
    assert (frame["search"][1], frame["exact"].tolist()) == ("beam:4", [40.0, 40.0])
    assert frame["found"].isna().tolist() == [True, False]
    assert frame["found"][1] == 60.0
    assert (frame["seeds"][0], frame["broken"][0], frame["edits_to_break"][0]) == (2, 60.0, 1.0)
    assert frame["random_low"][0] < 80.0 < frame["random_high"][0]
    assert (frame["total_questions"][0], frame["cached_questions"][0], frame["seconds"][0]) == (55, 1, 90.0)


@pytest.mark.parametrize(
    ("attack", "changes"),
    [
        (RANDOM | {"requested_edits": 2}, {}),
        (RANDOM | {"requested_edits": None}, {}),
        (RANDOM | {"word_edits": 2}, {}),
        (RANDOM | {"constraints": "others"}, {}),
        (RANDOM | {"constraints": None}, {}),
        (RANDOM | {"clean_sha256": "other data"}, {}),
        (RANDOM, {"weights": "others"}),
        (RANDOM, {"task": "ptb_pos"}),
        (RANDOM, {"parts": {"label": "mine"}}),
        (RANDOM, {"counts_sha256": None}),
    ],
)
def test_what_had_another_choice_is_not_set_beside(
    attack: dict[str, Any], changes: dict[str, Any], write: Write, make_worst_case: MakeWorst, tmp_path: Path
) -> None:
    clean = write("111")
    found = make_worst_case(tmp_path / "worst", clean[1], broken(1, 1, 0))
    folder, other = write("011", "p@1", attack=attack, **changes)
    other = other.model_copy(update={"counts_sha256": None}) if "counts_sha256" in changes else other
    (row,) = worst_case_frame([found], [clean, (folder, other)]).to_dict("records")
    assert row["seeds"] == 0
    assert row["random"] is None or np.isnan(row["random"])


def test_random_scores_are_of_the_examples_that_were_searched(
    write: Write, make_worst_case: MakeWorst, tmp_path: Path
) -> None:
    records = [write("11111"), write("10000", "p@1", attack=RANDOM), write("1", "p@1", seed=3, attack=RANDOM)]
    found = make_worst_case(tmp_path / "worst", records[0][1], broken(1, 1), limit=2)
    (row,) = worst_case_frame([found], records).to_dict("records")
    assert (row["clean"], row["random"], row["exact"], row["seeds"], row["limit"]) == (100.0, 50.0, 0.0, 1, 2)


def test_equal_seeds_of_two_suites_are_two_draws(write: Write, make_worst_case: MakeWorst, tmp_path: Path) -> None:
    records = [write("11"), write("10", "p@1", attack=RANDOM), write("00", "q@1", attack=RANDOM)]
    found = make_worst_case(tmp_path / "worst", records[0][1], broken(1, 1))
    (row,) = worst_case_frame([found], records).to_dict("records")
    assert (row["random"], row["worst_of_seeds"], row["seeds"]) == (25.0, 0.0, 2)


def test_an_exact_search_of_other_edits_or_examples_is_not_set_beside(
    write: Write, make_worst_case: MakeWorst, tmp_path: Path
) -> None:
    clean = write("111")[1]
    greedy = make_worst_case(tmp_path / "worst 0", clean, broken(1, 0, 0), exact=False, search="greedy")
    others = [
        make_worst_case(tmp_path / "worst 1", clean, broken(1, 2, 0), edits=2),
        make_worst_case(tmp_path / "worst 2", clean, broken(1, 1), limit=2),
        make_worst_case(tmp_path / "worst 3", clean, broken(1, 1, 0), constraints="others"),
        make_worst_case(tmp_path / "worst 4", clean.model_copy(update={"task": "ptb_pos"}), broken(1, 1, 0)),
    ]
    frame = worst_case_frame([greedy, *others], [])
    assert frame["exact"].isna().tolist() == [True, False, False, False, False]
    assert worst_case_frame([], []).empty


def test_curves_fall_with_edits_and_with_questions(write: Write, make_worst_case: MakeWorst, tmp_path: Path) -> None:
    found = make_worst_case(tmp_path / "worst", write("1111")[1], broken(1, 2, 0, -1), edits=2)
    curves = curve_frame([found]).groupby("by")
    edits, questions = curves.get_group("edits"), curves.get_group("questions")
    assert (edits["at"].tolist(), edits["score"].tolist()) == ([0, 1, 2], [75.0, 50.0, 25.0])
    assert questions["at"].tolist() == [1, 2, 5, 10, 20, 25]
    assert questions["score"].tolist() == [75.0, 75.0, 75.0, 50.0, 25.0, 25.0]


@settings(max_examples=50)
@given(
    seeds=st.lists(st.lists(st.sampled_from([(2.0, 2.0, 2.0), (1.0, 2.0, 2.0), (1.0, 1.0, 2.0), (0.0, 3.0, 2.0)]),
                            min_size=5, max_size=5), min_size=1, max_size=4)
)  # fmt: skip
def test_no_example_has_fewer_errors_in_the_worst_of_seeds(seeds: list[list[tuple[float, ...]]]) -> None:
    tables, errors = [np.array(own) for own in seeds], METRICS.get("entity_f1").errors
    worst = worst_of("entity_f1", tables)
    for example, counts in enumerate(worst):
        assert errors(counts) == max(errors(table[example]) for table in tables)
    assert np.array_equal(worst, worst_of("entity_f1", [*tables, worst]))


def test_transfer_has_a_row_per_attack_set_and_system(write: Write, make_worst_case: MakeWorst, tmp_path: Path) -> None:
    bert, charbert = write("1111"), write("1111", name="charbert", weights="other")
    of_bert = searched(bert[1], "set of bert", limit=2)
    name = "worst_p@1 of bert"
    records = [
        bert,
        charbert,
        write("0010", name, attack=of_bert),
        write("1100", name, attack=of_bert, name="charbert", weights="other"),
    ]
    own = make_worst_case(tmp_path / "worst", charbert[1], broken(1, 1, 0, 0))
    frame = transfer_frame([own], records)
    cells = {(row["attacked"], row["label"]): row["score"] for row in frame.to_dict("records")}
    assert cells == {("bert", "bert"): 0.0, ("bert", "charbert"): 100.0, ("charbert", "charbert"): 50.0}
    assert set(frame["suite"]) == {"p", "pruthi_2019"}
    assert transfer_frame([], [bert]).empty


def test_a_search_and_the_evaluation_of_its_set_are_one_cell(
    write: Write, make_worst_case: MakeWorst, tmp_path: Path
) -> None:
    bert = write("11")
    found = make_worst_case(tmp_path / "worst", bert[1], broken(1, 0))
    own = write("01", "worst_pruthi_2019@1 of bert", attack=searched(bert[1], found.record.suite_sha256))
    assert len(transfer_frame([found], [bert, own])) == 1


def test_an_evaluation_of_fewer_examples_is_no_transfer(write: Write) -> None:
    bert = write("1111")
    for limit, searched_limit, rows in ((None, 2, 1), (3, 2, 1), (2, 2, 1), (1, 2, 0), (3, None, 0), (None, None, 1)):
        attack = searched(bert[1], f"set of {limit}, {searched_limit}", limit=searched_limit)
        folder, record = write("0101", "worst_p@1 of bert", attack=attack)
        data = record.data.model_copy(update={"limit": limit})
        assert len(transfer_frame([], [(folder, record.model_copy(update={"data": data}))])) == rows


def test_attack_sets_of_two_models_are_never_averaged_nor_paired(write: Write) -> None:
    """Promise 6: sets of one name are of two seeds of a system, and of two ways to search."""
    bert, other = write("1111"), write("1111", weights="seed 2", training_seed=2)
    name = "worst_p@1 of bert"
    sets = [searched(bert[1], "aaaaaa1"), searched(other[1], "bbbbbb2"), searched(bert[1], "cccccc3", search="greedy")]
    records = [bert, other]
    for number, attack in enumerate(sets):
        for right, weights in (("0011", {}), ("0111", {"weights": "seed 2", "training_seed": 2})):
            folder, record = write(right, name, attack=attack, **weights)
            data = record.data.model_copy(update={"sha256": f"bytes {number}"})
            records.append((folder, record.model_copy(update={"data": data})))
    check_together(records)
    pairs = pair_records(records)
    assert len(pairs) == 6
    means = mean_scores(comparison_table(pairs), pairs, statistics_of(pairs))
    assert len(means) == 3  # over the training seeds of what is evaluated alone
    assert means["suite"].nunique() == 3
    drawn, apart = drawn_and_searched(pairs)
    assert (drawn, len(apart)) == ([], 6)
    same = [(folder, record.model_copy(update={"data": record.data.model_copy(update={"sha256": folder.name})}))
            for folder, record in records[2:]]  # fmt: skip
    with pytest.raises(InputError, match="two attacks called"):
        check_together(same)


def test_a_search_of_fewer_examples_does_not_stand_beside_the_whole_file(write: Write) -> None:
    bert = write("1111")
    random = write("0111", "p@1", attack=RANDOM)
    few = write("01", "worst_p@1 of bert", attack=searched(bert[1], "set", limit=2))
    pairs = pair_records([bert, random, few])
    assert [pair.attacked.condition for pair in pairs] == ["p@1", "worst_p@1 of bert (exhaustive, set)"]
    assert side_by_side(pairs) == pairs[:1]

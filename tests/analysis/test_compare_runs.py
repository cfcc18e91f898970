"""What changed between two sets of results: counts made by hand, where the answer is known, and committed results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustbench_char.analysis import compare_runs as result_sets
from robustbench_char.analysis.compare_runs import compare
from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.significance import permutation_test
from robustbench_char.records.counts import write_counts
from robustbench_char.records.evaluation import Record, write_record
from robustbench_char.records.training import PretrainingInfo

RESULTS = Path(__file__).resolve().parents[2] / "reports" / "results"
accuracy = METRICS.get("accuracy").score


def right(*stretches: tuple[int, int], examples: int = 100) -> Floats:
    """Counts of a system that is right on these stretches of examples alone."""
    table = np.column_stack([np.zeros(examples), np.ones(examples)])
    for first, end in stretches:
        table[first:end, 0] = 1
    return table


class Sets:
    """Writes results into the folders A and B."""

    def __init__(self, root: Path, make_record: Callable[..., Record]) -> None:
        self.a, self.b, self._make, self._number = root / "a", root / "b", make_record, 0
        for folder in (self.a, self.b):
            folder.mkdir()

    def add(
        self,
        side: Path,
        table: Floats,
        *,
        rows: Sequence[int] | None = None,
        data: dict[str, Any] | None = None,
        **what: Any,
    ) -> Path:
        self._number += 1
        folder = side / str(self._number)
        folder.mkdir()
        frame = pd.DataFrame(table, columns=["correct", "examples"])
        frame.insert(0, "row", np.arange(len(table), dtype=np.int32) if rows is None else rows)
        frame.insert(1, "dimension", "all")
        frame.insert(2, "value", "all")
        score = {"metric": "accuracy", "headline": "accuracy", "scores": {"accuracy": float(accuracy(table.sum(0)))}}
        what = (
            {"counts_sha256": write_counts(folder, frame), "task": "qnli", "weights": str(self._number)} | score | what
        )
        record = self._make(**what)
        changed = record.data.model_copy(update={"examples": len(table), **(data or {})})
        if record.data.attack:  # each attack seed makes data of its own
            changed = changed.model_copy(update={"sha256": f"{changed.sha256} {record.data.attack.seed}"})
        write_record(folder, record.model_copy(update={"data": changed}))
        return folder

    def both(self, a: Floats, b: Floats, **what: Any) -> None:
        self.add(self.a, a, **what)
        self.add(self.b, b, **what)


@pytest.fixture
def sets(tmp_path: Path, make_record: Callable[..., Record]) -> Sets:
    return Sets(tmp_path, make_record)


def test_a_set_is_the_same_as_itself(sets: Sets) -> None:
    sets.both(right((0, 80)), right((0, 80)))
    sets.both(right((0, 60)), right((0, 60)), suite="drop")
    found = compare(sets.a, sets.b)
    assert found.equal
    assert [(row.condition, row.verdict, row.a, row.difference, row.p) for row in found.rows] == [
        ("clean", "same", 80.0, 0.0, None),
        ("drop", "same", 60.0, 0.0, None),
    ]


def test_p_is_exact_and_corrected_over_what_was_tested(sets: Sets) -> None:
    """Ten examples that one alone has right give 2 / 2**10, seven 2 / 2**7; what is the same is no test."""
    sets.both(right((0, 90)), right((0, 80)))
    sets.both(right((0, 90)), right((0, 83)), suite="add")
    sets.both(right((0, 90)), right((1, 91)), suite="drop")
    sets.both(right((0, 90)), right((0, 90)), suite="swap")
    found = compare(sets.a, sets.b)
    clean, add, drop, swap = found.rows
    assert (clean.difference, clean.p, clean.p_holm, clean.verdict) == (-10.0, 2 / 2**10, 3 * 2 / 2**10, "differs")
    assert clean.low is not None
    assert clean.high is not None
    assert clean.low < -10 < clean.high < 0
    assert (add.p, add.p_holm, add.verdict) == (2 / 2**7, 2 * 2 / 2**7, "differs")
    assert (drop.difference, drop.p, drop.p_holm, drop.verdict) == (0.0, 1.0, 1.0, "within noise")
    assert (swap.p_holm, swap.verdict) == (None, "same")
    assert not found.equal


def test_the_correction_takes_significance_away(sets: Sets) -> None:
    for suite in ("add", "drop", "swap", "keyboard"):
        sets.both(right((0, 90)), right((0, 83)), suite=suite)
    found = compare(sets.a, sets.b)
    assert {(row.p, row.p_holm, row.verdict) for row in found.rows} == {(2 / 2**7, 8 / 2**7, "within noise")}
    assert found.equal


def test_the_other_way_round_is_the_opposite(sets: Sets) -> None:
    sets.both(right((0, 90)), right((0, 80), (95, 98)))
    there, back = compare(sets.a, sets.b).rows[0], compare(sets.b, sets.a).rows[0]
    assert (there.difference, there.p, there.verdict) == (-back.difference, back.p, back.verdict)


def test_seeds_are_pooled_into_one_row(sets: Sets) -> None:
    tables = [(right((0, 60 + n)), right((0, 50 + n), (90, 90 + n))) for n in range(4)]
    for number, (one, other) in enumerate(tables):
        sets.both(one, other, suite="drop", training_seed=number // 2, seed=number % 2)
    (row,) = compare(sets.a, sets.b).rows
    sides = [np.concatenate(side, axis=1) for side in zip(*tables, strict=True)]
    means = [np.mean([accuracy(table.sum(0)) for table in side]) for side in zip(*tables, strict=True)]
    assert (row.runs, row.examples) == (4, 100)
    assert (row.a, row.b) == pytest.approx(means)
    assert row.difference == pytest.approx(means[1] - means[0])
    assert row.p == permutation_test(*sides, lambda sums: accuracy(sums.reshape(*sums.shape[:-1], 4, 2)).mean(-1))
    assert row.verdict == "differs"


def test_results_of_one_set_alone(sets: Sets) -> None:
    sets.both(right((0, 80)), right((0, 80)))
    sets.add(sets.a, right((0, 70)), suite="drop")
    sets.add(sets.b, right((0, 70)), suite="drop", seed=8)
    sets.add(sets.b, right((0, 70)), training_seed=2)
    found = compare(sets.a, sets.b)
    assert [(one.condition, one.attack_seed) for one in found.only_a] == [("drop", 7)]
    assert [(one.condition, one.training_seed) for one in found.only_b] == [("clean", 2), ("drop", 1)]
    assert not found.equal


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": {"sha256": "another"}}, "the same test file, attacked otherwise"),
        ({"counts_sha256": None, "predictions_sha256": "1"}, "no counts of examples beside one of them"),
        ({"headline": "f1", "scores": {"f1": 50.0}}, "another score: accuracy accuracy in A, accuracy f1 in B"),
        ({"rows": range(1, 101)}, "counts of other examples or classes: 100 examples in A, 100 in B"),
    ],
)
def test_what_cannot_be_compared_stands_apart(sets: Sets, changes: dict[str, Any], reason: str) -> None:
    sets.both(right((0, 80)), right((0, 80)))
    sets.add(sets.a, right((0, 90)), task="mrpc", suite="drop")
    sets.add(sets.b, right((0, 50)), task="mrpc", suite="drop", **changes)
    found = compare(sets.a, sets.b)
    assert [row.condition for row in found.rows] == ["clean"]
    (apart,) = found.apart
    assert apart.reason.startswith(reason)
    assert (apart.result.condition, apart.a, apart.b) == ("drop", 90.0, 50.0)
    assert not found.equal


def test_other_test_files_and_empty_ones_stand_apart(sets: Sets) -> None:
    sets.add(sets.a, right((0, 80)))
    sets.add(sets.b, right((0, 80)), data={"sha256": "another"})
    sets.both(np.zeros((5, 2)), right((0, 3), examples=5), task="mrpc")
    found = compare(sets.a, sets.b)
    assert {one.result.task: one.reason for one in found.apart} == {
        "qnli": "another test file",
        "mrpc": "nothing to count in one of them",
    }
    assert found.rows == ()


def test_the_same_predictions_are_the_same_without_counts(sets: Sets) -> None:
    sets.both(right((0, 80)), right((0, 80)), counts_sha256=None)
    found = compare(sets.a, sets.b)
    assert [(row.verdict, row.a, row.examples) for row in found.rows] == [("same", 80.0, 100)]
    assert found.equal


def test_many_rows_leave_room_for_a_difference(sets: Sets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn permutations give no p below 1 / (1 + R): R grows with the rows, or a correction would hide everything."""
    monkeypatch.setattr(result_sets, "PERMUTATIONS", 40)
    monkeypatch.setattr("robustbench_char.metrics.significance._EXACT", 1)
    for number in range(12):
        sets.both(right((0, 90)), right((0, 60), (90, 95)), suite=f"suite {number}")
    assert {row.verdict for row in compare(sets.a, sets.b).rows} == {"differs"}


def test_what_the_sets_did_differently(sets: Sets, make_record: Callable[..., Record]) -> None:
    provenance = make_record().provenance
    later = provenance.model_copy(update={"package_version": "0.2", "libraries": {"torch": "9"}})
    fast, slow = (PretrainingInfo(system="bert_mlm", base="x", steps=5, tokens=9, wall_seconds=s) for s in (1.0, 2.0))
    for suite in (None, "drop"):
        sets.add(sets.a, right((0, 80)), suite=suite, weights="one", parts={"pretraining": fast})
        sets.add(sets.b, right((0, 80)), suite=suite, weights="two", parts={"pretraining": slow}, provenance=later)
    found = compare(sets.a, sets.b)
    assert [(one.name, one.a, one.b, one.results) for one in found.changes] == [
        ("package_version", "0.1", "0.2", 2),
        ("libraries.torch", None, "9", 2),
        ("weights_sha256", "one", "two", 2),
    ]
    assert found.equal


def test_sets_with_nothing_in_common(sets: Sets) -> None:
    sets.add(sets.a, right((0, 80)))
    sets.add(sets.b, right((0, 80)), name="charbert")
    with pytest.raises(
        InputError, match=r"a and .*b: found no result that both have; expected results of the same tasks"
    ):
        compare(sets.a, sets.b)


def test_clean_against_attacked_is_for_another_command(sets: Sets) -> None:
    sets.add(sets.a, right((0, 80)))
    sets.add(sets.b, right((0, 60)), suite="drop")
    message = (
        r"found the same systems under other conditions \(clean in one, drop in the other\); .*-char report \S+/a "
    )
    with pytest.raises(InputError, match=message):
        compare(sets.a, sets.b)


def test_two_results_of_one_thing_in_a_set(sets: Sets) -> None:
    sets.both(right((0, 80)), right((0, 80)))
    sets.add(sets.b, right((0, 70)))
    with pytest.raises(InputError, match=r"b/2 and .*b/3: found two results of bert on qnli, clean, by other weights"):
        compare(sets.a, sets.b)


def test_a_set_of_two_test_files(sets: Sets) -> None:
    sets.both(right((0, 80)), right((0, 80)))
    sets.add(sets.a, right((0, 80)), training_seed=2, data={"sha256": "another"})
    with pytest.raises(InputError, match="found results on different data of qnli"):
        compare(sets.a, sets.b)


def test_a_result_of_a_newer_schema(sets: Sets) -> None:
    sets.both(right((0, 80)), right((0, 80)))
    record = sets.b / "2" / "record.json"
    record.write_text(record.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(InputError, match=r"record\.json: schema: found 2, of a newer version .* Upgrade"):
        compare(sets.a, sets.b)


def test_counts_that_are_gone(sets: Sets) -> None:
    sets.both(right((0, 80)), right((0, 80)))
    (sets.b / "2" / "counts.parquet").unlink()
    with pytest.raises(InputError, match=r"counts\.parquet: found no such file; expected the counts"):
        compare(sets.a, sets.b)


def test_committed_results() -> None:
    small, large = (RESULTS / name / "records" / "bert" for name in ("six_systems", "six_systems_gpu"))
    found = compare(small, large)
    assert found.matched == len(found.rows) == 12
    assert {one.training_seed for one in found.only_b if one.task != "squad_v2"} == {1}
    for row in found.rows:
        assert row.difference == pytest.approx(row.b - row.a, abs=1e-9)
    verdicts = {(row.task, row.condition): row.verdict for row in found.rows}
    assert verdicts["conll2003", "clean"] == "differs"
    assert verdicts["qnli", "clean"] == "within noise"
    assert "device" in {change.name for change in found.changes}

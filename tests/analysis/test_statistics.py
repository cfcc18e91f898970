"""Intervals and tests of whole tables, from records and the counts beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustbench_char.analysis.breakdowns import cell_statistics
from robustbench_char.analysis.pairs import (
    SEED_COLUMNS,
    Pair,
    comparison_table,
    drop,
    pair_records,
    retention,
    seed_frame,
)
from robustbench_char.analysis.statistics import CLEAN, statistics_of
from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS, Floats
from robustbench_char.metrics.bootstrap import interval
from robustbench_char.metrics.significance import permutation_test
from robustbench_char.records.counts import write_counts
from robustbench_char.records.evaluation import Record

COLUMNS = ("right", "predicted", "gold")
BERT, OTHER, WORSE = ("bert", "minilm"), ("other", "minilm"), ("worse", "minilm")
score = METRICS.get("entity_f1").score


def counts(share: float, seed: int, examples: int = 60) -> Floats:
    """Counts of a made-up system that finds this share of the entities."""
    gold = 1 + np.arange(examples) % 3
    right = np.random.Generator(np.random.PCG64(seed)).binomial(gold, share)
    return np.column_stack([right, gold, gold]).astype(np.float64)


class Results:
    """Writes counts and makes records of systems."""

    def __init__(self, folder: Path, make_record: Callable[..., Record]) -> None:
        self.folder, self.make, self.found = folder, make_record, []

    def add(self, table: Floats | None, *, cell: tuple[str, str] | None = None, **what: Any) -> None:
        folder = self.folder / str(len(self.found))
        folder.mkdir()
        if table is not None:
            frame = pd.DataFrame(table, columns=list(COLUMNS))
            keys = {"row": np.arange(len(table), dtype=np.int32), "dimension": "all", "value": "all"}
            whole = pd.concat([pd.DataFrame(keys), frame], axis=1)
            part = whole[::2].assign(dimension=cell[0], value=cell[1]) if cell else whole[:0]
            what |= {"counts_sha256": write_counts(folder, pd.concat([whole, part], ignore_index=True))}
        value = 50.0 if table is None else float(score(table.sum(0)))
        self.found.append((folder, self.make(value, weights=f"{what.get('name')}{what.get('training_seed')}", **what)))

    def change_data(self, place: int, **changes: Any) -> None:
        folder, record = self.found[place]
        self.found[place] = (folder, record.model_copy(update={"data": record.data.model_copy(update=changes)}))

    @property
    def pairs(self) -> list[Pair]:
        return pair_records(self.found)


@pytest.fixture
def results(tmp_path: Path, make_record: Callable[..., Record]) -> Results:
    return Results(tmp_path, make_record)


@pytest.fixture
def three(results: Results) -> Results:
    """Three systems of one seed: two alike, one much worse."""
    for seed, (name, share) in enumerate({"bert": 0.6, "other": 0.6, "worse": 0.2}.items()):
        results.add(counts(share + 0.3, 10 + seed), name=name)
        results.add(counts(share, 20 + seed), name=name, suite="mixed")
    return results


def test_intervals_are_those_of_the_counts(three: Results) -> None:
    found = statistics_of(three.pairs, resamples=4000)
    clean, attacked = counts(0.9, 10), counts(0.6, 20)
    whole = found.score("conll2003", BERT, "mixed")
    assert whole is not None
    assert whole.value == pytest.approx(three.found[1][1].scores["f1"], abs=1e-12)
    expected = interval(attacked, score, resamples=4000, seed=1)
    assert whole[1:3] == pytest.approx(expected[1:3], abs=0.8)
    joint = np.hstack([clean, attacked])
    for of in (drop, retention):
        one = found.change("conll2003", BERT, "mixed", of)
        two = interval(joint, lambda sums, of=of: _each(of, sums), resamples=4000, seed=1)
        assert one is not None
        assert one[:3] == pytest.approx(two[:3], rel=0.05)
    assert found.rows == {"conll2003": 60}
    assert found.systems("conll2003", CLEAN) == [BERT, OTHER, WORSE]


def _each(of: Callable[[float, float], float | None], sums: Floats) -> Floats:
    clean, attacked = np.ravel(score(sums[..., :3])), np.ravel(score(sums[..., 3:]))
    return np.squeeze([of(*pair) for pair in zip(clean, attacked, strict=True)])


def test_systems_are_compared_on_the_same_examples(three: Results) -> None:
    found = statistics_of(three.pairs)
    assert found.best("conll2003", "mixed") == {BERT, OTHER}
    assert found.p_value("conll2003", WORSE, BERT, "mixed") == permutation_test(counts(0.2, 22), counts(0.6, 20), score)
    worse: Any = found.difference("conll2003", WORSE, BERT, "mixed")
    assert worse.value == pytest.approx(score(counts(0.2, 22).sum(0)) - score(counts(0.6, 20).sum(0)))
    assert worse.low < worse.value < worse.high < 0


def test_equal_systems_are_tied_and_differ_by_nothing(results: Results) -> None:
    for name in ("bert", "other"):
        results.add(counts(0.6, 1), name=name, suite="mixed")
    found = statistics_of(results.pairs)
    assert found.difference("conll2003", BERT, OTHER, "mixed") == (0.0, None, None, "no spread")
    assert found.p_value("conll2003", BERT, OTHER, "mixed") == 1.0
    assert found.best("conll2003", "mixed") == {BERT, OTHER}
    assert found.change("conll2003", BERT, "mixed", drop) is None
    assert found.run_frame()["drop_note"].tolist() == ["no clean result"] * 2


def test_several_seeds_are_a_mean_of_runs(results: Results) -> None:
    """A drop is over the training seeds that were attacked, each beside its own clean result."""
    for seed in (0, 1, 2):
        results.add(counts(0.9 - seed / 10, seed), name="bert", training_seed=seed)
        results.add(counts(0.5, 30 + seed), name="bert", training_seed=seed, suite="swap")
    for seed in (0, 1):
        for attack in (7, 8):
            table = counts(0.4 + seed / 10, 10 * attack + seed)
            results.add(table, name="bert", training_seed=seed, suite="mixed", seed=attack)
    found, table = statistics_of(results.pairs), comparison_table(results.pairs)
    mixed = table[table["suite"] == "mixed"]
    lost = found.change("conll2003", BERT, "mixed", drop)
    assert lost is not None
    assert lost.value == pytest.approx(mixed["drop"].mean())
    whole = found.score("conll2003", BERT, "mixed")
    assert whole is not None
    assert whole.value == pytest.approx(mixed["attacked"].mean())
    runs = found.run_frame()
    joined = table.merge(runs, on=["task", "label", "base", "suite", "training_seed", "attack_seed"])
    assert len(joined) == len(runs) == 7
    for name in ("clean", "attacked", "drop", "retention", "relative_drop"):
        assert joined[f"{name}_x"].to_numpy(float) == pytest.approx(joined[f"{name}_y"].to_numpy(float))
        assert (joined[f"{name}_low"] < joined[f"{name}_high"]).all()


def test_without_a_test_the_interval_decides(results: Results) -> None:
    """Systems of different numbers of seeds have no permutation test."""
    results.add(counts(0.9, 1), name="bert", training_seed=0, suite="mixed")
    results.add(counts(0.9, 2), name="other", training_seed=0, suite="mixed")
    results.add(counts(0.9, 3), name="other", training_seed=1, suite="mixed")
    results.add(counts(0.1, 4), name="worse", training_seed=0, suite="mixed", seed=8)
    results.change_data(3, sha256="data attacked by another seed")
    found = statistics_of(results.pairs)
    assert found.p_value("conll2003", BERT, OTHER, "mixed") is None
    assert found.p_value("conll2003", BERT, WORSE, "mixed") is None  # another attack
    assert found.best("conll2003", "mixed") == {BERT, OTHER}


def test_a_cell_of_a_breakdown(results: Results) -> None:
    results.add(counts(0.5, 1), name="bert", suite="mixed", cell=("pieces", "Subword"))
    cells = cell_statistics(results.pairs, statistics_of(results.pairs), ["pieces"])
    assert list(cells) == [("pieces", "Subword")]
    found = cells["pieces", "Subword"].score("conll2003", BERT, "mixed")
    assert found is not None
    assert found.value == pytest.approx(score(counts(0.5, 1)[::2].sum(0)))


def test_a_score_of_nothing_is_not_defined(results: Results) -> None:
    for name in ("bert", "other"):
        results.add(np.zeros((60, 3)), name=name, suite="mixed")
    none = statistics_of(results.pairs)
    assert none.score("conll2003", BERT, "mixed") == (None, None, None, "not defined")
    assert none.best("conll2003", "mixed") == set()


def test_results_without_counts_are_missing(results: Results) -> None:
    results.add(None, name="bert")
    results.add(None, name="bert", suite="mixed")
    found = statistics_of(results.pairs)
    assert (found.cells, found.rows) == ({}, {})
    assert found.score("conll2003", BERT, "mixed") is None
    assert found.difference("conll2003", BERT, OTHER, "mixed") is None
    assert found.p_value("conll2003", BERT, OTHER, "mixed") is None
    assert found.run_frame().empty


def test_a_clean_score_of_zero_leaves_retention_undefined(results: Results) -> None:
    results.add(counts(0.0, 1), name="bert")
    results.add(counts(0.5, 1), name="bert", suite="mixed")
    found = statistics_of(results.pairs)
    assert found.change("conll2003", BERT, "mixed", retention) == (None, None, None, "not defined")
    assert found.change("conll2003", BERT, "mixed", drop).low is not None  # type: ignore[union-attr]


def test_several_data_sets_of_a_task_are_left_out(results: Results) -> None:
    results.add(counts(0.5, 1), name="bert", suite="mixed")
    results.add(counts(0.5, 1, examples=20), name="other", suite="mixed")
    attack = results.found[1][1].data.attack
    assert attack is not None
    results.change_data(1, attack=attack.model_copy(update={"clean_sha256": "other data"}))
    found = statistics_of(results.pairs)
    assert (found.cells, found.left_out) == ({}, ("conll2003",))


@pytest.mark.parametrize(
    ("examples", "metric", "message"),
    [
        (50, "entity_f1", "1: found counts of 50 examples; expected the 60 of the results beside it"),
        (60, "tag_accuracy", "1: found the metric 'tag_accuracy'; expected 'entity_f1', that of the results beside it"),
    ],
)
def test_results_that_do_not_belong_together(results: Results, examples: int, metric: str, message: str) -> None:
    results.add(counts(0.5, 1), name="bert", suite="mixed")
    results.add(counts(0.5, 1, examples=examples), name="other", suite="mixed", metric=metric)
    with pytest.raises(InputError, match=message):
        statistics_of(results.pairs)


def test_seeds_by_hand() -> None:
    key = {"task": "qnli", "label": "bert", "base": "minilm", "suite": "mixed"}
    runs = [(0, 1, 90.0, 60.0), (0, 2, 90.0, 64.0), (1, 1, 88.0, 70.0), (1, 2, 88.0, 72.0)]
    rows = [dict(key, training_seed=one, attack_seed=two, clean=clean, attacked=attacked)
            for one, two, clean, attacked in runs]  # fmt: skip
    found = seed_frame(pd.DataFrame(rows)).iloc[0]
    assert tuple(found[:4]) == tuple(key.values())
    assert found["training_seeds":"attack_seeds"].tolist() == [2, 2]
    assert found["mean"] == 66.5
    assert found["training_spread"] == pytest.approx(np.std([62.0, 71.0], ddof=1))
    assert found["attack_spread"] == pytest.approx((8**0.5 + 2**0.5) / 2)
    assert (found["training_worst"], found["worst"]) == (62.0, 60.0)
    assert (found["clean_mean"], found["clean_spread"]) == (89.0, pytest.approx(2**0.5))
    one = seed_frame(pd.DataFrame(rows[:1])).iloc[0]
    assert one[["training_spread", "attack_spread", "clean_spread"]].isna().all()
    assert tuple(seed_frame(comparison_table([])).columns) == SEED_COLUMNS

"""Breakdowns with intervals: clean and attacked over the same units, on cases worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustbench_char.analysis.breakdowns import breakdown_frame, cell_statistics, unit_of
from robustbench_char.analysis.pairs import Pair, retention
from robustbench_char.analysis.statistics import statistics_of
from robustbench_char.metrics.base import METRICS
from robustbench_char.metrics.breakdowns import ExampleWords, WordState
from robustbench_char.records.counts import count_table, write_counts
from robustbench_char.records.evaluation import Record

Make = Callable[..., Record]
PLAIN, SPLIT = WordState(4, 1, 1), WordState(8, 2, 3, ("swap",))
LABELS = ("no", "yes")


def write(folder: Path, made: Record, golds: list[object], said: list[object], words: list[ExampleWords]) -> Record:
    folder.mkdir(parents=True)
    units = METRICS.get(made.metric).units(golds, said, LABELS)  # type: ignore[arg-type]
    table = count_table(made.metric, list(range(len(golds))), units, words, LABELS)
    return made.model_copy(update={"counts_sha256": write_counts(folder, table)})


def pair(root: Path, make: Make, system: str, golds: list[object], sides: tuple[list[object], list[object]],
         words: tuple[list[ExampleWords], list[ExampleWords]], **values: object) -> Pair:  # fmt: skip
    """Return a pair whose counts are written below `root`."""
    common: dict[str, Any] = {"task": "qnli", "metric": "accuracy", "headline": "accuracy", "family": "classification",
                              "name": system, "weights": system, **values}  # fmt: skip
    clean, attacked = make(**common), make(suite="drop", **common)
    written = [
        write(root / system / name, record, golds, said, known)
        for name, record, said, known in zip(("clean", "drop"), (clean, attacked), sides, words, strict=True)
    ]
    return Pair(written[1], root / system / "drop", written[0], root / system / "clean")


def classification(root: Path, make: Make, system: str, clean: list[object], attacked: list[object]) -> Pair:
    """Return a pair on four examples: the first two were hit in a plain word, the third in a split one."""
    words = [ExampleWords([PLAIN], 5, True), ExampleWords([PLAIN], 5, True), ExampleWords([SPLIT], 5, True),
             ExampleWords([], 5, True)]  # fmt: skip
    return pair(root, make, system, ["yes"] * 4, (clean, attacked), ([ExampleWords([], 5, False)] * 4, words))


def test_examples_are_scored_clean_on_those_that_the_attack_put_into_the_cell(
    tmp_path: Path, make_record: Make
) -> None:
    pairs = [
        classification(tmp_path, make_record, "bert", ["yes", "no", "no", "yes"], ["no", "no", "no", "no"]),
        classification(tmp_path, make_record, "charbert", ["yes", "yes", "yes", "no"], ["yes", "no", "yes", "no"]),
    ]
    found = breakdown_frame(cell_statistics(pairs, statistics_of(pairs), ["pieces", "operator"]))
    frame = found.set_index(["dimension", "value", "label"])
    values = {key: tuple(row[["units", "clean", "attacked", "drop"]]) for key, row in frame.iterrows()}
    assert values["pieces", "Word", "bert"] == (2, 50.0, 0.0, 50.0)
    assert values["pieces", "Word", "charbert"] == (2, 100.0, 50.0, 50.0)
    assert values["pieces", "Subword", "charbert"] == (1, 100.0, 100.0, 0.0)
    assert values["operator", "none", "bert"] == (3, 200 / 3, 0.0, 200 / 3)
    gains = frame.loc[("pieces", "Word", "charbert")]
    assert (gains["gain_clean"], gains["gain"]) == (50.0, 50.0)
    assert frame.loc[("pieces", "Subword", "bert"), "drop_note"] == "one example"
    assert frame["gain"].isna()["pieces", "Word", "bert"]


def test_entities_have_their_own_clean_cell_or_none(tmp_path: Path, make_record: Make) -> None:
    golds: list[object] = [("B-PER", "O", "B-LOC")]
    clean, attacked = [("B-PER", "O", "B-LOC")], [("B-PER", "O", "O")]
    words = [
        [ExampleWords([PLAIN, PLAIN, WordState(8, 2, 2)], 3, False)],
        [ExampleWords([PLAIN, PLAIN, SPLIT], 3, True)],
    ]
    one = pair(tmp_path, make_record, "bert", golds, (list(clean), list(attacked)), (words[0], words[1]),
               task="conll2003", metric="entity_f1", headline="f1", family="tagging")  # fmt: skip
    frame = breakdown_frame(cell_statistics([one], statistics_of([one]), ["pieces", "operator"]))
    values = {(row["dimension"], row["value"]): row for row in frame.to_dict("records")}
    assert (values["pieces", "Subword"]["clean"], values["pieces", "Subword"]["attacked"]) == (100.0, 0.0)
    assert (values["pieces", "Word"]["clean"], values["pieces", "Word"]["attacked"]) == (100.0, 100.0)
    assert values["operator", "swap"]["attacked"] == 0.0
    assert np.isnan(values["operator", "swap"]["clean"])  # no entity was hit in clean text
    assert values["operator", "swap"]["units"] == 1


def test_the_whole_is_that_of_the_statistics(tmp_path: Path, make_record: Make) -> None:
    pairs = [classification(tmp_path, make_record, "bert", ["yes", "no", "yes", "yes"], ["no", "yes", "no", "yes"])]
    whole = statistics_of(pairs)
    cells = cell_statistics(pairs, whole, ["all"])["all", "all"]
    system = (pairs[0].attacked.system.shown, pairs[0].attacked.system.base)
    task = pairs[0].attacked.task
    assert cells.score(task, system, "drop") == whole.score(task, system, "drop")
    assert cells.change(task, system, "drop", retention) == whole.change(task, system, "drop", retention)


@pytest.mark.parametrize(("metric", "unit"), [("entity_f1", "gold entities"), ("accuracy", "examples")])
def test_units_have_names(metric: str, unit: str) -> None:
    assert unit_of(metric) == unit

"""Rows in memory: whatever their type, the same file with the same examples."""

from __future__ import annotations

from datetime import date
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

import robustbench_char as rbc
from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.tasks.sources import MINI_TASKS

COLA = [
    {"sentence": "The cat slept.", "label": 1, "idx": 0, "note": None, "weights": [0.5, 1.0]},
    {"sentence": 'Slept "the" cät.', "label": 0, "idx": 1, "note": "odd", "weights": []},
    {"sentence": "NA", "label": -1, "idx": 2, "note": None, "weights": [2.0]},
]
NAMED = datasets.ClassLabel(names=["unacceptable", "acceptable"])
"""The order of the task."""


def kinds(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the same rows in every type that is read."""
    data = datasets.Dataset.from_list(rows)
    return {
        "list": rows,
        "tuple": tuple(rows),
        "dataset": data,
        "selected": datasets.concatenate_datasets([data, data]).select(range(len(rows), 2 * len(rows))),
        "frame": pd.DataFrame(rows),
        "frame of arrow": data.data.table.to_pandas(types_mapper=pd.ArrowDtype),
        "frame of arrays": data.to_pandas(),
        "columns in another order": pd.DataFrame(rows, index=[7] * len(rows))[sorted(rows[0])],
    }


@pytest.mark.parametrize("kind", kinds(COLA))
def test_the_same_content_is_one_file(kind: str) -> None:
    expected = rbc.load(COLA, task="cola")
    file = rbc.load(kinds(COLA)[kind], task="cola")
    assert source_sha256(file.path) == source_sha256(expected.path)
    assert file.path.name == "data.jsonl"
    assert list(file.examples()) == list(expected.examples())
    assert [example.label for example in file.examples()] == ["acceptable", "unacceptable", None]


@pytest.mark.parametrize("task", MINI_TASKS)
def test_the_examples_of_every_task(task: str, tmp_path: Any) -> None:
    """Rows in the layout of the hub are the examples of the native file, and the file can be attacked and verified."""
    native = rbc.load(task=task, data="mini")
    manifest = rbc.attack_file(task, native, suite="drop", output=tmp_path / "a", format="parquet")
    rows = datasets.Dataset.from_parquet(str(tmp_path / "a" / manifest.output.name), cache_dir=str(tmp_path))
    file = rbc.load(rows.to_pandas(), task=task)
    assert source_sha256(file.path) == source_sha256(rbc.load(rows, task=task).path)
    assert [one.fields for one in file.examples()] == [
        one.fields for one in rbc.load(tmp_path / "a" / manifest.output.name, task=task).examples()
    ]
    rbc.attack_file(task, rows, suite="swap", output=tmp_path / "b")
    assert rbc.verify(tmp_path / "b", rows.to_list()).counts.edits > 0


def test_a_long_value_is_cut_in_a_message() -> None:
    with pytest.raises(rbc.InputError, match=r"data: row 0: sentence: found \['x{75}\.\.\.; expected"):
        list(rbc.load([{"sentence": ["x" * 200], "label": 1}], task="cola").examples())


def test_names_of_the_data_win_over_the_order_of_the_task() -> None:
    swapped = datasets.ClassLabel(names=["acceptable", "unacceptable"])
    rows = datasets.Dataset.from_list([{"sentence": "A.", "label": 1}])
    by_feature = {names.names[0]: rbc.load(rows.cast_column("label", names), task="cola") for names in (NAMED, swapped)}
    assert [one.label for one in by_feature["unacceptable"].examples()] == ["acceptable"]
    assert [one.label for one in by_feature["acceptable"].examples()] == ["unacceptable"]


def test_odd_values_are_kept_as_text() -> None:
    rows = [
        {"sentence": "A.", "label": np.int64(1), "when": date(2026, 1, 2), "n": np.float32("nan"), 3: (1, 2)},
        {"sentence": "B.", "label": 0, "more": {1: np.arange(2)}},
    ]
    path = rbc.load(rows, task="cola").path
    assert path.read_text(encoding="utf-8").splitlines() == [
        '{"3": [1, 2], "label": "acceptable", "more": null, "n": null, "sentence": "A.", "when": "2026-01-02"}',
        '{"3": null, "label": "unacceptable", "more": {"1": [0, 1]}, "n": null, "sentence": "B.", "when": null}',
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, r"data: found the type int; expected a path, a datasets.Dataset, a pandas data frame, or a list of"),
        ({"sentence": ["A."]}, r"data: found the type dict"),
        ([], r"data: found no rows; expected at least one example"),
        (pd.DataFrame({"sentence": []}), r"data: found no rows"),
        ([{"sentence": "A."}, "B."], r"data: row 1: found the type str; expected a dictionary"),
        (pd.DataFrame([["A.", "B."]], columns=["sentence", "sentence"]), r"found the column 'sentence' twice"),
        (datasets.DatasetDict({"dev": datasets.Dataset.from_list(COLA)}), r"found the splits dev.*data\['dev'\]"),
        ([{"sentence": "A.", "label": "odd"}], r"data: row 0: label: found the label 'odd'; expected one of 0, 1, un"),
        ([{"sentence": None, "label": 1}], r"data: row 0: sentence: found None; expected a text"),
        ([{"text": "A.", "label": 1}], r"data: row 0: found the columns label, text; expected a column 'sentence'"),
        ([{"sentence": "A\ud800.", "label": 1}], r"the lone surrogate"),
    ],
)  # fmt: skip
def test_bad_rows(data: Any, message: str) -> None:
    with pytest.raises(rbc.InputError, match=message):
        list(rbc.load(data, task="cola").examples())


def test_messages_name_the_data_and_not_the_temporary_file() -> None:
    always = rbc.predictor(lambda texts: ["x"] * len(texts), name="always", version="1")
    task = rbc.classification("title", ["x", "y"])
    with pytest.raises(
        rbc.InputError, match=r"^data: row 0 \(id 0\): found an example without label.*`columns` of the"
    ):
        rbc.evaluate(always, [{"title": "A."}], task=task, progress=False)
    with pytest.raises(
        rbc.InputError, match=r"^data: row 0: found the columns label, titel; .*Rename the column, or say"
    ):
        list(rbc.load([{"titel": "A.", "label": "x"}], task=task).examples())

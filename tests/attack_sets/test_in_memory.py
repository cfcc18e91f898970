"""Attacking rows in memory: the same edits in every type and on a file; nothing else moves; edits can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import robustbench_char as rbc
from robustbench_char.attacks.ledger import LEDGER_COLUMNS, rows_by_text, undoing_edit_of
from robustbench_char.text.edits import apply_edits

WORDS = st.lists(st.text("abcdeäé'\"1,", min_size=1, max_size=9), min_size=1, max_size=6).map(" ".join)
ROWS = st.lists(
    st.fixed_dictionaries({"title": WORDS, "stars": st.sampled_from([1, 2]), "note": st.none() | st.text(max_size=5)}),
    min_size=1, max_size=6,
)  # fmt: skip
REVIEWS = rbc.classification("title", {1: "bad", 2: "good"}, label="stars")
TAGGED = {
    "tokens": [["Anna", "sings", "loudly"], ["Oslo", "waits"]], "ner_tags": [[1, 0, 0], [5, 0]], "id": ["a", "b"],
}  # fmt: skip
SQUAD = [
    {"id": name, "title": "t", "context": "Anna sang in the harbour of Ríga.", "question": question,
     "answers": {"text": ["Ríga", "harbour of Ríga"], "answer_start": [28, 17]}}
    for name, question in (("q1", "Where did Anna sing?"), ("q2", "Which harbour was it?"))
]  # fmt: skip


def listed(data: Any) -> list[dict[str, Any]]:
    """Return rows of any type as plain dictionaries."""
    if isinstance(data, pd.DataFrame):
        return datasets.Dataset.from_pandas(data, preserve_index=False).to_list()
    return list(data)


def undone(attacked: list[dict[str, Any]], ledger: pd.DataFrame, field: str) -> list[str]:
    """Return the clean texts of a field."""
    import pyarrow as pa

    edits = rows_by_text(pa.Table.from_pandas(ledger))
    return [
        apply_edits(row[field], list(map(undoing_edit_of, edits.get((number, field), []))))
        for number, row in enumerate(attacked)
    ]


@given(ROWS, st.integers(0, 3))
def test_equal_edits_in_every_type_and_undone(rows: list[dict[str, Any]], seed: int) -> None:
    options: Any = {"task": REVIEWS, "suite": "mixed", "seed": seed}
    first = rbc.attack(rows, **options)
    assert undone(first, first.ledger, "title") == [row["title"] for row in rows]
    assert [row | {"title": ""} for row in first] == [row | {"title": ""} for row in rows]
    for data in (datasets.Dataset.from_list(rows), pd.DataFrame(rows), rbc.load(rows, task=REVIEWS)):
        if isinstance(data, datasets.Dataset | pd.DataFrame):
            other = rbc.attack(data, **options)
            pd.testing.assert_frame_equal(other.ledger, first.ledger)
            assert other.strength == first.strength
            assert [row["title"] for row in listed(other)] == [row["title"] for row in first]


def test_equal_edits_as_those_of_a_file(tmp_path: Path) -> None:
    rows = [{"title": f'The harbour number {number} was "quiet".', "stars": 1 + number % 2} for number in range(9)]
    manifest = rbc.attack_file(REVIEWS, rows, suite="mixed", seed=3, output=str(tmp_path / "out"))
    attacked = rbc.attack(rows, task=REVIEWS, suite="mixed", seed=3)
    again = rbc.load(tmp_path / "out" / manifest.output.name, task=REVIEWS)
    assert [example.fields["title"] for example in again.examples()] == [row["title"] for row in attacked]
    assert attacked.strength == manifest.strength.effective
    ledger = pd.read_parquet(tmp_path / "out" / "edits.parquet")[list(LEDGER_COLUMNS[:-1])]
    pd.testing.assert_frame_equal(attacked.ledger[list(LEDGER_COLUMNS[:-1])], ledger, check_dtype=False)
    rbc.verify(str(tmp_path / "out"), pd.DataFrame(rows))


@pytest.mark.parametrize("text", ["str", "object", "category", "string[pyarrow]"])
def test_a_data_frame_keeps_index_types_and_other_columns(text: str) -> None:
    clean = pd.DataFrame(
        {"n": np.array([1, 2], "int8"), "title": pd.Series(["The harbour", "was quiet"], dtype=text), "stars": [1, 2],
         "when": pd.to_datetime(["2026-01-01", None]), "odd": [{"a": 1}, {1, 2}], 5: pd.array([None, 1], "Int64")},
    ).set_index(pd.Index([7, 7], name="key"))  # fmt: skip
    clean.attrs["source"] = "a test"
    before = clean.copy(deep=True)
    attacked = rbc.attack(clean, task=REVIEWS, suite="drop", seed=1)
    assert type(attacked) is pd.DataFrame
    pd.testing.assert_frame_equal(clean, before)
    pd.testing.assert_frame_equal(attacked.drop(columns="title"), clean.drop(columns="title"))
    assert (attacked["title"].astype(str) != clean["title"].astype(str)).all()
    assert attacked["title"].dtype.name == clean["title"].dtype.name
    assert attacked.attrs == {"source": "a test"}
    assert attacked.ledger["word_before"].tolist() == ["harbour", "quiet"]
    assert 0 < attacked.strength <= 1


@pytest.mark.parametrize("make", [
    lambda data: pd.DataFrame(data),
    lambda data: datasets.Dataset.from_dict(data).to_pandas(),
    lambda data: datasets.Dataset.from_dict(data).data.table.to_pandas(types_mapper=pd.ArrowDtype),
    lambda data: pd.DataFrame(data | {"tokens": list(map(tuple, data["tokens"]))}),
])  # fmt: skip
def test_tokens_stay_what_they_are(make: Any) -> None:
    clean = make(TAGGED)
    attacked = rbc.attack(clean, task="conll2003", suite="mixed", seed=2)
    assert attacked.dtypes.equals(clean.dtypes)
    assert [type(value) for value in attacked["tokens"]] == [type(value) for value in clean["tokens"]]
    expected = rbc.attack(datasets.Dataset.from_dict(TAGGED), task="conll2003", suite="mixed", seed=2)
    assert [list(value) for value in attacked["tokens"]] == list(expected["tokens"]) != TAGGED["tokens"]


def test_answers_follow_in_every_type() -> None:
    options: Any = {"task": "squad_v1", "suite": "mixed", "seed": 4, "fields": ["context"]}
    expected = rbc.attack(datasets.Dataset.from_list(SQUAD), **options)
    for data in (SQUAD, pd.DataFrame(SQUAD), datasets.Dataset.from_list(SQUAD).to_pandas()):
        assert listed(rbc.attack(data, **options)) == expected.to_list()
    assert expected.ledger["row"].tolist() == [0] * len(expected.ledger)  # the context that both share stands once
    for row in expected:
        for start, text in zip(row["answers"]["answer_start"], row["answers"]["text"], strict=True):
            assert row["context"][start : start + len(text)] == text


def test_splits_have_a_ledger_each_and_one_strength() -> None:
    splits = {name: datasets.Dataset.from_list([{"title": text, "stars": 1}])
              for name, text in (("train", "The harbour was quiet"), ("test", "a b"))}  # fmt: skip
    attacked = rbc.attack(datasets.DatasetDict(splits), task=REVIEWS, suite="drop", seed=1)
    assert {name: len(ledger) for name, ledger in attacked.ledger.items()} == {"train": 2, "test": 0}
    assert attacked.strength == attacked["train"].strength
    assert attacked["test"].strength is None
    with pytest.raises(rbc.InputError, match=r"data\['test'\]: row 0: stars: found the label '5'"):
        rbc.attack(datasets.DatasetDict(test=datasets.Dataset.from_dict({"title": ["a"], "stars": ["5"]})),
                   task=REVIEWS, suite="drop")  # fmt: skip


def test_half_a_character() -> None:
    rows = [{"title": "A whole one", "stars": 1}, {"title": "half \ud800 one", "stars": 1}]
    with pytest.raises(
        rbc.InputError, match=r"data: row 1: title: found half a surrogate pair; expected whole characters"
    ):
        rbc.attack(rows, task=REVIEWS, suite="drop")


def test_an_empty_list_and_own_keys_of_any_type() -> None:
    assert rbc.attack([], task=REVIEWS, suite="drop") == []
    rows: Any = [{"title": "harbour", "stars": 1, 3: "x"}, {"title": "ferry", "stars": 2, "more": 1}]
    attacked = rbc.attack(rows, task=REVIEWS, suite="drop")
    assert [list(row) for row in attacked] == [list(row) for row in rows]
    assert attacked[0][3] == "x"

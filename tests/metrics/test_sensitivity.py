"""Sensitivity S on arrays: the formula, the groups of the summary, the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from scipy.spatial.distance import cosine

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.metrics.sensitivity import WORD_COLUMNS, cosine_distances, summary_frame
from robustbench_char.records.sensitivity import find_sensitivities, read_words

numbers = st.floats(-5, 5, allow_nan=False).map(lambda value: round(value, 3))
tables = some.arrays(np.float64, (4, 3), elements=numbers)


@given(tables, tables)
def test_distances_are_those_of_scipy(clean: np.ndarray, attacked: np.ndarray) -> None:
    found = cosine_distances(clean, attacked)
    assert ((found >= 0) & (found <= 2)).all()
    for one, other, distance in zip(clean, attacked, found, strict=True):
        if one.any() and other.any():
            assert distance == pytest.approx(cosine(one, other), abs=1e-9)


def test_equal_rows_are_not_apart_and_zeros_have_no_direction() -> None:
    rows = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 0.0]])
    assert cosine_distances(rows, rows).tolist() == [0.0, 0.0, 0.0]
    assert cosine_distances(rows, rows[[1, 0, 1]]).tolist() == [1.0, 1.0, 1.0]
    assert cosine_distances(rows[2:], -rows[2:]).tolist() == [2.0]
    with pytest.raises(ValueError, match="one shape"):
        cosine_distances(rows, rows[:2])


def words(*rows: tuple[int, bool, str, int, int, float]) -> pd.DataFrame:
    """Return a table of words from (example, changed, operators, pieces, length, distance)."""
    return pd.DataFrame(
        [(row, "tokens", number, 0, changed, operator, pieces, pieces + changed, length, distance)
         for number, (row, changed, operator, pieces, length, distance) in enumerate(rows)],
        columns=list(WORD_COLUMNS),
    )  # fmt: skip


def test_groups_of_words() -> None:
    table = words(
        (0, True, "add+drop", 1, 4, 0.5), (0, False, "", 2, 2, 0.1), (1, True, "drop", 1, 12, 0.9),
        (2, False, "", 1, 3, float("nan")), (3, False, "", 1, 3, 0.0),
    )  # fmt: skip
    found = summary_frame(table).set_index(["group", "value"])
    expected = {
        ("all", "all"): (4, 1, 0.375),
        ("changed", "changed"): (2, 0, 0.7),
        ("changed", "unchanged"): (2, 1, 0.05),
        ("pieces", "Word"): (3, 1, 1.4 / 3),
        ("pieces", "Subword"): (1, 0, 0.1),
        ("operator", "add"): (1, 0, 0.5),
        ("operator", "drop"): (2, 0, 0.7),
        ("word_length", "1-3"): (2, 1, 0.05),
        ("word_length", "4-6"): (1, 0, 0.5),
        ("word_length", "10+"): (1, 0, 0.9),
    }
    assert {key: (row["words"], row["left_out"], pytest.approx(row["s"])) for key, row in found.iterrows()} == expected
    whole = found.loc[("all", "all")]
    assert whole["half"] == pytest.approx(0.1875)
    assert whole["low"] < whole["s"] < whole["high"]


def test_a_group_without_a_measured_word_is_not_defined() -> None:
    found = summary_frame(words((0, True, "drop", 1, 4, float("nan")))).iloc[0]
    assert (found["words"], found["left_out"], found["note"]) == (0, 1, "not defined")
    assert found["s"] is None


def test_the_interval_covers_sentences_not_words() -> None:
    """Words of one sentence are alike here: as if each sentence had one word."""
    many = words(*((row, True, "drop", 1, 4, 0.2 * (row % 5)) for row in range(40) for _ in range(25)))
    one = words(*((row, True, "drop", 1, 4, 0.2 * (row % 5)) for row in range(40)))
    found, expected = (summary_frame(table).iloc[0] for table in (many, one))
    assert (found["low"], found["high"]) == pytest.approx((expected["low"], expected["high"]))
    assert summary_frame(one).equals(summary_frame(one, seed=0))
    assert not summary_frame(one).equals(summary_frame(one, seed=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema": 2}, "schema: found 2"), ({"task": 3}, "task: found Input should be a valid string")],
)
def test_records_that_cannot_be_read(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "sensitivity.json").write_text(json.dumps({"schema": 1, **change}))
    with pytest.raises(InputError, match=message):
        find_sensitivities([tmp_path])
    assert find_sensitivities([tmp_path / "none"]) == []


def test_words_of_another_run(tmp_path: Path) -> None:
    class Record:
        words_sha256 = "0"

    assert read_words(tmp_path, Record()) is None  # type: ignore[arg-type]
    words((0, True, "drop", 1, 4, 0.5)).to_parquet(tmp_path / "words.parquet")
    with pytest.raises(InputError, match="another content than its record was made with"):
        read_words(tmp_path, Record())  # type: ignore[arg-type]
    words((0, True, "drop", 1, 4, 0.5)).drop(columns=["start"]).to_parquet(tmp_path / "words.parquet")
    Record.words_sha256 = sha256_file(tmp_path / "words.parquet")
    with pytest.raises(InputError, match=r"the columns row, field, word, changed, .*expected the words of one run"):
        read_words(tmp_path, Record())  # type: ignore[arg-type]

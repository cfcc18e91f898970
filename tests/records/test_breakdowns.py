"""Breakdowns: which cells entities, words and examples fall into, and the table of counts that is made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.metrics.base import METRICS
from robustbench_char.metrics.breakdowns import TEXT_LENGTHS, WORD_LENGTHS, ExampleWords, WordState, bucket
from robustbench_char.records.counts import COUNTS, KEYS, CellCounts, cell_counts, count_table, write_counts
from robustbench_char.records.evaluation import Record, read_counts

PLAIN, SPLIT = WordState(4, 1, 1), WordState(8, 2, 3, ("swap",))
GOLD = ("B-PER", "I-PER", "O", "B-LOC")


def tables(
    metric: str, gold: tuple[str, ...], said: tuple[str | None, ...], words: list[WordState]
) -> dict[str, object]:
    """Return the counts of one attacked sentence by cell, as tuples."""
    units = METRICS.get(metric).units([gold], [said], None)
    table = count_table(metric, [7], units, [ExampleWords(words, len(words), True)], None)
    assert set(table["row"]) == {7}
    return {f"{row.dimension}={row.value}": tuple(row)[4:] for row in table.itertuples()}


def test_cells_of_entities() -> None:
    said = ("B-PER", "I-PER", "O", "B-ORG")
    assert tables("entity_f1", GOLD, said, [PLAIN, SPLIT, PLAIN, PLAIN]) == {
        "all=all": (1, 2, 2),  # right, predicted, gold
        "pieces=Subword": (1, 1, 1),
        "pieces=Word": (0, 1, 1),
        "pieces_read=Subword": (1, 1, 1),
        "pieces_read=Word": (0, 1, 1),
        "entity_type=PER": (1, 1, 1),
        "entity_type=LOC": (0, 0, 1),
        "entity_type=ORG": (0, 1, 0),
        "operator=swap": (1, 1, 1),
        "operator=none": (0, 1, 1),
        "word_length=7-9": (1, 1, 1),
        "word_length=4-6": (0, 1, 1),
        "text_length=1-10": (1, 2, 2),
    }


def test_cells_of_words() -> None:
    found = tables("tag_accuracy", ("NN", "VB"), ("NN", None), [PLAIN, SPLIT])
    assert found["all=all"] == (1, 2)
    assert (found["pieces=Word"], found["pieces=Subword"]) == ((1, 1), (0, 1))
    assert (found["operator=none"], found["operator=swap"]) == ((1, 1), (0, 1))


def test_cells_of_examples() -> None:
    """An example is `Subword` where a word that was hit was split; clean data have no words that were hit."""
    labels = ("no", "yes")
    units = list(METRICS.get("accuracy").units(["no", "yes"], ["no", "no"], labels))
    attacked = [ExampleWords([PLAIN, SPLIT], 40, True), ExampleWords([], 40, True)]
    table = count_table("accuracy", [0, 1], iter(units), attacked, labels)
    cells = {(row.row, row.dimension, row.value) for row in table.itertuples()}
    assert cells == {
        *((row, "all", "all") for row in (0, 1)),
        *((row, "text_length", "31+") for row in (0, 1)),
        *((0, dimension, "Subword") for dimension in ("pieces", "pieces_read")),
        *((0, "operator", "swap"), (1, "operator", "none")),
    }
    clean = count_table("accuracy", [0, 1], iter(units), [ExampleWords([], 3, False)] * 2, labels)
    assert set(clean["dimension"]) == {"all", "text_length"}


@pytest.mark.parametrize(("number", "expected"), [(1, "1-3"), (3, "1-3"), (4, "4-6"), (9, "7-9"), (10, "10+")])
def test_buckets(number: int, expected: str) -> None:
    assert bucket(number, WORD_LENGTHS) == expected
    assert [bucket(length, TEXT_LENGTHS) for length in (10, 20, 30, 31)] == ["1-10", "11-20", "21-30", "31+"]


words = st.builds(WordState, st.integers(1, 14), st.integers(1, 4), st.integers(1, 4), st.sampled_from([(), ("add",)]))
taggings = st.lists(
    st.tuples(st.sampled_from(["O", "B-A", "I-A"]), st.sampled_from(["O", "B-A", "I-A", None]), words), min_size=1
)


@pytest.mark.parametrize("metric", ["entity_f1", "tag_accuracy"])
def test_the_cells_of_a_breakdown_add_up(metric: str) -> None:
    @given(st.lists(taggings, min_size=1, max_size=4))
    def check(sentences: list[list[tuple[str, str | None, WordState]]]) -> None:
        columns = [tuple(zip(*sentence, strict=True)) for sentence in sentences]
        golds, said = [gold for gold, _, _ in columns], [found for _, found, _ in columns]
        known = [ExampleWords(states, len(states), True) for *_, states in columns]
        rows = list(range(10, 10 + len(sentences)))
        table = count_table(metric, rows, METRICS.get(metric).units(golds, said, None), known, None)
        whole = np.zeros((len(rows), len(METRICS.get(metric).columns(None))))
        for unit in METRICS.get(metric).units(golds, said, None):
            whole[unit.row] += unit.counts
        np.testing.assert_array_equal(cell_counts(table, rows), whole)
        for dimension in ("pieces", "pieces_read", "operator", "word_length", "text_length"):
            values = table.loc[table["dimension"] == dimension, "value"].unique()
            parts = [CellCounts(table, rows).of(dimension, value) for value in values]
            np.testing.assert_array_equal(np.sum([np.zeros_like(whole), *parts], axis=0), whole)

    check()


def test_written_and_read(tmp_path: Path, make_record: Callable[..., Record]) -> None:
    units = METRICS.get("accuracy").units(["no"], ["no"], ("no", "yes"))
    table = count_table("accuracy", [3], units, [ExampleWords([], 3, False)], ("no", "yes"))
    record: Record = make_record(counts_sha256=write_counts(tmp_path, table))
    read = read_counts(tmp_path, record)
    assert read is not None
    assert read.to_dict("list") == table.to_dict("list")
    assert read_counts(tmp_path, make_record()) is None
    with pytest.raises(InputError, match=r"counts\.parquet: found another content than its record was made with"):
        read_counts(tmp_path, make_record(counts_sha256="0"))
    (tmp_path / COUNTS).unlink()
    with pytest.raises(InputError, match=r"counts\.parquet: found no such file"):
        read_counts(tmp_path, record)


def test_counts_of_another_make_are_refused(tmp_path: Path, make_record: Callable[..., Record]) -> None:
    table = pd.DataFrame({"dimension": ["all"], "value": ["all"], "correct": [1]})
    record = make_record(counts_sha256=write_counts(tmp_path, table))
    with pytest.raises(InputError, match=r"counts\.parquet: found the columns dimension, value, correct"):
        read_counts(tmp_path, record)


def test_keys_stand_first() -> None:
    assert KEYS == ("row", "dimension", "value")

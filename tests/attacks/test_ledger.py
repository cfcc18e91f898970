"""The ledger: its columns, and edits applied one by one."""

from __future__ import annotations

import pyarrow as pa

from robustbench_char.attacks.engine import Batch, Outcome, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import (
    LEDGER_COLUMNS,
    Slot,
    TextEdits,
    ledger_schema,
    ledger_table,
    word_vocabulary,
)
from robustbench_char.attacks.suites import Suite, load_suites
from robustbench_char.text.edits import Moves

TEXTS = ['Morning tea: 日本 "Straße"', "", "Zwölf BOXER don't"]


def outcome() -> tuple[Outcome, Suite]:
    (suite,) = load_suites("mixed", task="qnli")
    return attack_batch(Batch(TEXTS, text_keys("abc", seed=2, family="mixed", task="qnli")), suite), suite


def test_rows_say_what_happened() -> None:
    result, suite = outcome()
    table = ledger_table(result, [Slot(7, "x", "one"), Slot(8, "y", "two"), Slot(9, "z", "three")])
    assert table.schema == ledger_schema()
    assert tuple(table.column_names) == LEDGER_COLUMNS
    clean, attacked = dict(zip((7, 8, 9), TEXTS, strict=True)), dict(zip((7, 8, 9), result.texts, strict=True))
    rows = table.to_pylist()
    assert [(row["row"], row["id"], row["field"], row["word"]) for row in rows] == [
        (7, "x", "one", 0), (7, "x", "one", 3), (9, "z", "three", 0), (9, "z", "three", 1), (9, "z", "three", 2),
    ]  # fmt: skip
    for row in rows:
        before, after = clean[row["row"]], attacked[row["row"]]
        assert row["operator"] in suite.operators
        assert before[row["start_clean"] :].startswith(row["removed"])
        assert after[row["start_attacked"] :].startswith(row["inserted"])
        assert row["word_before"] in before
        assert row["word_after"] in after
        assert row["removed_source"] is None


def test_positions_move_by_columns_as_by_edits() -> None:
    result, _ = outcome()
    edits = TextEdits(ledger_table(result, [Slot(i, "x", "one") for i in range(3)]))
    for row, text in enumerate(TEXTS):
        by_columns, by_edits = edits.moves(row, "one"), Moves(edits.of(row, "one"))
        for at in range(len(text) + 1):
            assert (by_columns.start(at), by_columns.end(at)) == (by_edits.start(at), by_edits.end(at))


def test_removed_source_and_empty_ledgers() -> None:
    result, _ = outcome()
    count = len(result.edits.word)
    table = ledger_table(result, [Slot(i, str(i), "f") for i in range(3)], ["\\u0061", *[None] * (count - 1)])
    assert table["removed_source"].to_pylist() == ["\\u0061", *[None] * (count - 1)]
    (suite,) = load_suites("drop", task="qnli")
    for texts in ([], ["", "a b"]):
        empty = attack_batch(Batch(texts, text_keys(texts, seed=0, family="f", task="t")), suite)
        table = ledger_table(empty, [Slot(i, str(i), "f") for i in range(len(texts))])
        assert table.schema == ledger_schema()
        assert table.num_rows == 0
        assert pa.concat_tables([table, table]).num_rows == 0


def test_vocabulary_in_lower_case() -> None:
    assert word_vocabulary(outcome()[0]) == {"morning", "tea", "日本", "straße", "zwölf", "boxer", "don't"}

"""The choice of examples: the worst and the best kept one, the same each time; and what cards say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.analysis.pairs import pair_records
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.records.evaluation import find_records, read_record, write_record
from robustbench_char.reports.examples._cards import make_cards, short_card, shown_tag
from robustbench_char.reports.examples._choice import OUTCOMES, Changed, Choice, changed_examples, extremes

TASKS = ("qnli", "conll2003", "squad_v2")
Make = Callable[..., Path]


def changed_in(root: Path) -> list[Changed]:
    return changed_examples(pair_records(find_records([root])))


def all_in(root: Path) -> list[Choice]:
    """Return every example that an attack changed."""
    tables = ((pair, zip(table["row"], table["outcome"], strict=True)) for pair, table in changed_in(root))
    return [Choice(pair, row, outcome) for pair, rows in tables for row, outcome in rows]


def change(folder: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Rewrite the predictions of a folder and let its record agree."""
    path = folder / "predictions.parquet"
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    found = read_record(folder / "record.json")
    write_record(folder, found.model_copy(update={"predictions_sha256": sha256_file(path)}))


def test_the_worst_lost_most_by_the_fewest_edits_and_the_best_kept_most(make_runs: Make) -> None:
    (pair,) = pair_records(find_records([make_runs(("conll2003",), suites=("drop",))]))
    worst, best = extremes(pair)
    sides = [pd.read_parquet(folder / "predictions.parquet").set_index("row")
             for folder in (pair.clean_folder, pair.attacked_folder) if folder]  # fmt: skip
    lost, edits = sides[0]["score"] - sides[1]["score"], sides[1]["edits"].map(json.loads).map(len)
    assert (worst.outcome, best.outcome) == ("broken", "survived")
    assert lost[worst.row] == lost.max()
    assert edits[worst.row] == edits[(lost == lost.max()) & (edits > 0)].min()
    right = (sides[0]["score"] == 1) & (sides[1]["score"] == 1)
    assert right[best.row]
    assert edits[best.row] == edits[right].max()
    cards = [short_card(card) for card in make_cards([worst, best])]
    assert [card.title for card in cards] == [
        f"Worst kept by bert: example conll2003-{worst.row}", f"Best kept by bert: example conll2003-{best.row}"
    ]  # fmt: skip
    assert not cards[0].edits


def test_what_there_is_not_is_left_out(make_runs: Make) -> None:
    root = make_runs(suites=("drop",), count=60)
    for condition in ("clean", "drop"):
        change(root / f"qnli-bert-0-{condition}-1", lambda frame: frame.assign(score=1.0))
    (pair,) = pair_records(find_records([root]))
    assert [choice.outcome for choice in extremes(pair)] == ["survived"]


def test_a_short_card_has_three_rows(make_runs: Make) -> None:
    (pair,) = pair_records(find_records([make_runs(("conll2003",), suites=("drop",))]))
    card = make_cards(extremes(pair))[0]
    long = card._replace(rows=card.rows * 2)
    assert short_card(long).rows == long.rows[:3]
    assert short_card(long).footnote.startswith(f"and {len(long.rows) - 3} more words")


def test_a_short_card_has_the_beginning_of_long_texts(make_runs: Make) -> None:
    (pair,) = pair_records(find_records([make_runs(("squad_v2",), suites=("drop",))]))
    card = make_cards(extremes(pair))[0]
    texts = ["".join(part.text for piece in pieces for part in piece.parts) for _, pieces in short_card(card).fields]
    assert max(map(len, texts)) <= 122
    assert texts[1].endswith(" …")


def test_the_choice_does_not_depend_on_the_order_of_rows(make_runs: Make) -> None:
    root = make_runs(suites=("drop",))
    before, (pair,) = all_in(root), pair_records(find_records([root]))
    chosen = extremes(pair)
    change(root / "qnli-bert-0-drop-1", lambda frame: frame.iloc[::-1])
    assert [choice[1:] for choice in all_in(root)] == [choice[1:] for choice in before]
    (pair,) = pair_records(find_records([root]))
    assert [choice[1:] for choice in extremes(pair)] == [choice[1:] for choice in chosen]


def test_nothing_to_choose_from(make_runs: Make) -> None:
    root = make_runs(suites=("drop",), keep=False)
    assert all_in(root) == []
    assert extremes(pair_records(find_records([root]))[0]) == []


def test_all_outcomes_are_explained() -> None:
    assert list(OUTCOMES) == ["broken", "survived", "repaired", "wrong"]


def test_other_rows_than_on_clean_data_are_refused(make_runs: Make) -> None:
    root = make_runs()
    change(root / "qnli-bert-0-drop-1", lambda frame: frame.head(50))
    with pytest.raises(InputError, match="50 predictions with other rows than the 120 on clean data"):
        all_in(root)


def test_edits_that_are_not_in_the_text_are_refused(make_runs: Make) -> None:
    root = make_runs(suites=("add",))
    change(root / "qnli-bert-0-add-1", lambda frame: frame.assign(fields=json.dumps({"question": "Who ?"})))
    with pytest.raises(InputError, match=r"row \d+: found an edit that is not in the text"):
        make_cards(all_in(root))


def test_malformed_predictions_are_refused(make_runs: Make) -> None:
    root = make_runs(suites=("add",))
    change(root / "qnli-bert-0-add-1", lambda frame: frame.assign(gold="{"))
    with pytest.raises(InputError, match="malformed JSON"):
        make_cards(all_in(root))


def test_a_tagging_card_lists_entities_and_changes_alone(make_runs: Make) -> None:
    cards = make_cards(all_in(make_runs(("conll2003",))))
    for card in cards:
        assert card.header == ("word", "gold", "before", "after")
        assert all(gold != "O" or before != after for _, gold, before, after in card.rows)
        assert sum(gold != "O" for _, gold, _, _ in card.rows) == 3
    assert any(after == "(cut off)" for card in cards for *_, after in card.rows)


def nouns(frame: pd.DataFrame) -> pd.DataFrame:
    """Tag every word as a noun, rightly."""
    tags = [json.dumps(["NN"] * len(json.loads(fields)["tokens"])) for fields in frame["fields"]]
    return frame.assign(gold=tags, prediction=tags, score=1.0)


def test_without_entities_and_changes_the_edited_words_are_listed(make_runs: Make) -> None:
    root = make_runs(("conll2003",), suites=("add",))
    for condition in ("clean", "add"):
        change(root / f"conll2003-bert-0-{condition}-1", nouns)
    rows = make_cards(all_in(root))[0].rows
    assert len(rows) == 2
    assert all(" → " in word for word, *_ in rows)


def test_a_card_names_ten_edits_at_most(make_runs: Make) -> None:
    root = make_runs(("cola",), suites=("add",))
    text = "wxord " * 12
    edit = {"field": "sentence", "operator": "add", "removed": "", "inserted": "x"}
    edit |= {"word_before": "word", "word_after": "wxord"}
    edits = [edit | {"start_clean": 5 * number + 1, "start_attacked": 6 * number + 1} for number in range(12)]
    values = {"fields": json.dumps({"sentence": text}), "edits": json.dumps(edits)}
    change(root / "cola-bert-0-add-1", lambda frame: frame.assign(**values))
    card = make_cards(all_in(root))[0]
    assert card.edits.count("word → wxord (add)") == 10
    assert card.edits.endswith(" and 2 more")
    assert sum(piece.word for _, pieces in card.fields for piece in pieces) == 12


def test_a_question_card_names_no_answer_and_the_attacked_gold(make_runs: Make) -> None:
    root = make_runs(("squad_v2",), suites=("drop",))
    attacked = root / "squad_v2-bert-0-drop-1"
    change(attacked, lambda frame: frame.assign(gold=[gold.replace("Amara", "Amra") for gold in frame["gold"]]))
    rows = [card.rows[0] for card in make_cards(all_in(root))]
    assert any(gold == "(no answer)" for gold, _, _ in rows)
    assert any(gold == "Amara Lindqvist (attacked: Amra Lindqvist)" for gold, _, _ in rows)


def test_what_a_chat_model_answers_beside_the_task_is_shown_so() -> None:
    assert [shown_tag(tag) for tag in ("UNUSABLE", "I-UNUSABLE", "B-PER", None)] == [*["(unusable)"] * 2, "B-PER", None]

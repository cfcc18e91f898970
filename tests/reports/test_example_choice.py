"""The choice of examples: balanced, the same each time, broken first; and what their cards say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.evaluation.comparison import Pair, pair_records
from robustbench_char.evaluation.records import find_records, read_record, write_record
from robustbench_char.reports.cards import make_cards
from robustbench_char.reports.choice import OUTCOMES, choose

TASKS = ("qnli", "conll2003", "squad_v2")
Make = Callable[..., Path]


def pairs_in(root: Path) -> list[Pair]:
    return pair_records(find_records([root]))


def change(folder: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Rewrite the predictions of a folder and let its record agree."""
    path = folder / "predictions.parquet"
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    found = read_record(folder / "record.json")
    write_record(folder, found.model_copy(update={"predictions_sha256": sha256_file(path)}))


def test_twenty_spread_over_tasks_suites_and_systems(make_runs: Make) -> None:
    chosen = choose(pairs_in(make_runs(TASKS, ("bert", "charbert"), ("drop", "add", "swap"))))
    assert len(chosen) == 20
    assert sorted(Counter(choice.pair.attacked.task for choice in chosen).values())[0] >= 5
    assert sorted(Counter(choice.pair.attacked.condition for choice in chosen).values())[0] >= 5
    assert sorted(Counter(choice.pair.attacked.system.name for choice in chosen).values())[0] >= 7
    assert len({(choice.pair.attacked_folder, choice.row) for choice in chosen}) == 20


def test_broken_ones_come_first_then_those_that_survived(make_runs: Make) -> None:
    outcomes = [choice.outcome for choice in choose(pairs_in(make_runs(count=200)))]
    assert outcomes == ["broken"] * 10 + ["survived"] * 7 + ["repaired"] * 3


def test_outcomes_and_edits_are_as_the_predictions_say(make_runs: Make) -> None:
    for choice in choose(pairs_in(make_runs(TASKS))):
        tables = [pd.read_parquet(folder / "predictions.parquet").set_index("row").loc[choice.row]
                  for folder in (choice.pair.clean_folder, choice.pair.attacked_folder) if folder]  # fmt: skip
        before, after = (table["score"] for table in tables)
        expected = {"broken": after < before, "repaired": after > before, "survived": before == after == 1}
        assert expected[choice.outcome]
        assert json.loads(tables[1]["edits"])


def test_the_others_fill_up_what_one_outcome_lacks(make_runs: Make) -> None:
    root = make_runs(suites=("drop",), count=60)
    change(root / "qnli-bert-0-clean-1", lambda frame: frame.assign(score=1.0))
    change(root / "qnli-bert-0-drop-1", lambda frame: frame.assign(score=(frame["row"] >= 4).astype(float)))
    outcomes = Counter(choice.outcome for choice in choose(pairs_in(root)))
    assert outcomes == {"broken": 3, "survived": 17}  # row 0 was not attacked


def test_the_choice_does_not_depend_on_the_order_of_rows(make_runs: Make) -> None:
    root = make_runs()
    before = [(choice.row, choice.outcome) for choice in choose(pairs_in(root))]
    change(root / "qnli-bert-0-drop-1", lambda frame: frame.iloc[::-1])
    assert [(choice.row, choice.outcome) for choice in choose(pairs_in(root))] == before


def test_nothing_to_choose_from(make_runs: Make) -> None:
    assert choose(pairs_in(make_runs(keep=False))) == []


def test_all_outcomes_are_explained() -> None:
    assert list(OUTCOMES) == ["broken", "survived", "repaired", "wrong"]


def test_other_rows_than_on_clean_data_are_refused(make_runs: Make) -> None:
    root = make_runs()
    change(root / "qnli-bert-0-drop-1", lambda frame: frame.head(50))
    with pytest.raises(InputError, match="50 predictions with other rows than the 120 on clean data"):
        choose(pairs_in(root))


def test_edits_that_are_not_in_the_text_are_refused(make_runs: Make) -> None:
    root = make_runs(suites=("add",))
    change(root / "qnli-bert-0-add-1", lambda frame: frame.assign(fields=json.dumps({"question": "Who ?"})))
    with pytest.raises(InputError, match=r"row \d+: found an edit that is not in the text"):
        make_cards(choose(pairs_in(root)))


def test_malformed_predictions_are_refused(make_runs: Make) -> None:
    root = make_runs(suites=("add",))
    change(root / "qnli-bert-0-add-1", lambda frame: frame.assign(gold="{"))
    with pytest.raises(InputError, match="malformed JSON"):
        make_cards(choose(pairs_in(root)))


def test_a_tagging_card_shows_entities_edits_and_changes_alone(make_runs: Make) -> None:
    cards = make_cards(choose(pairs_in(make_runs(("conll2003",)))))
    for card in cards:
        assert card.header == ("word", "gold", "before", "after")
        for word, gold, before, after in card.rows:
            assert gold != "O" or " → " in word or before != after
    assert any(after == "(cut off)" for card in cards for *_, after in card.rows)


def test_a_question_card_names_no_answer_and_the_attacked_gold(make_runs: Make) -> None:
    root = make_runs(("squad_v2",), suites=("drop",))
    attacked = root / "squad_v2-bert-0-drop-1"
    change(attacked, lambda frame: frame.assign(gold=[gold.replace("Amara", "Amra") for gold in frame["gold"]]))
    rows = [card.rows[0] for card in make_cards(choose(pairs_in(root)))]
    assert any(gold == "(no answer)" for gold, _, _ in rows)
    assert any(gold == "Amara Lindqvist (attacked: Amra Lindqvist)" for gold, _, _ in rows)

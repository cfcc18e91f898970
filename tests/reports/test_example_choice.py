"""The choice of examples: balanced, the same each time, broken first; and what their cards say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from robustbench_char.analysis.pairs import pair_records
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file
from robustbench_char.records.evaluation import find_records, read_record, write_record
from robustbench_char.reports.examples._cards import make_cards
from robustbench_char.reports.examples._choice import OUTCOMES, Changed, changed_examples, choose

TASKS = ("qnli", "conll2003", "squad_v2")
Make = Callable[..., Path]


def changed_in(root: Path) -> list[Changed]:
    return changed_examples(pair_records(find_records([root])))


def change(folder: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Rewrite the predictions of a folder and let its record agree."""
    path = folder / "predictions.parquet"
    edit(pd.read_parquet(path)).to_parquet(path, index=False)
    found = read_record(folder / "record.json")
    write_record(folder, found.model_copy(update={"predictions_sha256": sha256_file(path)}))


def test_twenty_spread_over_tasks_suites_and_systems(make_runs: Make) -> None:
    chosen = choose(changed_in(make_runs(TASKS, ("bert", "charbert"), ("drop", "add", "swap"))))
    assert len(chosen) == 20
    assert sorted(Counter(choice.pair.attacked.task for choice in chosen).values())[0] >= 5
    assert sorted(Counter(choice.pair.attacked.condition for choice in chosen).values())[0] >= 5
    assert sorted(Counter(choice.pair.attacked.system.name for choice in chosen).values())[0] >= 7
    assert len({(choice.pair.attacked_folder, choice.row) for choice in chosen}) == 20


def test_broken_ones_come_first_then_those_that_survived(make_runs: Make) -> None:
    outcomes = [choice.outcome for choice in choose(changed_in(make_runs(count=200)))]
    assert outcomes == ["broken"] * 10 + ["survived"] * 7 + ["repaired"] * 3


def test_outcomes_and_edits_are_as_the_predictions_say(make_runs: Make) -> None:
    for choice in choose(changed_in(make_runs(TASKS))):
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
    outcomes = Counter(choice.outcome for choice in choose(changed_in(root)))
    assert outcomes == {"broken": 3, "survived": 17}  # row 0 was not attacked


def test_the_choice_does_not_depend_on_the_order_of_rows(make_runs: Make) -> None:
    root = make_runs()
    before = [(choice.row, choice.outcome) for choice in choose(changed_in(root))]
    change(root / "qnli-bert-0-drop-1", lambda frame: frame.iloc[::-1])
    assert [(choice.row, choice.outcome) for choice in choose(changed_in(root))] == before


def test_nothing_to_choose_from(make_runs: Make) -> None:
    assert choose(changed_in(make_runs(keep=False))) == []


def test_all_outcomes_are_explained() -> None:
    assert list(OUTCOMES) == ["broken", "survived", "repaired", "wrong"]


def test_other_rows_than_on_clean_data_are_refused(make_runs: Make) -> None:
    root = make_runs()
    change(root / "qnli-bert-0-drop-1", lambda frame: frame.head(50))
    with pytest.raises(InputError, match="50 predictions with other rows than the 120 on clean data"):
        choose(changed_in(root))


def test_edits_that_are_not_in_the_text_are_refused(make_runs: Make) -> None:
    root = make_runs(suites=("add",))
    change(root / "qnli-bert-0-add-1", lambda frame: frame.assign(fields=json.dumps({"question": "Who ?"})))
    with pytest.raises(InputError, match=r"row \d+: found an edit that is not in the text"):
        make_cards(choose(changed_in(root)))


def test_malformed_predictions_are_refused(make_runs: Make) -> None:
    root = make_runs(suites=("add",))
    change(root / "qnli-bert-0-add-1", lambda frame: frame.assign(gold="{"))
    with pytest.raises(InputError, match="malformed JSON"):
        make_cards(choose(changed_in(root)))


def test_a_tagging_card_lists_entities_and_changes_alone(make_runs: Make) -> None:
    cards = make_cards(choose(changed_in(make_runs(("conll2003",)))))
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
    rows = make_cards(choose(changed_in(root)))[0].rows
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
    card = make_cards(choose(changed_in(root)))[0]
    assert card.edits.count("word → wxord (add)") == 10
    assert card.edits.endswith(" and 2 more")
    assert sum(piece.word for _, pieces in card.fields for piece in pieces) == 12


def test_a_question_card_names_no_answer_and_the_attacked_gold(make_runs: Make) -> None:
    root = make_runs(("squad_v2",), suites=("drop",))
    attacked = root / "squad_v2-bert-0-drop-1"
    change(attacked, lambda frame: frame.assign(gold=[gold.replace("Amara", "Amra") for gold in frame["gold"]]))
    rows = [card.rows[0] for card in make_cards(choose(changed_in(root)))]
    assert any(gold == "(no answer)" for gold, _, _ in rows)
    assert any(gold == "Amara Lindqvist (attacked: Amra Lindqvist)" for gold, _, _ in rows)

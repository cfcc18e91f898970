"""The suite `charbert_nlm_2020` against what the reference's create_adv_word does to a word."""

from __future__ import annotations

from collections import Counter

import pytest

from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, ledger_table
from robustbench_char.attacks.suites import load_suites
from robustbench_char.text.letters import ALPHABETS

Row = dict[str, object]
CHARACTERS = ALPHABETS.get("charbert_nlm_2020")
LONG = ["abcd", "abcde", "harbour", "NATO", "1984", "Straße"]


def attack(texts: list[str], strength: str = "@1") -> tuple[list[str], list[Row]]:
    (suite,) = load_suites(f"charbert_nlm_2020{strength}", task="pretraining")
    names = [str(number) for number in range(len(texts))]
    keys = text_keys(names, seed=7, family=suite.family, task="pretraining")
    outcome = attack_batch(Batch(texts, keys), suite)
    return outcome.texts, ledger_table(outcome, [Slot(n, name, "text") for n, name in enumerate(names)]).to_pylist()


def share(rows: list[Row], key: str, value: object) -> float:
    return sum(row[key] == value for row in rows) / len(rows)


def test_the_alphabet() -> None:
    """80 characters: those of the reference without the space, capitals, digits and signs among them."""
    assert len(CHARACTERS) == len(set(CHARACTERS)) == 80
    assert not any(one.isspace() for one in CHARACTERS)
    assert {"e", "T", "0", "$", "–", "—", "é", "-"} <= set(CHARACTERS)
    assert not {"\\", "!", "&", "G!"} & set(CHARACTERS)


@pytest.mark.parametrize("word", ["a", "ab", "abc", "5", "Öl"])
def test_short_words_get_a_character_before_one_of_theirs(word: str) -> None:
    texts, rows = attack([word] * 8000)
    assert len(rows) == 8000
    assert {row["operator"] for row in rows} == {"add"}
    for place in range(len(word)):
        assert share(rows, "start_clean", place) == pytest.approx(1 / len(word), abs=0.03)
    drawn = Counter(str(row["inserted"]) for row in rows)
    assert set(drawn) == set(CHARACTERS)
    assert all(60 <= count <= 145 for count in drawn.values())  # 100, give or take four and a half deviations
    assert all(text[-1] == word[-1] for text in texts)


@pytest.mark.parametrize("word", LONG)
def test_long_words_lose_a_character_or_swap_two(word: str) -> None:
    texts, rows = attack([word] * 4000)
    n = len(word)
    wasted = sum(word[i] == word[i + 1] for i in range(1, n - 1)) / (n - 2)
    swaps = [row for row in rows if row["operator"] == "swap"]
    drops = [row for row in rows if row["operator"] == "drop"]
    assert len(swaps) + len(drops) == len(rows)
    assert len(drops) / 4000 == pytest.approx(0.5, abs=0.03)
    assert len(swaps) / 4000 == pytest.approx(0.5 * (1 - wasted), abs=0.03)
    for place in range(n):
        assert share(drops, "start_clean", place) == pytest.approx(1 / n, abs=0.04)
    for place in range(1, n - 1):
        assert share(swaps, "start_clean", place) == pytest.approx(1 / (n - 2), abs=0.05)
    legal = {word[:i] + word[i + 1 :] for i in range(n)}
    legal |= {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, n - 1)}
    assert set(texts) == legal


def test_equal_neighbours_leave_the_word_clean() -> None:
    """`axxx`: every swap changes nothing, and is not drawn again."""
    texts, rows = attack(["axxx"] * 4000)
    assert {row["operator"] for row in rows} == {"drop"}
    assert texts.count("axxx") / 4000 == pytest.approx(0.5, abs=0.03)


def test_words_are_those_of_the_treebank() -> None:
    """`cannot` is two words of three letters, and punctuation is none at all."""
    texts, rows = attack(["cannot , ... !"] * 50)
    assert {(row["word"], row["operator"]) for row in rows} == {(0, "add"), (1, "add")}
    assert all(text.endswith(" , ... !") for text in texts)


def test_a_word_is_edited_without_the_full_stop_of_its_sentence() -> None:
    texts, rows = attack(["The film ended. Mr. Smith slept. Then he left."] * 200)
    assert {row["word"] for row in rows} == {0, 1, 2, 4, 5, 6, 8, 9, 10}
    assert all(text.count(". ") >= 2 and text.endswith(".") for text in texts)


@pytest.mark.parametrize(("strength", "edited"), [("", 6), ("@0.1", 4), ("@0.15", 6)])
def test_strength(strength: str, edited: int) -> None:
    _, rows = attack(["abcdefgh " * 40] * 20, strength)
    assert Counter(row["row"] for row in rows) == dict.fromkeys(range(20), edited)

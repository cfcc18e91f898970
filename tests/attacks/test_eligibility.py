"""Which words are eligible, where operators may strike, and how many words a strength takes."""

from __future__ import annotations

import numpy as np
import pytest

from robustbench_char.attacks.eligibility import chosen, eligible, find_words, is_stop_word, within_spans
from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys, word_keys
from robustbench_char.attacks.operators import eligible_range
from robustbench_char.attacks.suites import OperatorRule, Strength, WordRule, load_suites
from robustbench_char.text.columns import Column
from robustbench_char.text.words import STOP_WORDS, Words


def words_of(text: str, rule: WordRule) -> list[str]:
    column = Column.of([text])
    words = find_words(column, rule, False)
    may = eligible(column, words, rule, is_stop_word(column, words))
    return [text[start:end] for start, end, open_ in zip(words.starts, words.ends, may, strict=True) if open_]


TEXT = "The U.S. cat's 1884 x86 don't ---- naïve e\u0301 日本 themselves 3,36"


@pytest.mark.parametrize(("case", "capitals"), [("keep", 6), ("lower", 5)])
def test_a_replaced_capital_is_one_again_where_case_is_kept(case: str, capitals: int) -> None:
    suite = load_suites("charmer_2024", task="qnli")[0].model_copy(
        update={"operators": {"replace": OperatorRule()}, "edits_per_word": 1, "case": case}
    )
    keys = text_keys(map(str, range(20)), seed=1, family=suite.family, task="t")
    texts = attack_batch(Batch(["ABCDEF"] * 20, keys), suite).texts
    assert {sum(map(str.isupper, text)) for text in texts} == {capitals}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, "The U.S. cat's 1884 x86 don't naïve e\u0301 日本 themselves 3,36"),
        ({"min_length": 5}, "cat's don't naïve themselves"),
        ({"max_length": 3}, "The x86 e\u0301 日本"),
        ({"digits": "no_number"}, "The U.S. cat's x86 don't naïve e\u0301 日本 themselves 3,36"),
        ({"digits": "no_digit"}, "The U.S. cat's don't naïve e\u0301 日本 themselves"),
        ({"letters_only": True}, "The naïve 日本 themselves"),
        ({"stop_words": "skip"}, "U.S. cat's 1884 x86 naïve e\u0301 日本 3,36"),
        ({"match": "^[a-z].*"}, "cat's x86 don't naïve e\u0301 themselves"),
        ({"match": r"(?<!\w)\w+$"}, "The 1884 x86 naïve 日本 themselves"),
        ({"split": "unicode", "min_length": 4}, "cat's 1884 don't naïve themselves"),
        ({"split": "treebank", "min_length": 4}, "U.S. 1884 naïve themselves 3,36"),
    ],
)
def test_word_rules(rule: dict[str, object], expected: str) -> None:
    assert words_of(TEXT, WordRule.model_validate({"split": "whitespace"} | rule)) == expected.split(" ")


def test_an_expression_does_not_see_the_text_before() -> None:
    """Looking back from the first word of a text would otherwise see the text before it, which may be any."""
    rule = WordRule(match=r"(?<!\s)cat")
    for texts in (["cat"], ["dog", "cat"], ["dog\n", "cat"]):
        column = Column.of(texts)
        words = find_words(column, rule, False)
        assert eligible(column, words, rule, is_stop_word(column, words))[-1]


def test_stop_words_in_any_case() -> None:
    text = " ".join([*STOP_WORDS, *(word.upper() for word in STOP_WORDS), *(word.capitalize() for word in STOP_WORDS)])
    others = " ".join(
        [f"{word}x" for word in STOP_WORDS] + ["don’t", "ourselve", "ourselvesourselves", "thé", "", "ı", "dоn't"]
    )
    for content, expected in ((text, True), (others.replace("  ", " "), False)):
        column = Column.of([content])
        words = find_words(column, WordRule(split="whitespace"), False)
        found = [
            content[a:b]
            for a, b, stop in zip(words.starts, words.ends, is_stop_word(column, words), strict=True)
            if stop != expected
        ]
        assert [word for word in found if expected or word.removesuffix("x") not in {"m", "d"}] == []


@pytest.mark.parametrize("length", range(1, 7))
@pytest.mark.parametrize("width", [0, 1, 2])
@pytest.mark.parametrize("positions", ["interior", "all"])
def test_eligible_range(length: int, width: int, positions: str) -> None:
    """Brute force: a place is open when the characters taken lie in the word and, in the interior, leave both ends
    where they are.
    """
    low, high = eligible_range(np.array([10]), np.array([10 + length]), width=width, positions=positions)  # type: ignore[arg-type]
    last = 10 + length - 1
    places = [at for at in range(10, 10 + length + 1) if at + width <= 10 + length]
    if positions == "interior":
        places = [at for at in places if at > 10 and at + width - 1 < last and not (width == 0 and at > last)]
    assert list(range(low[0], high[0])) == places


def test_rounding_is_that_of_python() -> None:
    """Halves go to the even number, text by text."""
    for count in range(12):
        words = Words.of(Column.of(["a " * 12]), np.arange(12) * 2, np.arange(12) * 2 + 1)
        keys = word_keys(np.repeat(text_keys(["k"], seed=0, family="", task=""), 12), words.number)
        for rate in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0):
            assert chosen(words, keys, np.arange(12) < count, Strength(rate=rate)).sum() == round(rate * count)


def test_spans() -> None:
    column = Column.of(["one two three", "four"])
    words = find_words(column, WordRule(), False)
    assert within_spans(column, words, [[(2, 5)], []]).tolist() == [True, True, False, False]
    assert within_spans(column, words, [[(3, 4), (13, 13)], [(0, 4)]]).tolist() == [False, False, False, True]


def test_tokens_are_not_crossed() -> None:
    column = Column.of(["can not U.S. a\u00a0b", ""])
    expected = {
        "whitespace": ["can", "not", "U.S.", "a\u00a0b"],
        "treebank": ["can", "not", "U.S", ".", "a", "b"],
    }
    for split, found in expected.items():
        words = find_words(column, WordRule(split=split), tokens=True)
        assert [column.texts()[0][a:b] for a, b in zip(words.starts, words.ends, strict=True)] == found
        assert (words.text == 0).all()


def test_a_rate_may_be_rounded_at_random_in_each_text() -> None:
    """Pre-training draws how many words of a line are noised: short lines too, each by its own key alone."""
    (suite,), rate = load_suites("mixed@0.15", task="text"), 0.15
    for words in (1, 2, 3, 20):
        texts = [" ".join(["harbour"] * words)] * 4000
        keys = text_keys(map(str, range(4000)), seed=1, family=suite.family, task="pretrain")
        nearest = attack_batch(Batch(texts, keys), suite)
        drawn = attack_batch(Batch(texts, keys, round_at_random=True), suite)
        assert nearest.attempted == 4000 * round(rate * words)
        share, error = drawn.attempted / (4000 * words), (rate * (1 - rate) / (4000 * words)) ** 0.5
        assert share == pytest.approx(rate, abs=4 * error)
        counts = np.bincount(drawn.words.text[drawn.edits.word], minlength=4000)
        assert set(counts.tolist()) <= {int(rate * words), int(rate * words) + 1}
        alone = attack_batch(Batch(texts[:7], keys[5:12], round_at_random=True), suite)
        assert alone.texts == drawn.texts[5:12]

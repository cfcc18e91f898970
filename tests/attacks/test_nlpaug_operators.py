"""nlpaug behind our engine: every augmenter works, leaves global random state alone, and never splits a word."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from robustbench_char.attacks.engine import Batch, Outcome, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.operators import NLPAUG_LAYOUTS, OPERATORS, WordOperator
from robustbench_char.attacks.suites import OperatorRule, Strength, Suite, WordRule, load_suites
from robustbench_char.attacks.word_operators import LetterRuns, single_edit
from robustbench_char.text.columns import Column
from robustbench_char.text.words import Words, split_whitespace

NAMES = [name for name in OPERATORS if name.startswith("nlpaug")]
TEXT = (
    "because they don't believe in the government of the U.S. tomorrow, a well-known co-operation separates definitely"
)
LOCAL = {"he": "שלום לכולם", "th": "ภาษาไทย สวัสดี", "uk": "привіт світе"}


def suite_of(name: str, positions: str = "all") -> Suite:
    return Suite(name=name, family="f", words=WordRule(min_length=3),
                 operators={name: OperatorRule()}, strength=Strength(rate=1.0),
                 positions=positions, alphabet="english", layout="qwerty", case="keep", no_op="never", fields=None)  # type: ignore[arg-type]  # fmt: skip


def attack(suite: Suite, texts: list[str]) -> Outcome:
    return attack_batch(Batch(texts, text_keys(map(str, range(len(texts))), seed=1, family="f", task="t")), suite)


@pytest.mark.parametrize("name", NAMES)
def test_every_augmenter_edits_or_counts_a_no_op(name: str) -> None:
    texts = [f"{TEXT} {LOCAL.get(name[-2:], '')}"] * 5
    outcome = attack(suite_of(name), texts)
    assert outcome.attempted == outcome.eligible > 0
    assert 0 < len(outcome.edits.word) <= outcome.attempted
    for text in outcome.texts:
        assert len(text.split()) == len(texts[0].split())
        assert "_" not in text
        assert "U.S." in text


@pytest.mark.parametrize("layout", NLPAUG_LAYOUTS)
def test_words_in_another_script_than_the_layout_are_no_ops(layout: str) -> None:
    """No keyboard of nlpaug has Greek keys: those words are tried, and stay."""
    outcome = attack(suite_of(f"nlpaug_keyboard_{layout}"), ["Ελληνικά γράμματα"])
    assert outcome.texts == ["Ελληνικά γράμματα"]
    assert (outcome.attempted, len(outcome.edits.word)) == (2, 0)


def test_interior_and_single_letters() -> None:
    for name in NAMES:
        outcome = attack(suite_of(name, "interior"), [TEXT, "a-b-c A1B2C3 x"])
        for before, after in zip(TEXT.split(), outcome.texts[0].split(), strict=True):
            assert (before[0], before[-1]) == (after[0], after[-1])
        assert outcome.texts[1] == "a-b-c A1B2C3 x"  # no run of two letters: not eligible


def test_at_the_ends_alone() -> None:
    words = TEXT.replace("-", " ").replace("'", " ").replace(",", "").split()
    outcome = attack(suite_of("nlpaug_random_substitute", "ends"), [" ".join(words)] * 20)
    pairs = [pair for text in outcome.texts for pair in zip(words, text.split(), strict=True) if len(set(pair)) > 1]
    places = {(at in (0, len(old) - 1)) for old, new in pairs for at in range(len(old)) if old[at] != new[at]}
    assert len(pairs) > 20
    assert places == {True}


def rewrite_and_stop(operator: WordOperator) -> None:
    before = random.getstate()
    with operator.session():  # type: ignore[attr-defined]
        operator.rewrite("because", 3)
        assert random.getstate() != before
        raise ValueError("stop")


@pytest.mark.parametrize("name", NAMES)
def test_random_state_is_kept_also_after_an_error(name: str) -> None:
    operator = OPERATORS.get(name)
    assert isinstance(operator, WordOperator)
    random.seed(5)  # noqa: TID251
    np.random.seed(5)  # noqa: TID251
    python, numpy = random.getstate(), np.random.get_state()
    with pytest.raises(ValueError, match="stop"):
        rewrite_and_stop(operator)
    assert random.getstate() == python
    assert all(np.array_equal(a, b) for a, b in zip(numpy, np.random.get_state(), strict=True))


def test_the_seed_alone_decides() -> None:
    for name in NAMES:
        operator = OPERATORS.get(name)
        assert isinstance(operator, WordOperator)
        with operator.session():  # type: ignore[attr-defined]
            first = [operator.rewrite("separate", seed) for seed in range(30)]
            assert [operator.rewrite("separate", seed) for seed in range(30)] == first


SCRIPT = """
from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.suites import load_suites
(suite,) = load_suites("nlpaug_mixed", task="qnli")
texts = ["because they believe the government separates like the look of a definitely received answer"] * 20
print("\\n".join(attack_batch(Batch(texts, text_keys(map(str, range(20)), seed=1, family="f", task="t")), suite).texts))
"""


@pytest.mark.slow
def test_the_same_in_every_process() -> None:
    """The order of Python's sets differs from process to process; nlpaug's list of misspellings follows it, ours does
    not.
    """
    results = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, check=True, capture_output=True, text=True
        )
        results.add(done.stdout)
    assert len(results) == 1


@pytest.mark.parametrize(
    ("before", "after", "edit"),
    [
        ("word", "wrd", (1, 1, "")),
        ("word", "woord", (2, 0, "o")),
        ("word", "wxrd", (1, 1, "x")),
        ("word", "wrod", (1, 2, "ro")),
        ("word", "words", (4, 0, "s")),
        ("word", "ord", (0, 1, "")),
        ("word", "sword", (0, 0, "s")),
        ("aab", "ab", (1, 1, "")),
        ("because", "becuase", (3, 2, "ua")),
        ("their", "there", None),  # `i` goes, `e` comes: two places
        ("word", "drow", None),
        ("word", "word", None),
        ("word", "", None),
        ("word", "wo rd", None),
        ("word", "wo_rd", None),
        ("word", "wo\u2028rd", None),
        ("ab", "xyz", (0, 2, "xyz")),
        ("receive", "recieve", (3, 2, "ie")),
    ],
)
def test_single_edit(before: str, after: str, edit: tuple[int, int, str] | None) -> None:
    assert single_edit(before, after) == edit
    if edit:
        start, gone, come = edit
        assert before[:start] + come + before[start + gone :] == after


def test_letter_runs() -> None:
    column = Column.of(["don't x1yz U.S. e\u0301te", "", "--"])
    words = split_whitespace(column)
    runs = LetterRuns.of(column, words)
    cut = [
        column.codes[low:high].tobytes().decode("utf-32-le") for low, high in zip(runs.lows, runs.highs, strict=True)
    ]
    assert cut == ["don", "yz", "e\u0301te"]
    assert runs.counts.tolist() == [1, 1, 0, 1, 0]
    assert runs.first[runs.counts > 0].tolist() == [0, 1, 2]
    touching = Column.of(["abcd"])
    runs = LetterRuns.of(touching, Words.of(touching, np.array([0, 2]), np.array([2, 4])))
    assert (runs.lows.tolist(), runs.highs.tolist(), runs.first.tolist()) == ([0, 2], [2, 4], [0, 1])


def test_the_shipped_suite_reports_its_no_ops() -> None:
    (suite,) = load_suites("nlpaug_mixed", task="qnli")
    outcome = attack(suite, [TEXT] * 30)
    assert 0 < outcome.attempted - len(outcome.edits.word) < outcome.attempted / 2
    assert set(outcome.edits.operator.tolist()) == set(range(len(suite.operators)))

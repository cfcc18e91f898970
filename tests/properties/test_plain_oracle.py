"""The engine against the attack written a second time in plain Python: equal edits, draw by draw."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.ledger import Slot, ledger_table
from robustbench_char.attacks.operators import Positions
from robustbench_char.attacks.suites import OperatorRule, Strength, Suite, WordRule, load_suites, suite_names
from robustbench_char.text._sentences import sentence_ends
from robustbench_char.text._treebank import treebank_spans
from robustbench_char.text.letters import ALPHABETS, LAYOUTS
from robustbench_char.text.words import STOP_WORDS

FOUR = {"drop", "add", "swap", "keyboard"}
OWN = [
    name
    for name in suite_names()
    if set(load_suites(name, task="qnli")[0].operators) <= FOUR and name != "two_edits"  # the oracle makes one edit
]
STOP = frozenset(STOP_WORDS)
SENTENCES = [
    "Nobody in the harbour knew that Martin's letter, written in 1984, had crossed the ocean twice.",
    "SHE SAID: \"Don't sell OUR well-known bookkeeper's Apple-Trees (or U.S. bonds) for $3.88!\"",
    "Zażółć gęślą jaźń; Straße in ÖSTERREICH; naïve cooperation; ĲSSELMEER committee; aaaa AAAA aAaA.",
    'Mr. Naïve said. "It ended (at 5 p.m.) in the U.S." Nobody cares.  the film.\'',
    "\tThemselves  between\r\nyourselves\u2028and what's-his-name, cannot gonna… 12345 3,36 24.88 x86 MP3 R2D2",
    "𝐀𝐁𝐂𝐃 😀😀😀😀 e\u0301te\u0301 שלום עולם Ελληνικά नमस्ते k K kk ,;.",
    "",
    "   ",
]
words = st.sampled_from([word for sentence in SENTENCES for word in sentence.split(" ") if word])
letters = st.text(st.one_of(st.sampled_from("abzABZ'-’1 .kßüÉ"), st.characters(exclude_categories=["Cs"])), max_size=12)
texts = st.lists(st.lists(st.one_of(words, letters), max_size=10).map(" ".join), max_size=4)


def rule() -> st.SearchStrategy[OperatorRule]:
    return st.builds(
        OperatorRule,
        weight=st.sampled_from([1.0, 0.1, 3.7, 10.0]),
        min_length=st.integers(1, 6),
        max_length=st.sampled_from([None, None, 3, 6]),
        positions=st.sampled_from([None, None, "interior", "all", "before", "after_first", "ends"]),
        characters=st.sampled_from(["any", "letters", "drawn_letters"]),
        stop_words=st.sampled_from(["attack", "skip"]),
        tries=st.integers(1, 3),
    )


def word_rule() -> st.SearchStrategy[WordRule]:
    return st.builds(
        WordRule,
        split=st.sampled_from(["unicode", "whitespace", "treebank", "treebank_sentences"]),
        min_length=st.integers(1, 5),
        max_length=st.sampled_from([None, 9]),
        digits=st.sampled_from(["allow", "no_number", "no_digit"]),
        letters_only=st.booleans(),
        stop_words=st.sampled_from(["attack", "skip"]),
        match=st.sampled_from([None, "^[a-z].*", r".*(?<!e)$", r"\w+"]),
    )


strength = st.one_of(
    st.builds(Strength, rate=st.floats(0, 1)), st.builds(Strength, words=st.integers(0, 4)), st.just(Strength(rate=1.0))
)
suites = st.builds(
    Suite,
    name=st.just("t"),
    family=st.sampled_from(["t", "ü"]),
    words=word_rule(),
    operators=st.dictionaries(st.sampled_from(["drop", "add", "swap", "keyboard"]), rule(), min_size=1),
    strength=strength,
    positions=st.sampled_from(["interior", "all", "ends"]),
    alphabet=st.sampled_from(list(ALPHABETS)),
    layout=st.sampled_from(list(LAYOUTS)),
    case=st.sampled_from(["keep", "lower"]),
    no_op=st.sampled_from(["never", "as_drawn"]),
    draw_among=st.sampled_from(["all", "applicable"]),
    fields=st.none(),
)


def engine_edits(batch: list[str], names: list[str], suite: Suite, seed: int, **more: Any) -> list[tuple[object, ...]]:
    keys = text_keys(names, seed=seed, family=suite.family, task="cola")
    outcome = attack_batch(Batch(batch, keys, **more), suite)
    rows = ledger_table(outcome, [Slot(i, name, "text") for i, name in enumerate(names)]).to_pylist()
    columns = ("row", "word", "operator", "start_clean", "removed", "inserted")
    return [tuple(row[column] for column in columns) for row in rows]


def splitter(plain: ModuleType, suite: Suite) -> Callable[[str], list[tuple[int, int]]]:
    known = {
        "unicode": plain.unicode_words,
        "whitespace": plain.whitespace_words,
        "treebank": treebank_spans,
        "treebank_sentences": sentence_words,
    }
    return known[suite.words.split]


def sentence_words(text: str) -> list[tuple[int, int]]:
    bounds = pairwise([0, *sentence_ends(text), len(text)])
    return [(low + start, low + end) for low, high in bounds for start, end in treebank_spans(text[low:high])]


def plain_edits(
    plain: ModuleType, batch: list[str], names: list[str], suite: Suite, seed: int, *,
    spans: list[list[tuple[int, int]]] | None = None,
) -> list[tuple[object, ...]]:  # fmt: skip
    split = splitter(plain, suite)
    edits: list[tuple[object, ...]] = []
    for row, (text, name) in enumerate(zip(batch, names, strict=True)):
        key = plain.text_key(name, seed, suite.family, "cola")
        places = split(text) if spans is None else spans[row]
        found = plain.attack_text(
            text, key, suite, places, ALPHABETS.get(suite.alphabet), LAYOUTS.get(suite.layout), STOP
        )
        edits += [(row, *edit) for edit in found]
    return edits


@settings(max_examples=300)
@given(batch=texts, suite=suites, seed=st.integers(0, 2**40))
def test_any_suite(plain: ModuleType, batch: list[str], suite: Suite, seed: int) -> None:
    names = [f"id-{number}" for number in range(len(batch))]
    assert engine_edits(batch, names, suite, seed) == plain_edits(plain, batch, names, suite, seed)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("task", ["qnli", "conll2003"])
def test_shipped_suites(plain: ModuleType, name: str, task: str) -> None:
    batch = SENTENCES * 20
    names = [f"{number} ü" for number in range(len(batch))]
    for suite in load_suites(name, task=task):
        edits = engine_edits(batch, names, suite, 11)
        assert len(edits) > 20
        assert edits == plain_edits(plain, batch, names, suite, 11)


@pytest.mark.parametrize("name", OWN)
def test_shipped_suites_on_tokens(plain: ModuleType, name: str) -> None:
    """Words lie inside tokens: Treebank pieces of a token are found in it alone, whatever follows it."""
    rows = [sentence.split() for sentence in SENTENCES] * 10
    batch, names = [" ".join(row) for row in rows], [str(number) for number in range(len(rows))]
    suite = load_suites(name, task="conll2003")[-1]
    split = splitter(plain, suite)
    spans = []
    for row in rows:
        starts = [sum(len(token) + 1 for token in row[:number]) for number in range(len(row))]
        spans.append(
            [(at + start, at + end) for at, token in zip(starts, row, strict=True) for start, end in split(token)]
        )
    assert engine_edits(batch, names, suite, 4, tokens=True) == plain_edits(plain, batch, names, suite, 4, spans=spans)


def test_a_second_try_draws_anew(plain: ModuleType) -> None:
    """Half of the letters have no key: place and character of the later tries are draws of their own."""
    batch, names = ["éaéoéuéi"] * 100, [str(number) for number in range(100)]
    (base,) = load_suites("keyboard", task="qnli")
    suite = base.model_copy(update={"operators": {"keyboard": OperatorRule(tries=3)}, "no_op": "as_drawn"})
    edits = engine_edits(batch, names, suite, 0)
    assert 70 < len(edits) < 100
    assert edits == plain_edits(plain, batch, names, suite, 0)


def test_letters_of_the_next_word_do_not_count(plain: ModuleType) -> None:
    """Treebank words may touch: what is added before a letter stands before one of the word's own."""
    batch, names = ["cannot"] * 200, [str(number) for number in range(200)]
    (base,) = load_suites("add", task="qnli")
    rules = {"add": OperatorRule(characters="letters")}
    suite = base.model_copy(update={"operators": rules, "positions": "all", "words": WordRule(split="treebank")})
    edits = engine_edits(batch, names, suite, 0)
    assert {edit[3] for edit in edits if edit[1] == 0} == {0, 1, 2}
    assert edits == plain_edits(plain, batch, names, suite, 0)


@pytest.mark.parametrize("no_op", ["never", "as_drawn"])
@pytest.mark.parametrize("characters", ["any", "letters"])
@pytest.mark.parametrize("positions", get_args(Positions))
@pytest.mark.parametrize("operator", sorted(FOUR))
def test_positions_and_characters(
    plain: ModuleType, operator: str, positions: Positions, characters: Any, no_op: Any
) -> None:
    """All of them with one another, on words that begin or end with what is not a letter, and on words that touch."""
    batch = [*SENTENCES, "0A A0 0AB AB0 0AB0 a 0 '70s rock'n'roll cannot x86-64"]
    names = [str(number) for number in range(len(batch))]
    (base,) = load_suites("add", task="qnli")
    for split in ("unicode", "treebank"):
        changes = {"operators": {operator: OperatorRule(characters=characters)}, "words": WordRule(split=split)}
        suite = base.model_copy(update={**changes, "positions": positions, "no_op": no_op})
        edits = engine_edits(batch, names, suite, 3)
        assert len(edits) > 5
        assert edits == plain_edits(plain, batch, names, suite, 3)


def test_the_oracle_sees_a_difference(plain: ModuleType) -> None:
    """The comparison can fail: another seed gives other edits."""
    (suite,) = load_suites("mixed", task="qnli")
    names = [str(number) for number in range(len(SENTENCES))]
    assert engine_edits(SENTENCES, names, suite, 1) != plain_edits(plain, SENTENCES, names, suite, 2)

"""Searching for the worst case: what may be done to a text, and that no search ends below the exhaustive one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import below, drawing, text_keys
from robustbench_char.attacks.search import SEARCHES, Found, Space, State, Value, search, spaces
from robustbench_char.attacks.search.objectives import margin, no_answer_log_probability, span_log_probability
from robustbench_char.attacks.search.searches import Step
from robustbench_char.attacks.suites import Suite, load_suites, suite_names
from robustbench_char.common import InputError

LISTED = [suite for name in suite_names() if name != "nlpaug_mixed" for suite in load_suites(name, task="qnli")[:1]]
TEXTS = st.text(st.sampled_from("abcdeABC é'-.12 я"), max_size=24)
WORDS = st.text(st.sampled_from("abAé1"), min_size=3, max_size=5)


def suite_of(name: str, **changed: Any) -> Suite:
    return load_suites(name, task="qnli")[0].model_copy(update=changed)


def space_of(text: str, suite: Suite) -> Space:
    (space,) = spaces(Batch([text], text_keys([text], seed=0, family="x", task="y")), suite)
    return space


def ended(
    asking: Generator[list[State], list[Value], Found], space: Space, salt: str = "",
    value: Callable[[tuple[str, ...], str], Value] | None = None,
) -> Found:  # fmt: skip
    """Run a search against made-up values, which are a function of the attacked texts."""
    states, value = next(asking), value or value_of
    while True:
        try:
            states = asking.send([value(space.attacked(state), salt) for state in states])
        except StopIteration as stopped:
            found: Found = stopped.value
            return found


def value_of(texts: tuple[str, ...], salt: str) -> Value:
    digest = hashlib.sha256("\x00".join((*texts, salt)).encode()).digest()
    return Value((digest[0] % 4,), float(digest[1]))


@given(st.integers(1, 5000), st.data())
def test_there_is_a_draw_for_each_number(limit: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, limit - 1))
    assert below(drawing(np.array([number]), np.array([limit])), np.array([limit])) == [number]


@pytest.mark.parametrize("suite", LISTED, ids=lambda suite: suite.name)
@given(text=TEXTS, seed=st.integers(0, 50))
def test_what_a_suite_draws_is_among_its_options(suite: Suite, text: str, seed: int) -> None:
    keys = text_keys([text], seed=seed, family=suite.family, task="qnli")
    drawn = attack_batch(Batch([text], keys), suite)
    space = space_of(text, suite)
    known = {space.attacked((number,)) for number in range(len(space.options))}
    for start, removed, inserted, _ in drawn.edits.listed(drawn.clean, np.zeros(len(drawn.edits.word), np.int64)):
        assert (text[:start] + inserted + text[start + len(removed) :],) in known


@pytest.mark.parametrize("suite", LISTED, ids=lambda suite: suite.name)
@given(text=TEXTS)
def test_options_are_in_order_and_lead_to_different_texts(suite: Suite, text: str) -> None:
    space = space_of(text, suite)
    made = [space.attacked((number,)) for number in range(len(space.options))]
    assert len({*made, space.texts}) == len(made) + 1
    assert [(option.word, option.edit.start) for option in space.options] == sorted(
        (option.word, option.edit.start) for option in space.options
    )
    assert len({option.word for option in space.options}) <= space.eligible <= space.words


def test_one_edit_of_a_short_word_by_hand() -> None:
    space = space_of("abba cdef", suite_of("drop"))
    assert [space.attacked((number,))[0] for number in range(len(space.options))] == [
        "aba cdef",
        "abba cef",
        "abba cdf",
    ]
    assert list(space.states(2)) == [(0, 1), (0, 2)]
    assert space.attacked((0, 1)) == ("aba cef",)


@given(st.lists(WORDS, min_size=1, max_size=2), st.integers(1, 2), st.text(max_size=2))
def test_no_search_ends_below_the_exhaustive_one(words: list[str], edits: int, salt: str) -> None:
    space = space_of(" ".join(words), suite_of("mixed", alphabet="english", edits_per_word=2, layout="qwerty"))
    space = Space(space.texts, space.options[::5], space.edits_per_word)
    exact = ended(search(space, SEARCHES.get("exhaustive"), edits), space, salt)
    for name, size in (("greedy", 1), ("beam", 2), ("beam", 3), ("charmer", 2), ("charmer", 50)):
        other = ended(search(space, SEARCHES.get(name), edits, size=size), space, salt)
        assert exact.worst.value <= other.worst.value


@pytest.mark.parametrize("edits", [1, 2, 3])
def test_the_exhaustive_search_asks_about_every_number_of_edits_and_no_more(edits: int) -> None:
    space = space_of("abcd", suite_of("mixed", alphabet="english", edits_per_word=3, layout="qwerty"))
    space = Space(space.texts, space.options[::9], space.edits_per_word)
    asked = [state for states in SEARCHES.get("exhaustive").ask(space, edits, 1) for state in states]
    assert sorted({len(state) for state in asked}) == list(range(1, edits + 1))


@pytest.mark.parametrize(("name", "size"), [("exhaustive", 1), ("greedy", 1), ("beam", 2), ("charmer", 2)])
def test_searches_go_on_from_the_worst_edit(name: str, size: int) -> None:
    """The shorter, the worse: each edit of `drop` helps, and there are two words to edit."""
    space, asked = space_of("abba cdef", suite_of("drop")), SEARCHES.get(name)
    found = ended(search(space, asked, 2, size=size), space, value=lambda texts, _: Value((), len(texts[0])))
    assert [len(step.state) for step in found.steps] == [0, 1, 2]
    assert found.worst.value == Value((), len("aba cef"))


def test_a_beam_of_two_goes_on_from_the_second_worst_too() -> None:
    """The worst are two edits, of which neither is the worst by itself."""
    space = space_of("abba cddc effe", suite_of("drop"))
    sure = {"abba cddc effe": 4.0, "aba cddc effe": 1.0, "abba cdc effe": 2.0, "abba cddc efe": 3.0}
    sure |= {"aba cdc effe": 0.9, "aba cddc efe": 0.8, "abba cdc efe": 0.1}
    searches = [search(space, SEARCHES.get("beam"), 2, size=size) for size in (1, 2)]
    found = [ended(asking, space, value=lambda texts, _: Value((), sure[texts[0]])) for asking in searches]
    assert [one.worst.value.sure for one in found] == [0.8, 0.1]


@given(st.lists(WORDS, min_size=1, max_size=3), st.text(max_size=2))
def test_a_wider_beam_never_hurts(words: list[str], salt: str) -> None:
    space = space_of(" ".join(words), suite_of("swap", positions="all", edits_per_word=2))
    values = [
        ended(search(space, SEARCHES.get("beam"), 3, size=size), space, salt).worst.value for size in (1, 2, 3, 5)
    ]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", list(SEARCHES))
@given(words=st.lists(WORDS, min_size=1, max_size=3), salt=st.text(max_size=2), steps=st.integers(1, 60))
def test_a_larger_budget_never_hurts(name: str, words: list[str], salt: str, steps: int) -> None:
    space = space_of(" ".join(words), suite_of("keyboard"))
    found = [
        ended(search(space, SEARCHES.get(name), 2, budget=budget), space, salt) for budget in (steps, 2 * steps, None)
    ]
    values = [one.worst.value for one in found]
    assert values == sorted(values, reverse=True)
    assert [one.asked <= budget for one, budget in zip(found, (steps, 2 * steps), strict=False)] == [True, True]
    assert found[2].complete


@given(texts=st.lists(TEXTS, min_size=1, max_size=3))
def test_texts_that_are_attacked_together_keep_their_own_edits(texts: list[str]) -> None:
    parts = [space_of(text, suite_of("pruthi_2019")) for text in texts]
    together = Space.joined(parts)
    own = [
        (*texts[:place], *part.attacked((number,)), *texts[place + 1 :])
        for place, part in enumerate(parts)
        for number in range(len(part.options))
    ]
    assert [together.attacked((number,)) for number in range(len(together.options))] == own
    assert (together.words, together.eligible) == (sum(p.words for p in parts), sum(p.eligible for p in parts))


def test_what_a_search_found_within_some_edits() -> None:
    steps = tuple(Step(len(state), state, Value((), 5.0 - len(state))) for state in ((), (4,), (2, 7)))
    found = Found(steps, asked=9, complete=True)
    assert [found.within(edits).state for edits in (0, 1, 2, 3)] == [(), (4,), (2, 7), (2, 7)]


def test_a_search_ends_where_nothing_is_worse() -> None:
    space = space_of("abc abd", suite_of("drop"))
    found = ended(search(space, SEARCHES.get("greedy"), 2, enough=lambda value: True), space)
    assert (found.asked, found.worst.state) == (0, ())


def test_edits_of_a_library_cannot_be_listed() -> None:
    with pytest.raises(InputError, match=r"suite nlpaug_mixed: found the operator nlpaug.*edits that can be listed"):
        space_of("harbour", suite_of("nlpaug_mixed"))


def test_a_letter_is_replaced_by_all_others() -> None:
    suite = suite_of("charmer_2024", alphabet="english")
    space = space_of("ab1", suite.model_copy(update={"operators": {"replace": suite.operators["replace"]}}))
    made = {space.attacked((number,))[0] for number in range(len(space.options))}
    letters = "abcdefghijklmnopqrstuvwxyz"
    others = {"ab1"[:at] + new + "ab1"[at + 1 :] for at in range(3) for new in letters if new != "ab1"[at]}
    assert made == others
    assert len(space.options) == len(others)


def test_margins_by_hand() -> None:
    scores = np.array([[1.0, 3.0, 2.5], [4.0, 1.0, 0.0]], np.float32)
    assert margin(scores, [1, 2]) == pytest.approx(0.5 - 4.0)
    assert margin(np.array([[2.0]]), [0]) == 0.0


def test_probabilities_of_spans_by_hand() -> None:
    start, end = np.log([0.5, 0.3, 0.2]), np.log([0.1, 0.2, 0.7])
    assert span_log_probability(start, end, [(1, 2)]) == pytest.approx(np.log(0.21))
    assert span_log_probability(start, end, [(1, 2), (1, 2), (0, 1)]) == pytest.approx(np.log(0.31))
    assert span_log_probability(start, end, []) == -np.inf
    assert no_answer_log_probability([(start, end), (start, end)]) == pytest.approx(2 * np.log(0.05))


def test_edits_of_a_word_are_judged_by_the_whole_word() -> None:
    suite = suite_of("pruthi_2019", positions="all", edits_per_word=2)
    suite = suite.model_copy(update={
        "operators": {"drop": suite.operators["drop"]}, "words": suite.words.model_copy(update={"min_length": 1}),
    })  # fmt: skip
    space = space_of("xy. zq", suite)
    assert (". zq",) in [space.attacked(state) for state in space.states(2)]

"""Spans: the answer's pieces in a window, and the best span of logits against a plain search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.metrics.base import QaPrediction
from robustbench_char.models.inputs import Window
from robustbench_char.tasks.base import Answer, Example
from robustbench_char.training.families import QuestionAnswering, Span, best_span, span_of
from robustbench_char.training.options import FinetuneOptions, resolve_settings

pytestmark = pytest.mark.models

NONE = (-1, -1)


def _window(*offsets: tuple[int, int]) -> Window:
    return Window(0, {}, offsets=np.array(offsets, np.int32))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(0, "red"), (2, 2)),
        (Answer(4, "blue"), (3, 4)),
        (Answer(0, "red blue"), (2, 4)),
        (Answer(5, "lu"), (3, 3)),
        (Answer(6, "ue g"), (3, 5)),
        (Answer(9, "green more"), (0, 0)),
        (Answer(14, " x"), (0, 0)),
        (Answer(8, " green"), (5, 5)),
        (Answer(3, " blue "), (3, 4)),
        (Answer(9, "green \n"), (5, 5)),
    ],
)
def test_an_answer_in_pieces(answer: Answer, expected: tuple[int, int]) -> None:
    """The context is "red blue green", of which "blue" has the pieces "blu" and "e"."""
    assert span_of(_window(NONE, NONE, (0, 3), (4, 7), (7, 8), (9, 14), NONE), answer) == expected


def test_a_later_window_does_not_hold_what_came_before() -> None:
    assert span_of(_window(NONE, (4, 8), (9, 14)), Answer(0, "red")) == (0, 0)
    assert span_of(_window(NONE, NONE), Answer(0, "red")) == (0, 0)


def _search(start: Any, end: Any, offsets: Any, n_best: int, longest: int) -> float | None:
    """Return the best score by trying all pairs."""
    inside = [place for place, (a, b) in enumerate(offsets) if b > a]
    firsts = sorted(inside, key=lambda place: -start[place])[:n_best]
    lasts = sorted(inside, key=lambda place: -end[place])[:n_best]
    return max(
        (float(np.float32(start[a] + end[b])) for a in firsts for b in lasts if 0 <= b - a < longest), default=None
    )


@settings(max_examples=200)
@given(data=st.data(), size=st.integers(1, 25), n_best=st.integers(1, 25), longest=st.integers(1, 8))
def test_best_span_is_what_a_plain_search_finds(data: Any, size: int, n_best: int, longest: int) -> None:
    numbers = st.lists(st.floats(-9, 9, width=32), min_size=size, max_size=size, unique=True)
    start, end = (np.array(data.draw(numbers), np.float32) for _ in range(2))
    question = data.draw(st.integers(0, size))
    offsets = [NONE if place < question else (3 * place, 3 * place + 2) for place in range(size)]
    found = best_span(start, end, np.array(offsets, np.int32).reshape(-1, 2), n_best=n_best, max_answer=longest)
    assert found.null == float(start[0] + end[0])
    assert found.score == _search(start, end, offsets, n_best, longest)
    if found.score is not None:
        first, last = offsets.index((found.start, found.start + 2)), offsets.index((found.end - 2, found.end))
        assert float(start[first] + end[last]) == found.score
        assert 0 <= last - first < longest


@pytest.fixture
def recipe(tasks: Any) -> QuestionAnswering:
    options = FinetuneOptions(max_length=64, doc_stride=4)
    settings = resolve_settings(options, seed=0, family="question_answering", positions=64)
    return QuestionAnswering(tasks["question_answering"], (), settings)


EXAMPLE = Example(0, "q", "k", {"question": "what", "context": "red blue green"})


def test_the_best_window_wins_and_the_lowest_null_counts(recipe: QuestionAnswering) -> None:
    said = recipe.predict(EXAMPLE, [Span(5.0, 1.0, 0, 3), Span(2.0, 4.0, 4, 8), Span(9.0)])
    assert said == QaPrediction(text="blue", best_text="blue", null_odds=-2.0)


def test_no_answer_where_it_scores_higher(recipe: QuestionAnswering) -> None:
    assert recipe.predict(EXAMPLE, [Span(5.0, 1.0, 0, 3)]) == QaPrediction(text="", best_text="red", null_odds=4.0)
    assert recipe.predict(EXAMPLE, [Span(1.0, 1.0, 0, 3)]).text == "red", "as officially, only a higher score declines"
    assert recipe.predict(EXAMPLE, [Span(1.0)]) == QaPrediction(text="", best_text="")


def test_squad_1_never_declines(recipe: QuestionAnswering) -> None:
    from dataclasses import replace

    one = replace(recipe, task=recipe.task.model_copy(update={"metric": "squad_v1"}))
    assert one.predict(EXAMPLE, [Span(50.0, 1.0, 0, 3)]) == QaPrediction(text="red", best_text="red", null_odds=0.0)

"""A corrected text maps its spans back to the text as given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.text.corrections import Correction, each_once, match_case, replaced

words = st.text("abcé", min_size=1, max_size=5)
gaps = st.text(" .,", max_size=2)


@st.composite
def corrections(draw: st.DrawFn) -> Correction:
    """Draw a text of words and gaps, with some of its words replaced."""
    text, spans, new = "", [], []
    for word in draw(st.lists(words, max_size=6)):
        text += draw(gaps)
        spans.append((len(text), len(text) + len(word)))
        text += word
        new.append(draw(st.one_of(st.just(word), words)))
    return replaced(text + draw(gaps), spans, new)


def plain(correction: Correction, start: int, end: int) -> tuple[int, int]:
    """Map one span back, character by character: each new character knows the given span that it comes from."""
    source: list[tuple[int, int]] = []
    position = 0
    for a, b, c, d in zip(correction.starts, correction.ends, correction.new_starts, correction.new_ends, strict=True):
        source += [(place, place + 1) for place in range(position, int(a))]
        source += [(int(a), int(b))] * int(d - c)
        position = int(b)
    source += [(place, place + 1) for place in range(position, len(correction.given))]
    return source[start][0], source[end - 1][1]


@given(corrections(), st.data())
def test_spans_equal_the_plain_mapping(correction: Correction, data: st.DataObject) -> None:
    if not correction.text:
        return
    start = data.draw(st.integers(0, len(correction.text) - 1))
    end = data.draw(st.integers(start + 1, len(correction.text)))
    assert tuple(map(int, correction.to_given(start, end))) == plain(correction, start, end)


@given(corrections())
def test_mapping_is_monotone_and_inside_the_text(correction: Correction) -> None:
    places = np.arange(len(correction.text) + 1)
    starts, ends = correction.to_given(places, places)
    for mapped in (starts, ends):
        assert (np.diff(mapped) >= 0).all()
        assert mapped.min() >= 0
        assert mapped.max() <= len(correction.given)
    assert correction.to_given(0, len(correction.text)) == (0, len(correction.given))


@given(corrections())
def test_unchanged_regions_are_exact(correction: Correction) -> None:
    bounds = [0, *np.stack([correction.new_starts, correction.new_ends], 1).ravel().tolist(), len(correction.text)]
    for start, end in zip(bounds[::2], bounds[1::2], strict=True):
        given_start, given_end = correction.to_given(start, end) if start < end else (0, 0)
        assert correction.given[given_start:given_end] == correction.text[start:end]


def test_a_touched_word_is_covered_whole() -> None:
    correction = replaced("the goverment (s)", [(0, 3), (4, 13)], ["the", "government"])
    assert correction.text == "the government (s)"
    starts, ends = correction.to_given([4, 6, 0, 14, 3, -1], [14, 7, 5, 18, 4, -1])
    assert starts.tolist() == [4, 4, 0, 13, 3, -1]
    assert ends.tolist() == [13, 13, 13, 17, 4, -1]


def test_nothing_replaced_changes_nothing() -> None:
    correction = replaced("a b", [(0, 1), (2, 3)], ["a", "b"])
    assert correction.text == correction.given == "a b"
    assert len(correction.starts) == 0
    assert correction.to_given(2, 3) == (2, 3)


def test_refuses_spans_beyond_the_text() -> None:
    with pytest.raises(ValueError, match="beyond the corrected text of 3"):
        replaced("a b", [], []).to_given(0, 4)


@given(st.lists(st.text("ab", max_size=2)))
def test_each_value_is_given_once_and_all_in_one_call(values: list[str]) -> None:
    calls: list[list[str]] = []

    def numbered(distinct: Sequence[str]) -> list[str]:
        calls.append(list(distinct))
        return [f"{one} of {len(distinct)}" for one in distinct]

    assert each_once(numbered, values) == [f"{one} of {len(set(values))}" for one in values]
    assert calls == [list(dict.fromkeys(values))]


@pytest.mark.parametrize(
    ("word", "given_word", "written"),
    [
        ("cat", "The", "Cat"),
        ("cat", "THE", "CAT"),
        ("cat", "the", "cat"),
        ("cat", "tHe", "cat"),
        ("cat", "T", "Cat"),
        ("cat", "cAt", "cAt"),
        ("cat", "McD", "Cat"),
        ("cat", "É", "Cat"),
        ("cat", "", "cat"),
        ("ßa", "Das", "Ssa"),  # a capital of two letters is a title
    ],
)
def test_capitals_follow_the_word_as_given(word: str, given_word: str, written: str) -> None:
    assert match_case(word, given_word) == written

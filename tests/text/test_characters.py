"""Code points by class, columns of texts, and the data: layouts, alphabets, stop words."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.text.characters import (
    DIGIT,
    JOINER,
    LETTER,
    LOWER,
    SPACE,
    UPPER,
    WORD,
    flags,
    lower_codes,
    upper_codes,
)
from robustbench_char.text.columns import Column, over_spans, ranges, strings
from robustbench_char.text.letters import ALPHABETS, LAYOUTS
from robustbench_char.text.unicode_14 import CASED_LATER, seen
from robustbench_char.text.words import STOP_WORDS

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=15), max_size=6)


def codes(text: str) -> np.ndarray:
    return np.array([ord(char) for char in text], np.uint32)


@given(st.text())
def test_flags(text: str) -> None:
    for char, bits in zip(seen(text), flags(codes(text)).tolist(), strict=True):
        assert bool(bits & LETTER) == char.isalpha()
        assert bool(bits & DIGIT) == char.isdigit()
        assert bool(bits & SPACE) == char.isspace()
        assert bool(bits & UPPER) == char.isupper()
        assert bool(bits & LOWER) == (char.islower() and char not in CASED_LATER)
        assert bool(bits & WORD) == (char.isalpha() or char.isdigit() or unicodedata.category(char)[0] == "M")
        assert bool(bits & JOINER) == (char in "'’-")


@pytest.mark.parametrize("text", ["", "a", "é", "日", "a😀b😀𝐀", "\U0010ffff"])
def test_flags_of_each_table(text: str) -> None:
    assert flags(codes(text)).tolist() == [int(flags(codes(char))[0]) for char in text]


def test_case_of_latin_letters() -> None:
    text = "aÄßÿŸŁİıǅКk\u212a1"
    assert "".join(map(chr, upper_codes(codes(text)))) == "AÄßŸŸŁİIǄКK\u212a1"
    assert "".join(map(chr, lower_codes(codes(text)))) == "aäßÿÿłİıǆКk\u212a1"


@given(texts)
def test_columns_give_their_texts_back(batch: list[str]) -> None:
    column = Column.of(batch)
    assert column.texts() == batch
    assert len(column.codes) == column.offsets[-1] == sum(map(len, batch)) + len(batch)


@given(texts, st.data())
def test_slices(batch: list[str], data: st.DataObject) -> None:
    column, joined = Column.of(batch), "\n".join(batch)
    place = st.integers(0, len(joined))
    spans = [sorted(data.draw(st.tuples(place, place))) for _ in range(data.draw(st.integers(0, 5)))]
    starts = np.array([start for start, _ in spans], np.int64)
    lengths = np.array([end - start for start, end in spans], np.int64)
    assert strings(column.codes, starts, lengths).to_pylist() == [joined[start:end] for start, end in spans]
    assert ranges(starts, lengths).tolist() == [place for start, end in spans for place in range(start, end)]


def test_over_spans() -> None:
    values = np.array([1, 2, 4, 8, 16], np.uint8)
    starts, ends = np.array([0, 1, 3]), np.array([1, 3, 4])
    assert over_spans(np.bitwise_or, values, starts, ends).tolist() == [1, 6, 8]
    assert over_spans(np.add, values.astype(np.int32), starts, ends).tolist() == [1, 6, 8]
    assert over_spans(np.bitwise_or, values, starts[:0], ends[:0]).tolist() == []


def test_a_lone_surrogate_is_no_character() -> None:
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        Column.of(["a\ud800"])


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_layouts(name: str) -> None:
    for key, beside in LAYOUTS.get(name).items():
        assert key.islower()
        assert key not in beside
        assert len(set(beside)) == len(beside) > 0
        assert not any(char.isupper() or char.isspace() for char in beside)
        if not name.startswith(("charbert", "pruthi")):
            assert all(key in LAYOUTS.get(name)[other] for other in beside)


def test_layout_of_pruthi() -> None:
    """The four neighbours on an unshifted grid, written out by the rule."""
    at = {(r, c): key for r, row in enumerate(("qwertyuiop", "asdfghjkl", "zxcvbnm")) for c, key in enumerate(row)}
    for (r, c), key in at.items():
        beside = {at.get(place, "") for place in ((r, c - 1), (r, c + 1), (r - 1, c), (r + 1, c))} - {""}
        assert set(LAYOUTS.get("pruthi_2019")[key]) == beside


def test_layout_of_charbert() -> None:
    layout = LAYOUTS.get("charbert_2020")
    assert sorted(layout) == sorted("abcdefghijklmnopqrstuvwxyz")
    assert sum(map(len, layout.values())) == 122
    assert layout["k"] == "jiolm,"


def test_layout_of_a_keyboard() -> None:
    assert set(LAYOUTS.get("qwerty")["g"]) == set("fhtyvb")
    assert set(LAYOUTS.get("qwertz")["t"]) == set("rzfg")


def test_alphabets_and_stop_words() -> None:
    for name in ALPHABETS:
        letters = ALPHABETS.get(name)
        assert len(set(letters)) == len(letters)
        assert all(len(letter) == 1 and not letter.isspace() for letter in letters)
        # The noise of CharBERT's pre-training inserts digits and punctuation too.
        assert name == "charbert_nlm_2020" or all(map(str.isalpha, letters))
    assert len(STOP_WORDS) == len(set(STOP_WORDS)) == 179
    assert all(word == word.lower() for word in STOP_WORDS)

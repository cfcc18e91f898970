"""Word splitters: spans in order, apart, without white space; what each takes for a word; words of given tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.text.columns import Column
from robustbench_char.text.words import SPLITTERS, token_words

CHARACTERS = st.one_of(st.sampled_from("ab'’-\" .,\n\t`?!"), st.characters(exclude_categories=["Cs"]))
texts = st.lists(st.text(CHARACTERS, max_size=20), max_size=6)


def cut(split: str, text: str) -> list[str]:
    words = SPLITTERS.get(split)(Column.of([text]))
    return [text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]


@pytest.mark.parametrize("split", list(SPLITTERS))
@given(batch=texts)
def test_spans_are_in_order_apart_and_without_white_space(split: str, batch: list[str]) -> None:
    column = Column.of(batch)
    words = SPLITTERS.get(split)(column)
    assert (words.starts < words.ends).all()
    assert (words.ends[:-1] <= words.starts[1:]).all()
    joined = "\n".join(batch)
    assert not any(
        char.isspace() for start, end in zip(words.starts, words.ends, strict=True) for char in joined[start:end]
    )
    assert (column.offsets[words.text] <= words.starts).all()
    assert (words.ends <= column.ends[words.text]).all()
    counts = dict.fromkeys(range(len(batch)), 0)
    for text, number in zip(words.text.tolist(), words.number.tolist(), strict=True):
        assert number == counts[text]
        counts[text] += 1


@pytest.mark.parametrize("split", list(SPLITTERS))
@given(batch=texts)
def test_a_text_is_split_alone(split: str, batch: list[str]) -> None:
    words = SPLITTERS.get(split)(Column.of(batch))
    joined = "\n".join(batch)
    whole = [joined[start:end] for start, end in zip(words.starts, words.ends, strict=True)]
    assert whole == [word for text in batch for word in cut(split, text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't well-known", ["don't", "well-known"]),
        ("rock'n'roll ’tis dogs’", ["rock'n'roll", "tis", "dogs"]),
        ("-a- --b a--b 'c'", ["a", "b", "a", "b", "c"]),
        ("U.S. 3.88 x_y", ["U", "S", "3", "88", "x", "y"]),
        ("e\u0301te\u0301 हिन्दी 日本語", ["e\u0301te\u0301", "हिन्दी", "日本語"]),
        ("𝐀𝐁 😀 a\u200bb", ["𝐀𝐁", "a", "b"]),
        ("", []),
        (" \r\n\u2028", []),
    ],
)
def test_unicode(text: str, words: list[str]) -> None:
    assert cut("unicode", text) == words


@given(st.lists(st.text(CHARACTERS, max_size=20), max_size=4))
def test_whitespace_is_that_of_python(batch: list[str]) -> None:
    for text in batch:
        assert cut("whitespace", text) == text.split()


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=5), max_size=5),
        max_size=5,
    )
)
def test_token_words(rows: list[list[str]]) -> None:
    column = Column.of([" ".join(row) for row in rows])
    words = token_words(column)
    joined = "\n".join(" ".join(row) for row in rows)
    assert [joined[start:end] for start, end in zip(words.starts, words.ends, strict=True)] == [
        token for row in rows for token in row
    ]
    assert words.text.tolist() == [number for number, row in enumerate(rows) for _ in row]
    assert words.number.tolist() == [number for row in rows for number in range(len(row))]


def test_numbers_of_words_that_skip_texts() -> None:
    words = token_words(Column.of(["", "a b", "", "", "c", ""]))
    assert np.array_equal(words.text, [1, 1, 4])
    assert np.array_equal(words.number, [0, 1, 0])

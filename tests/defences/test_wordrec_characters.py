"""The semi-character vector of words, against one written plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.defences.wordrec._network import CharacterSet

KNOWN = CharacterSet(tuple("abcdéx1'"))


def plain(characters: CharacterSet, word: str) -> list[int]:
    """Return onehot(first) + counts of the interior + onehot(last), character by character."""
    word = word.lower() if characters.lower else word
    parts = [[0] * len(characters) for _ in range(3)]
    chosen = [(0, word[:1]), *((1, character) for character in word[1:-1]), (2, word[-1:])]
    for part, character in chosen:
        if character and character in characters.characters:
            parts[part][characters.characters.index(character)] += 1
    return [*parts[0], *parts[1], *parts[2]]


words = st.text(st.sampled_from("abcABÉéx1'zß İ\ud800😀"), max_size=12)


@given(st.lists(words, max_size=8), st.booleans())
def test_equals_the_plain_vector(given_words: list[str], lower: bool) -> None:
    characters = CharacterSet(KNOWN.characters, lower)
    expected = np.array([plain(characters, word) for word in given_words]).reshape(-1, characters.width)
    assert (characters.vectors(given_words) == expected).all()


def test_golden_vectors() -> None:
    few = CharacterSet(("a", "b"))
    assert few.vectors(["a", "ab", "abba", "zab"]).astype(int).tolist() == [
        [1, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, 1],
        [1, 0, 0, 2, 1, 0],
        [0, 0, 1, 0, 0, 1],
    ]


@given(st.text(st.sampled_from("abcdx"), min_size=3, max_size=10), st.randoms(use_true_random=False))
def test_order_of_the_interior_does_not_count(word: str, draw: object) -> None:
    inner = list(word[1:-1])
    draw.shuffle(inner)  # type: ignore[attr-defined]
    both = KNOWN.vectors([word, word[0] + "".join(inner) + word[-1]])
    assert (both[0] == both[1]).all()


def test_order_of_the_ends_counts() -> None:
    both = KNOWN.vectors(["abc", "cba"])
    assert (both[0] != both[1]).any()


def test_build_counts_words_and_sorts_by_frequency() -> None:
    assert CharacterSet.build(["Ab", "b", "b", "c"], size=2).characters == ("b", "a")
    assert CharacterSet.build(["Ab", "b"], lower=False).characters == ("b", "A")


@pytest.mark.parametrize("some", [[], [""], ["", "a", ""]])
def test_empty_words_have_no_column(some: list[str]) -> None:
    columns, begins = KNOWN.columns(some)
    assert len(begins) == len(some) + 1
    assert begins[-1] == len(columns) == (2 if "a" in some else 0)

"""Readings of a word as one or two edits, and the index that finds known words, against an independent distance."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from robustbench_char.defences.channel._edits import OPERATORS, Edits, parsed
from robustbench_char.defences.channel._index import LONGEST, DeletionIndex, Spelled

SHORT = ["".join(chars) for length in range(5) for chars in product("ab", repeat=length)]
SHORT += ["abc", "acb", "bac", "cab", "abcd", "badc", "abdc", "acbd", "dabc", "bcda", "abcde", "bacde", "abced"]


def distance(known: str, given: str) -> int:
    """Return the optimal string alignment distance: Damerau's, no part of a word edited twice."""
    rows = [list(range(len(given) + 1))]
    for i, a in enumerate(known):
        rows.append([i + 1])
        for j, b in enumerate(given):
            ways = [rows[i][j + 1] + 1, rows[i + 1][j] + 1, rows[i][j] + (a != b)]
            if i and j and known[i - 1] == b and given[j - 1] == a:
                ways.append(rows[i - 1][j - 1] + 1)
            rows[-1].append(min(ways))
    return rows[-1][-1]


def made(known: str, edits: list[tuple[str, int, str, str]]) -> str:
    """Return a known word after edits, from the last to the first; what each takes must stand there."""
    word = known
    for operator, at, old, new in reversed(edits):
        taken = {"drop": old, "add": "", "swap": old + new, "replace": old}[operator]
        written = {"drop": "", "add": new, "swap": new + old, "replace": new}[operator]
        assert word[at : at + len(taken)] == taken
        word = word[:at] + written + word[at + len(taken) :]
    return word


def readings(known: list[str], given: list[str], most: int) -> dict[int, list[list[tuple[str, int, str, str]]]]:
    """Return the readings of each pair as up to `most` edits, as plain data."""
    result: dict[int, list[list[tuple[str, int, str, str]]]] = {}
    for count in range(1, most + 1):
        pair, edits = parsed(Spelled.of(known), Spelled.of(given), count)
        found: list[list[tuple[str, int, str, str]]] = [[] for _ in pair]
        columns = zip(edits.pair, edits.operator, edits.at, edits.old, edits.new, strict=True)
        for number, operator, at, old, new in columns:
            found[number].append((OPERATORS[operator], int(at), _char(old), _char(new)))
        for owner, own in zip(pair.tolist(), found, strict=True):
            result.setdefault(owner, []).append(own)
    return result


def _char(code: int) -> str:
    return chr(code) if code else ""


@pytest.mark.parametrize("most", [1, 2])
def test_readings_are_those_of_an_independent_distance(most: int) -> None:
    """Pairs at distance 1 (2) have readings of one (two) edits that make the given word; no others have any."""
    known, given_ = (list(side) for side in zip(*product(SHORT, SHORT), strict=True))
    found = readings(known, given_, most)
    for number, (one, other) in enumerate(zip(known, given_, strict=True)):
        apart = distance(one, other)
        own = found.get(number, [])
        assert bool(own) == (1 <= apart <= most), (one, other)
        assert all(len(edits) == apart and made(one, edits) == other for edits in own)
        assert len({tuple(edits) for edits in own}) == len(own), "a reading counts once"


words = st.text(alphabet="abcé'я-", max_size=LONGEST)


@given(words, words)
def test_readings_of_longer_words(known: str, other: str) -> None:
    apart = distance(known, other)
    own = readings([known], [other], 2).get(0, [])
    assert bool(own) == (1 <= apart <= 2)
    assert all(len(edits) == apart and made(known, edits) == other for edits in own)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a word and what one or two random edits make of it."""
    word = known = draw(st.text(alphabet="abc", min_size=2, max_size=LONGEST - 2))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, max(0, len(word) - 1)))
        char, kind = draw(st.sampled_from("abcd")), draw(st.sampled_from(OPERATORS))
        kept = {"drop": word[at + 1 :], "add": char + word[at:], "replace": char + word[at + 1 :]}
        word = word[:at] + kept.get(kind, word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :])
    return known, word


@given(edited())
def test_every_pair_of_edits_has_a_reading_that_makes_it(pair: tuple[str, str]) -> None:
    known, word = pair
    apart = distance(known, word)
    assume(1 <= apart <= 2)
    own = readings([known], [word], 2)[0]
    assert all(len(edits) == apart and made(known, edits) == word for edits in own)


def test_edits_know_the_letter_before_them() -> None:
    """It is that of the known word, which the error model's letter pairs are counted by."""
    known, given_ = (list(side) for side in zip(*product(SHORT, SHORT), strict=True))
    pair, edits = parsed(Spelled.of(known), Spelled.of(given_), 2)
    for owner, at, left in zip(pair[edits.pair].tolist(), edits.at.tolist(), edits.left.tolist(), strict=True):
        assert _char(left) == (known[owner][at - 1] if at else ""), (known[owner], given_[owner])


def test_no_pairs_have_no_readings() -> None:
    pair, edits = parsed(Spelled.of([]), Spelled.of([]), 2)
    assert len(pair) == len(edits.pair) == 0
    assert len(Edits.joined(edits, edits).pair) == 0


def _vocabulary(seed: int, count: int) -> list[str]:
    """Return distinct made-up words of 1 to 9 letters, so alike that many are one or two edits apart."""
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = ("".join(random.choice(list("aeist"), length)) for length in random.integers(1, 10, count))
    return list(dict.fromkeys([*drawn, "a" * LONGEST, "a" * (LONGEST - 1), "ä", "мир", "мыр", "don't", "x-ray"]))


@pytest.mark.parametrize("most", [1, 2])
def test_the_index_finds_every_word_within_some_edits(most: int) -> None:
    """Only words that share no letter after the deletions, as `a` and `i`, are not looked for."""
    known, asked = _vocabulary(0, 300), _vocabulary(1, 100)
    index = DeletionIndex.of(Spelled.of(known), most)
    rows, owners = index.matches(Spelled.of(asked))
    found = {(asked[row], known[owner]) for row, owner in zip(rows.tolist(), owners.tolist(), strict=True)}
    assert len(found) == len(rows), "each pair once"
    close = [(one, other) for one in asked for other in known if abs(len(one) - len(other)) <= most]
    near = {(one, other) for one, other in close if distance(other, one) <= most}
    missed = near - found
    assert all(max(len(one), len(other)) <= most for one, other in missed), missed
    assert len(near) > 200


def test_words_that_are_left_out_are_not_found() -> None:
    words = Spelled.of(["known", "word", "b" * (LONGEST + 1), ""])
    assert words.lengths.tolist() == [5, 4, 0, 0], "longer words have no characters"
    index = DeletionIndex.of(words.only(words.lengths != 5), 2)
    _, owners = index.matches(Spelled.of(["known", "wrod", "b" * (LONGEST + 1)]))
    assert set(owners.tolist()) == {1}
    assert len(DeletionIndex.of(Spelled.of([]), 1).matches(words)[0]) == 0

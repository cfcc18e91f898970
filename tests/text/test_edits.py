"""Edits of one text: applied in order, refused where they do not fit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.text.edits import Edit, Moves, apply_edits, distance, in_order, unchanged


@pytest.mark.parametrize(
    ("edits", "result"),
    [
        ([], "abcd"),
        ([(0, "", "x"), (0, "a", "")], "xbcd"),
        ([(1, "bc", "cb"), (4, "", "!")], "acbd!"),
        ([(3, "d", ""), (4, "", "e")], "abce"),
    ],
)
def test_edits_are_applied(edits: list[tuple[int, str, str]], result: str) -> None:
    assert apply_edits("abcd", [Edit(*edit) for edit in edits]) == result


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([(1, "x", "")], "the text at 1 is 'b', not 'x'"),
        ([(2, "c", ""), (1, "b", "")], "the edit at 1 overlaps the one before it"),
        ([(1, "bc", ""), (2, "c", "")], "the edit at 2 overlaps the one before it"),
        ([(4, "e", "")], "the text at 4 is '', not 'e'"),
        ([(9, "", "x")], "the edit at 9 is beyond the end of the text"),
    ],
)
def test_an_edit_that_does_not_fit(edits: list[tuple[int, str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_edits("abcd", [Edit(*edit) for edit in edits])


def test_what_is_unchanged_stands_around_the_edits() -> None:
    edits = in_order([Edit(3, "d", ""), Edit(0, "a", "x"), Edit(0, "", "y")])
    assert edits == [Edit(0, "", "y"), Edit(0, "a", "x"), Edit(3, "d", "")]
    assert unchanged("abcd", edits) == ["", "", "bc", ""]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", 0),
        ("", "ab", 2),
        ("abc", "", 3),
        ("ie", "ei", 2),
        ("rn", "m", 2),
        ("kitten", "sitting", 3),
        ("a", "A", 1),
    ],
)
def test_the_distance_is_levenshteins(before: str, after: str, expected: int) -> None:
    assert distance(before, after) == distance(after, before) == expected


def shortest(before: str, after: str) -> int:
    """Written as the definition says: the last characters agree, or one of three edits."""
    if not before or not after:
        return len(before) + len(after)
    ways = shortest(before[:-1], after), shortest(before, after[:-1]), shortest(before[:-1], after[:-1])
    return ways[2] if before[-1] == after[-1] else 1 + min(ways)


@settings(max_examples=50)
@given(st.text("ab", max_size=4), st.text("ab", max_size=4))
def test_the_distance_is_that_of_its_definition(before: str, after: str) -> None:
    assert distance(before, after) == shortest(before, after)


@pytest.mark.parametrize(("position", "start", "end"), [(0, 1, 0), (1, 2, 2), (2, 3, 3), (3, 3, 3), (4, 4, 4)])
def test_where_a_span_is_afterwards(position: int, start: int, end: int) -> None:
    """An insertion is before a span that begins there, and behind one that ends there; a part that goes is cut."""
    moves = Moves([Edit(2, "c", ""), Edit(0, "", "x")])
    assert (moves.start(position), moves.end(position)) == (start, end)


EDITS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.text("ab", max_size=2)), max_size=4)


@given(EDITS, st.integers(0, 20))
def test_positions_move_as_edit_by_edit(parts: list[tuple[int, int, str]], position: int) -> None:
    """Edit by edit: what lies wholly before moves a span, what straddles its end is taken in."""
    edits, end = list[Edit](), -1
    for gap, width, inserted in parts:
        edits.append(Edit(end + 1 + gap, "x" * width, inserted))
        end = edits[-1].start + width
    start = stop = position
    for edit in edits:
        after, growth = edit.start + len(edit.removed), len(edit.inserted) - len(edit.removed)
        start += growth if after <= position else min(0, edit.start - position)
        stop += growth + max(0, after - position) if edit.start < position else 0
    assert (Moves(edits).start(position), Moves(edits).end(position)) == (start, stop)

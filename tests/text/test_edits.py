"""Edits of one text: applied in order, refused where they do not fit."""

from __future__ import annotations

import pytest

from robustbench_char.text.edits import Edit, apply_edits, in_order, unchanged


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

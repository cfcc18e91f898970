"""Marked texts hold the clean and the attacked text, and fit their edits."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.reports.blocks import Part, Piece
from robustbench_char.reports.examples import _cards as cards
from robustbench_char.reports.examples._cards import Mark, excerpt, mark_text


def joined(pieces: Iterable[Piece], *kinds: str) -> str:
    return "".join(part.text for piece in pieces for part in piece.parts if part.kind in kinds)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str, list[Mark]]:
    """Draw a clean text, the attacked one, and the marks that lead from one to the other."""
    texts = st.text(alphabet="ab é𝔘\n <|", max_size=12)
    clean = attacked = draw(texts)
    found = []
    for _ in range(draw(st.integers(0, 5))):
        removed, inserted, gap = draw(texts), draw(texts), draw(st.text(alphabet="c d", min_size=1, max_size=9))
        found.append(Mark(len(attacked), removed, inserted))
        clean, attacked = clean + removed + gap, attacked + inserted + gap
    return clean, attacked, found


@given(edited())
def test_pieces_spell_both_texts(case: tuple[str, str, list[Mark]]) -> None:
    clean, attacked, found = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cards, "CONTEXT", 10_000)
        pieces = mark_text(attacked, found)
    assert joined(pieces, "same", "inserted") == attacked
    assert joined(pieces, "same", "removed") == clean


@given(edited())
def test_edits_stand_in_words_and_nothing_else_does(case: tuple[str, str, list[Mark]]) -> None:
    _, attacked, found = case
    pieces = mark_text(attacked, found)
    assert all(part.kind == "same" for piece in pieces if not piece.word for part in piece.parts)
    inserted = [part.text for piece in pieces if piece.word for part in piece.parts if part.kind == "inserted"]
    assert inserted == [mark.inserted for mark in found if mark.inserted]


def test_a_swap_is_marked_inside_its_word() -> None:
    pieces = mark_text("I thnik so", [Mark(4, "in", "ni")])
    assert pieces == (
        Piece(False, (Part("same", "I "),)),
        Piece(True, (Part("same", "th"), Part("removed", "in"), Part("inserted", "ni"), Part("same", "k"))),
        Piece(False, (Part("same", " so"),)),
    )


def test_two_edits_of_one_word_share_it() -> None:
    pieces = mark_text("axb cd", [Mark(1, "", "x"), Mark(3, "e", "")])
    assert [piece.word for piece in pieces] == [True, False]
    assert joined(pieces[:1], "same", "removed") == "abe"


def test_long_text_around_an_edit_is_shortened_at_words() -> None:
    text = "left " * 100 + "wrd " + "right " * 100
    pieces = mark_text(text, [Mark(501, "o", "")])
    before, word, after = ("".join(part.text for part in piece.parts) for piece in pieces)
    assert before.startswith("… left")
    assert before.endswith("left ")
    assert after.endswith("right …")
    assert word == "word"
    assert len(before) + len(after) < 2 * cards.CONTEXT + 10


@pytest.mark.parametrize("mark", [Mark(2, "a", "zz"), Mark(9, "a", ""), Mark(3, "", "c")])
def test_an_edit_that_is_not_in_the_text_is_refused(mark: Mark) -> None:
    with pytest.raises(ValueError, match=r"the text at \d is .*, not |beyond the end"):
        mark_text("abc", [mark])


def test_overlapping_edits_are_refused() -> None:
    with pytest.raises(ValueError, match="the edit at 1 overlaps"):
        mark_text("abcd", [Mark(0, "", "ab"), Mark(1, "x", "bc")])


def test_an_excerpt_shows_its_focus() -> None:
    text = "word " * 200 + "answer " + "word " * 200
    shown = excerpt(text, "answer")
    assert "answer" in shown
    assert shown.startswith("… word")
    assert shown.endswith("word …")
    assert len(shown) <= 244
    assert excerpt("short", "x") == "short"
    assert excerpt(text).startswith("word word")

"""How labels follow edits: answers stand where they say, tags and classes stay."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.tasks import Answer, Edit, Example, follow, get_task
from robustbench_char.text.edits import apply_edits, in_order

CONTEXT = "The Elbe was built in 1990s Riga."
RIGA = Answer(28, "Riga")


def question(*answers: Answer, context: str = CONTEXT) -> Example:
    return Example(0, "q1", "q1", {"question": "Where?", "context": context}, answers=answers, context_key="k")


def followed(example: Example, *edits: Edit) -> Example:
    context = apply_edits(str(example.fields["context"]), in_order(edits))
    return follow(get_task("squad_v2"), example, {"context": context}, {"context": edits})


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([Edit(4, "E", "")], Answer(27, "Riga")),  # before: moved
        ([Edit(29, "i", "")], Answer(28, "Rga")),  # inside: the attacked span is the answer
        ([Edit(29, "ig", "gi"), Edit(4, "", "xx")], Answer(30, "Rgia")),
        ([Edit(32, "", "x")], RIGA),  # an insertion at its end is outside
        ([Edit(28, "", "x")], Answer(29, "Riga")),  # and so is one at its start
        ([Edit(28, "R", "Tr")], Answer(28, "Triga")),  # a replacement of its first character is inside
        ([Edit(31, "a.", ".a")], Answer(28, "Rig.a")),  # across its end: taken in
        ([Edit(27, " R", "R ")], Answer(27, "R iga")),  # across its start: taken in
        ([Edit(28, "", "y"), Edit(28, "R", "r"), Edit(32, "", "z")], Answer(29, "riga")),
    ],
)
def test_answer_follows(edits: list[Edit], expected: Answer) -> None:
    assert followed(question(RIGA), *edits).answers == (expected,)


def test_part_of_a_word_as_the_answer() -> None:
    assert followed(question(Answer(22, "1990")), Edit(25, "0s", "s0")).answers == (Answer(22, "199s0"),)


def test_plausible_answers_follow_too() -> None:
    example = question()._replace(plausible=(RIGA,), answerable=False)
    after = followed(example, Edit(0, "The", "Thee"))
    assert after.plausible == (Answer(29, "Riga"),)
    assert after.answers == ()
    assert after.answerable is False


def test_an_emptied_answer_grows_to_what_is_left_of_its_word() -> None:
    inside = Answer(24, "9")  # the second 9 of 1990s
    assert CONTEXT[24] == "9"
    after = followed(question(inside), Edit(24, "9", ""))
    assert after.answers == (Answer(24, "0"),)
    assert followed(question(Answer(26, "s")), Edit(26, "s", "")).answers == (Answer(25, "0"),)


def test_an_answer_is_never_emptied() -> None:
    with pytest.raises(ValueError, match="leave nothing of the answer 'Riga'"):
        followed(question(Answer(0, "Riga"), context="Riga"), Edit(0, "Riga", ""))


def test_edits_of_the_question_leave_answers_alone() -> None:
    edits = {"question": [Edit(0, "W", "")]}
    after = follow(get_task("squad_v1"), question(RIGA), {"question": "here?"}, edits)
    assert after.fields == {"question": "here?", "context": CONTEXT}
    assert after.answers == (RIGA,)


def test_texts_and_edits_must_agree() -> None:
    with pytest.raises(ValueError, match="do not lead to the attacked context"):
        follow(get_task("squad_v1"), question(RIGA), {"context": CONTEXT}, {"context": [Edit(0, "T", "")]})
    with pytest.raises(ValueError, match="the edit at 2 overlaps the one before it"):
        apply_edits("abcdef", [Edit(0, "abc", ""), Edit(2, "c", "x")])
    with pytest.raises(ValueError, match="the text at 0 is 'a', not 'b'"):
        apply_edits("abc", [Edit(0, "b", "")])


def test_tags_stay_and_tokens_keep_their_number() -> None:
    task = get_task("conll2003")
    example = Example(0, "0", "k", {"tokens": ("Anna", "sings")}, ("B-PER", "O"))
    assert follow(task, example, {"tokens": ("Ana", "sings")}, {}).label == ("B-PER", "O")
    with pytest.raises(ValueError, match="are not 2 tokens"):
        follow(task, example, {"tokens": ("Anna", "si", "ngs")}, {})


def test_a_class_stays() -> None:
    example = Example(0, "0", "k", {"sentence": "He runs."}, "acceptable")
    after = follow(get_task("cola"), example, {"sentence": "He rus."}, {})
    assert after == example._replace(fields={"sentence": "He rus."})


@st.composite
def edited_contexts(draw: st.DrawFn) -> tuple[str, list[Edit], Answer]:
    """A context, edits that do not overlap, and an answer anywhere."""
    context = draw(st.text("abc é", min_size=1, max_size=30))
    sizes = draw(st.lists(st.integers(0, 3), max_size=12))
    cuts = [cut for cut in accumulate(sizes) if cut <= len(context)]
    edits = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        edits.append(Edit(start, context[start:end], draw(st.text("XYZ", max_size=3))))
    start = draw(st.integers(0, len(context) - 1))
    end = draw(st.integers(start + 1, len(context)))
    return context, draw(st.permutations(edits)), Answer(start, context[start:end])


@given(edited_contexts())
def test_every_answer_stands_where_it_says(case: tuple[str, list[Edit], Answer]) -> None:
    context, edits, answer = case
    attacked = apply_edits(context, in_order(edits))
    try:
        (after,) = followed(question(answer, context=context), *edits).answers
    except ValueError:
        kept = [edit for edit in edits if edit.start <= answer.start + len(answer.text)]
        assert any(edit.removed for edit in kept)  # only a removal empties an answer
        return
    assert attacked[after.start : after.start + len(after.text)] == after.text != ""


@given(edited_contexts())
def test_untouched_characters_stay_in_or_out(case: tuple[str, list[Edit], Answer]) -> None:
    """Oracle: carry each clean character's index along, and look which of them the new span holds."""
    context, edits, answer = case
    carried: list[int | None] = []
    position = 0
    for edit in in_order(edits):
        carried += [*range(position, edit.start), *[None] * len(edit.inserted)]
        position = edit.start + len(edit.removed)
    carried += range(position, len(context))
    try:
        (after,) = followed(question(answer, context=context), *edits).answers
    except ValueError:
        return
    inside = {index for index in carried[after.start : after.start + len(after.text)] if index is not None}
    kept = {index for index in carried if index is not None and 0 <= index - answer.start < len(answer.text)}
    if not any(context[index].strip() for index in kept) and len(after.text) == len(kept) + 1:
        assert kept < inside or after.text.strip()  # nothing to read was left, and the span grew by one character
    else:
        assert inside == kept

"""Windows: pieces stay with their words and characters, whatever is cut off."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.models.bert import BertSystem
from robustbench_char.models.checkpoints import load_tokenizer
from robustbench_char.models.encoders import EncoderSystem
from robustbench_char.models.inputs import NO_WORD, encode_contexts, encode_texts, encode_words, head_of, words_of
from robustbench_char.models.system import System

pytestmark = pytest.mark.models


def test_longer_text_is_cut_first(shared_bert: Path) -> None:
    tokenizer = load_tokenizer(shared_bert)
    short, long = encode_texts(tokenizer, ["red", "red"], ["blue", "blue " * 30], max_length=10)
    assert (short.truncated, len(short.inputs["input_ids"])) == (False, 5)
    assert (long.truncated, len(long.inputs["input_ids"])) == (True, 10)
    assert long.inputs["token_type_ids"].tolist() == [0] * 3 + [1] * 7


def test_words_without_pieces_shift_nothing(shared_bert: Path) -> None:
    tokenizer = load_tokenizer(shared_bert)
    (window,) = encode_words(tokenizer, [["anna", "\x01", "\u200b", "oslo", "\ud800", "hat"]], max_length=20)
    pieces = tokenizer.convert_ids_to_tokens(window.inputs["input_ids"].tolist())
    by_word = {int(word): piece for word, piece in zip(window.words, pieces, strict=True) if word != NO_WORD}
    assert (by_word[0], by_word[3], by_word[5]) == ("anna", "oslo", "hat")
    assert 1 not in by_word


def test_roberta_words_know_the_space_before_them(shared_roberta: Path) -> None:
    tokenizer = load_tokenizer(shared_roberta, words=True)
    (window,) = encode_words(tokenizer, [["ab", "c"]], max_length=20)
    assert "token_type_ids" not in window.inputs
    assert window.words.tolist() == [NO_WORD, 0, 0, 0, 1, 1, NO_WORD]


@settings(max_examples=60, deadline=None)
@given(context=st.text(max_size=80), question=st.text(max_size=40), length=st.integers(24, 40))
def test_offsets_lie_in_the_context_as_given(shared_bert: Path, context: str, question: str, length: int) -> None:
    tokenizer = load_tokenizer(shared_bert)
    windows = list(encode_contexts(tokenizer, [question], [context], max_length=length, stride=4, max_question=8))
    assert windows
    covered: set[int] = set()
    for window in windows:
        assert len(window.inputs["input_ids"]) == len(window.offsets) <= length
        inside = [(start, end) for start, end in window.offsets.tolist() if start >= 0]
        assert all(0 <= start <= end <= len(context) for start, end in inside)
        covered |= {place for start, end in inside for place in range(start, end)}
    assert all(place in covered for place, letter in enumerate(context) if letter.isascii() and letter.isalnum())


def test_windows_overlap_and_questions_are_cut(shared_bert: Path) -> None:
    tokenizer = load_tokenizer(shared_bert)
    context = " ".join(["red", "blue", "green", "grey"] * 10)
    windows = list(encode_contexts(tokenizer, ["what " * 30], [context], max_length=24, stride=5, max_question=8))
    inside = [[tuple(pair) for pair in window.offsets.tolist() if pair[0] >= 0] for window in windows]
    assert len(windows) > 2
    assert all(window.truncated for window in windows)
    for before, after in pairwise(inside):
        assert before[-5:] == after[:5]


def test_head_of_keeps_short_questions(shared_bert: Path) -> None:
    tokenizer = load_tokenizer(shared_bert)
    assert head_of(tokenizer, "what is  red ?", 8) == "what is  red ?"
    assert head_of(tokenizer, "what is  red ?", 3) == "what is  red"


BLANK = " " * 300


def opened(request: pytest.FixtureRequest, base: str) -> System:
    if base == "canine":
        return EncoderSystem.open(
            request.getfixturevalue("tiny").canine_base(request.getfixturevalue("tmp_path")), words=False
        )
    return BertSystem.open(Path(request.getfixturevalue(base)), words=False)


@pytest.mark.parametrize("base", ["tiny_base", "roberta", "canine"])
@pytest.mark.parametrize("blanks", [BLANK, "\n\n\t" + BLANK, "\u3000" * 40])
def test_blanks_take_no_room_from_the_words_of_a_question(
    base: str, blanks: str, request: pytest.FixtureRequest
) -> None:
    system, sizes = opened(request, base), {"max_length": 40, "stride": 4, "max_question": 12}
    (window,) = system.context_windows([f"{blanks}who is{blanks}it"], ["red sky"], **sizes)
    (right,) = system.context_windows([" who is it"], ["red sky"], **sizes)
    assert window.inputs["input_ids"].tolist() == right.inputs["input_ids"].tolist()
    assert (window.truncated, window.offsets.tolist()) == (False, right.offsets.tolist())


@pytest.mark.parametrize("base", ["tiny_base", "roberta", "canine"])
def test_blanks_take_no_room_from_the_words_of_texts(base: str, request: pytest.FixtureRequest) -> None:
    system = opened(request, base)
    text, other = f"{BLANK}the  red{BLANK}sky", "a  b"
    (window,) = system.text_windows([text], [other], max_length=30)
    assert not window.truncated
    words = [np.array([match.span() for match in re.finditer(r"\S+", one)]) for one in (text, other)]
    owners = words_of(window.texts, window.offsets, words)
    assert sorted({*owners.tolist()} - {NO_WORD}) == [0, 1, 2, 3, 4]
    (short,) = system.text_windows([other], None, max_length=30)
    (asis,) = encode_texts(system.tokenizer, [other], max_length=30)
    assert short.inputs["input_ids"].tolist() == asis.inputs["input_ids"].tolist()


def test_half_a_character_cuts_no_question(shared_bert: Path) -> None:
    sizes = {"max_length": 40, "stride": 4, "max_question": 12}
    (window,) = encode_contexts(load_tokenizer(shared_bert), ["red \ud800"], ["sky"], **sizes)
    assert not window.truncated

"""Tokenizers without offsets: fed word by word, their pieces stay with words and characters as a fast one's do."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from robustbench_char.models.checkpoints import load_tokenizer
from robustbench_char.models.inputs import NO_TEXT, NO_WORD, Window, encode_contexts, encode_texts, encode_words

pytestmark = pytest.mark.models

KINDS = ("canine", "byt5", "slow_bert")
PLAIN = st.text("abcé,.'-Z", min_size=1, max_size=8)
ANY = st.text(min_size=1, max_size=8).filter(lambda word: not any(map(str.isspace, word)))


@pytest.fixture(scope="module")
def tokenizers(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreTrainedTokenizerBase]:
    scratch = tmp_path_factory.mktemp("plain")
    folders = {kind: getattr(tiny, f"{kind}_base")(scratch / kind) for kind in (*KINDS, "bert")}
    return {kind: load_tokenizer(folder, words=True, offsets=False) for kind, folder in folders.items()}


def pieces(tokenizer: PreTrainedTokenizerBase, window: Window, word: int) -> list[str]:
    found: list[str] = tokenizer.convert_ids_to_tokens(window.inputs["input_ids"][window.words == word].tolist())
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(words=st.lists(ANY, min_size=1, max_size=6))
def test_every_piece_is_of_its_word(
    kind: str, words: list[str], tokenizers: dict[str, PreTrainedTokenizerBase]
) -> None:
    tokenizer = tokenizers[kind]
    assert not tokenizer.is_fast
    (window,) = encode_words(tokenizer, [words], max_length=400)
    assert not window.truncated
    for number, word in enumerate(words):
        assert pieces(tokenizer, window, number) == tokenizer.tokenize(word, split_special_tokens=True)
    held = window.words[window.words != NO_WORD].tolist()
    assert held == sorted(held)
    if kind == "canine":
        assert "".join(map(chr, window.inputs["input_ids"][1:-1])) == " ".join(words)
    if kind == "byt5":
        assert bytes(int(piece) - 3 for piece in window.inputs["input_ids"][:-1]).decode() == " ".join(words)


@settings(max_examples=40, deadline=None)
@given(words=st.lists(PLAIN, min_size=1, max_size=12), length=st.integers(8, 30))
def test_words_agree_with_those_of_the_fast_tokenizer(
    words: list[str], length: int, tokenizers: dict[str, PreTrainedTokenizerBase]
) -> None:
    """The same pieces; the slow tokenizer has one special piece fewer, at the start."""
    (slow,) = encode_words(tokenizers["slow_bert"], [words], max_length=length)
    (fast,) = encode_words(tokenizers["bert"], [words], max_length=length + 1)
    assert slow.words.tolist() == fast.words[1:].tolist()
    assert slow.inputs["input_ids"].tolist() == fast.inputs["input_ids"][1:].tolist()
    assert slow.truncated == fast.truncated


@settings(max_examples=40, deadline=None)
@given(first=st.lists(PLAIN, max_size=9), second=st.lists(PLAIN, max_size=9), length=st.integers(9, 30))
def test_texts_agree_with_those_of_the_fast_tokenizer(
    first: list[str], second: list[str], length: int, tokenizers: dict[str, PreTrainedTokenizerBase]
) -> None:
    texts = " ".join(first), "  ".join(second)
    (slow,) = encode_texts(tokenizers["slow_bert"], [texts[0]], [texts[1]], max_length=length)
    (fast,) = encode_texts(tokenizers["bert"], [texts[0]], [texts[1]], max_length=length + 1)
    assert slow.texts.tolist() == fast.texts[1:].tolist()
    assert slow.inputs["input_ids"].tolist() == fast.inputs["input_ids"][1:].tolist()
    assert slow.offsets.tolist() == fast.offsets[1:].tolist()
    assert slow.truncated == fast.truncated


@settings(max_examples=40, deadline=None)
@given(context=st.lists(PLAIN, max_size=20), question=st.lists(PLAIN, max_size=5), length=st.integers(20, 30))
def test_windows_agree_with_those_of_the_fast_tokenizer(
    context: list[str], question: list[str], length: int, tokenizers: dict[str, PreTrainedTokenizerBase]
) -> None:
    texts = [" ".join(question)], [" ".join(context)]
    slow = list(encode_contexts(tokenizers["slow_bert"], *texts, max_length=length, stride=4, max_question=6))
    fast = list(encode_contexts(tokenizers["bert"], *texts, max_length=length + 1, stride=4, max_question=6))
    assert [one.offsets.tolist() for one in slow] == [one.offsets[1:].tolist() for one in fast]
    assert [one.inputs["input_ids"].tolist() for one in slow] == [one.inputs["input_ids"][1:].tolist() for one in fast]
    assert [one.truncated for one in slow] == [one.truncated for one in fast]


@pytest.mark.parametrize("kind", ["canine", "byt5"])
@settings(max_examples=40, deadline=None)
@given(context=st.text(max_size=60), question=st.text(max_size=30))
def test_characters_and_bytes_stand_where_they_are(
    kind: str, context: str, question: str, tokenizers: dict[str, PreTrainedTokenizerBase]
) -> None:
    """Whatever is typed, the names of special tokens and lone halves of characters included."""
    context += "</s> <pad>\ud800"
    windows = list(encode_contexts(tokenizers[kind], [question], [context], max_length=60, stride=5, max_question=9))
    covered: set[int] = set()
    for window in windows:
        inside = window.offsets[window.offsets[:, 0] >= 0]
        assert len(window.offsets) == len(window.inputs["input_ids"]) <= 60
        assert all(end == start + 1 for start, end in inside.tolist())
        covered |= set(inside[:, 0].tolist())
    assert covered == set(range(len(context)))
    if kind == "canine":
        read = context.replace("\ud800", "\N{REPLACEMENT CHARACTER}")
        for window in windows:
            ids = window.inputs["input_ids"][window.offsets[:, 0] >= 0].tolist()
            assert ids == [ord(read[start]) for start, _ in window.offsets.tolist() if start >= 0]


def test_windows_overlap_and_questions_are_cut(tokenizers: dict[str, PreTrainedTokenizerBase]) -> None:
    windows = list(
        encode_contexts(tokenizers["canine"], ["what " * 9], ["red blue " * 9], max_length=24, stride=5, max_question=8)
    )
    inside = [[tuple(pair) for pair in window.offsets.tolist() if pair[0] >= 0] for window in windows]
    assert len(windows) > 2
    assert all(window.truncated for window in windows)
    for before, after in pairwise(inside):
        assert before[-5:] == after[:5]


def test_the_longer_text_is_cut_first(tokenizers: dict[str, PreTrainedTokenizerBase]) -> None:
    (window,) = encode_texts(tokenizers["canine"], ["abc"], ["x" * 30], max_length=13)
    assert np.bincount(window.texts[window.texts != NO_TEXT]).tolist() == [3, 7]
    assert window.truncated
    (window,) = encode_texts(tokenizers["byt5"], ["é" * 20], None, max_length=8)
    assert (window.truncated, window.offsets.tolist()) == (
        True,
        [[0, 1]] * 2 + [[1, 2]] * 2 + [[2, 3]] * 2 + [[3, 4], [-1, -1]],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_read(kind: str, tokenizers: dict[str, PreTrainedTokenizerBase]) -> None:
    (window,) = encode_texts(tokenizers[kind], [""], [" "], max_length=9)
    assert set(window.texts[window.texts != NO_TEXT].tolist()) <= {1}
    (window,) = encode_words(tokenizers[kind], [[]], max_length=9)
    assert set(window.words.tolist()) == {NO_WORD}


def test_an_accent_that_the_tokenizer_drops_moves_nothing(tokenizers: dict[str, PreTrainedTokenizerBase]) -> None:
    (window,) = encode_texts(tokenizers["slow_bert"], ["Osló, Anna"], None, max_length=20)
    assert window.offsets.tolist() == [[0, 4], [4, 5], [6, 10], [-1, -1]]


@pytest.mark.parametrize("kind", ["byt5", "slow_bert"])
def test_names_of_special_tokens_are_plain_text(kind: str, tokenizers: dict[str, PreTrainedTokenizerBase]) -> None:
    tokenizer = tokenizers[kind]
    marks = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    text = "a[SEP] [MASK] </s> <pad> [CLS]b"
    (window,) = encode_texts(tokenizer, [text], None, max_length=90)
    assert marks.isdisjoint(window.inputs["input_ids"][window.texts != NO_TEXT].tolist())
    (words,) = encode_words(tokenizer, [text.split()], max_length=90)
    assert marks.isdisjoint(words.inputs["input_ids"][words.words != NO_WORD].tolist())
    assert set(words.words.tolist()) == {NO_WORD, 0, 1, 2, 3, 4}

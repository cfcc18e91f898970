"""From texts to sub-words: windows of limited length that know which words or characters they stand for.

Shape legend: T sub-words of one window.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from transformers import BatchEncoding, PreTrainedTokenizerFast

__all__ = [
    "NO_TEXT",
    "NO_WORD",
    "Further",
    "IntArray",
    "Window",
    "encode_contexts",
    "encode_texts",
    "encode_words",
    "head_of",
    "pad",
]

IntArray = npt.NDArray[np.int32]

Further = Callable[[Encoding, Sequence[Any]], dict[str, IntArray]]
"""Further inputs of a window, from its encoding and what was encoded: one or two texts, or the words of a sentence."""

NO_WORD = NO_TEXT = -1
_NOTHING: IntArray = np.zeros(0, np.int32)
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


class Window(NamedTuple):
    """The sub-words of one text, or of one window of it.

    `row` counts the texts given in one call. `inputs` holds what the model reads, each [T]. `words` [T] is the index of
    the word a piece belongs to (NO_WORD for special tokens). `offsets` [T, 2] is the piece's start and end, in code
    points, in the context, or in the text that `texts` [T] numbers (0 or 1, NO_TEXT for special tokens); -1 elsewhere.
    """

    row: int
    inputs: dict[str, IntArray]
    truncated: bool = False
    words: IntArray = _NOTHING
    offsets: IntArray = _NOTHING
    texts: IntArray = _NOTHING


def encode_texts(
    tokenizer: PreTrainedTokenizerFast,
    first: Sequence[str],
    second: Sequence[str] | None,
    *,
    max_length: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode texts, or pairs of texts, cutting the longer one first."""
    texts = [_clean(list(first))] if second is None else [_clean(list(first)), _clean(list(second))]
    batch = tokenizer(*texts, truncation="longest_first", max_length=max_length)
    for row, encoding in enumerate(batch.encodings):
        sources = [column[row] for column in texts]
        held = np.array([NO_TEXT if text is None else text for text in encoding.sequence_ids], np.int32)
        offsets = np.where(held[:, None] == NO_TEXT, -1, np.array(encoding.offsets, np.int32).reshape(-1, 2))
        inputs = _inputs(batch, row, sources, further)
        yield Window(row, inputs, truncated=bool(encoding.overflowing), offsets=offsets, texts=held)


def encode_words(
    tokenizer: PreTrainedTokenizerFast,
    sentences: Sequence[Sequence[str]],
    *,
    max_length: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode sentences given as words. A word may have no piece: cut off, or of characters that are dropped."""
    given = [_clean(list(words)) for words in sentences]
    batch = tokenizer(given, is_split_into_words=True, truncation=True, max_length=max_length)
    for row, encoding in enumerate(batch.encodings):
        words = np.array([NO_WORD if word is None else word for word in encoding.word_ids], np.int32)
        inputs = _inputs(batch, row, given[row], further)
        yield Window(row, inputs, truncated=bool(encoding.overflowing), words=words)


def encode_contexts(
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[str],
    contexts: Sequence[str],
    *,
    max_length: int,
    stride: int,
    max_question: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode questions with windows over their contexts; neighbouring windows share `stride` pieces.

    A question is cut to `max_question` pieces, so that room for the context remains.
    """
    heads = [head_of(tokenizer, question, max_question) for question in _clean(list(questions))]
    given = _clean(list(contexts))
    batch = tokenizer(
        heads,
        given,
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
    )
    owners = batch["overflow_to_sample_mapping"]
    for index, encoding in enumerate(batch.encodings):
        offsets = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        in_context = np.array([sequence == 1 for sequence in encoding.sequence_ids])
        row = int(owners[index])
        yield Window(
            row,
            _inputs(batch, index, (heads[row], given[row]), further),
            truncated=heads[row] != questions[row],
            offsets=np.where(in_context[:, None], offsets, -1),
        )


def head_of(tokenizer: PreTrainedTokenizerFast, text: str, pieces: int) -> str:
    """Return the start of `text` that has at most `pieces` sub-words."""
    encoding = tokenizer(text, add_special_tokens=False, truncation=True, max_length=pieces).encodings[0]
    return text[: encoding.offsets[-1][1]] if encoding.overflowing else text


def pad(inputs: Sequence[Mapping[str, IntArray]], values: Mapping[str, int]) -> dict[str, npt.NDArray[np.int64]]:
    """Stack inputs [T] to tables [B, T], filled up on the right with the value of their name."""
    tables = {}
    for name in inputs[0]:
        table = np.full((len(inputs), max(len(one[name]) for one in inputs)), values[name], np.int64)
        for line, one in zip(table, inputs, strict=True):
            line[: len(one[name])] = one[name]
        tables[name] = table
    return tables


def _inputs(batch: BatchEncoding, index: int, sources: Sequence[Any], further: Further | None) -> dict[str, IntArray]:
    names = ("input_ids", "token_type_ids", "attention_mask")
    inputs = {name: np.array(batch[name][index], np.int32) for name in names if name in batch}
    return inputs if further is None else {**inputs, **further(batch[index], sources)}


def _clean(texts: list[Any]) -> list[Any]:
    """Replace lone surrogates, which a JSON file can hold and no tokenizer takes; lengths stay as they are."""
    return [_LONE_SURROGATES.sub("�", text) for text in texts]

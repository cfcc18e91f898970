"""From texts to sub-words: windows of limited length that know which words or characters they stand for.

Shape legend: T sub-words of one window.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from transformers import BatchEncoding, PreTrainedTokenizerFast

__all__ = ["NO_WORD", "Further", "IntArray", "Window", "encode_contexts", "encode_texts", "encode_words", "head_of"]

IntArray = npt.NDArray[np.int32]

Further = Callable[[Encoding, Sequence[Any]], dict[str, IntArray]]
"""Further inputs of a window, from its encoding and what was encoded: one or two texts, or the words of a sentence."""

NO_WORD = -1
_NOTHING: IntArray = np.zeros(0, np.int32)
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


class Window(NamedTuple):
    """The sub-words of one text, or of one window of it.

    `row` counts the texts given in one call. `inputs` holds what the model reads, each [T]. `words` [T] is the index of
    the word a piece belongs to (NO_WORD for special tokens). `offsets` [T, 2] is the piece's start and end in the
    context, in code points (-1 elsewhere).
    """

    row: int
    inputs: dict[str, IntArray]
    truncated: bool = False
    words: IntArray = _NOTHING
    offsets: IntArray = _NOTHING


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
        yield Window(row, _inputs(batch, row, sources, further), truncated=bool(encoding.overflowing))


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


def _inputs(batch: BatchEncoding, index: int, sources: Sequence[Any], further: Further | None) -> dict[str, IntArray]:
    names = ("input_ids", "token_type_ids", "attention_mask")
    inputs = {name: np.array(batch[name][index], np.int32) for name in names if name in batch}
    return inputs if further is None else {**inputs, **further(batch[index], sources)}


def _clean(texts: list[Any]) -> list[Any]:
    """Replace lone surrogates, which a JSON file can hold and no tokenizer takes; lengths stay as they are."""
    return [_LONE_SURROGATES.sub("�", text) for text in texts]

"""From texts to sub-words: windows of limited length that know which words or characters they stand for.

Shape legend: T sub-words of one window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from tokenizers import Encoding
from transformers import BatchEncoding, PreTrainedTokenizerBase

from robustbench_char.models import plain_inputs
from robustbench_char.models.windows import NO_TEXT, NO_WORD, IntArray, Window, clean, pad

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

Further = Callable[[Encoding, Sequence[Any]], dict[str, IntArray]]
"""Further inputs of a window, from its encoding and what was encoded: one or two texts, or the words of a sentence."""


def encode_texts(
    tokenizer: PreTrainedTokenizerBase,
    first: Sequence[str],
    second: Sequence[str] | None,
    *,
    max_length: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode texts, or pairs of texts, cutting the longer one first."""
    if not tokenizer.is_fast:
        yield from plain_inputs.encode_texts(tokenizer, first, second, max_length=max_length)
        return
    texts = [clean(list(first))] if second is None else [clean(list(first)), clean(list(second))]
    batch = tokenizer(*texts, truncation="longest_first", max_length=max_length)
    for row, encoding in enumerate(batch.encodings):
        sources = [column[row] for column in texts]
        held = np.array([NO_TEXT if text is None else text for text in encoding.sequence_ids], np.int32)
        offsets = np.where(held[:, None] == NO_TEXT, -1, np.array(encoding.offsets, np.int32).reshape(-1, 2))
        inputs = _inputs(batch, row, sources, further)
        yield Window(row, inputs, truncated=bool(encoding.overflowing), offsets=offsets, texts=held)


def encode_words(
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[Sequence[str]],
    *,
    max_length: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode sentences given as words. A word may have no piece: cut off, or of characters that are dropped."""
    if not tokenizer.is_fast:
        yield from plain_inputs.encode_words(tokenizer, sentences, max_length=max_length)
        return
    given = [clean(list(words)) for words in sentences]
    batch = tokenizer(given, is_split_into_words=True, truncation=True, max_length=max_length)
    for row, encoding in enumerate(batch.encodings):
        words = np.array([NO_WORD if word is None else word for word in encoding.word_ids], np.int32)
        inputs = _inputs(batch, row, given[row], further)
        yield Window(row, inputs, truncated=bool(encoding.overflowing), words=words)


def encode_contexts(
    tokenizer: PreTrainedTokenizerBase,
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
    if not tokenizer.is_fast:
        yield from plain_inputs.encode_contexts(
            tokenizer, questions, contexts, max_length=max_length, stride=stride, max_question=max_question
        )
        return
    heads = [head_of(tokenizer, question, max_question) for question in clean(list(questions))]
    given = clean(list(contexts))
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


def head_of(tokenizer: PreTrainedTokenizerBase, text: str, pieces: int) -> str:
    """Return the start of `text` that has at most `pieces` sub-words."""
    encoding = tokenizer(text, add_special_tokens=False, truncation=True, max_length=pieces).encodings[0]
    return text[: encoding.offsets[-1][1]] if encoding.overflowing else text


def _inputs(batch: BatchEncoding, index: int, sources: Sequence[Any], further: Further | None) -> dict[str, IntArray]:
    names = ("input_ids", "token_type_ids", "attention_mask")
    inputs = {name: np.array(batch[name][index], np.int32) for name in names if name in batch}
    return inputs if further is None else {**inputs, **further(batch[index], sources)}

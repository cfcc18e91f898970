"""Where the words of a column of texts are, and which words are stop words.

A splitter returns spans that never overlap, in order, none empty, none holding white space. `unicode` is ours;
`treebank` has the rules of NLTK's Treebank-style tokenizer (see _treebank.py), and `treebank_sentences` applies them to
each sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robustbench_char.common import Registry
from robustbench_char.text._sentences import sentence_ends
from robustbench_char.text._treebank import treebank_words
from robustbench_char.text.characters import JOINER, SPACE, WORD
from robustbench_char.text.columns import Column
from robustbench_char.text.unicode_14 import seen_codes

__all__ = ["SPLITTERS", "STOP_WORDS", "Words", "pieces_of", "token_words"]


@dataclass(frozen=True)
class Words:
    """`n` words of a column, in order. `starts`, `ends`: int64, positions in the column's codes. `text`: int64, the
    number of its text.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    text: NDArray[np.int64]

    @classmethod
    def of(cls, column: Column, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Words:
        """Give each span (in order of position) the number of the text it stands in."""
        counts = np.diff(np.searchsorted(starts, column.offsets))
        return cls(starts, ends, np.repeat(np.arange(len(counts)), counts))

    @cached_property
    def number(self) -> NDArray[np.int64]:
        """The number of each word in its own text, from 0."""
        first = np.flatnonzero(np.diff(self.text, prepend=-1))
        counts = np.diff(first, append=len(self.text))
        return np.arange(len(self.text)) - np.repeat(first, counts)


Splitter = Callable[[Column], Words]
SPLITTERS: Registry[Splitter] = Registry("word splitter")


def _runs(column: Column, inside: NDArray[np.bool_]) -> Words:
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if len(inside) and inside[0]:
        edges = np.concatenate([[0], edges])
    return Words.of(column, edges[::2], edges[1::2])  # the last code is a separator, so every run that begins also ends


def split_whitespace(column: Column) -> Words:
    """Words are what stands between white space."""
    return _runs(column, (column.flags & SPACE) == 0)


def split_unicode(column: Column) -> Words:
    """Words are runs of letters, digits and marks, held together by an apostrophe or hyphen between two of them."""
    inside = (column.flags & WORD) != 0
    joined = inside.copy()
    joined[1:-1] |= (column.flags[1:-1] & JOINER).astype(np.bool_) & inside[:-2] & inside[2:]
    return _runs(column, joined)


def split_treebank(column: Column) -> Words:
    """Words are the tokens of `treebank_spans`, applied to each text."""
    return pieces_of(column, Words(column.offsets[:-1], column.ends, np.arange(len(column.ends))))


def split_treebank_sentences(column: Column) -> Words:
    """Words are the tokens of `treebank_spans`, applied to each sentence of a text."""
    runs, joined = split_whitespace(column), seen_codes(column.codes).tobytes().decode("utf-32-le")
    after = np.searchsorted(runs.starts, np.array(sentence_ends(joined), np.int64))
    after = after[runs.text[after] == runs.text[after - 1]]
    starts = np.sort(np.concatenate([column.offsets[:-1], runs.starts[after]]))
    ends = np.sort(np.concatenate([column.ends, runs.ends[after - 1]]))
    return pieces_of(column, Words.of(column, starts, ends))


def pieces_of(column: Column, tokens: Words) -> Words:
    """Split each given token by `treebank_spans`; a token is split alone, so that no word reaches into the next one."""
    runs = split_whitespace(column)
    return Words.of(column, *treebank_words(column, (tokens.starts, tokens.ends), (runs.starts, runs.ends)))


def token_words(column: Column) -> Words:
    """Return the spans of tokens, where each text of the column is its tokens joined by single spaces."""
    inside = column.codes != ord(" ")
    inside[column.ends] = False
    return _runs(column, inside)


SPLITTERS.register("unicode", split_unicode)
SPLITTERS.register("whitespace", split_whitespace)
SPLITTERS.register("treebank", split_treebank)
SPLITTERS.register("treebank_sentences", split_treebank_sentences)

_ENGLISH = """
    i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves he him his
    himself she she's her hers herself it it's its itself they them their theirs themselves what which who whom this
    that that'll these those am is are was were be been being have has had having do does did doing a an the and but
    if or because as until while of at by for with about against between into through during before after above
    below to from up down in out on off over under again further then once here there when where why how all any
    both each few more most other some such no nor not only own same so than too very s t can will just don don't
    should should've now d ll m o re ve y ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn
    hasn't haven haven't isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't wasn
    wasn't weren weren't won won't wouldn wouldn't
"""

STOP_WORDS: tuple[str, ...] = tuple(_ENGLISH.split())
"""NLTK's 179 English stop words (NLTK data, stopwords/english as of 2017-2023)."""

"""Sentences to train a recogniser on: words of plain text or of a task's examples, clean and attacked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.suites import Suite
from robustbench_char.defences._sources import text_lines
from robustbench_char.tasks.base import Example
from robustbench_char.text.characters import without_surrogates
from robustbench_char.text.columns import Column
from robustbench_char.text.words import SPLITTERS, Words

__all__ = ["attacked"]

_CHUNK = 2000

Sentences = list[tuple[str, ...]]


def _pieces(sentences: Iterable[Sequence[str]], longest: int, limit: int | None) -> Sentences:
    """Return pieces of at most `longest` words, up to `limit` words in all; tokens that are not words are left out."""
    pieces: Sentences = []
    words = 0
    for tokens in sentences:
        sentence = [word for word in tokens if word.split() == [word]]
        for start in range(0, len(sentence), longest):
            if limit is not None and words >= limit:
                return pieces
            pieces.append(tuple(sentence[start : start + longest]))
            words += len(pieces[-1])
    return pieces


def word_spans(texts: Sequence[str], split: Callable[[Column], Words]) -> list[list[tuple[int, int]]]:
    """Return where the words of each text start and end; lone surrogates are read as unknown characters."""
    column = Column.of([without_surrogates(text) for text in texts])
    words = split(column)
    begins = column.offsets[:-1][words.text]
    spans = list(zip((words.starts - begins).tolist(), (words.ends - begins).tolist(), strict=True))
    bounds = np.searchsorted(words.text, np.arange(len(texts) + 1)).tolist()
    return [spans[first:end] for first, end in pairwise(bounds)]


def _split(texts: Iterable[str], splitter: str) -> Iterator[tuple[str, ...]]:
    split, rest = SPLITTERS.get(splitter), iter(texts)
    while chunk := [without_surrogates(text) for text in islice(rest, _CHUNK)]:
        for text, spans in zip(chunk, word_spans(chunk, split), strict=True):
            yield tuple(text[start:end] for start, end in spans)


def text_sentences(paths: Sequence[Path], *, splitter: str, longest: int, limit: int | None) -> Sentences:
    """Return the lines of plain text files as words, in pieces of at most `longest`, up to `limit` words in all.

    Raises InputError for a file that is missing, empty, or not UTF-8 text, with its line.
    """
    return _pieces(_split(text_lines(paths), splitter), longest, limit)


def example_sentences(examples: Iterable[Example], *, splitter: str, longest: int, limit: int | None) -> Sentences:
    """Return the words of all fields of examples; a text that several examples share is taken once."""
    return _pieces(_example_words(examples, splitter), longest, limit)


def _example_words(examples: Iterable[Example], splitter: str) -> Iterator[tuple[str, ...]]:
    seen: set[str] = set()
    for example in examples:
        for value in example.fields.values():
            if not isinstance(value, str):
                yield value
            elif value not in seen:
                seen.add(value)
                yield from _split([value], splitter)


def attacked(sentences: Sentences, suite: Suite, *, seed: int, stream: str) -> Sentences:
    """Return the sentences under a suite: as many words each. `stream` names the draws (one name per epoch)."""
    changed: Sentences = []
    for start in range(0, len(sentences), _CHUNK):
        chunk = sentences[start : start + _CHUNK]
        names = (str(start + number) for number in range(len(chunk)))
        keys = text_keys(names, seed=seed, family=suite.family, task=stream)
        batch = Batch([" ".join(words) for words in chunk], keys, tokens=True)
        changed += [tuple(text.split(" ")) for text in attack_batch(batch, suite).texts]
    return changed

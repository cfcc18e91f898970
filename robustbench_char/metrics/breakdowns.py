"""What a score is broken down by: the cells that each of its units (entities, words, examples) falls into.

To add a breakdown, write a function here that takes a unit and what is known of its example, and returns the cells that
the unit is in, and register it below by one line; define it in docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from robustbench_char.common import Registry
from robustbench_char.metrics.base import WHOLE, Unit

__all__ = ["BREAKDOWNS", "ExampleWords", "WordState", "cells"]

TEXT_LENGTHS = (10, 20, 30)
WORD_LENGTHS = (3, 6, 9)
"""The largest of each bucket but the last."""


@dataclass(frozen=True)
class WordState:
    """One word of an example: its clean form's length in characters, pieces clean and as read, what hit it.

    Pieces are None where the system has none, or they are not known.
    """

    length: int
    pieces_clean: int | None
    pieces: int | None
    operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExampleWords:
    """What is known of one example.

    `words` are those of a tagging, all of them, or of other families those that the attack hit. `length` counts the
    words of the sentence, of the question, or of the texts to be classified; `attacked` says whether the data are.
    """

    words: Sequence[WordState]
    length: int
    attacked: bool


Breakdown = Callable[[Unit, ExampleWords], Iterable[str]]
BREAKDOWNS: Registry[Breakdown] = Registry("breakdown")


def cells(unit: Unit, example: ExampleWords) -> list[tuple[str, str]]:
    """Return dimension and value of every cell that a unit is in, `all` among them."""
    return [("all", "all"), *((name, value) for name in BREAKDOWNS for value in BREAKDOWNS.get(name)(unit, example))]


def bucket(number: int, largest: Sequence[int]) -> str:
    """Return the bucket that a number from 1 is in, such as `4-6`; after the last of `largest`, `10+`."""
    least = 1
    for most in largest:
        if number <= most:
            return f"{least}-{most}"
        least = most + 1
    return f"{least}+"


def _of(unit: Unit, example: ExampleWords) -> Sequence[WordState]:
    """Return the words of a unit: its own, or for a whole example those that the attack hit."""
    return example.words if unit.span == WHOLE else example.words[slice(*unit.span)]


def _split(counts: Sequence[int | None]) -> list[str]:
    known = [count for count in counts if count is not None]
    return ["Subword" if max(known) > 1 else "Word"] if known else []


def by_pieces(unit: Unit, example: ExampleWords) -> list[str]:
    """`Subword` where the base tokenizer splits one of the unit's words as it was before the attack, else `Word`."""
    return _split([word.pieces_clean for word in _of(unit, example)])


def by_pieces_read(unit: Unit, example: ExampleWords) -> list[str]:
    """The same of the words as they stand after the attack; on clean data `pieces` says it all."""
    return _split([word.pieces for word in _of(unit, example)]) if example.attacked else []


def by_entity_type(unit: Unit, example: ExampleWords) -> list[str]:
    """The type of the entity."""
    return [unit.kind] if unit.kind else []


def by_operator(unit: Unit, example: ExampleWords) -> list[str]:
    """Each operator that hit one of the unit's words, or `none`; a unit may be in several of these cells."""
    if not example.attacked:
        return []
    return sorted({name for word in _of(unit, example) for name in word.operators}) or ["none"]


def by_word_length(unit: Unit, example: ExampleWords) -> list[str]:
    """The length, in characters, of the longest of the words of an entity or a tagged word, before the attack."""
    return [] if unit.span == WHOLE else [bucket(max(word.length for word in _of(unit, example)), WORD_LENGTHS)]


def by_text_length(unit: Unit, example: ExampleWords) -> list[str]:
    """The number of words of the sentence, of the question, or of the texts that are classified."""
    return [bucket(max(1, example.length), TEXT_LENGTHS)]


BREAKDOWNS.register("pieces", by_pieces)
BREAKDOWNS.register("pieces_read", by_pieces_read)
BREAKDOWNS.register("entity_type", by_entity_type)
BREAKDOWNS.register("operator", by_operator)
BREAKDOWNS.register("word_length", by_word_length)
BREAKDOWNS.register("text_length", by_text_length)

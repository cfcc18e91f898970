"""The term vocabulary: the whole words that noisy language modelling (NLM) tells apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from robustbench_char.common.files import write_json
from robustbench_char.common.frozen import Frozen, read_json_model

__all__ = ["IGNORED", "TERMS", "TermCounter", "TermVocabulary"]

TERMS = "term_vocabulary.json"
IGNORED = -100
MOST_COUNTED = 2_000_000
"""Different words that are counted at a time; beyond, the rarest are forgotten, so that memory stays flat."""


class TermCounter:
    """Counts lower-cased words of text of any size."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, words: Iterable[str]) -> None:
        """Count words."""
        self.counts.update(map(str.lower, words))
        if len(self.counts) > MOST_COUNTED:
            self._forget()

    def _forget(self) -> None:
        """Forget words seen once, then twice, and so on, until there is room for as many new ones."""
        rarest = 1
        while len(self.counts) > MOST_COUNTED // 2:
            self.counts = Counter({word: count for word, count in self.counts.items() if count > rarest})
            rarest += 1


class TermVocabulary(Frozen):
    """Lower-cased words by frequency; the id of a term is its place.

    `unknown` says what another word is: `ignore`, no target; `class`, one class more (as in the reference
    implementation of CharBERT, whose last class is `<unk>`).
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    unknown: Literal["ignore", "class"]
    terms: tuple[str, ...] = Field(min_length=1)

    @classmethod
    def build(cls, counter: TermCounter, *, size: int, unknown: Literal["ignore", "class"]) -> TermVocabulary:
        """Return the `size` most frequent words (fewer, if there are no more); equal counts in alphabetic order."""
        order = sorted(counter.counts.items(), key=lambda item: (-item[1], item[0]))
        return cls(unknown=unknown, terms=tuple(word for word, _ in order[:size]))

    @classmethod
    def load(cls, folder: Path) -> TermVocabulary:
        """Read the vocabulary of a folder. Raises InputError where it is missing or damaged."""
        return read_json_model(
            folder / TERMS,
            cls,
            expected="a term vocabulary that `pretrain` wrote",
            fix="Copy the whole folder that `pretrain` wrote, or start from a plain base.",
        )

    def save(self, folder: Path) -> None:
        """Write the vocabulary into a folder."""
        write_json(folder / TERMS, self.model_dump(mode="json", by_alias=True))

    @property
    def classes(self) -> int:
        """How many classes the model tells apart."""
        return len(self.terms) + (self.unknown == "class")

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {term: index for index, term in enumerate(self.terms)}

    def ids(self, words: Sequence[str]) -> list[int]:
        """Return the id of each word, IGNORED (-100) or the last class for one that is not among the terms."""
        unknown = len(self.terms) if self.unknown == "class" else IGNORED
        known = self._ids
        return [known.get(word.lower(), unknown) for word in words]

"""Operators that choose among finished edits of a word: confusions of optical character recognition, capitals, and
misspellings from a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.keys import below
from robustbench_char.attacks.lists import listed
from robustbench_char.attacks.operators import Positions, Scene, VariantOperator, Written, eligible_range
from robustbench_char.attacks.word_operators import changed_part, packed
from robustbench_char.common import InputError
from robustbench_char.text.confusions import OCR_CONFUSIONS
from robustbench_char.text.edits import Edit
from robustbench_char.text.words import Words

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Variants:
    """The edits that are open to each word of a column: those of word `w` are `edits[first[w] : first[w] + count[w]]`,
    which equal words share."""

    edits: Sequence[Edit]
    first: Ints
    count: Ints

    @classmethod
    def of(
        cls, operator: VariantOperator, scene: Scene, words: Words, positions: Positions, *, letters: bool
    ) -> Variants:
        """Find the edits of each distinct word; with `letters`, those that remove letters alone."""
        joined = scene.column.codes.tobytes().decode("utf-32-le")
        spans = zip(words.starts.tolist(), words.ends.tolist(), strict=True)
        known: dict[str, int] = {}
        numbers = [known.setdefault(joined[start:end], len(known)) for start, end in spans]
        make = operator.edits(scene)
        made = [
            (number, len(word), edit)
            for word, number in known.items()
            for edit in make(word)
            if not letters or not edit.removed or edit.removed.isalpha()
        ]
        table = np.array([(number, size, e.start, len(e.removed)) for number, size, e in made], np.int64).reshape(-1, 4)
        low, high = eligible_range(np.zeros_like(table[:, 1]), table[:, 1], width=table[:, 3], positions=positions)
        good = (low <= table[:, 2]) & (table[:, 2] < high)
        if positions == "ends":
            good &= (table[:, 2] == low) | (table[:, 2] == high - 1)
        count = np.bincount(table[good, 0], minlength=len(known))
        first = np.cumsum(count) - count
        kept = [edit for (*_, edit), keep in zip(made, good.tolist(), strict=True) if keep]
        which = np.array(numbers, np.int64)
        return cls(kept, first[which], count[which])

    def drawn(self, words: Words, rows: Ints, draws: NDArray[np.uint64]) -> tuple[Ints, Written]:
        """Return the starts in the column and the writing of one edit for each of the words `rows`."""
        numbers = self.first[rows] + below(draws, self.count[rows])
        edits = [self.edits[number] for number in numbers.tolist()]
        starts = zip(rows.tolist(), words.starts[rows].tolist(), edits, strict=True)
        _, at, written = packed([(row, start + e.start, len(e.removed), e.inserted) for row, start, e in starts])
        return at, written


def _replacing(word: str, others: Sequence[str]) -> list[Edit]:
    """Return the edits that turn a word into each of the others, without what they begin and end with alike."""
    parts = ((changed_part(word, other)) for other in dict.fromkeys(others) if other != word)
    return [Edit(start, word[start : start + gone], come) for start, gone, come in parts]


def _confusions(scene: Scene) -> Callable[[str], list[Edit]]:
    def edits(word: str) -> list[Edit]:
        return [
            Edit(at, seen, read)
            for at, char in enumerate(word)
            for seen, reads in OCR_CONFUSIONS.get(char, ())
            if word.startswith(seen, at)
            for read in reads
        ]

    return edits


def _capitals(scene: Scene) -> Callable[[str], list[Edit]]:
    """Small letters, a capital first, capitals throughout: what a word is not."""
    return lambda word: _replacing(word, [word.lower(), word[:1].upper() + word[1:].lower(), word.upper()])


def _misspellings(scene: Scene) -> Callable[[str], list[Edit]]:
    if scene.misspellings is None:
        raise InputError("suite", found="the operator misspelling without a list", expected="the key misspellings",
                         fix="Add the list, for example `misspellings: {list: codespell}`.")  # fmt: skip
    index, keep = listed(scene.misspellings), scene.case == "keep"

    def edits(word: str) -> list[Edit]:
        pairs = index.get(word.lower(), ())
        return _replacing(word, [_like(word, right, wrong) if keep else wrong for right, wrong in pairs])

    return edits


def _like(word: str, right: str, wrong: str) -> str:
    """Return a misspelling with the pattern of capitals of the word it stands for; as listed where that has none."""
    if word == right:
        return wrong
    if word.islower():
        return wrong.lower()
    if word.isupper() and len(word) > 1:
        return wrong.upper()
    return wrong[:1].upper() + wrong[1:].lower() if word == word[:1].upper() + word[1:].lower() else word


OCR = VariantOperator("ocr", _confusions)
CASE = VariantOperator("case", _capitals)
MISSPELLING = VariantOperator("misspelling", _misspellings)

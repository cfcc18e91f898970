"""What a suite may do to the texts of an example: every single edit, and which of them go together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from robustbench_char.attacks.engine import Batch, every_edit, fit_together
from robustbench_char.attacks.suites import Suite
from robustbench_char.common.files import sha256_bytes
from robustbench_char.text.edits import Edit, apply_edits, in_order

__all__ = ["Option", "Space", "State", "constraints", "spaces"]

State: TypeAlias = tuple[int, ...]
"""Edits that are made together: numbers of options, ascending. The empty one is the clean text."""


class Option(NamedTuple):
    """One edit of a clean text. `text` numbers the texts of a space, `word` its words (`start` to `end`)."""

    text: int
    word: int
    start: int
    end: int
    operator: str
    edit: Edit


@dataclass(frozen=True)
class Space:
    """The clean `texts` that are attacked together, and the edits that are open, in the order of the ledger.

    No two options lead to the same texts, and none leaves them as they are. `words`: how many of them the texts have,
    and how many of these are `eligible`. A word gets at most `edits_per_word` edits, which are those of the clean word.
    """

    texts: tuple[str, ...]
    options: tuple[Option, ...]
    edits_per_word: int = 1
    words: int = 0
    eligible: int = 0

    @classmethod
    def joined(cls, parts: Sequence[Space]) -> Space:
        """Return the space of texts that are attacked together."""
        options, before = list[Option](), 0
        for part in parts:
            options += [option._replace(text=before + option.text) for option in part.options]
            before += len(part.texts)
        return cls(
            tuple(text for part in parts for text in part.texts),
            tuple(options),
            parts[0].edits_per_word,
            sum(part.words for part in parts),
            sum(part.eligible for part in parts),
        )

    def edits(self, state: State) -> list[list[Edit]]:
        """Return the edits of a state, by text, in order of position."""
        own: list[list[Edit]] = [[] for _ in self.texts]
        for number in state:
            own[self.options[number].text].append(self.options[number].edit)
        return [in_order(edits) for edits in own]

    def attacked(self, state: State) -> tuple[str, ...]:
        """Return the texts of a state."""
        if len(state) != 1:
            pairs = zip(self.texts, self.edits(state), strict=True)
            return tuple(apply_edits(text, edits) if edits else text for text, edits in pairs)
        text, *_, (start, removed, inserted, _) = self.options[state[0]]
        clean = self.texts[text]
        new = clean[:start] + inserted + clean[start + len(removed) :]
        return (*self.texts[:text], new, *self.texts[text + 1 :])

    def extensions(self, state: State) -> Iterator[State]:
        """Yield the states with one edit more, in the order of the ledger."""
        taken: dict[tuple[int, int], list[Option]] = defaultdict(list)
        for number in state:
            taken[self._word(number)].append(self.options[number])
        for number, option in enumerate(self.options):
            beside = taken.get((option.text, option.word))
            if beside is None or (len(beside) < self.edits_per_word and self._together([*beside, option])):
                yield tuple(sorted((*state, number)))

    def states(self, edits: int) -> Iterator[State]:
        """Yield all states of so many edits, in the order of the ledger."""
        if not edits:
            yield ()
            return
        for state in self.states(edits - 1):
            yield from (more for more in self.extensions(state) if more[:-1] == state)

    def slot(self, state: State, more: State) -> tuple[int, int, bool]:
        """Return where the edit that `more` has beyond a state strikes: text, position, and whether it adds there."""
        (number,) = set(more) - set(state)
        option = self.options[number]
        return option.text, option.edit.start, not option.edit.removed

    def _word(self, number: int) -> tuple[int, int]:
        return self.options[number].text, self.options[number].word

    def _together(self, options: Sequence[Option]) -> bool:
        text, _, start, end, *_ = options[0]
        own = [option.edit._replace(start=option.edit.start - start) for option in options]
        return fit_together(self.texts[text][start:end], own)


_DRAWN = {"name", "family", "strength", "edits_per_word", "no_op", "draw_among", "search"}
"""What a suite says beside the single edits that it allows: how many are made, and how they are drawn."""


def constraints(suite: Suite, fields: Sequence[str]) -> str:
    """Return a hash of the single edits that a suite allows in some fields: draws and searches under one compare."""
    drawn = {name: {"weight", "tries"} for name in suite.operators}
    allowed = suite.model_dump_json(exclude={**dict.fromkeys(_DRAWN | {"fields"}, True), "operators": drawn})
    return sha256_bytes(f"{allowed} {sorted(fields)}".encode())


def spaces(batch: Batch, suite: Suite) -> list[Space]:
    """Return the space of each text of a batch.

    Raises InputError for a suite whose edits cannot be listed, and as `attack_batch` does.
    """
    possible = every_edit(batch, suite)
    column, words, edits = possible.column, possible.words, possible.edits
    text, word = words.text[edits.word], words.number[edits.word]
    origin = column.offsets[text]
    starts, ends = ((bounds[edits.word] - origin).tolist() for bounds in (words.starts, words.ends))
    names = [possible.operators[number] for number in edits.operator.tolist()]
    listed = list(map(Option, [0] * len(names), word.tolist(), starts, ends, names, edits.listed(column, origin)))
    bounds = np.searchsorted(text, np.arange(len(batch.texts) + 1)).tolist()
    counts, eligible = (
        np.bincount(words.text, weights=chosen, minlength=len(batch.texts)).astype(int).tolist()
        for chosen in (None, possible.eligible)
    )
    return [
        Space((clean,), _distinct(clean, listed[low:high]), suite.edits_per_word, counts[at], eligible[at])
        for at, (clean, (low, high)) in enumerate(zip(batch.texts, pairwise(bounds), strict=True))
    ]


def _distinct(clean: str, options: Sequence[Option]) -> tuple[Option, ...]:
    """Return the first of the options that lead to each other text."""
    seen = {clean}
    kept = []
    for option in options:
        start, removed, inserted, _ = option.edit
        new = clean[:start] + inserted + clean[start + len(removed) :]
        if new not in seen:
            seen.add(new)
            kept.append(option)
    return tuple(kept)

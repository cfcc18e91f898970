"""The error model: how likely a known word is written as something else, by one or two edits.

Sources: Kernighan, Church and Gale 1990 (operators and letter pairs); Brill and Moore 2000 (where in the word).

    P(given | known, wrong) = P(number of edits) x product over edits of
                              P(operator, place) / (how many such places the word has) x P(letters | operator)

Shape legend: A symbols (`_letters`), E edits, P readings of pairs of a known word and a word as given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robustbench_char.defences.channel._edits import ADD, DROP, REPLACE, Edits
from robustbench_char.defences.channel._letters import SIZE, symbols

__all__ = ["ErrorModel", "length_class"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FIRST, INSIDE, LAST = range(3)
_CLASSES = 8
_PLACES, _NUMBER, _SHARE = (0.15, 0.7, 0.15), (0.9, 0.1), 0.1
"""Before anything is seen: shares of edits by place; of wrong words by number of edits; of words that are wrong."""
_SHARE_PRIOR, _NUMBER_PRIOR, _KIND_PRIOR, _LETTER_PRIOR = 20.0, 100.0, 100.0, 50.0
"""How many observations each part of the model that is adapted counts for."""


def length_class(lengths: Ints) -> Ints:
    """Return the class of word lengths: 0 for one character to 7 for eight and more."""
    return np.clip(lengths, 1, _CLASSES) - 1


@dataclass(frozen=True)
class ErrorModel:
    """`share` [8]: how many of the words of a length class are wrong. `number` [2]: of the wrong ones, those of one and
    of two edits. `kinds` [4, 3]: shares of operators at the first, an inner, the last place. `added` [A, A]: what is
    added after a letter; `replaced` [A, A]: what takes the place of one. `listed`: how many errors a list of
    misspellings explains.
    """

    share: Floats
    number: Floats
    kinds: Floats
    added: Floats
    replaced: Floats
    listed: float = 0.0

    @classmethod
    def uniform(cls, *, most: int = 2, ends: bool = True) -> ErrorModel:
        """Return the model that holds all operators and letters for equally likely, with one or up to two edits.

        With `ends` off, neither the first nor the last character of a word changes.
        """
        places = np.array(_PLACES if ends else (0.0, 1.0, 0.0))
        flat = np.full((SIZE, SIZE), 1 / 26)
        number = np.array(_NUMBER if most > 1 else (1.0, 0.0))
        return cls(np.full(_CLASSES, _SHARE), number, np.tile(places / 4, (4, 1)), flat, flat)

    def log_readings(self, edits: Edits, lengths: Ints, total: int) -> Floats:
        """Return the log-probability of `total` readings [P]; `lengths` [E] are those of the known words."""
        place, slots = places(edits, lengths)
        old, new, left = symbols(edits.old), symbols(edits.new), symbols(edits.left)
        letters = np.where(edits.operator == ADD, self.added[left, new], 1.0)
        letters = np.where(edits.operator == REPLACE, self.replaced[old, new], letters)
        with np.errstate(divide="ignore"):
            logs = np.log(self.kinds[edits.operator, place] / slots * letters)
            number = np.log(np.append(self.number, 0.0))
        counts = np.bincount(edits.pair, minlength=total)
        return np.asarray(np.bincount(edits.pair, weights=logs, minlength=total) + number[counts - 1])

    def learnt(
        self, edits: Edits, lengths: Ints, weights: Floats, *, base: ErrorModel, strength: float = 1.0
    ) -> ErrorModel:
        """Return the model with number, kinds and letters counted from edits; `base` counts for `strength` priors.

        `weights` [P] says how often each reading was seen.
        """
        place, _ = places(edits, lengths)
        heavy, counts = weights[edits.pair], np.bincount(edits.pair, minlength=len(weights))
        twice = float(weights[counts == 2].sum())
        number = base.number * _NUMBER_PRIOR * strength + [float(weights[counts == 1].sum()), twice]
        counted = np.bincount(edits.operator * 3 + place, weights=heavy, minlength=12).reshape(4, 3)
        kinds = (base.kinds > 0) * (base.kinds * _KIND_PRIOR * strength + counted)
        old, new, left = symbols(edits.old), symbols(edits.new), symbols(edits.left)
        tables = {}
        for name, operator, given in (("added", ADD, left), ("replaced", REPLACE, old)):
            rows = edits.operator == operator
            seen = np.bincount(given[rows] * SIZE + new[rows], weights=heavy[rows], minlength=SIZE * SIZE)
            table = getattr(base, name) * _LETTER_PRIOR * strength + seen.reshape(SIZE, SIZE)
            tables[name] = table / table.sum(axis=1, keepdims=True)
        return replace(self, number=number / number.sum(), kinds=kinds / kinds.sum(), **tables)

    def shared(self, words: Floats, wrong: Floats) -> ErrorModel:
        """Return the model with the share of wrong words as counted [8], each drawn towards that of all lengths."""
        overall = (wrong.sum() + _SHARE * _SHARE_PRIOR) / (words.sum() + _SHARE_PRIOR)
        share = (wrong + _SHARE_PRIOR * overall) / (words + _SHARE_PRIOR)
        return replace(self, share=np.clip(share, 1e-5, 1 - 1e-3))


def places(edits: Edits, lengths: Ints) -> tuple[Ints, Ints]:
    """Return where in the word edits are [E], and how many such places it has for the operator [E].

    Of two equal letters at the end of a word it is the inner one that was dropped or added: the last one stays.
    """
    slots = lengths + np.array([0, 1, -1, 0])[edits.operator]
    last = edits.at >= slots - 1
    changed = np.where(edits.operator == DROP, edits.old, np.where(edits.operator == ADD, edits.new, 0))
    last &= (changed != edits.left) | (edits.at < 2)
    place = np.where(edits.at <= 0, FIRST, np.where(last, LAST, INSIDE))
    return place, np.where(place == INSIDE, np.maximum(slots - 2, 1), 1)

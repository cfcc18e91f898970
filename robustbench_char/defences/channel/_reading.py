"""A file as the channel reads it: what each word may have been meant to be, and how likely that is.

The file says how noisy it is: expectation maximisation finds the share of wrong words, by length, which operators and
letters are at work, and which words the file itself uses. On clean text the share goes to nothing, and words stay.

Shape legend: N words of all sentences, U distinct ones, F forms (distinct words in lower case), P readings of a form as
a known word with edits, K candidates at most (the first: the word as given), M open words (with more than one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robustbench_char.defences.channel._edits import Edits
from robustbench_char.defences.channel._lattice import Lattice
from robustbench_char.defences.channel._words import Tokens
from robustbench_char.defences.channel.errors import ErrorModel, length_class
from robustbench_char.defences.channel.lexicon import CLASSES, Lexicon

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Meanings = tuple[tuple[str, float], ...]
"""What a word may have been meant to be, with probabilities that sum to 1."""

CANDIDATES = 6
"""The most candidates of a word, itself included."""
_ROUNDS = 2
_MARGIN = 11.0
"""How much less likely than a known word as given, in nats, a candidate may be by itself."""
_OPTIMISTIC = 0.5
"""The share of wrong words that candidates are chosen under."""
REUSE = 0.2
"""The share of words that are written because the file used them already."""
_SPELLING = 0.8
"""Exponent of the probability of a spelling: characters are less independent than n-grams hold them to be."""
LEAST = 1e-30
"""The probability that the rest of a file writes what it does not have."""


@dataclass(frozen=True)
class Readings:
    """`P` readings. `form`, `known` [P]: which form may be which known word; `edits`: how. `listed` [P]: its
    log-probability in a list of misspellings, -inf where it is in none.
    """

    form: Ints
    known: Ints
    edits: Edits
    listed: Floats

    def scores(self, errors: ErrorModel, lengths: Ints) -> Floats:
        """Return the log-probability of each reading [P], given that the known word (with these lengths) is wrong."""
        edited = errors.log_readings(self.edits, lengths[self.known[self.edits.pair]], len(self.form))
        if not errors.listed:
            return edited
        return np.asarray(np.logaddexp(edited + np.log(1 - errors.listed), self.listed + np.log(errors.listed)))


@dataclass(frozen=True)
class Learnt:
    """What reading a file has taught: the model of its `errors`, and how likely the rest of it writes one of its words:
    each entry of the lexicon `known` [V], and by their form the new ones among them.
    """

    errors: ErrorModel
    known: Floats
    new: Mapping[str, float]


class Known(Protocol):
    """What a reading takes from its channel: what is known before a file is seen; `lengths` are those of its words."""

    lexicon: Lexicon
    errors: ErrorModel
    lengths: Ints

    def readings(self, forms: Sequence[str], open_: Bools, known: Ints) -> tuple[Readings, Ints, Floats]:
        """Return the readings of forms [F], their lengths [F], and of new ones the log-probability of the spelling."""

    def spelled(self, known: int, shape: int) -> str:
        """Return a known word in a pattern of capitals."""


class Reading:
    """Sentences behind a channel, which adapts to them as one file, or keeps to what it has `learnt` from another."""

    def __init__(self, channel: Known, sentences: Sequence[Sequence[str]], learnt: Learnt | None = None) -> None:
        self.channel, self.tokens = channel, Tokens.of(sentences)
        self._ids = channel.lexicon.ids(self.tokens)
        coded = self.tokens.lower.dictionary_encode()
        self._form: Ints = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        self.forms: list[str] = coded.dictionary.to_pylist()
        self._open_form = np.zeros(len(self.forms), np.bool_)
        self._open_form[self._form] = self.tokens.correctable
        self.readings, self._length, self._spelling = channel.readings(self.forms, self._open_form, self._known)
        self._choose()
        self._place()
        if learnt is None:
            self._adapt()
        else:
            self._keep(learnt)

    @cached_property
    def _known(self) -> Ints:
        """The number of each form in the lexicon, -1 for new ones [F]."""
        known = np.full(len(self.forms), -1, np.int64)
        known[self._form] = np.where(self._ids >= len(CLASSES), self._ids, -1)
        return known

    def _choose(self) -> None:
        """Choose the candidates of each form: `_candidates` [F, K] known words (-1: none), `_reading` [F, K] how."""
        lexicon, readings = self.channel.lexicon, self.readings
        optimistic = replace(self.channel.errors, share=np.full(8, _OPTIMISTIC))
        score = readings.scores(optimistic, self.channel.lengths) + lexicon.log_unigram[readings.known]
        known = self._known[readings.form]
        least = np.where(known >= 0, lexicon.log_unigram[np.maximum(known, 0)] - _MARGIN, -1e9)
        rows = np.flatnonzero(score > least)
        rows = rows[np.lexsort((-score[rows], readings.known[rows], readings.form[rows]))]
        pair = readings.form[rows] * len(lexicon) + readings.known[rows]
        rows = rows[np.diff(pair, prepend=-1) != 0]  # the best reading of each pair
        rows = rows[np.lexsort((-score[rows], readings.form[rows]))]
        form = readings.form[rows]
        rank = np.arange(len(rows)) - np.searchsorted(form, form) + 1
        kept = rank < CANDIDATES
        shape = len(self.forms), CANDIDATES
        self._candidates, self._reading = np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
        self._candidates[form[kept], rank[kept]] = readings.known[rows[kept]]
        self._reading[form[kept], rank[kept]] = rows[kept]

    def _place(self) -> None:
        """Lay the candidates of open words along the sentences: what does not change when the model adapts."""
        tokens, lexicon = self.tokens, self.channel.lexicon
        ids, which = self._ids[tokens.which], tokens.which
        form = self._form[which]
        open_ = (self._candidates[form, 1] >= 0) & self._open_form[form]
        self.open: Ints = np.flatnonzero(open_)
        self._form_at = form[self.open]
        candidates = self._candidates[self._form_at]
        candidates[:, 0] = ids[self.open]
        self.lattice = Lattice(lexicon, ids, tokens.starts_sentence, self.open, candidates)
        shape = tokens.shapes[which[self.open]]
        told = tokens.telling[self.open][:, None] & (candidates >= len(CLASSES))
        self._shape = np.where(told, lexicon.log_shape[candidates, shape[:, None]], 0.0)
        new = candidates[:, 0] < len(CLASSES)
        self._own = np.zeros(candidates.shape)
        self._own[:, 0] = np.where(new, self._spelling[self._form_at] * _SPELLING, 0.0)
        self._meant = np.maximum(candidates, 0)
        self._meant[:, 0] = np.where(new, len(lexicon) + self._form_at, candidates[:, 0])
        certain = np.where(ids < len(CLASSES), len(lexicon) + form, ids)[~open_]
        self._certain = np.bincount(certain, minlength=len(lexicon) + len(self.forms)).astype(float)
        self._classes = length_class(self._length[form])
        self._words = np.bincount(self._classes[self._open_form[form]], minlength=8).astype(float)

    def _emissions(self, errors: ErrorModel) -> Floats:
        """Return the log-probability of each open word as given, for each candidate [M, K]."""
        lengths, readings = self.channel.lengths, self.readings
        wrong = readings.scores(errors, lengths) + np.log(errors.share[length_class(lengths[readings.known])])
        table = np.where(self._reading >= 0, wrong[self._reading] if len(wrong) else 0.0, 0.0)[self._form_at]
        table[:, 0] = np.log(1 - errors.share[self._classes[self.open]])
        return np.asarray(table + self._shape)

    def _adapt(self) -> None:
        """Fit the error model and the words of the file, by expectation maximisation; leave the last expectations."""
        self.errors, reused = self.channel.errors, None
        for _ in range(_ROUNDS):
            self.lattice.weigh(self._emissions(self.errors), self._own, reused, REUSE)
            share = self.lattice.probabilities()
            self.errors = self._learnt(share)
            reused = self._reused(share)
        self.lattice.weigh(self._emissions(self.errors), self._own, reused, REUSE)

    def _keep(self, learnt: Learnt) -> None:
        """Read by what another file has taught, of which these sentences need not be a part."""
        written = np.append(learnt.known, [learnt.new.get(form, 0.0) for form in self.forms])
        self.errors, self.reused = learnt.errors, written[self._meant] + LEAST
        self.lattice.weigh(self._emissions(self.errors), self._own, self.reused, REUSE)

    def learnt(self) -> Learnt:
        """Return what the file has taught. A word that is read later may be one of the file, which is not counted: what
        a typo hides must not be known from the very word that it hides.
        """
        written = np.maximum(self._counts(self.lattice.probabilities()) - 1, 0) / max(1, len(self.tokens.which))
        known, new = np.split(written, [len(self.channel.lexicon)])
        of_form = {form: share for form, share in zip(self.forms, new.tolist(), strict=True) if share}
        return Learnt(self.errors, known, of_form)

    def _counts(self, share: Floats) -> Floats:
        """Return how often the file is expected to write each entry of the lexicon, then each form [V + F]."""
        expected = np.bincount(self._meant.ravel(), weights=share.ravel(), minlength=len(self._certain))
        return np.asarray(self._certain + expected)

    def _reused(self, share: Floats) -> Floats:
        """Return how likely the rest of the file writes each candidate [M, K]."""
        return np.maximum(self._counts(share)[self._meant] - share, 0) / max(1, len(self.tokens.which)) + LEAST

    def _learnt(self, share: Floats) -> ErrorModel:
        """Return the error model that makes what is expected most likely; the channel's own is the prior."""
        wrong: NDArray[Any] = np.bincount(self._classes[self.open], weights=1 - share[:, 0], minlength=8)
        errors = self.errors.shared(self._words, wrong)
        by_form = np.zeros(self._candidates.shape)
        for rank in range(CANDIDATES):
            by_form[:, rank] = np.bincount(self._form_at, weights=share[:, rank], minlength=len(by_form))
        used = self._reading >= 0
        weights: NDArray[Any] = np.bincount(
            self._reading[used], weights=by_form[used], minlength=len(self.readings.form)
        )
        if self.errors.listed:
            weights, errors = self._less_listed(weights, errors)
        edits, lengths = self.readings.edits, self.channel.lengths
        seen = np.flatnonzero(weights[edits.pair] > 1e-3)
        return errors.learnt(
            edits.take(seen), lengths[self.readings.known[edits.pair[seen]]], weights, base=self.channel.errors
        )

    def _less_listed(self, weights: Floats, errors: ErrorModel) -> tuple[Floats, ErrorModel]:
        """Part what a list of misspellings explains from what edits do."""
        listed = self.readings.listed + np.log(self.errors.listed)
        scores = np.where(np.isfinite(listed), self.readings.scores(self.errors, self.channel.lengths), 0.0)
        explained = np.exp(np.minimum(listed - scores, 0))
        taken, prior = float((weights * explained).sum()), self.channel.errors.listed
        listed_share = (taken + 20 * prior) / (float(weights.sum()) + 20)
        return weights * (1 - explained), replace(errors, listed=listed_share)

    def meanings(self) -> list[Meanings]:
        """Return what each word [N] may have been meant to be, most likely first, in its own pattern of capitals."""
        tokens, share = self.tokens, self.lattice.probabilities()
        words = np.array(tokens.distinct.to_pylist(), object)[tokens.which]
        result: list[Meanings] = [((word, 1.0),) for word in words.tolist()]
        shapes = tokens.shapes[tokens.which[self.open]].tolist()
        order = np.argsort(-share, axis=1, kind="stable")
        for at, row, ranks, shape in zip(self.open.tolist(), range(len(order)), order.tolist(), shapes, strict=True):
            result[at] = tuple(
                (words[at] if rank == 0 else self.channel.spelled(int(self.lattice.ids[row, rank]), shape), float(p))
                for rank, p in zip(ranks, share[row, ranks], strict=True)
                if p > 0
            )
        return result

    def best(self) -> Ints:
        """Return the number of the candidate that each open word is most likely meant to be [M]."""
        return self.lattice.best()

    def written(self, chosen: Ints) -> list[str]:
        """Return all words [N], the open ones as their chosen candidate [M], in their own pattern of capitals."""
        tokens = self.tokens
        words = np.array(tokens.distinct.to_pylist(), object)[tokens.which]
        rows = np.flatnonzero(chosen > 0)
        at, known = self.open[rows], self.lattice.ids[rows, chosen[rows]]
        shapes = tokens.shapes[tokens.which[at]].astype(np.int64)
        pairs, which = np.unique(known * 3 + shapes, return_inverse=True)
        spelled = [self.channel.spelled(pair // 3, pair % 3) for pair in pairs.tolist()]
        words[at] = np.array(spelled, object)[which] if len(rows) else words[at]
        written: list[str] = words.tolist()
        return written

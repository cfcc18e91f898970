"""The engine: applies a suite to a column of texts at once, and says exactly what it did.

A word's draws are numbered: 0 its rank among the words of its text, 1 its operator, 2 + 2t the position and 3 + 2t the
character of try t (2 alone, for an operator that chooses among finished edits). Attempt n at a further edit of a word
uses draws 64 n + 1, 64 n + 2, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.eligibility import (
    chosen,
    eligible,
    find_words,
    is_stop_word,
    operator_applies,
    within_spans,
)
from robustbench_char.attacks.keys import below, draw, drawing, fraction, word_keys
from robustbench_char.attacks.operators import (
    OPERATORS,
    CellOperator,
    Scene,
    VariantOperator,
    WordOperator,
    Written,
    at_ends,
    eligible_range,
    letters_at,
)
from robustbench_char.attacks.suites import Suite, check_keeps_words
from robustbench_char.attacks.variants import Variants
from robustbench_char.attacks.word_operators import LetterRuns, packed, rewrite_words
from robustbench_char.common import InputError
from robustbench_char.text.columns import Column, ranges, strings
from robustbench_char.text.edits import Edit, in_order
from robustbench_char.text.edits import apply_edits as apply_edits_to_text
from robustbench_char.text.letters import ALPHABETS, LAYOUTS
from robustbench_char.text.words import Words

__all__ = ["Batch", "Choice", "Outcome", "Possible", "apply_chosen", "attack_batch", "every_edit"]

DRAWS = 64
"""Draws that one edit may use."""
FURTHER_TRIES = 8
"""How often, for each further edit of a word, a position is drawn before the edit is left out."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


Choice: TypeAlias = tuple[int, str, Edit]
"""An edit that was chosen: the number of its word in its text, its operator, and what it does to the clean text."""


@dataclass(frozen=True)
class Batch:
    """Texts to attack. `keys`: from `keys.text_keys`, one per text.

    `tokens`: whether the texts are tokens joined by single spaces. `entities` and `answers`:
    spans (start, end) in each text, for suites that protect them. `round_at_random`: whether a draw of each text, and
    not the nearest whole number, says how many of its words a rate is.
    """

    texts: Sequence[str]
    keys: NDArray[np.uint64]
    tokens: bool = False
    entities: Sequence[Sequence[tuple[int, int]]] | None = None
    answers: Sequence[Sequence[tuple[int, int]]] | None = None
    round_at_random: bool = False


@dataclass(frozen=True)
class Edits:
    """`k` edits in order of position: word (its index in the column), operator, start, what goes and what comes."""

    word: Ints
    operator: Ints
    start: Ints
    written: Written

    def take(self, rows: Ints | Bools) -> Edits:
        """Return some of the edits."""
        some = Written(self.written.removed[rows], self.written.codes[rows], self.written.lengths[rows])
        return Edits(self.word[rows], self.operator[rows], self.start[rows], some)

    def listed(self, column: Column, origin: Ints) -> list[Edit]:
        """Return the edits one by one, each with its position counted from its `origin` [k] in the column."""
        written = self.written
        removed = strings(column.codes, self.start, written.removed).to_pylist()
        rows = np.arange(len(written.lengths)) * written.codes.shape[1]
        inserted = strings(written.codes.ravel(), rows, written.lengths).to_pylist()
        return list(map(Edit, (self.start - origin).tolist(), removed, inserted))


@dataclass(frozen=True)
class Outcome:
    """What an attack did to a batch. `operators`: names that `edits.operator` counts in.

    `eligible`, `attempted`: numbers of words; the attempted ones were chosen by the strength, and those of them
    without an edit are no-ops. `shift`: how far each edit's start has moved in the attacked column.
    """

    clean: Column
    attacked: Column
    words: Words
    edits: Edits
    operators: tuple[str, ...]
    eligible: int
    attempted: int
    shift: Ints = field(repr=False)

    @property
    def edited(self) -> int:
        """The number of words that have an edit."""
        return int(np.count_nonzero(np.diff(self.edits.word, prepend=-1)))  # words are in order

    @property
    def texts(self) -> list[str]:
        """The attacked texts."""
        return self.attacked.texts()


@dataclass(frozen=True)
class Possible:
    """Every single edit of a batch of texts, in order of word, position, operator and choice.

    `eligible` says which words are; `operators`: names that `edits.operator` counts in.
    """

    column: Column
    words: Words
    edits: Edits
    operators: tuple[str, ...]
    eligible: Bools


def attack_batch(batch: Batch, suite: Suite) -> Outcome:
    """Attack a batch of texts. Pure: equal arguments give equal results, on any machine, in any batch.

    Raises InputError for given tokens and a suite that would part or join them.
    """
    column, words, may, arms = _openings(batch, suite)
    keys = word_keys(batch.keys[words.text], words.number)
    picked = np.flatnonzero(chosen(words, keys, may, suite.strength, batch.keys if batch.round_at_random else None))
    edits = _draw_edits(arms, keys, picked, suite, 0)
    if suite.edits_per_word > 1:
        edits = _with_further_edits(edits, arms, keys, suite, words, column)
    attacked, shift = apply_edits(column, edits)
    return Outcome(column, attacked, words, edits, tuple(suite.operators), int(may.sum()), len(picked), shift)


def every_edit(batch: Batch, suite: Suite) -> Possible:
    """Return every single edit that a suite may make of a batch of texts; strength and weights play no part.

    Raises InputError as `attack_batch` does, and for operators whose edits cannot be listed.
    """
    column, words, may, arms = _openings(batch, suite)
    edits = _sorted([arm.every(np.flatnonzero(may & arm.open), number) for number, arm in enumerate(arms)])
    in_order_of_position = edits.take(np.lexsort((edits.start, edits.word)))  # a stable sort
    return Possible(column, words, in_order_of_position, tuple(suite.operators), may)


def apply_chosen(batch: Batch, suite: Suite, chosen: Sequence[Sequence[Choice]]) -> Outcome:
    """Apply edits that were chosen for each text of a batch among those of `every_edit`."""
    column, words, may, _ = _openings(batch, suite)
    first, names = np.searchsorted(words.text, np.arange(len(batch.texts))), list(suite.operators)
    rows = [
        (int(first[at]) + word, names.index(operator), int(column.offsets[at]) + edit.start, edit)
        for at, own in enumerate(chosen)
        for word, operator, edit in sorted(own, key=lambda choice: choice[2].start)
    ]
    packed_edits = packed([(word, start, len(edit.removed), edit.inserted) for word, _, start, edit in rows])
    operators = np.array([operator for _, operator, _, _ in rows], np.int64)
    edits = Edits(packed_edits[0], operators, *packed_edits[1:])
    attacked, shift = apply_edits(column, edits)
    outcome = Outcome(column, attacked, words, edits, tuple(names), int(may.sum()), 0, shift)
    return replace(outcome, attempted=outcome.edited)


def _openings(batch: Batch, suite: Suite) -> tuple[Column, Words, Bools, list[_Arm]]:
    """Return the texts as a column, their words, which of these are eligible, and the operators at work on them."""
    if batch.tokens:
        check_keeps_words(suite, "its tokens carry labels")
    column = Column.of(batch.texts)
    words = find_words(column, suite.words, batch.tokens)
    layout = LAYOUTS.get(suite.layout)
    scene = Scene(column, ALPHABETS.get(suite.alphabet), layout, suite.case, suite.misspellings)
    skipping = "skip" in (suite.words.stop_words, *(rule.stop_words for rule in suite.operators.values()))
    stop = is_stop_word(column, words) if skipping else np.zeros(len(words.starts), np.bool_)
    may = eligible(column, words, suite.words, stop) & ~_protected(column, words, batch, suite)
    arms = [_Arm(name, scene, words, suite, stop) for name in suite.operators]
    if suite.no_op == "never":
        may &= np.logical_or.reduce([arm.open for arm in arms])
    return column, words, may, arms


def _protected(column: Column, words: Words, batch: Batch, suite: Suite) -> Bools:
    safe = np.zeros(len(words.starts), np.bool_)
    for kind in suite.words.protect:
        spans = batch.entities if kind == "entities" else batch.answers
        if spans is not None:
            safe |= within_spans(column, words, spans)
    if "join_words" in suite.operators:  # nothing is joined to a protected word either
        safe[:-1] |= safe[1:]
    return safe


def _draw_edits(arms: list[_Arm], keys: NDArray[np.uint64], picked: Ints, suite: Suite, block: int) -> Edits:
    """Draw one edit for each picked word, from its draws of number 64 `block` on."""
    operator = _draw_operators(arms, keys[picked], picked, suite, block)
    drawn = [arm.edits(picked[operator == number], keys, number, block) for number, arm in enumerate(arms)]
    return _sorted(drawn)


def _draw_operators(arms: list[_Arm], keys: NDArray[np.uint64], picked: Ints, suite: Suite, block: int) -> Ints:
    """Draw each word's operator by weight: among all, those whose rule takes the word, or those that can change it."""
    if len(arms) == 1:
        return np.zeros(len(picked), np.int64)
    weights = np.stack([arm.rule.weight * arm.drawn[picked] for arm in arms])
    total = np.cumsum(weights, axis=0)
    mark = fraction(draw(keys, DRAWS * block + 1)) * total[-1]
    return np.asarray(np.minimum((total <= mark).sum(axis=0), len(arms) - 1), np.int64)


class _Arm:
    """One operator at work on a column: its open positions, counted so that the j-th one of a word is a look-up."""

    def __init__(self, name: str, scene: Scene, words: Words, suite: Suite, stop: Bools) -> None:
        self.scene, self.words, self.suite = scene, words, suite
        self.operator, self.rule = operator, rule = OPERATORS.get(name), suite.operators[name]
        self.open = operator_applies(words, rule, stop)
        self.takes, self.positions = self.open.copy(), rule.positions or suite.positions
        if isinstance(operator, WordOperator):
            self.runs = LetterRuns.of(scene.column, words)
            self.open &= self.runs.counts > 0
            return
        if isinstance(operator, VariantOperator):
            self.variants = Variants.of(operator, scene, words, self.positions, letters=rule.characters != "any")
            self.open &= self.variants.count > 0
            return
        self._open_sites(operator)

    def _open_sites(self, operator: CellOperator) -> None:
        """Find the places that a draw is among: all that change a word, or with `as_drawn` all that it has.

        `kept` says where a draw is not repeated: it changes the word, or struck no letter where only letters count.
        """
        scene, words, characters = self.scene, self.words, self.rule.characters
        self.open &= words.ends - words.starts >= operator.shortest
        self.changes = self.kept = operator.changing(scene)
        if characters == "drawn_letters":
            fits = letters_at(scene, operator.width)
            self.changes, self.kept = self.changes & fits, self.changes | ~fits
        sites = self.changes if self.suite.no_op == "never" else np.ones_like(self.changes)
        place = operator.place or self.positions
        low, high = eligible_range(words.starts, words.ends, width=operator.width, positions=place)
        if place == "ends":
            sites = sites & at_ends(low, high, len(sites))
        if characters != "any" and operator.place is None:
            sites = sites & (letters_at(scene, operator.width) if characters == "letters" else True)
            high = np.minimum(high, words.ends)  # what comes after the word is not one of its letters
        # In 32 bits: a column has fewer characters, and the memory of this array is most of its cost.
        total = np.concatenate([np.zeros(1, np.int32), np.cumsum(sites, dtype=np.int32)])
        self.sites, self.first = np.flatnonzero(sites), np.asarray(total[low], np.int64)
        self.count = np.asarray(total[high], np.int64) - self.first
        self.open &= self.count > 0

    @property
    def drawn(self) -> Bools:
        """For which words this operator takes part in the draw of one."""
        if self.suite.no_op == "never":
            return self.open
        return self.takes if self.suite.draw_among == "applicable" else np.ones_like(self.open)

    def edits(self, words: Ints, keys: NDArray[np.uint64], number: int, block: int) -> Edits:
        """Return the edits of this operator on the words that drew it; words that it cannot change have none."""
        words, base = words[self.open[words]], DRAWS * block
        if isinstance(self.operator, WordOperator):
            rewritten, at, written = rewrite_words(
                self.operator, self.scene, self.words, self.runs, words, keys, self.positions, base
            )
            return Edits(rewritten, np.full(len(rewritten), number), at, written)
        if isinstance(self.operator, VariantOperator):
            at, written = self.variants.drawn(self.words, words, draw(keys[words], base + 2))
            return Edits(words, np.full(len(words), number), at, written)
        at, draws = self._draw_sites(words, keys, base + 2), draw(keys[words], base + 3)
        for attempt in range(1, self.rule.tries):
            again = np.flatnonzero(~self.kept[at])
            at[again] = self._draw_sites(words[again], keys, base + 2 + 2 * attempt)
            draws[again] = draw(keys[words[again]], base + 3 + 2 * attempt)
        good = self.changes[at]
        words, at = words[good], at[good]
        starts, ends = self.words.starts[words], self.words.ends[words]
        written = self.operator.write(self.scene, at, starts, ends, draws[good])
        return Edits(words, np.full(len(words), number), at, written)

    def every(self, words: Ints, number: int) -> Edits:
        """Return all edits that this operator may make of words that are open to it, by word, position and choice.

        Raises InputError for an operator of a library, which knows its edits one by one only.
        """
        if isinstance(self.operator, WordOperator):
            found = f"the operator {self.operator.name}, which draws inside nlpaug"
            fix = "Choose a suite of the operators drop, add, swap, keyboard, ocr, case or misspelling."
            raise InputError(f"suite {self.suite.name}", found=found, expected="edits that can be listed", fix=fix)
        if isinstance(self.operator, VariantOperator):
            rows, at, written = self.variants.every(self.words, words)
            return Edits(rows, np.full(len(rows), number), at, written)
        rows, at = np.repeat(words, self.count[words]), self.sites[ranges(self.first[words], self.count[words])]
        rows, at = rows[self.changes[at]], at[self.changes[at]]
        choices = self.operator.choices(self.scene, at, self.words.starts[rows], self.words.ends[rows])
        which = np.arange(int(choices.sum())) - np.repeat(np.cumsum(choices) - choices, choices)
        rows, at = np.repeat(rows, choices), np.repeat(at, choices)
        starts, ends = self.words.starts[rows], self.words.ends[rows]
        written = self.operator.write(self.scene, at, starts, ends, drawing(which, np.repeat(choices, choices)))
        return Edits(rows, np.full(len(rows), number), at, written)

    def _draw_sites(self, words: Ints, keys: NDArray[np.uint64], number: int) -> Ints:
        return np.asarray(self.sites[self.first[words] + below(draw(keys[words], number), self.count[words])], np.int64)


def _with_further_edits(
    first: Edits, arms: list[_Arm], keys: NDArray[np.uint64], suite: Suite, words: Words, column: Column
) -> Edits:
    """Add edits to words that have one, until each has `edits_per_word`; one for which no position is free is left out.

    Positions are those of the clean word. Edits of a word never touch the same character, never empty it, and never
    undo one another.
    """
    parts, taken = [first], {word: [edit] for word, edit in _each(first, words, column)}
    for block in range(1, FURTHER_TRIES * (suite.edits_per_word - 1) + 1):
        open_words = np.array([word for word, edits in taken.items() if len(edits) < suite.edits_per_word], np.int64)
        drawn = _draw_edits(arms, keys, open_words, suite, block)
        fits = []
        for word, edit in _each(drawn, words, column):
            clean = column.codes[words.starts[word] : words.ends[word]].tobytes().decode("utf-32-le")
            fits.append(fit_together(clean, [*taken[word], edit]))
            if fits[-1]:
                taken[word].append(edit)
        parts.append(drawn.take(np.array(fits, np.bool_)))
    return _sorted(parts)


def _each(edits: Edits, words: Words, column: Column) -> list[tuple[int, Edit]]:
    """Return the word of each edit, and the edit with its position in that word."""
    return list(zip(edits.word.tolist(), edits.listed(column, words.starts[edits.word]), strict=True))


def fit_together(word: str, edits: Sequence[Edit]) -> bool:
    """Return whether edits of a word touch different characters, and leave neither nothing nor the word as it was."""
    ordered = in_order(edits)
    if any(edit.start + max(len(edit.removed), 1) > after.start for edit, after in pairwise(ordered)):
        return False
    return apply_edits_to_text(word, ordered) not in ("", word)


def _sorted(parts: list[Edits]) -> Edits:
    if len(parts) == 1:
        return parts[0]
    width = max(part.written.codes.shape[1] for part in parts)
    codes = [np.pad(part.written.codes, ((0, 0), (0, width - part.written.codes.shape[1]))) for part in parts]
    written = Written(
        np.concatenate([part.written.removed for part in parts]),
        np.concatenate(codes),
        np.concatenate([part.written.lengths for part in parts]),
    )
    word, operator = np.concatenate([part.word for part in parts]), np.concatenate([part.operator for part in parts])
    whole = Edits(word, operator, np.concatenate([part.start for part in parts]), written)
    return whole.take(np.lexsort((whole.start, word)))


def apply_edits(column: Column, edits: Edits) -> tuple[Column, Ints]:
    """Return the edited column, and how far each edit's start has moved by the edits before it."""
    removed, lengths = edits.written.removed, edits.written.lengths
    written = edits.written.codes[np.arange(edits.written.codes.shape[1]) < lengths[:, None]]
    if np.array_equal(removed, lengths):
        same = column.codes.copy()
        same[ranges(edits.start, lengths)] = written
        return Column(same, column.offsets), np.zeros_like(removed)
    growth = np.cumsum(lengths - removed)
    shift = growth - (lengths - removed)
    gone = np.zeros(len(column.codes), np.bool_)
    gone[ranges(edits.start, removed)] = True
    out = np.empty(len(column.codes) + int((lengths - removed).sum()), np.uint32)
    new = np.zeros(len(out), np.bool_)
    come = ranges(edits.start + shift, lengths)
    new[come] = True
    out[come] = written
    out[~new] = column.codes[~gone]
    before = np.concatenate([[0], growth])[np.searchsorted(edits.start, column.offsets, side="left")]
    return Column(out, column.offsets + before), shift

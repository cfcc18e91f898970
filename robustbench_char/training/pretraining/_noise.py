"""From lines to what is learnt: words are noised by a suite, and pieces know what the word was or are masked.

The attack is that of `attacks.engine`, keyed by seed, pass and line: equal everywhere, for every system, in any chunk.
A rate is rounded at random in each line, so that a line of three words is noised as often as its words are elsewhere.
The term vocabulary holds the whole words that noisy language modelling (NLM) tells apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from transformers import PreTrainedTokenizerFast

from robustbench_char.attacks.engine import Batch, Outcome, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.suites import Suite
from robustbench_char.common.files import write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.text.columns import Column

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Pieces(NamedTuple):
    """The `n` pieces of some lines, as read by a model: those of noised words are noised.

    `word`: the number of the whole word (as the tokenizer splits before it cuts words into pieces). `starts`, `ends`:
    its span in `text`, the lines joined. `noised`: whether it overlaps a noised word; then `terms` is the id of the
    lower-cased clean word, and `originals` the piece of the clean word in the same place; IGNORED (-100) where there is
    none.
    """

    ids: Ints
    word: Ints
    starts: Ints
    ends: Ints
    noised: Bools
    terms: Ints
    originals: Ints
    text: str


@dataclass(frozen=True)
class Noiser:
    """Makes pieces. `suite` None: clean text. `terms`: give NLM targets; `originals`: give clean pieces."""

    tokenizer: PreTrainedTokenizerFast
    suite: Suite | None
    seed: int
    terms: TermVocabulary | None = None
    originals: bool = False

    def pieces(self, lines: Sequence[str], numbers: Sequence[int], stream: str) -> Pieces:
        """Noise lines and cut them into pieces. `stream` names the draws, which are new for each pass over the text."""
        if self.suite is None:
            return self._cut(Column.of(lines), lines)
        keys = text_keys(
            (f"{stream}:{number}" for number in numbers), seed=self.seed, family=self.suite.family, task="pretrain"
        )
        outcome = attack_batch(Batch(lines, keys, round_at_random=True), self.suite)
        return self._with_targets(self._cut(outcome.attacked, outcome.texts), outcome)

    def _cut(self, column: Column, lines: Sequence[str]) -> Pieces:
        rows = self.tokenizer.backend_tokenizer.encode_batch(list(lines), add_special_tokens=False)
        counts = np.array([len(row) for row in rows], np.int64)
        total, line = int(counts.sum()), np.repeat(np.arange(len(counts)), counts)
        spans = np.array([span for row in rows for span in row.offsets], np.int64).reshape(-1, 2)
        spans += column.offsets[:-1][line, None]
        word = _joined([row.word_ids for row in rows], total)
        begins = (np.diff(word, prepend=-1) != 0) | (np.diff(line, prepend=-1) != 0)
        nothing = np.full(total, IGNORED, np.int64)
        return Pieces(
            ids=_joined([row.ids for row in rows], total),
            word=np.cumsum(begins) - 1,
            starts=spans[:, 0],
            ends=spans[:, 1],
            noised=np.zeros(total, np.bool_),
            terms=nothing,
            originals=nothing,
            text=column.codes.tobytes().decode("utf-32-le"),
        )

    def _with_targets(self, pieces: Pieces, outcome: Outcome) -> Pieces:
        words, starts, ends = _noised_spans(outcome)
        index = np.searchsorted(starts, pieces.ends - 1, side="right") - 1
        noised = (index >= 0) & (pieces.ends > pieces.starts)
        noised[noised] = ends[index[noised]] > pieces.starts[noised]
        owner = index[noised]
        clean = _clean_words(outcome, words)
        terms, originals = pieces.terms.copy(), pieces.originals.copy()
        if self.terms is not None:
            terms[noised] = np.array(self.terms.ids([word.strip() for word in clean]), np.int64)[owner]
        if self.originals:
            originals[noised] = self._clean_pieces(clean, owner)
        return pieces._replace(noised=noised, terms=terms, originals=originals)

    def _clean_pieces(self, clean: Sequence[str], owner: Ints) -> Ints:
        """Return, for each piece of the noised words `owner`, the clean word's piece in the same place."""
        encodings = self.tokenizer.backend_tokenizer.encode_batch(list(clean), add_special_tokens=False)
        pairs = (zip(row.ids, row.offsets, strict=True) for row in encodings)
        # Pieces of white space alone (a byte-level tokenizer has them) stand outside the word.
        rows = [[piece for piece, (start, end) in row if end > start] for row in pairs]
        lengths = np.array([len(row) for row in rows], np.int64)
        flat, first = _joined(rows, int(lengths.sum())), np.cumsum(lengths) - lengths
        rank = np.arange(len(owner)) - np.searchsorted(owner, owner, side="left")
        pieces = np.full(len(owner), IGNORED, np.int64)
        inside = rank < lengths[owner]
        pieces[inside] = flat[(first[owner] + rank)[inside]]
        return pieces


def _joined(rows: Sequence[Sequence[Any]], total: int) -> Ints:
    return np.fromiter((value for row in rows for value in row), np.int64, total)


def _noised_spans(outcome: Outcome) -> tuple[Ints, Ints, Ints]:
    """Return the numbers of the words that were edited, and their spans in the attacked column."""
    edits, words = outcome.edits, outcome.words
    growth = np.zeros(len(words.starts), np.int64)
    np.add.at(growth, edits.word, edits.written.lengths - edits.written.removed)
    after = np.cumsum(growth)
    noised = np.unique(edits.word)
    return noised, (words.starts + after - growth)[noised], (words.ends + after)[noised]


def _clean_words(outcome: Outcome, words: Ints) -> list[str]:
    """Return words of the clean column, with the space before them, if there is one: byte-level pieces depend on it."""
    text = outcome.clean.codes.tobytes().decode("utf-32-le")
    starts, ends = outcome.words.starts[words], outcome.words.ends[words]
    before = [start - (start > 0 and text[start - 1] == " ") for start in starts.tolist()]
    return [text[start:end] for start, end in zip(before, ends.tolist(), strict=True)]


class Masker:
    """Chooses words until `share` of all pieces is chosen: 80% become the mask, 10% random pieces, 10% stay.

    A whole word is what the tokenizer splits off before it cuts words into pieces; the draw of 80, 10 and 10 is one a
    word, so that no word is half seen. Words with a noised piece are never chosen: their pieces hold another target.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, share: float) -> None:
        self.share, self.mask = share, int(tokenizer.mask_token_id)
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)

    def __call__(self, pieces: Pieces, generator: np.random.Generator) -> tuple[Ints, Ints]:
        """Return what the model reads and what it predicts (-100: nothing), both [n]."""
        words = int(pieces.word[-1]) + 1 if len(pieces.word) else 0
        sizes = np.bincount(pieces.word, minlength=words)
        free = np.bincount(pieces.word, weights=pieces.noised, minlength=words) == 0
        order = generator.permutation(np.flatnonzero(free))
        chosen = order[np.cumsum(sizes[order]) <= round(self.share * len(pieces.ids))]
        kind = np.full(words, 1.0)
        kind[chosen] = generator.random(len(chosen)) - 1.0  # negative: chosen
        draw = kind[pieces.word]
        ids = pieces.ids.copy()
        ids[draw < -0.2] = self.mask
        random = (draw >= -0.2) & (draw < -0.1)
        ids[random] = generator.choice(self.ordinary, int(random.sum()))
        return ids, np.where(draw < 0, pieces.ids, IGNORED)


TERMS = "term_vocabulary.json"
IGNORED = -100
MOST_COUNTED = 2_000_000
"""Different words that are counted at a time; beyond, the rarest are forgotten, so that memory stays flat."""


class TermCounter:
    """Counts lower-cased words of text of any size."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, words: Iterable[str]) -> None:
        self.counts.update(map(str.lower, words))
        rarest = 1
        if len(self.counts) > MOST_COUNTED:  # forget words seen once, then twice, until as many new ones have room
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
        expected = "a term vocabulary that `pretrain` wrote"
        fix = "Copy the whole folder that `pretrain` wrote, or start from a plain base."
        return read_json_model(folder / TERMS, cls, expected=expected, fix=fix)

    def save(self, folder: Path) -> None:
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

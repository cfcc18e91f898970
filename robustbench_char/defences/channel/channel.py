"""The noisy channel: the word that was meant, given the word as written, its neighbours and the rest of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from robustbench_char.defences._sources import attacks_in
from robustbench_char.defences.channel._choices import Column, possible
from robustbench_char.defences.channel._edits import Edits, parsed
from robustbench_char.defences.channel._index import DeletionIndex, Spelled
from robustbench_char.defences.channel._reading import Learnt, Meanings, Reading, Readings
from robustbench_char.defences.channel._words import CAPITALS, TITLE, split_words
from robustbench_char.defences.channel.build import build_tables
from robustbench_char.defences.channel.files import ChannelFile, Tables, read_channel, write_channel
from robustbench_char.defences.channel.lexicon import CLASSES
from robustbench_char.defences.channel.options import ChannelOptions
from robustbench_char.records.evaluation import DefenceInfo
from robustbench_char.text.characters import LETTER, flags, without_surrogates
from robustbench_char.text.columns import ranges
from robustbench_char.text.corrections import Correction, replaced

__all__ = ["Channel"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
T = TypeVar("T")

_FREQUENT = -9.2
"""Log-probability of a word that is frequent enough not to look for one two edits away."""
_TWICE = -13.8
"""Log-probability that a word needs to be meant by two edits."""
_SHORTEST_TWICE = 4
_BLOCK = 250_000
"""Words that are read as one file at most; longer files are read in blocks of so many."""
_BESIDE, _NEIGHBOURS = 4.0, 6
"""Of a known word, up to so many others are candidates: none that is so many nats rarer."""


class Channel:
    """A lexicon with pairs of words, a model of new words' spellings, a model of errors, and listed misspellings."""

    def __init__(self, file: ChannelFile, tables: Tables) -> None:
        self.file, self.lexicon, self.errors, self.tables = file, tables.lexicon, tables.errors, tables
        self._words: list[str] = self.lexicon.words.to_pylist()
        self._spelled = _correct_words(self._words).only(~self.lexicon.not_known)
        self.lengths = self._spelled.lengths
        self._once = DeletionIndex.of(self._spelled, 1)
        enough = (self.lengths >= _SHORTEST_TWICE) & (self.lexicon.log_unigram > _TWICE)
        self._twice = DeletionIndex.of(self._spelled.only(enough), 2) if file.max_edits > 1 else None
        self._learnt: Learnt | None = None

    @classmethod
    def load(cls, folder: Path) -> Channel:
        """Load what `save` wrote. Raises InputError for files that are missing, damaged, newer or altered."""
        return cls(*read_channel(folder))

    @classmethod
    def build(
        cls, options: ChannelOptions, lines: Iterable[str] = (), sentences: Sequence[Sequence[str]] = ()
    ) -> Channel:
        """Build a channel from lines of text and from tokens. Raises InputError where there is no word to know."""
        return cls(*build_tables(options, lines, sentences))

    @classmethod
    def ready(cls) -> Channel:
        """Return the channel of symspellpy's dictionaries of words and pairs. Raises InputError without symspellpy."""
        return cls.build(ChannelOptions())

    def for_training(self) -> Channel:
        """Return the channel as it stands before texts that it does not know.

        Words that nothing but one place of the task's own texts has are new ones for it, as they are in other texts.
        """
        return Channel(self.file, replace(self.tables, lexicon=replace(self.lexicon, hidden=True)))

    def settled(self, sentences: Sequence[Sequence[str]], texts: Sequence[str]) -> Channel:
        """Return the channel as it stands once it has read this file: what it makes of a sentence then depends on that
        sentence alone.

        The file is given as sentences of words and as texts; of a long one, the first 250,000 words are read. A channel
        that is settled already forgets the file that it read before.
        """
        learnt = Reading(self, next(_blocks([*sentences, *_words_of(texts)[1]]), ())).learnt()
        made = copy(self)
        made._learnt = learnt
        return made

    def save(self, folder: Path) -> None:
        """Write what `load` reads into `folder`, which is made if need be."""
        self.file = write_channel(folder, self.file, self.tables)

    @cached_property
    def info(self) -> DefenceInfo:
        """What records hold of it. It assumes edits of one character, whatever they are, up to two in a word.

        With a list of misspellings it knows suites that draw from one (their operator is `misspelling`), and the attack
        of texts that were attacked.
        """
        attacks = attacks_in(self.file.training)
        lists = self.file.training.get("misspellings", ())
        named = {"misspellings": [one.get("suite") or one.get("name") for one in lists]}
        sets = [one["suite"] for one in lists if "suite" in one]
        operators = ["drop", "add", "swap", "keyboard", *(["misspelling"] if len(lists) > len(sets) else [])]
        options = self.file.training.get("options", {}) | named
        settings = {"words": len(self.lexicon), "pairs": len(self.lexicon.pairs), **options}
        return DefenceInfo(
            kind="channel",
            name="channel",
            sha256=self.tables.sha256,
            operators=tuple(dict.fromkeys([*operators, *(name for one in attacks for name in one.operators)])),
            edits=self.file.max_edits,
            suites=(*sets, *(one.suite for one in attacks)),
            settings=settings,
        )

    @cached_property
    def _neighbours(self) -> tuple[Ints, Ints]:
        """Pairs of a known word as written and another that may have been meant, one edit away, in order."""
        given, meant = self._once.matches(self._spelled)
        likely = self.lexicon.log_unigram
        rows = np.flatnonzero((given != meant) & (likely[meant] > likely[given] - _BESIDE))
        rows = rows[np.lexsort((-likely[meant[rows]], given[rows]))]
        rank = np.arange(len(rows)) - np.searchsorted(given[rows], given[rows])
        rows = rows[rank < 2 * _NEIGHBOURS]
        return given[rows], meant[rows]

    def readings(self, forms: Sequence[str], open_: Bools, known: Ints) -> tuple[Readings, Ints, Floats]:
        """Return the readings of forms [F], their lengths [F], and of new ones the log-probability of the spelling."""
        given, spelling = Spelled.of(forms), np.zeros(len(forms))
        new = np.flatnonzero(open_ & (known < 0))
        spelling[new] = self.tables.spelling.log_probability(given.take(new))
        parts = [self._known_readings(given, np.flatnonzero(open_ & (known >= 0)), known)]
        parts.append(self._new_readings(given, new, self._once.matches(given.take(new)), 1))
        if self._twice is not None:
            best = np.full(len(forms), -np.inf)
            np.maximum.at(best, parts[1].form, self.lexicon.log_unigram[parts[1].known])
            rare = new[(best[new] < _FREQUENT) & (given.lengths[new] >= _SHORTEST_TWICE)]
            asked, found = self._twice.matches(given.take(rare))
            likely = self.lexicon.log_unigram[found] > best[rare[asked]]
            parts.append(self._new_readings(given, rare, (asked[likely], found[likely]), 2))
        return self._listed(_joined(parts), forms, open_), np.maximum(given.lengths, 1), spelling

    def _known_readings(self, given: Spelled, rows: Ints, known: Ints) -> Readings:
        """Return the readings of known words `rows` as others."""
        words, meant = self._neighbours
        start, end = np.searchsorted(words, known[rows]), np.searchsorted(words, known[rows] + 1)
        asked = np.repeat(np.arange(len(rows)), end - start)
        return self._new_readings(given, rows, (asked, meant[ranges(start, end - start)]), 1)

    def _new_readings(self, given: Spelled, rows: Ints, matches: tuple[Ints, Ints], edits: int) -> Readings:
        """Return the readings of `rows` that one or two edits make of what they match: (number in rows, known word)."""
        asked, found = matches
        pair, made = parsed(self._spelled.take(found), given.take(rows[asked]), edits)
        return Readings(rows[asked[pair]], found[pair], made, np.full(len(pair), -np.inf))

    def _listed(self, readings: Readings, forms: Sequence[str], open_: Bools) -> Readings:
        """Return the readings with those that a list of misspellings has: as it has them, or new without edits."""
        if not self.tables.listed:
            return readings
        at = {word: number for number, word in enumerate(self._words)}
        asked = [(form, number) for number, form in enumerate(forms) if open_[number] and form in self.tables.listed]
        rows = sorted(
            (number, at[word], np.log(share))
            for form, number in asked
            for word, share in self.tables.listed[form]
            if word in at and self.lengths[at[word]]
        )
        if not rows:
            return readings
        form, known, share = (np.array(column) for column in zip(*rows, strict=True))
        keys, own = form * len(self._words) + known, readings.form * len(self._words) + readings.known
        place = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
        listed = np.where(keys[place] == own, share[place], -np.inf)
        new = ~np.isin(keys, own)
        return Readings(
            np.concatenate([readings.form, form[new]]),
            np.concatenate([readings.known, known[new]]),
            readings.edits,
            np.concatenate([listed, share[new]]),
        )

    def spelled(self, known: int, shape: int) -> str:
        """Return a known word in a pattern of capitals."""
        word = self._words[known]
        return word.upper() if shape == CAPITALS else word[:1].upper() + word[1:] if shape == TITLE else word

    def correct(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return the sentences with each word as it was meant: as many words as given, in the order given.

        All sentences are one file: how noisy it is, and what it calls things, is learnt from all of them, unless the
        channel is `settled`.
        """
        return self._read(sentences, lambda reading: reading.written(reading.best()))

    def correct_texts(self, texts: Sequence[str]) -> list[Correction]:
        """Correct the words of texts, and leave all between them as it is."""
        spans, words = _words_of(texts)
        return [replaced(text, own, new) for text, own, new in zip(texts, spans, self.correct(words), strict=True)]

    def posteriors(self, sentences: Sequence[Sequence[str]]) -> list[list[Meanings]]:
        """Return for each word what it may have been meant to be, most likely first; probabilities sum to 1."""
        return self._read(sentences, Reading.meanings)

    def posteriors_of_texts(self, texts: Sequence[str]) -> list[tuple[list[tuple[int, int]], list[Meanings]]]:
        """Return where the words of each text stand, and what each may have been meant to be."""
        spans, words = _words_of(texts)
        return list(zip(spans, self.posteriors(words), strict=True))

    def choices(self, sentence: Sequence[Sequence[str]]) -> list[dict[str, frozenset[str]]]:
        """Return all that each form of each word may become, whichever forms the other words of the sentence have.

        A channel that is not settled gives all candidates, whatever the file is.
        """
        return possible(self, self._learnt, [Column(forms) for forms in sentence])

    def choices_of_stretches(self, stretches: Sequence[Sequence[str]]) -> list[dict[str, list[frozenset[str]]]]:
        """Return the same for a text, given by the forms of its stretches between white space.

        A form becomes one choice of each of its words, and of what stands between them, joined.
        """
        split, columns, first = [_words_of(forms) for forms in stretches], list[Column](), list[int]()
        for _, words in split:
            first.append(len(columns))
            loose = len(set(map(len, words))) > 1
            places = [chain.from_iterable(words)] if loose else zip(*words, strict=True)
            columns += [Column(tuple(dict.fromkeys(place)), loose) for place in places]
        made = possible(self, self._learnt, columns)

        result = list[dict[str, list[frozenset[str]]]]()
        for start, forms, (spans, words) in zip(first, stretches, split, strict=True):
            result.append({})
            for form, at, own in zip(forms, spans, words, strict=True):
                numbers = (start if columns[start].loose else start + place for place in range(len(own)))
                choices = [made[number][word] for number, word in zip(numbers, own, strict=True)]
                result[-1][form] = _parts(form, at, choices)
        return result

    def _read(self, sentences: Sequence[Sequence[str]], answers: Callable[[Reading], list[T]]) -> list[list[T]]:
        """Return what readings answer for each word of sentences."""
        result: list[list[T]] = []
        for block in _blocks(sentences):
            words, at = answers(Reading(self, block, self._learnt)), 0
            for length in map(len, block):
                result.append(words[at : at + length])
                at += length
        return result


def _words_of(texts: Sequence[str]) -> tuple[list[list[tuple[int, int]]], list[list[str]]]:
    """Return where the words of each text stand, and the words."""
    spans = [split_words(text) for text in texts]
    return spans, [[text[start:end] for start, end in own] for text, own in zip(texts, spans, strict=True)]


def _parts(text: str, spans: Sequence[tuple[int, int]], words: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Return the choices of all parts of a text: its words, and what stands before, between and after them."""
    parts, before = list[frozenset[str]](), 0
    for (start, end), choices in zip(spans, words, strict=True):
        parts += [frozenset((text[before:start],)), choices]
        before = end
    return [part for part in [*parts, frozenset((text[before:],))] if part != {""}]


def _correct_words(words: Sequence[str]) -> Spelled:
    """Spell out the words that others may be meant to be: of letters, apostrophes, hyphens."""
    spelled = Spelled.of(words)
    letters = (flags(spelled.forward) & LETTER) > 0
    inner = np.isin(spelled.forward, [ord(char) for char in "'’-"]) | (spelled.forward == 0)
    some = letters.any(axis=1) & (letters | inner).all(axis=1)
    some[: len(CLASSES)] = False
    return spelled.only(some)


def _blocks(sentences: Sequence[Sequence[str]]) -> Iterator[Sequence[Sequence[str]]]:
    """Yield the sentences in blocks that fit into memory, without what no file can hold: lone surrogates."""
    words = np.cumsum(np.fromiter(map(len, sentences), np.int64, len(sentences)))
    start = 0
    while start < len(sentences):
        before = words[start - 1] if start else 0
        end = int(np.searchsorted(words, before + _BLOCK)) + 1
        block = sentences[start:end]
        joined = "".join(chain.from_iterable(block))
        whole = without_surrogates(joined) == joined
        yield block if whole else [list(map(without_surrogates, sentence)) for sentence in block]
        start = end


def _joined(parts: Sequence[Readings]) -> Readings:
    before = np.cumsum([0, *(len(part.form) for part in parts)])
    edits = [part.edits.numbered(part.edits.pair + start) for part, start in zip(parts, before, strict=False)]
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("form", "known", "listed"))
    form, known, listed = columns
    return Readings(form, known, Edits.joined(*edits), listed)

"""The lattice against brute force: the best path and the probabilities of all ways to read a few sentences."""

from __future__ import annotations

from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from robustbench_char.defences.channel._lattice import Lattice
from robustbench_char.defences.channel.lexicon import CLASSES, Lexicon

WORDS = ["ant", "bee", "cat"]
V = len(CLASSES) + len(WORDS)
SHARE = 0.2


class Drawn(NamedTuple):
    """Sentences of `given` [N] entries that begin where `first` is, of which those at `open_` have candidates."""

    lexicon: Lexicon
    given: list[int]
    first: list[bool]
    open_: list[int]
    ids: NDArray[np.int64]
    emissions: NDArray[np.float64]
    own: NDArray[np.float64]
    reused: NDArray[np.float64] | None

    def log_score(self, chosen: tuple[int, ...]) -> float:
        """Return the log-probability of all open words meant as chosen, with the words given: word for word."""
        meant, score = list(self.given), 0.0
        for row, (at, candidate) in enumerate(zip(self.open_, chosen, strict=True)):
            meant[at] = int(self.ids[row, candidate])
            score += self.emissions[row, candidate]
        for at, word in enumerate(meant):
            before = 0 if self.first[at] else meant[at - 1]
            step = float(self.lexicon.log_follows(np.array([before]), np.array([word]))[0])
            if at in self.open_:
                row = self.open_.index(at)
                step += self.own[row, chosen[row]]
                if self.reused is not None:
                    step = np.log((1 - SHARE) * np.exp(step) + SHARE * self.reused[row, chosen[row]])
            score += step
        return score

    def ways(self) -> list[tuple[int, ...]]:
        """Return all choices of a candidate for each open word."""
        return list(product(*(np.flatnonzero(row >= 0).tolist() for row in self.ids)))

    def lattice(self) -> Lattice:
        given_, first, open_ = (
            np.array(self.given, np.int64),
            np.array(self.first, bool),
            np.array(self.open_, np.int64),
        )
        lattice = Lattice(self.lexicon, given_, first, open_, self.ids)
        lattice.weigh(self.emissions, self.own, self.reused, SHARE)
        return lattice


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    lengths = draw(st.lists(st.integers(0, 4), max_size=4))
    first = [at == 0 for length in lengths for at in range(length)]
    total = len(first)
    given_ = draw(st.lists(st.integers(1, V - 1), min_size=total, max_size=total))
    is_open = draw(st.lists(st.booleans(), min_size=total, max_size=total))
    open_ = [at for at in range(total) if is_open[at]][:6]
    random = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32))))
    widest = draw(st.integers(2, 3))
    ids = random.integers(len(CLASSES), V, (len(open_), widest))
    ids[:, 0] = [given_[at] for at in open_]
    ids[:, 2:][random.random(ids[:, 2:].shape) < 0.5] = -1  # candidates fill up from the left
    keys = np.flatnonzero(random.random(V * V) < 0.4)
    counts = random.integers(1, 9, len(keys)).astype(float)
    words = pa.array([*CLASSES, *WORDS], pa.string())
    lexicon = Lexicon(words, random.integers(0, 9, V).astype(float), np.ones((V, 3)), keys, counts)
    emissions, own = random.normal(-3, 2, ids.shape), random.normal(-1, 1, ids.shape)
    reused = random.random(ids.shape) if draw(st.booleans()) else None
    return Drawn(lexicon, given_, first, open_, ids, emissions, own, reused)


@given(drawn())
@settings(max_examples=60)
def test_best_path_and_probabilities_are_those_of_all_ways(case: Drawn) -> None:
    lattice, ways = case.lattice(), case.ways()
    scores = np.array([case.log_score(way) for way in ways])
    best = tuple(lattice.best().tolist())
    assert np.isclose(case.log_score(best), scores.max())
    weights = np.exp(scores - scores.max())
    expected = np.zeros(case.ids.shape)
    for way, weight in zip(ways, weights / weights.sum(), strict=True):
        for row, candidate in enumerate(way):
            expected[row, candidate] += weight
    np.testing.assert_allclose(lattice.probabilities(), expected, atol=1e-9)


@given(drawn())
@settings(max_examples=20)
def test_sentences_do_not_depend_on_each_other(case: Drawn) -> None:
    """A run between certain words reads the same whether other sentences stand around it or not."""
    together = case.lattice().probabilities()
    begins = [at for at, first in enumerate(case.first) if first] + [len(case.first)]
    for start, end in pairwise(begins):
        rows = [row for row, at in enumerate(case.open_) if start <= at < end]
        reused = None if case.reused is None else case.reused[rows]
        alone = Drawn(
            case.lexicon, case.given[start:end], case.first[start:end], [case.open_[row] - start for row in rows],
            case.ids[rows], case.emissions[rows], case.own[rows], reused,
        )  # fmt: skip
        np.testing.assert_allclose(alone.lattice().probabilities(), together[rows], atol=1e-12)

"""Operators that rewrite one run of letters (a library's augmenters), brought into the engine's form: one contiguous edit inside a word."""

from __future__ import annotations

import difflib
from contextlib import AbstractContextManager
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.keys import below, draw
from robustbench_char.attacks.operators import Scene, WordOperator, Written
from robustbench_char.text.characters import DIGIT, WORD
from robustbench_char.text.words import Words

__all__ = ["TRIES", "letter_run_counts", "rewrite_words", "single_edit"]

Ints = NDArray[np.int64]
TRIES = 8
"""How often a result that cannot be used is drawn again before the word counts as a no-op."""


def letter_run_counts(scene: Scene, words: Words) -> Ints:
    """Return how many runs of two or more letters each word holds."""
    return np.array([len(_runs(scene, start, end)) for start, end in zip(words.starts.tolist(), words.ends.tolist(), strict=True)], np.int64)


def _runs(scene: Scene, start: int, end: int) -> list[tuple[int, int]]:
    bits = scene.flags[start:end]
    inside = ((bits & WORD) != 0) & ((bits & DIGIT) == 0)
    edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
    spans = zip((start + np.flatnonzero(edges == 1)).tolist(), (start + np.flatnonzero(edges == -1)).tolist(), strict=True)
    return [(low, high) for low, high in spans if high - low > 1]  # nlpaug fails on a single letter


def single_edit(before: str, after: str) -> tuple[int, int, str] | None:
    """Return (start, characters removed, inserted) if `after` is `before` with one contiguous edit, else None.

    A swap of two neighbours is one edit. No edit, an empty result, and one with white space or `_` are None too.
    """
    if after == before or not after or "_" in after or any(char.isspace() for char in after):
        return None
    start = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    tail = 0
    while tail < min(len(before), len(after)) - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    gone, come = before[start : len(before) - tail], after[start : len(after) - tail]
    swapped = len(gone) == 2 and come == gone[::-1]
    matcher = difflib.SequenceMatcher(None, gone, come, autojunk=False)
    if not swapped and any(block.size for block in matcher.get_matching_blocks()):
        return None
    return start, len(gone), come


def rewrite_words(
    operator: WordOperator, scene: Scene, words: Words, rows: Ints, keys: NDArray[np.uint64], positions: Literal["interior", "all"]
) -> tuple[Ints, Ints, Written]:
    """Rewrite the words `rows`; return those that changed, the place of each edit, and what is written.

    `keys` holds one key a word of the column. Words that no try could change are left out.
    """
    draws = [(draw(keys[rows], 2 + 2 * attempt), draw(keys[rows], 3 + 2 * attempt)) for attempt in range(TRIES)]
    found: list[tuple[int, int, int, str]] = []
    with cast(AbstractContextManager[None], operator.session()):
        for number, word in enumerate(rows.tolist()):
            edit = _try(operator, scene, int(words.starts[word]), int(words.ends[word]), [(a[number], b[number]) for a, b in draws], positions)
            if edit is not None:
                found.append((word, *edit))
    return _packed(found)


def _try(
    operator: WordOperator, scene: Scene, start: int, end: int, draws: list[tuple[np.uint64, np.uint64]], positions: str
) -> tuple[int, int, str] | None:
    runs = _runs(scene, start, end)
    for which, seed in draws:
        low, high = runs[int(below(np.array([which]), np.array([len(runs)]))[0])]
        run = scene.column.codes[low:high].tobytes().decode("utf-32-le")
        result = operator.rewrite(run, int(seed))
        edit = None if result is None else single_edit(run, result)
        if edit is None:
            continue
        at, gone, come = low + edit[0], edit[1], edit[2]
        if positions == "interior" and (at <= start or at + gone >= end):
            continue
        if scene.frozen is not None and bool(scene.frozen[at : at + gone].any()):
            continue
        if come or gone < end - start:  # never an empty word
            return at, gone, come
    return None


def _packed(found: list[tuple[int, int, int, str]]) -> tuple[Ints, Ints, Written]:
    width = max((len(come) for *_, come in found), default=1) or 1
    codes = np.zeros((len(found), width), np.uint32)
    for row, (*_, come) in enumerate(found):
        codes[row, : len(come)] = [ord(char) for char in come]
    table = np.array([(word, at, gone, len(come)) for word, at, gone, come in found], np.int64).reshape(-1, 4)
    return table[:, 0].copy(), table[:, 1].copy(), Written(table[:, 2].copy(), codes, table[:, 3].copy())

"""Operators that rewrite a run of letters, brought to one contiguous edit inside a word: those of nlpaug.

nlpaug is imported when first used: it imports torch where that is installed. It draws from the process-wide random
state of `random` and numpy, which is seeded for each word from our key and put back afterwards. Its results are the
same for one version of nlpaug and of Python; both are in the manifest.
"""

from __future__ import annotations

import difflib
import random
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.keys import below, draw
from robustbench_char.attacks.operators import NLPAUG_LAYOUTS, Positions, Scene, WordOperator, Written, eligible_range
from robustbench_char.common.process import random_state_kept
from robustbench_char.text.characters import DIGIT, WORD
from robustbench_char.text.columns import Column
from robustbench_char.text.words import Words

Ints = NDArray[np.int64]
TRIES = 8
"""How often a run and a result are drawn for a word before it counts as a no-op."""


@dataclass(frozen=True)
class LetterRuns:
    """The runs of two or more letters (and their marks) inside the words of a column: those of word `w` are
    `first[w] : first[w] + counts[w]`, each `lows[r] : highs[r]` in the column's codes."""

    lows: Ints
    highs: Ints
    first: Ints
    counts: Ints

    @classmethod
    def of(cls, column: Column, words: Words) -> LetterRuns:
        """Find the runs. Single letters are left out: nlpaug fails on them."""
        steps = np.zeros(len(column.codes) + 1, np.int8)
        steps[words.starts] += 1
        steps[words.ends] -= 1  # words may touch
        live = (np.cumsum(steps[:-1], dtype=np.int8) > 0) & ((column.flags & (WORD | DIGIT)) == WORD)
        cut = np.zeros(len(column.codes) + 1, np.bool_)
        cut[words.starts] = True
        before, after = np.concatenate([[False], live[:-1]]), np.concatenate([live[1:], [False]])
        lows = np.flatnonzero(live & (~before | cut[:-1]))
        highs = np.flatnonzero(live & (~after | cut[1:])) + 1
        long = highs - lows > 1
        lows, highs = lows[long], highs[long]
        first = np.searchsorted(lows, words.starts)
        return cls(lows, highs, first, np.searchsorted(lows, words.ends) - first)


def changed_part(before: str, after: str) -> tuple[int, int, str]:
    """Return (start, characters removed, inserted): the least contiguous part that turns one text into the other."""
    shorter = min(len(before), len(after))
    start = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    tail = 0
    while tail < shorter - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return start, len(before) - tail - start, after[start : len(after) - tail]


def single_edit(before: str, after: str) -> tuple[int, int, str] | None:
    """Return (start, characters removed, inserted) if `after` is `before` with one contiguous edit, else None.

    A swap of two neighbours is one edit. No edit, an empty result, and one with white space or `_` are None too.
    """
    if after == before or not after or "_" in after or any(char.isspace() for char in after):
        return None
    start, width, come = changed_part(before, after)
    gone = before[start : start + width]
    swapped = len(gone) == 2 and come == gone[::-1]
    matcher = difflib.SequenceMatcher(None, gone, come, autojunk=False)
    if not swapped and any(block.size for block in matcher.get_matching_blocks()):
        return None
    return start, len(gone), come


def rewrite_words(
    operator: WordOperator, scene: Scene, words: Words, runs: LetterRuns, rows: Ints, keys: NDArray[np.uint64],
    positions: Positions, base: int,
) -> tuple[Ints, Ints, Written]:  # fmt: skip
    """Rewrite the words `rows`; return those that changed, the start of each edit, and what is written.

    `keys` holds one key per word of the column; draws are numbered from `base` on. Words that no try could change are
    left out.
    """
    waiting, edited = rows, list[tuple[int, int, int, str]]()
    with cast(AbstractContextManager[None], operator.session()):
        for attempt in range(TRIES):
            which = runs.first[waiting] + below(draw(keys[waiting], base + 2 + 2 * attempt), runs.counts[waiting])
            seeds = draw(keys[waiting], base + 3 + 2 * attempt).tolist()
            inside = zip(words.starts[waiting], words.ends[waiting], strict=True)
            spans = zip(runs.lows[which].tolist(), runs.highs[which].tolist(), strict=True)
            edits = [
                _rewrite(operator, scene, *span, *limits, positions, seed)
                for span, limits, seed in zip(spans, inside, seeds, strict=True)
            ]
            edited += [(word, *edit) for word, edit in zip(waiting.tolist(), edits, strict=True) if edit is not None]
            waiting = waiting[np.array([edit is None for edit in edits], np.bool_)]
    return packed(sorted(edited))


def _rewrite(
    operator: WordOperator, scene: Scene, low: int, high: int, start: Ints, end: Ints, positions: Positions, seed: int
) -> tuple[int, int, str] | None:
    """Rewrite the run `low : high`; return its edit if the word `start : end` is open to it there."""
    run = scene.column.codes[low:high].tobytes().decode("utf-32-le")
    result = operator.rewrite(run, seed)
    edit = None if result is None else single_edit(run, result)
    if edit is None:
        return None
    at, gone, come = low + edit[0], edit[1], edit[2]
    first, after = eligible_range(start, end, width=gone, positions=positions)
    if not first <= at < after or (positions == "ends" and at not in (first, after - 1)):
        return None
    return at, gone, come


def packed(edited: list[tuple[int, int, int, str]]) -> tuple[Ints, Ints, Written]:
    """Lay out edits (word, start, characters removed, inserted): their words, their starts, what is written."""
    width = max((len(come) for *_, come in edited), default=1) or 1
    codes = np.zeros((len(edited), width), np.uint32)
    for row, (*_, come) in enumerate(edited):
        codes[row, : len(come)] = [ord(char) for char in come]
    table = np.array([(word, at, gone, len(come)) for word, at, gone, come in edited], np.int64).reshape(-1, 4)
    return table[:, 0].copy(), table[:, 1].copy(), Written(table[:, 2].copy(), codes, table[:, 3].copy())


def _whole(text: str) -> list[str]:
    return [text]


_ONE_CHARACTER: dict[str, Any] = {
    "min_char": 1, "aug_char_min": 1, "aug_char_max": 1, "aug_word_min": 1, "aug_word_max": 1, "aug_word_p": 1.0,
    "tokenizer": _whole, "reverse_tokenizer": "".join,
}  # fmt: skip


@cache
def _augmenter(kind: str, option: str) -> Any:
    import nlpaug.augmenter.char as nac
    import nlpaug.augmenter.word as naw
    import nlpaug.model.word_dict as nmw

    if kind == "keyboard":
        return nac.KeyboardAug(lang=option, **_ONE_CHARACTER)
    if kind == "ocr":
        return nac.OcrAug(**_ONE_CHARACTER)
    if kind == "random":
        return nac.RandomCharAug(action=option, **_ONE_CHARACTER)
    augmenter = naw.SpellingAug(aug_min=1, aug_max=1, aug_p=1.0, tokenizer=_whole, reverse_tokenizer="".join)
    # nlpaug keeps one list for the whole process, in the order of a set, which differs from process to process.
    augmenter.model = nmw.Spelling(augmenter.dict_path)
    augmenter.model.dict = {word: sorted(others) for word, others in augmenter.model.dict.items()}
    return augmenter


def _operator(name: str, kind: str, option: str) -> WordOperator:
    def rewrite(run: str, seed: int) -> str | None:
        augmenter = _augmenter(kind, option)  # before the seed: importing it draws numbers
        random.seed(seed)  # noqa: TID251 (nlpaug offers no other way; random_state_kept surrounds every call)
        np.random.seed(seed & 0xFFFFFFFF)  # noqa: TID251
        results = augmenter.augment(run)
        return results[0] if results else None

    return WordOperator(name, rewrite, random_state_kept)


_NLPAUG = {
    **{f"nlpaug_keyboard_{layout}": ("keyboard", layout) for layout in NLPAUG_LAYOUTS},
    **{f"nlpaug_random_{action}": ("random", action) for action in ("insert", "substitute", "swap", "delete")},
    "nlpaug_ocr": ("ocr", ""),
    "nlpaug_spelling_en": ("spelling", ""),
}
globals().update({name.upper(): _operator(name, kind, option) for name, (kind, option) in _NLPAUG.items()})

"""The operators by name, and our own four: where in a word each may strike, where that changes it, what it writes.

Ours work on a whole column at once and are pure: what they do is a function of the column, the positions (in the
column's codes) and the draws that they are given. `eligible_range` is the one function that says which positions of a
word are open. To add an operator, write it in a file of its own and register it here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.keys import below
from robustbench_char.common import Registry
from robustbench_char.text.characters import LETTER, LOWER, UPPER, lower_codes, upper_codes
from robustbench_char.text.columns import Column, over_spans

__all__ = ["OPERATORS", "CellOperator", "Scene", "Written"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]


@dataclass(frozen=True)
class Scene:
    """What an operator looks at: the column, and the settings of the suite that concern what is written.

    `case`: `keep` leaves the pattern of capitals as it is (a capital is swapped with capitals only; what is written
    takes the case of the word, or of what it replaces); `lower` writes characters as alphabet and layout hold them,
    and swaps any two.
    """

    column: Column
    alphabet: tuple[str, ...]
    layout: dict[str, str] = field(hash=False)
    case: Literal["keep", "lower"]

    def has(self, bit: int) -> Bools:
        """Which codes have a class bit."""
        return (self.column.flags & np.uint8(bit)).astype(np.bool_)


@dataclass(frozen=True)
class Written:
    """What `k` edits do: `removed[i]` codes go from the position on, `codes[i, : lengths[i]]` come in."""

    removed: Ints
    codes: Codes
    lengths: Ints


@dataclass(frozen=True)
class CellOperator:
    """An operator that strikes at one position of a word.

    `width`: characters it takes from its position on (0: it strikes between characters). `changes`: where striking
    changes the word. `write`: (scene, positions, starts and ends of their words, draws) -> what is written. `shortest`:
    the length of the shortest word that it leaves something of.
    """

    name: str
    width: int
    changes: Callable[[Scene], Bools]
    write: Callable[[Scene, Ints, Ints, Ints, NDArray[np.uint64]], Written]
    shortest: int = 1


@dataclass(frozen=True)
class WordOperator:
    """An operator from a library, which rewrites one run of letters: (run, seed) -> new run, one contiguous edit, or
    None.

    `session` is entered once around all calls and puts process-wide random state back.
    """

    name: str
    rewrite: Callable[[str, int], str | None]
    session: Callable[[], object]


Operator = CellOperator | WordOperator


Positions = Literal["interior", "all", "before", "after_first"]


def eligible_range(starts: Ints, ends: Ints, *, width: int, positions: Positions) -> tuple[Ints, Ints]:
    """Return first and past-last position of each word for an operator of that width; empty ranges have equal ends.

    Interior: first and last character are neither struck nor moved, and nothing is put before or after them. Before:
    nothing is put after the last character. After first: only the first character is safe.
    """
    low = starts + (1 if positions in ("interior", "after_first") else 0)
    last = ends - 1 if positions == "interior" else ends
    high = last - width + 1
    if positions == "before":
        high = np.minimum(high, ends)
    return low, np.maximum(high, low)


def _anywhere(scene: Scene) -> Bools:
    return np.ones(len(scene.column.codes), np.bool_)


def _drop(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    return Written(np.ones_like(at), np.zeros((len(at), 1), np.uint32), np.zeros_like(at))


def _add(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    letters = np.array([ord(char) for char in scene.alphabet], np.uint32)
    new = letters[below(draws, np.full_like(at, len(letters)))]
    if scene.case == "keep":
        new = np.where(_in_capitals(scene, starts, ends), upper_codes(new), lower_codes(new))
    return Written(np.zeros_like(at), new[:, None], np.ones_like(at))


def _in_capitals(scene: Scene, starts: Ints, ends: Ints) -> Bools:
    """Which words are written in capitals: two or more upper-case letters, none in lower case."""
    upper = over_spans(np.add, scene.has(UPPER).astype(np.int32), starts, ends)
    lower = over_spans(np.logical_or, scene.has(LOWER), starts, ends)
    return np.asarray((upper >= 2) & ~lower, np.bool_)


def _swap_changes(scene: Scene) -> Bools:
    codes = scene.column.codes
    changes = np.zeros(len(codes), np.bool_)
    changes[:-1] = codes[:-1] != codes[1:]
    if scene.case == "keep":  # letters move as they are: the pattern of capitals stays only among equals
        upper = scene.has(UPPER)
        changes[:-1] &= upper[:-1] == upper[1:]
    return changes


def _swap(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    codes = scene.column.codes
    return Written(np.full_like(at, 2), np.stack([codes[at + 1], codes[at]], axis=1), np.full_like(at, 2))


def _layout_table(layout: dict[str, str]) -> tuple[Ints, Ints, Codes]:
    """Return, by code below U+0250, first index and number of its neighbours in the flat array that comes third."""
    first, count = np.zeros(0x250, np.int64), np.zeros(0x250, np.int64)
    flat: list[int] = []
    for key, beside in layout.items():
        first[ord(key)], count[ord(key)] = len(flat), len(beside)
        flat += [ord(char) for char in beside]
    return first, count, np.array(flat, np.uint32)


def _keys(scene: Scene, codes: Codes) -> Codes:
    lower = lower_codes(codes)
    return np.where(lower < 0x250, lower, 0)


def _keyboard_changes(scene: Scene) -> Bools:
    _, count, _ = _layout_table(scene.layout)
    return count[_keys(scene, scene.column.codes)] > 0


def _keyboard(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    first, count, flat = _layout_table(scene.layout)
    key = _keys(scene, scene.column.codes[at])
    new = flat[first[key] + below(draws, count[key])]
    if scene.case == "keep":
        new = np.where(scene.has(UPPER)[at], upper_codes(new), new)
    return Written(np.ones_like(at), new[:, None], np.ones_like(at))


def letters_at(scene: Scene, width: int) -> Bools:
    """Return where an operator strikes letters only."""
    letter = scene.has(LETTER)
    if width == 2:
        both = np.zeros_like(letter)
        both[:-1] = letter[:-1] & letter[1:]
        return both
    return letter


DROP = CellOperator("drop", 1, _anywhere, _drop, shortest=2)
ADD = CellOperator("add", 0, _anywhere, _add)
SWAP = CellOperator("swap", 2, _swap_changes, _swap)
KEYBOARD = CellOperator("keyboard", 1, _keyboard_changes, _keyboard)

OPERATORS: Registry[Operator] = Registry("operator")
for _operator in (DROP, ADD, SWAP, KEYBOARD):
    OPERATORS.register(_operator.name, _operator)

NLPAUG_LAYOUTS = ("de", "en", "es", "fr", "he", "it", "nl", "pl", "th", "tr", "uk")
for _name in (
    *(f"nlpaug_keyboard_{layout}" for layout in NLPAUG_LAYOUTS),
    *(f"nlpaug_random_{action}" for action in ("insert", "substitute", "swap", "delete")),
    "nlpaug_ocr", "nlpaug_spelling_en",
):  # fmt: skip
    OPERATORS.register(_name, f"robustbench_char.attacks.word_operators:{_name.upper()}")

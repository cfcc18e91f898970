"""The operators by name, and those of one character: where in a word each may strike, where that changes it, what it
writes.

They work on a whole column at once and are pure: what they do is a function of the column, the positions (in the
column's codes) and the draws that they are given. `eligible_range` is the one function that says which positions of a
word are open. To add an operator, write it in a file of its own and register it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from robustbench_char.attacks.keys import below
from robustbench_char.common import Registry
from robustbench_char.text.characters import DIGIT, LETTER, LOWER, SPACE, UPPER, WORD, lower_codes, upper_codes
from robustbench_char.text.columns import Column, over_spans
from robustbench_char.text.letters import script_letters, script_of

if TYPE_CHECKING:
    from robustbench_char.attacks.lists import ListInfo

__all__ = ["OPERATORS", "WHITE_SPACE", "CellOperator", "Scene", "VariantOperator", "Written"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Codes = NDArray[np.uint32]


@dataclass(frozen=True)
class Scene:
    """What an operator looks at: the column, and the settings of the suite that concern what is written.

    `case`: `keep` leaves the pattern of capitals as it is (a capital is swapped with capitals only; what is written
    takes the case of the word, or of what it replaces); `lower` writes characters as alphabet and layout hold them,
    and swaps any two. `misspellings`: the suite's list, if it has one. An empty `alphabet` stands for the letters of
    each word's own script.
    """

    column: Column
    alphabet: tuple[str, ...]
    layout: dict[str, str]
    case: Literal["keep", "lower"]
    misspellings: ListInfo | None = None

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
    changes the word. `write`: (scene, positions, starts and ends of their words, draws) -> what is written, one of so
    many `choices` (scene, positions, starts and ends) that a draw is mapped to by `below`. `shortest`: the length of
    the shortest word that it leaves something of. `place`: where it strikes, whatever a suite says.
    """

    name: str
    width: int
    changes: Callable[[Scene], Bools]
    write: Callable[[Scene, Ints, Ints, Ints, NDArray[np.uint64]], Written]
    choices: Callable[[Scene, Ints, Ints, Ints], Ints] = lambda scene, at, starts, ends: np.ones_like(at)
    shortest: int = 1
    place: Place | None = None

    def changing(self, scene: Scene) -> Bools:
        """Return where it may change a word: not by white space, which a token may hold, and keeps."""
        changes = self.changes(scene)
        return changes & _all_struck(~scene.has(SPACE), self.width) if self.width and not self.place else changes


WordEdit = tuple[int, int, str]
"""An edit of a word: its start, the number of characters that it removes, and what it inserts."""


@dataclass(frozen=True)
class VariantOperator:
    """An operator that knows all that it may make of a word: (scene) -> (word) -> edits of that word, all as likely."""

    name: str
    edits: Callable[[Scene], Callable[[str], Sequence[WordEdit]]]


@dataclass(frozen=True)
class WordOperator:
    """An operator from a library, which rewrites one run of letters: (run, seed) -> new run, one contiguous edit, or
    None.

    `session` is entered once around all calls and puts process-wide random state back.
    """

    name: str
    rewrite: Callable[[str, int], str | None]
    session: Callable[[], object]


Operator = CellOperator | VariantOperator | WordOperator


Positions = Literal["interior", "all", "before", "after_first", "ends"]
Place = Literal["interior", "behind"]


def eligible_range(starts: Ints, ends: Ints, *, width: int | Ints, positions: Positions | Place) -> tuple[Ints, Ints]:
    """Return first and past-last position of each word for an operator of that width; empty ranges have equal ends.

    Interior: first and last character are neither struck nor moved, and nothing is put before or after them. Before:
    nothing is put after the last character. After first: only the first character is safe. Ends: the first and the
    last of the positions alone (see `at_ends`). Behind: the character after the word.
    """
    if positions == "behind":
        return ends, ends + 1
    low = starts + (1 if positions in ("interior", "after_first") else 0)
    last = ends - 1 if positions == "interior" else ends
    high = last - width + 1
    if positions == "before":
        high = np.minimum(high, ends)
    return low, np.maximum(high, low)


def at_ends(low: Ints, high: Ints, size: int) -> Bools:
    """Return which of the positions of a column are the first or the last of a range."""
    marked, some = np.zeros(size, np.bool_), high > low
    marked[low[some]] = True
    marked[high[some] - 1] = True
    return marked


def _anywhere(scene: Scene) -> Bools:
    return np.ones(len(scene.column.codes), np.bool_)


def _drop(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    return Written(np.ones_like(at), np.zeros((len(at), 1), np.uint32), np.zeros_like(at))


def _add(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    capitals = _in_capitals(scene, starts, ends) & (scene.case == "keep")
    if not scene.alphabet:
        new = _own_script(scene, starts, ends, capitals, draws)
    else:
        letters = np.array([ord(char) for char in scene.alphabet], np.uint32)
        new = letters[below(draws, np.full_like(at, len(letters)))]
        if scene.case == "keep":
            new = np.where(capitals, upper_codes(new), lower_codes(new))
    return Written(np.zeros_like(at), new[:, None], np.ones_like(at))


def _letters(scene: Scene, at: Ints, starts: Ints, ends: Ints) -> Ints:
    """Return how many letters may be added."""
    if scene.alphabet:
        return np.full_like(at, len(scene.alphabet))
    scripts, which = np.unique(_scripts(scene, starts, ends), return_inverse=True)
    return np.array([len(script_letters(script)) for script in scripts.tolist()], np.int64)[which]


def _scripts(scene: Scene, starts: Ints, ends: Ints) -> NDArray[np.str_]:
    """Return the script of each word's first letter; Latin where it has none."""
    letters = np.append(np.flatnonzero(scene.has(LETTER)), len(scene.column.codes))
    first = letters[np.searchsorted(letters, starts)]
    codes = np.full(len(starts), ord("a"), np.uint32)
    codes[first < ends] = scene.column.codes[first[first < ends]]
    distinct, which = np.unique(codes, return_inverse=True)
    return np.array([script_of(chr(code)) for code in distinct.tolist()], np.str_)[which]


def _own_script(scene: Scene, starts: Ints, ends: Ints, capitals: Bools, draws: NDArray[np.uint64]) -> Codes:
    """Return a letter for each word from its own script."""
    scripts, new = _scripts(scene, starts, ends), np.zeros(len(starts), np.uint32)
    for script in np.unique(scripts).tolist():
        rows = np.flatnonzero(scripts == script)
        table = np.array([[ord(char) for char in pair] for pair in script_letters(script)], np.uint32)
        new[rows] = table[below(draws[rows], np.full_like(rows, len(table))), capitals[rows].astype(np.int64)]
    return new


def _small_letters(script: str) -> tuple[str, ...]:
    """Return the letters of a script; Latin ones for one that has a single letter, which no other can replace."""
    letters = tuple(small for small, _ in script_letters(script))
    return letters if len(letters) > 1 else _small_letters("LATIN")


def _alphabets(scene: Scene, starts: Ints, ends: Ints) -> Iterator[tuple[Ints, Codes]]:
    """Yield which words are written in which letters, in order and in lower case where the case is kept."""
    if scene.alphabet:
        groups = [(np.arange(len(starts)), scene.alphabet)]
    else:
        scripts = _scripts(scene, starts, ends)
        names = np.unique(scripts).tolist()
        groups = [(np.flatnonzero(scripts == name), _small_letters(name)) for name in names]
    for rows, letters in groups:
        codes = np.array([ord(char) for char in letters], np.uint32)
        yield rows, np.unique(lower_codes(codes) if scene.case == "keep" else codes)


def _places(scene: Scene, at: Ints, letters: Codes) -> tuple[Ints, Bools]:
    """Return where among the letters each character stands or would stand, and which are one of them."""
    codes = scene.column.codes[at]
    own = lower_codes(codes) if scene.case == "keep" else codes
    place = np.searchsorted(letters, own)
    return place, letters[np.minimum(place, len(letters) - 1)] == own


def _other_letters(scene: Scene, at: Ints, starts: Ints, ends: Ints) -> Ints:
    """Return how many letters a character may be replaced by."""
    count = np.zeros_like(at)
    for rows, letters in _alphabets(scene, starts, ends):
        count[rows] = len(letters) - _places(scene, at[rows], letters)[1]
    return count


def _replace(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    new = np.zeros(len(at), np.uint32)
    for rows, letters in _alphabets(scene, starts, ends):
        place, known = _places(scene, at[rows], letters)
        which = below(draws[rows], len(letters) - known.astype(np.int64))
        new[rows] = letters[which + (known & (which >= place))]
    if scene.case == "keep":
        new = np.where(scene.has(UPPER)[at], upper_codes(new), new)
    return Written(np.ones_like(at), new[:, None], np.ones_like(at))


def _parted(scene: Scene) -> Bools:
    """Return where a letter or digit follows on another, or on a mark of another."""
    parted = np.zeros(len(scene.column.codes), np.bool_)
    parted[1:] = scene.has(LETTER | DIGIT)[1:] & scene.has(WORD)[:-1]
    return parted


def _insert_space(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    return Written(np.zeros_like(at), np.full((len(at), 1), ord(" "), np.uint32), np.ones_like(at))


def _single_spaces(scene: Scene) -> Bools:
    """Return where a single space stands between two letters or digits."""
    single, inside = np.zeros(len(scene.column.codes), np.bool_), scene.has(WORD)
    single[1:-1] = (scene.column.codes[1:-1] == ord(" ")) & inside[:-2] & inside[2:]
    return single


def _in_capitals(scene: Scene, starts: Ints, ends: Ints) -> Bools:
    """Which words are written in capitals: two or more upper-case letters, none in lower case."""
    some = over_spans(np.bitwise_or, scene.column.flags, starts, ends)
    capitals = np.asarray((some & np.uint8(UPPER | LOWER)) == UPPER, np.bool_)
    rows = np.flatnonzero(capitals)
    capitals[rows] = over_spans(np.add, scene.has(UPPER).astype(np.int32), starts[rows], ends[rows]) >= 2
    return capitals


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


def _neighbours(scene: Scene, at: Ints, starts: Ints, ends: Ints) -> Ints:
    _, count, _ = _layout_table(scene.layout)
    return np.asarray(count[_keys(scene, scene.column.codes[at])])


def _keyboard(scene: Scene, at: Ints, starts: Ints, ends: Ints, draws: NDArray[np.uint64]) -> Written:
    first, count, flat = _layout_table(scene.layout)
    key = _keys(scene, scene.column.codes[at])
    new = flat[first[key] + below(draws, count[key])]
    if scene.case == "keep":
        new = np.where(scene.has(UPPER)[at], upper_codes(new), new)
    return Written(np.ones_like(at), new[:, None], np.ones_like(at))


def letters_at(scene: Scene, width: int) -> Bools:
    """Return where an operator strikes letters only."""
    return _all_struck(scene.has(LETTER), width)


def _all_struck(good: Bools, width: int) -> Bools:
    if width == 2:
        both = np.zeros_like(good)
        both[:-1] = good[:-1] & good[1:]
        return both
    return good


DROP = CellOperator("drop", 1, _anywhere, _drop, shortest=2)
ADD = CellOperator("add", 0, _anywhere, _add, _letters)
SWAP = CellOperator("swap", 2, _swap_changes, _swap)
KEYBOARD = CellOperator("keyboard", 1, _keyboard_changes, _keyboard, _neighbours)
REPLACE = CellOperator("replace", 1, _anywhere, _replace, _other_letters)
INSERT_SPACE = CellOperator("insert_space", 0, _parted, _insert_space, shortest=2, place="interior")
JOIN_WORDS = CellOperator("join_words", 1, _single_spaces, _drop, place="behind")

WHITE_SPACE = {"insert_space": (0, 1), "join_words": (1, 0)}
"""How many characters of white space a word of the ledger holds before and after an edit; with all others, none.

They alone change the number of words: no other operator stands beside one in a suite, and tagged tokens refuse them.
"""

OPERATORS: Registry[Operator] = Registry("operator")
for _operator in (DROP, ADD, SWAP, KEYBOARD, REPLACE, INSERT_SPACE, JOIN_WORDS):
    OPERATORS.register(_operator.name, _operator)
for _name in ("ocr", "case", "misspelling"):
    OPERATORS.register(_name, f"robustbench_char.attacks.variants:{_name.upper()}")

NLPAUG_LAYOUTS = ("de", "en", "es", "fr", "he", "it", "nl", "pl", "th", "tr", "uk")
for _name in (
    *(f"nlpaug_keyboard_{layout}" for layout in NLPAUG_LAYOUTS),
    *(f"nlpaug_random_{action}" for action in ("insert", "substitute", "swap", "delete")),
    "nlpaug_ocr", "nlpaug_spelling_en",
):  # fmt: skip
    OPERATORS.register(_name, f"robustbench_char.attacks.word_operators:{_name.upper()}")

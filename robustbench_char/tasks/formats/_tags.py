"""Tags of entities: the schemes that they are written in, and how they are read as one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from robustbench_char.tasks.label_names import MARKS

__all__ = ["CLOSING", "ENDS", "Scheme", "Survey", "begun", "is_marked", "is_tag", "to_bio2", "wrong_mark"]

Scheme = Literal["BIO2", "IOB1", "marked"]
"""How entities are marked; `marked`: first, inner, last and single words have marks of their own (IOBES, BILOU, BMEWO).
"""
CLOSING = frozenset("ELSUW")
"""Marks after which an entity does not go on."""
ENDS = CLOSING | {"M"}
"""Marks that BIO2 and IOB1 do not have."""
_TAG = re.compile(r"O|[BI]-\S+")
_MARKED = re.compile(r"O|[BIMELSUW]-\S+")


def is_tag(value: str) -> bool:
    """Return whether a value is O, B-x or I-x."""
    return _TAG.fullmatch(value) is not None


def is_marked(value: str) -> bool:
    """Return whether a value is a tag of any scheme: O, or B-x, I-x, E-x, L-x, M-x, S-x, U-x, W-x."""
    return _MARKED.fullmatch(value) is not None


def begun(mark: str) -> bool:
    """Return whether a mark begins an entity."""
    return MARKS.get(mark) == "B"


def wrong_mark(tags: Sequence[str]) -> int | None:
    """Return the first of a sentence's tags, of a scheme with marks for ends, that goes on with no entity; or None."""
    before = "O"
    for at, tag in enumerate(tags):
        if tag != "O" and not begun(tag[0]) and (before[0] in CLOSING | {"O"} or before[1:] != tag[1:]):
            return at
        before = tag
    return None


def to_bio2(tags: Sequence[str], scheme: Scheme) -> tuple[str, ...]:
    """Return the tags of one sentence in BIO2, given the scheme they are written in."""
    if scheme == "BIO2":
        return tuple(tags)
    if scheme == "marked":
        return tuple(tag if tag == "O" else MARKS[tag[0]] + tag[1:] for tag in tags)
    before = ["O", *tags]
    return tuple("B-" + tag[2:] if tag[0] == "I" and before[at][1:] != tag[1:] else tag for at, tag in enumerate(tags))


class Survey:
    """Detects the scheme of a file, sentence by sentence. BIO2 where both would do."""

    def __init__(self) -> None:
        self.scheme: Scheme = "BIO2"

    def add(self, tags: Iterable[str]) -> int | None:
        """Take in one sentence; return the index of the tag at which it has become illegal in both schemes, or None."""
        legal = {"BIO2", "IOB1"}
        before = "O"
        for at, tag in enumerate(tags):
            continues = before[1:] == tag[1:] and before != "O"
            if tag[0] == "I" and not continues:
                legal.discard("BIO2")
            if tag[0] == "B" and not continues:
                legal.discard("IOB1")
            if not legal:
                return at
            before = tag
        if "BIO2" not in legal:
            self.scheme = "IOB1"
        return None

"""Tagging schemes of entities: IOB1 (Ramshaw and Marcus 1995) and BIO2 (B- at the start of every entity)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

__all__ = ["Scheme", "Survey", "is_tag", "to_bio2"]

Scheme = Literal["BIO2", "IOB1"]
_TAG = re.compile(r"O|[BI]-\S+")


def is_tag(value: str) -> bool:
    """Return whether a value is O, B-x or I-x."""
    return _TAG.fullmatch(value) is not None


def to_bio2(tags: Sequence[str], scheme: Scheme) -> tuple[str, ...]:
    """Return the tags of one sentence in BIO2, given the scheme they are written in."""
    if scheme == "BIO2":
        return tuple(tags)
    before = ["O", *tags]
    return tuple("B-" + tag[2:] if tag[0] == "I" and before[at][1:] != tag[1:] else tag for at, tag in enumerate(tags))


class Survey:
    """Finds the scheme of a file, sentence by sentence. BIO2 where both would do."""

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

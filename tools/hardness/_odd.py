"""Texts of odd characters, and JSON spelled in odd ways, from a seeded generator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

__all__ = ["Json", "text", "token", "word"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
MARKS = "\"'`\\/,;:|.!?()[]{}<>&%$#@*+-=_~^0123456789"
ODD = (
    "äößéñøłŠžđıİſßﬁﬂǅ"  # letters whose case has another length or none
    "\u0301\u0308\u200d\u200c\u200b\u2060\ufeff\u00ad\ufe0f"  # marks, joiners, nothing wide
    "\u202e\u202d\u2066\u2069\u200f\u061c"  # directions
    "\ufffd\ufffe\uffff\ue000\U0010ffff\U000e0001"  # what is no character
    "😀👩🏽🇩🇪𝒜𐍈中文かな한국עבעربहि"
)
SPACES = "\u00a0\u2009\u202f\u3000\u1680"
LINES = "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e"
CONTROLS = "\x01\x07\x08\x1b\x7f\x80\x9f"


def word(rng: Random, more: str = "") -> str:
    """Return a word: mostly letters, sometimes anything; `more` are further characters that it may hold."""
    length = rng.choice((1, 2, 3, 4, 5, 6, 7, 9, 14))
    if rng.random() < 0.6:
        return "".join(rng.choices(LETTERS, k=length))
    return "".join(rng.choice(rng.choice((LETTERS, LETTERS, MARKS, ODD, more or ODD))) for _ in range(length))


def text(rng: Random, without: str = "", more: str = LINES + CONTROLS) -> str:
    """Return a text of words, empty at times, none of whose characters is in `without`."""
    spaces = " " if rng.random() < 0.7 else " \t\n\r" + SPACES + LINES
    parts = []
    for _ in range(rng.choice((0, 1, 3, 6, 10))):
        parts += [word(rng, more), rng.choice(spaces) * rng.choice((1, 1, 1, 2))]
    drawn = "".join(parts if rng.random() < 0.3 else parts[:-1])
    return "".join(char for char in drawn if char not in without)


def token(rng: Random) -> str:
    """Return a token, which is not empty and holds no ASCII white space; other white space at times."""
    inner = SPACES + CONTROLS if rng.random() < 0.1 else ""
    return "".join(char for char in word(rng, inner) if char not in " \t\n\r\x0b\x0c") or "x"


class Json:
    """Writes JSON as anybody may: any white space, any order of keys, any escapes; the same ways throughout a file."""

    def __init__(self, rng: Random, *, one_line: bool = False) -> None:
        self._rng = rng
        self._ascii = rng.random() < 0.5
        self._escaping = rng.choice((0.0, 0.0, 0.1, 0.9))
        self._space = rng.choice(("", " ", " \t") if one_line else ("", " ", "\n", "\r\n", " \t\n\r"))
        self._shuffled = rng.random() < 0.5

    def write(self, value: Any) -> str:
        """Return a value as JSON."""
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, dict):
            items = list(value.items())
            if self._shuffled:
                self._rng.shuffle(items)
            return self._listed("{}", [f"{self.string(key)}{self._gap()}:{self._gap()}{self.write(part)}"
                                       for key, part in items])  # fmt: skip
        if isinstance(value, list):
            return self._listed("[]", [self.write(part) for part in value])
        return json.dumps(value)

    def string(self, value: str) -> str:
        """Return a string literal."""
        return '"' + "".join(map(self._character, value)) + '"'

    def _character(self, char: str) -> str:
        must = char in '"\\' or char < " " or (self._ascii and char > "~")
        if not must and self._rng.random() >= self._escaping:
            return char
        short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        if char in short and self._rng.random() < 0.7:
            return short[char]
        units = char.encode("utf-16-be")
        form = "\\u{:04x}" if self._rng.random() < 0.5 else "\\u{:04X}"
        return "".join(form.format(int.from_bytes(units[at : at + 2])) for at in range(0, len(units), 2))

    def _gap(self) -> str:
        return "".join(self._rng.choices(self._space, k=self._rng.choice((0, 1, 2)))) if self._space else ""

    def _listed(self, brackets: str, parts: Sequence[str]) -> str:
        inner = ",".join(f"{self._gap()}{part}{self._gap()}" for part in parts) or self._gap()
        return brackets[0] + inner + brackets[1]

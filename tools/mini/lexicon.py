"""The word lists in `words/` and the spelling rules that inflect them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["Noun", "Verb", "nouns", "read_sections", "verbs", "words"]


class Noun(NamedTuple):
    """A common noun; `plural` is None for a mass noun."""

    singular: str
    plural: str | None


class Verb(NamedTuple):
    """The five forms of a verb."""

    base: str
    third: str
    past: str
    participle: str
    ing: str


def read_sections(name: str) -> Iterator[tuple[str, list[str]]]:
    """Read a file of this package as sections: a name in square brackets, then lines; comments are left out."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    title, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("["):
            if title:
                yield title, lines
            title, lines = line.strip("[] "), []
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    yield title, lines


@cache
def _entries(name: str) -> dict[str, tuple[str, ...]]:
    return {title: tuple(" ".join(lines).split()) for title, lines in read_sections(f"words/{name}.txt")}


@cache
def words(file: str, section: str) -> tuple[str, ...]:
    """Return the entries of a section of a word list; an underscore in the file stands for a space."""
    return tuple(entry.replace("_", " ") for entry in _entries(file)[section])


@cache
def nouns(section: str) -> tuple[Noun, ...]:
    """Return the nouns of a class of `nouns.txt`."""
    return tuple(_noun(entry) for entry in words("nouns", section))


@cache
def verbs(section: str) -> tuple[Verb, ...]:
    """Return the verbs of a section of `verbs.txt`, such as `transitive food`."""
    return tuple(_verb(entry) for entry in words("verbs", section))


def _noun(entry: str) -> Noun:
    singular, _, plural = entry.partition("/")
    return Noun(singular, None if plural == "-" else plural or _with_s(singular))


def _verb(entry: str) -> Verb:
    base, *irregular = entry.split("/")
    past, participle = irregular or (_past(base), _past(base))
    return Verb(base, _with_s(base), past, participle, _ing(base, past))


def _with_s(word: str) -> str:
    if re.search(r"(s|x|z|ch|sh)$", word):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


def _past(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ied"
    return _doubled(base) + "ed"


def _ing(base: str, past: str) -> str:
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith("ee"):
        return base[:-1] + "ing"
    if past.endswith(base[-1] + "ed") and past[: len(base)] == base and len(past) == len(base) + 3:
        return past[:-2] + "ing"
    return _doubled(base) + "ing"


def _doubled(base: str) -> str:
    """Double the last consonant after a single short vowel: chop, chopped."""
    return base + base[-1] if re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", base) else base

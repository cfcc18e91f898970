"""The attack written a second time, word by word in plain Python: an oracle for the engine, sharing its draws and
none of its code but the table of scripts.

Only the numbers of the draws (engine.py) and the hash behind them (keys.py) are common, both spelled out again here.
It knows the four operators of this project, no library's.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from itertools import accumulate
from typing import Any, NamedTuple

from robustbench_char.text.letters import script_letters, script_of

MASK = 2**64 - 1


class Edit(NamedTuple):
    word: int
    operator: str
    start: int
    removed: str
    inserted: str


class Choice(NamedTuple):
    """One place of a word where an operator may strike: what goes, and what may come.

    `final`: where nothing may come, the word stays as it is; no further place is drawn.
    """

    at: int
    removed: str
    inserted: list[str]
    final: bool = False


# Draws


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def first8(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def text_key(key: str, seed: int, family: str, task: str) -> int:
    return mix((first8(key) + first8(json.dumps([seed, family, task], ensure_ascii=False))) & MASK)


def word_key(text: int, index: int) -> int:
    return mix((text + (index + 1) * 0x9E3779B97F4A7C15) & MASK)


def draw(word: int, number: int) -> int:
    return mix((word + (number + 1) * 0xD1B54A32D192ED03) & MASK)


def below(value: int, limit: int) -> int:
    return ((value >> 32) * limit) >> 32


# Words


def in_word(char: str) -> bool:
    return char.isalpha() or char.isdigit() or unicodedata.category(char).startswith("M")


def unicode_words(text: str) -> list[tuple[int, int]]:
    spans, start = [], None
    for i, char in enumerate(text):
        joins = char in "'’-" and 0 < i < len(text) - 1 and in_word(text[i - 1]) and in_word(text[i + 1])
        inside = in_word(char) or joins
        if inside and start is None:
            start = i
        if not inside and start is not None:
            spans.append((start, i))
            start = None
    return [*spans, (start, len(text))] if start is not None else spans


def whitespace_words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\S+", text)]


# Edits of one word


def change_case(char: str, upper: bool) -> str:
    other = char.upper() if upper else char.lower()
    return other if ord(char) < 0x250 and len(other) == 1 else char


def shouted(word: str) -> bool:
    return sum(char.isupper() for char in word) >= 2 and not any(char.islower() for char in word)


def own_script(word: str) -> tuple[str, ...]:
    """Return the small letters of the script that the word's first letter belongs to."""
    first = next((char for char in word if char.isalpha()), "a")
    return tuple(small for small, _ in script_letters(script_of(first)))


def closed(i: int, width: int, n: int, operator: str, positions: str) -> bool:
    """Tell whether an operator may not strike at `i` of a word of `n` characters."""
    return (
        i + width > n
        or (i == 0 and positions in ("interior", "after_first"))
        or (positions == "interior" and i + max(width, 1) > (n if operator == "add" else n - 1))
        or (positions == "before" and i == n)
        or (positions == "ends" and i not in (0, n - width))
    )


def added(word: str, alphabet: tuple[str, ...], keep: bool) -> list[str]:
    """List what may be added; an empty alphabet is that of the word's own script."""
    if alphabet:
        return [change_case(char, shouted(word)) if keep else char for char in alphabet]
    capitals = keep and shouted(word)
    return [char.upper() if capitals and len(char.upper()) == 1 else char for char in own_script(word)]


def choices(word: str, operator: str, suite: Any, alphabet: tuple[str, ...], layout: dict[str, str]) -> list[Choice]:
    """List the places of a word in order; a place whose list is empty changes nothing."""
    n, keep = len(word), suite.case == "keep"
    characters = suite.operators[operator].characters
    positions = suite.operators[operator].positions or suite.positions
    found = []
    for i in range(n + 1):
        width = {"drop": 1, "add": 0, "swap": 2, "keyboard": 1}[operator]
        if closed(i, width, n, operator, positions):
            continue
        struck = word[i : i + max(width, 1)]
        if characters != "any" and i == n:
            continue
        if characters != "any" and not struck.isalpha():
            found += [Choice(i, struck, [], final=True)] if characters == "drawn_letters" else []
            continue
        gone, come = word[i : i + width], []
        if operator == "drop" and n > 1:
            come = [""]
        if operator == "add":
            come = added(word, alphabet, keep)
        if operator == "swap" and gone[0] != gone[1] and not (keep and gone[0].isupper() != gone[1].isupper()):
            come = [gone[1] + gone[0]]
        if operator == "keyboard":
            near = layout.get(change_case(gone, upper=False), "")
            come = [change_case(char, upper=True) if keep and gone.isupper() else char for char in near]
        found.append(Choice(i, gone, come))
    return found


def eligible(word: str, rule: Any, stop_words: frozenset[str]) -> bool:
    return (
        len(word) >= rule.min_length
        and (rule.max_length is None or len(word) <= rule.max_length)
        and any(in_word(char) for char in word)
        and not (rule.digits == "no_digit" and any(char.isdigit() for char in word))
        and not (rule.digits == "no_number" and word.isdigit())
        and not (rule.letters_only and not word.isalpha())
        and not (rule.stop_words == "skip" and word.lower() in stop_words)
        and not (rule.match is not None and not re.fullmatch(rule.match, word))
    )


def applies(word: str, rule: Any, stop_words: frozenset[str]) -> bool:
    fits = len(word) >= rule.min_length and (rule.max_length is None or len(word) <= rule.max_length)
    return fits and not (rule.stop_words == "skip" and word.lower() in stop_words)


def open_operators(
    word: str, suite: Any, alphabet: tuple[str, ...], layout: dict[str, str], stop_words: frozenset[str]
) -> list[str]:
    """Return the operators that have a legal edit of the word, one that changes it."""
    return [
        name
        for name, rule in suite.operators.items()
        if applies(word, rule, stop_words)
        and any(choice.inserted for choice in choices(word, name, suite, alphabet, layout))
    ]


def attack_text(
    text: str, key: int, suite: Any, spans: list[tuple[int, int]], alphabet: tuple[str, ...], layout: dict[str, str],
    stop_words: frozenset[str],
) -> list[Edit]:  # fmt: skip
    """Return the edits of one text, by the words at `spans`."""
    words = [text[start:end] for start, end in spans]
    keys = [word_key(key, index) for index in range(len(words))]
    may = [i for i, word in enumerate(words) if eligible(word, suite.words, stop_words)]
    if suite.no_op == "never":
        may = [i for i in may if open_operators(words[i], suite, alphabet, layout, stop_words)]
    strength = suite.strength
    wanted = round(strength.rate * len(may)) if strength.rate is not None else min(strength.words, len(may))
    picked = sorted(sorted(may, key=lambda i: (draw(keys[i], 0), i))[:wanted])
    edits = []
    for i in picked:
        never = suite.no_op == "never"
        able = open_operators(words[i], suite, alphabet, layout, stop_words) if never else list(suite.operators)
        if not never and suite.draw_among == "applicable":
            able = [name for name in able if applies(words[i], suite.operators[name], stop_words)]
        if not able:
            continue
        name = weighted(able, [suite.operators[one].weight for one in able], draw(keys[i], 1))
        found = choices(words[i], name, suite, alphabet, layout)
        found = [choice for choice in found if choice.inserted] if never else found
        if not found or not applies(words[i], suite.operators[name], stop_words):
            continue
        edit = drawn_edit(found, keys[i], suite.operators[name].tries)
        edits += [Edit(i, name, spans[i][0] + edit.start, edit.removed, edit.inserted)] if edit else []
    return edits


def drawn_edit(found: list[Choice], key: int, tries: int) -> Edit | None:
    """Draw one of the places until it changes the word, or says that the word stays."""
    for attempt in range(tries):
        choice = found[below(draw(key, 2 + 2 * attempt), len(found))]
        if choice.inserted:
            inserted = choice.inserted[below(draw(key, 3 + 2 * attempt), len(choice.inserted))]
            return Edit(0, "", choice.at, choice.removed, inserted)
        if choice.final:
            return None
    return None


def weighted(names: list[str], weights: list[float], value: int) -> str:
    totals = list(accumulate(weights))
    mark = (value >> 11) * 2.0**-53 * totals[-1]
    return next((name for name, total in zip(names, totals, strict=True) if total > mark), names[-1])


def apply(text: str, edits: list[Edit]) -> str:
    for edit in reversed(edits):
        assert text[edit.start : edit.start + len(edit.removed)] == edit.removed
        text = text[: edit.start] + edit.inserted + text[edit.start + len(edit.removed) :]
    return text

"""Words by the rules of NLTK's Treebank-style tokenizer, as spans of the text as it stands.

The rules are those of `NLTKWordTokenizer` (NLTK 3.10, `nltk/tokenize/destructive.py`, Apache-2.0), in its order, on
Python's own regular expressions. They stand here since NLTK's differ between releases, and the latest give up on a
text when a clock runs out; an attacked set must depend on neither. The tests hold the two side by side.

`treebank_spans` applies them to one text. `treebank_words` finds the same words in a column, ten times as fast.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_char.text.characters import LETTER, WORD
from robustbench_char.text.columns import Column, over_spans, ranges, strings
from robustbench_char.text.unicode_14 import seen_codes

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Spans = tuple[Ints, Ints]
END = "\0"
"""Marks the end of a text, where white space follows all else that is split alone."""


class _Rule(NamedTuple):
    """One substitution; it is tried on texts that held one of the characters `when` (all texts, if there are none)."""

    when: frozenset[str]
    pattern: re.Pattern[str]
    replacement: str


def _rule(when: str, pattern: str, replacement: str) -> _Rule:
    return _Rule(frozenset(when), re.compile(pattern), replacement)


_BEFORE = (
    # Opening quotes
    _rule("«“‘„`", r"([«“‘„]|[`]+)", r" \1 "),
    _rule('"', r"^\"", r"``"),
    _rule('`"', r"(``)", r" \1 "),
    _rule("\"'", r"([ \(\[{<])(\"|\'{2})", r"\1 `` "),
    _rule("'", r"(?i)(?<!\w)(\')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", r"\1 "),
    # Punctuation
    _rule(".", r'([^\.])(\.)([\]\)}>"\'»”’ ]*+)\s*$', r"\1 \2 \3 "),
    _rule(":,", r"([:,])([^\d])", r" \1 \2"),
    _rule(":,", r"([:,])$", r" \1 "),
    _rule(".", r"\.{2,}", r" \g<0> "),
    _rule(";@#$%&", r"[;@#$%&]", r" \g<0> "),
    _rule("\u2012\u2013\u2014\u2015", r"[\u2012-\u2015]", r" \g<0> "),
    _rule(".", r'([^\.])(\.)([\]\)}>"\']*)\s*$', r"\1 \2\3 "),
    _rule("?!", r"[?!]", r" \g<0> "),
    _rule("'", r"([^'])' ", r"\1 ' "),
    _rule("*", r"[*]", r" \g<0> "),
    _rule("[](){}<>", r"[\]\[\(\)\{\}\<\>]", r" \g<0> "),
    _rule("-", r"--", r" -- "),
)
_AFTER = (
    # Closing quotes
    _rule("»”’", r"([»”’])", r" \1 "),
    _rule("'", r"''", " '' "),
    _rule('"', r'"', " '' "),
    _rule("", r"\s+", " "),
    _rule("'\"", r"([^' ])('[sS]|'[mM]|'[dD]|') ", r"\1 \2 "),
    _rule("'\"", r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
)
_CONTRACTIONS = tuple(
    _rule("", pattern, r" \1 \2 ")
    for pattern in (
        r"(?i)\b(can)(not)\b", r"(?i)\b(d)('ye)\b", r"(?i)\b(gim)(me)\b", r"(?i)\b(gon)(na)\b", r"(?i)\b(got)(ta)\b",
        r"(?i)\b(lem)(me)\b", r"(?i)\b(more)('n)\b", r"(?i)\b(wan)(na)(?=\s)", r"(?i) ('t)(is)\b", r"(?i) ('t)(was)\b",
    )
)  # fmt: skip
_SOME_CONTRACTION = re.compile(r"(?i)cannot|d'ye|gimme|gonna|gotta|lemme|more'n|wanna|'tis|'twas")


def treebank_tokens(text: str) -> list[str]:
    """Return the tokens as NLTK spells them: a double quote becomes two back-quotes or two apostrophes."""
    held = set(text)
    text = f" {_rewritten(text, _BEFORE, held)} "
    text = _rewritten(text, _AFTER, held)
    if _SOME_CONTRACTION.search(text):
        text = _rewritten(text, _CONTRACTIONS, held)
    return text.split()


def _rewritten(text: str, rules: tuple[_Rule, ...], held: set[str]) -> str:
    for when, pattern, replacement in rules:
        if not when or not when.isdisjoint(held):
            text = pattern.sub(replacement, text)
    return text


def treebank_spans(text: str) -> list[tuple[int, int]]:
    """Return the spans of the tokens of one text.

    NLTK's own `span_tokenize` fails on texts that mix quote styles; here each token is matched with what stands at
    its place. A stretch that cannot be matched is split at white space.
    """
    spans: list[tuple[int, int]] = []
    position = 0
    for token in treebank_tokens(text):
        while text[position : position + 1].isspace():
            position += 1
        length = len(token) if text.startswith(token, position) else _quote_length(text, position, token)
        if not length:
            return spans + _whitespace_spans(text, position)
        spans.append((position, position + length))
        position += length
    return spans


def _quote_length(text: str, position: int, token: str) -> int:
    if token not in {"``", "''"}:
        return 0
    return next((len(quote) for quote in ('"', "``", "''") if text.startswith(quote, position)), 0)


def _whitespace_spans(text: str, position: int) -> list[tuple[int, int]]:
    return [(position + match.start(), position + match.end()) for match in re.finditer(r"\S+", text[position:])]


def treebank_words(column: Column, texts: Spans, runs: Spans) -> Spans:
    """Return the spans that `treebank_spans` finds in each text of a column, given the runs between white space.

    No rule looks beyond a run and the characters around it, but for those on a full stop at the end of a text. So most
    runs are words as they stand, and of the others each kind is split once: "harbour," and "teacher," are "bbbbbbb,".
    """
    starts, ends, opens, last = _units(column, texts, runs)
    doubled = _doubled(column.codes)
    inside = (column.flags & WORD) != 0
    inside[doubled] = False
    plain = over_spans(np.bitwise_and, inside, starts, ends)
    codes = _folded(column, doubled)
    codes[ends[last]] = ord(END)
    found = _split_units(codes, (starts - ~opens)[~plain], ends[~plain] + 1)
    return np.sort(np.concatenate([starts[plain], found[0]])), np.sort(np.concatenate([ends[plain], found[1]]))


def _doubled(codes: NDArray[np.uint32]) -> Ints:
    """Return where a word may be two: at the first n, m or t doubled of cannot, gonna, wanna, gimme, lemme, gotta."""
    low = codes | np.uint32(0x20)
    at = np.flatnonzero(low[1:-1] == low[:-2])
    return at[_among(low[at], "nmt") & _among(low[at + 2], "aeo")]


def _among(codes: NDArray[np.uint32], letters: str) -> Bools:
    return np.isin(codes, [ord(letter) for letter in letters])


def _folded(column: Column, doubled: Ints) -> NDArray[np.uint32]:
    """Return the codes with one letter for all, and one digit for all, but where a letter may decide a split.

    After an apostrophe one may ('s, 'll, 'twas), before it only in n't, d'ye and more'n; else around those doubled. No
    contraction has the letter b.
    """
    codes = column.codes
    quotes = np.flatnonzero(codes[:-1] == ord("'"))
    before = quotes[_among(codes[quotes + 1] | np.uint32(0x20), "tny")]
    kept = np.zeros(len(codes) + 8, np.bool_)
    for first, length in ((quotes, 5), (before - 4, 4), (doubled - 2, 6)):
        kept[ranges(first + 4, np.full(len(first), length))] = True
    folded = seen_codes(codes).copy()
    folded[((column.flags & LETTER) != 0) & ~kept[4:-4]] = ord("b")
    folded[codes - np.uint32(ord("0")) < 10] = ord("0")
    return folded


def _units(column: Column, texts: Spans, runs: Spans) -> tuple[Ints, Ints, Bools, Bools]:
    """Return starts and ends of what is split alone, and which units begin and end a text.

    A unit is a run; the last one of a text holds all that comes after the last letter or digit.
    """
    starts, ends = runs[0], runs[1].copy()
    text, number = np.searchsorted(texts[0], starts, side="right") - 1, np.arange(len(starts))
    opens = np.diff(text, prepend=-1) != 0
    some = over_spans(np.bitwise_or, column.flags, starts, ends)
    held = np.where(opens | ((some & WORD) != 0), number, 0)
    closing = np.maximum.reduceat(held, np.flatnonzero(opens)) if len(held) else held
    ends[closing] = texts[1][text[closing]]
    last = np.zeros(len(starts), np.bool_)
    last[closing] = True
    kept = number <= closing[np.cumsum(opens) - 1]
    return starts[kept], ends[kept], (opens & (starts == texts[0][text]))[kept], last[kept]


def _split_units(codes: NDArray[np.uint32], starts: Ints, ends: Ints) -> Spans:
    """Return the spans in units that are given with the white space around them; equal ones are split once."""
    units = strings(codes, starts, ends - starts).dictionary_encode()
    found = [_unit_spans(unit) for unit in units.dictionary.to_pylist()]
    counts = np.array([len(spans) for spans in found], np.int64)
    kind = units.indices.to_numpy()
    rows = ranges((np.cumsum(counts) - counts)[kind], counts[kind])
    flat = np.array([span for spans in found for span in spans], np.int64).reshape(-1, 2)[rows]
    flat += np.repeat(starts, counts[kind])[:, None]
    return flat[:, 0], flat[:, 1]


@lru_cache(maxsize=1 << 13)
def _unit_spans(unit: str) -> list[tuple[int, int]]:
    return treebank_spans(unit[:-1]) if unit[-1] == END else treebank_spans(unit + "x")[:-1]

"""Words by the rules of NLTK's Treebank-style tokenizer, as spans of the text as it stands.

The rules are those of `NLTKWordTokenizer` (NLTK 3.10, `nltk/tokenize/destructive.py`, Apache-2.0), in its order, on
Python's own regular expressions. They stand here since NLTK's differ between releases, and the latest give up on a
text when a clock runs out; an attacked set must depend on neither. The tests hold the two side by side.
"""

from __future__ import annotations

import re
from typing import NamedTuple


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

"""Tagged words, templates of them, and how they are written as running text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from tools.mini.lexicon import read_sections

__all__ = [
    "Phrase",
    "Sentence",
    "Token",
    "capitalised",
    "chunks",
    "fill",
    "phrase",
    "render",
    "tagged",
    "text_of",
    "with_articles",
]


class Token(NamedTuple):
    """A word with its Penn Treebank tag and its entity tag in BIO2; the tag is empty where nobody asks for it."""

    word: str
    tag: str = ""
    entity: str = "O"


Phrase = tuple[Token, ...]


class Sentence(NamedTuple):
    """A filled template; `spans` holds where each slot's tokens stand."""

    tokens: Phrase
    spans: dict[str, tuple[int, int]]


def phrase(text: str, entity: str | None = None) -> Phrase:
    """Return tagged words (`the/DT old/JJ mill/NN`) as a phrase, as one entity if asked; its article stays outside."""
    tokens = [_token(word) for word in text.split(" ")]
    if entity is None:
        return tuple(tokens)
    start = 1 if tokens[0].word == "the" else 0
    inside = [token._replace(entity=f"{'I' if index else 'B'}-{entity}") for index, token in enumerate(tokens[start:])]
    return (*tokens[:start], *inside)


def tagged(pairs: Iterable[tuple[str, str]]) -> Phrase:
    """Return pairs of word and tag as a phrase."""
    return tuple(Token(word, tag) for word, tag in pairs)


def fill(template: str, slots: Mapping[str, Phrase]) -> Sentence:
    """Put phrases into the slots of a template, choose `a` or `an`, and write the first letter as a capital."""
    tokens: list[Token] = []
    spans: dict[str, tuple[int, int]] = {}
    for part in _parts(template):
        start = len(tokens)
        if isinstance(part, Token):
            tokens.append(part)
        else:
            tokens.extend(slots[part])
            spans[part] = (start, len(tokens))
    return Sentence(capitalised(with_articles(tokens)), spans)


@cache
def _parts(template: str) -> tuple[Token | str, ...]:
    return tuple(part[1:-1] if part.startswith("{") else _token(part) for part in template.split())


def _token(word: str) -> Token:
    text, slash, tag = word.rpartition("/")
    return Token(text, tag) if slash and text else Token(word, _function_words().get(word.lower(), ""))


@cache
def _function_words() -> dict[str, str]:
    rows = (line.partition(": ")[::2] for _, lines in read_sections("templates/tags.txt") for line in lines)
    return {word.lower(): tag for tag, found in rows for word in found.split()}


def with_articles(tokens: Sequence[Token]) -> Phrase:
    """Return the tokens with `a` or `an` as the sound of the next word asks."""
    after = [*tokens[1:], Token("")]
    return tuple(
        token._replace(word=token.word[0] + "n" * _vowel_sound(following.word))
        if token.word in {"a", "an", "A", "An"}
        else token
        for token, following in zip(tokens, after, strict=True)
    )


def _vowel_sound(word: str) -> bool:
    if re.match(r"(uni|us[eu]|eu|uk|one)", word.lower()):
        return False
    return bool(re.match(r"([aeiouáéíóúâêîôûäëïöüåæøœ]|hono|hour|heir|8|11\b|18\b)", word.lower()))


def capitalised(tokens: Sequence[Token]) -> Phrase:
    """Return the tokens with a capital on the first word (the one after an opening quote or bracket)."""
    first = next((index for index, token in enumerate(tokens) if token.word not in {"``", "("}), 0)
    word = tokens[first].word
    return (*tokens[:first], tokens[first]._replace(word=word[:1].upper() + word[1:]), *tokens[first + 1 :])


_NO_SPACE_BEFORE = re.compile(r"[,.?!;:)%]|''|n't|'(s|re|ll|d|m|ve)?")
_NO_SPACE_AFTER = {"(", "``", "$"}


def render(tokens: Sequence[Token]) -> tuple[str, list[int]]:
    """Write tokens as running text; the second value is the offset at which each token starts."""
    text, starts = "", list[int]()
    for index, token in enumerate(tokens):
        if index and not _NO_SPACE_BEFORE.fullmatch(token.word) and tokens[index - 1].word not in _NO_SPACE_AFTER:
            text += " "
        starts.append(len(text))
        text += '"' if token.word in {"``", "''"} else token.word
    return text, starts


def text_of(tokens: Sequence[Token]) -> str:
    """Write tokens as running text."""
    return render(tokens)[0]


_NOUN_PHRASE = re.compile(r"DT|PDT|PRP\$?|JJ[RS]?|CD|NNP?S?|EX|POS|WP\$?|WDT|\$")
_NOUN_HEAD = re.compile(r"PRP|CD|NNP?S?|EX|WP|WDT|DT")
_VERB = re.compile(r"MD|VB[DGNPZ]?")
_SUBORDINATORS = {"that", "because", "while", "if", "although", "whether"}


def chunks(tokens: Sequence[Token]) -> list[str]:
    """Return a chunk tag in BIO2 for each token, by rules on its part of speech."""
    kinds = [_kind(tokens, index) for index in range(len(tokens))]
    tags: list[str] = []
    for index, kind in enumerate(kinds):
        inside = index > 0 and kind == kinds[index - 1] and kind in {"NP", "VP", "ADJP", "ADVP"}
        inside = inside and not _begins(tokens[index], tokens[index - 1])
        tags.append("O" if kind == "O" else f"{'I' if inside else 'B'}-{kind}")
    return tags


def _begins(token: Token, before: Token) -> bool:
    """Tell whether a word opens a noun phrase of its own right after another one: an article, a pronoun, a score."""
    if token.tag == "CD":
        return "-" in token.word
    return token.tag in {"DT", "PRP$", "POS", "PRP", "WDT", "EX"} and before.tag != "PDT"


def _kind(tokens: Sequence[Token], index: int) -> str:
    word, tag = tokens[index].word.lower(), tokens[index].tag
    following = tokens[index + 1].tag if index + 1 < len(tokens) else ""
    if _VERB.fullmatch(tag) or (tag in {"TO", "RB"} and _VERB.fullmatch(following)):
        return "VP"
    if word in {"&", "most"}:
        return "NP"
    if _NOUN_PHRASE.fullmatch(tag):
        return "NP" if not tag.startswith("JJ") or _has_head(tokens, index) else "ADJP"
    if tag in {"IN", "TO"}:
        return "SBAR" if word in _SUBORDINATORS else "PP"
    return {"RB": "ADVP", "RBR": "ADVP", "RBS": "ADVP", "WRB": "ADVP", "RP": "PRT"}.get(tag, "O")


def _has_head(tokens: Sequence[Token], index: int) -> bool:
    for token in tokens[index + 1 :]:
        if not _NOUN_PHRASE.fullmatch(token.tag) or token.tag in {"PRP", "DT", "PRP$"}:
            return False
        if _NOUN_HEAD.fullmatch(token.tag):
            return True
    return False

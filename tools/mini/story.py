"""How facts are told and asked: statements, passages of several sentences with the places of every value, questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tools.mini.draw import Draw
from tools.mini.lexicon import read_sections
from tools.mini.tokens import Phrase, Sentence, Token, fill, render, text_of
from tools.mini.world import Entity

__all__ = ["KINDS", "Fact", "Passage", "facts", "passage", "question", "slots", "statement"]

KINDS = ("person", "town", "company", "festival", "book", "museum")


@dataclass(frozen=True)
class Fact:
    """A fact of a kind of thing: templates that state it, and by value templates that ask for it."""

    name: str
    statements: tuple[str, ...]
    questions: Mapping[str, tuple[str, ...]]


@cache
def facts(kind: str) -> tuple[Fact, ...]:
    """Return the facts of a kind of thing, in the order of its file."""
    return tuple(_fact(title.partition(".")[2], lines) for title, lines in read_sections(f"templates/facts/{kind}.txt"))


def _fact(name: str, lines: list[str]) -> Fact:
    statements: list[str] = []
    questions: dict[str, list[str]] = {}
    target = statements
    for line in lines:
        if line.startswith("? "):
            target = questions.setdefault(line[2:], [])
        else:
            target.append(line)
    return Fact(name, tuple(statements), {value: tuple(found) for value, found in questions.items()})


def slots(entity: Entity, fact: Fact, call: str = "full") -> dict[str, Phrase]:
    """Return the phrases for a fact's templates; `call` says how the thing is called: `full`, `short` or `pronoun`."""
    he, his, him = entity.pronouns
    named = entity.short if call == "short" else entity.full
    pronoun = call == "pronoun"
    person = entity.kind == "person"
    subject, owner = (Token(he, "PRP"),), (Token(his, "PRP$"),)
    possessive = Token("'" if named[-1].word.endswith("s") and not person else "'s", "POS")
    values = {
        name.partition(".")[2]: value for name, value in entity.values.items() if name.startswith(f"{fact.name}.")
    }
    return values | {
        "s": subject if pronoun else named,
        "ps": owner if pronoun else (*named, possessive),
        "o": (Token(him, "PRP"),) if pronoun and person else entity.short if pronoun else named,
        "o2": entity.short if pronoun else named,
        "he": subject, "his": owner, "him": (Token(him, "PRP"),),
    }  # fmt: skip


def statement(draw: Draw, entity: Entity, fact: Fact, call: str = "full") -> Sentence:
    """Return one sentence that states a fact."""
    template = draw.pick(fact.statements)
    if call == "pronoun" and ("{s} ," in template or "{o} ," in template):
        call = "short"
    return fill(template, slots(entity, fact, call))


def question(draw: Draw, entity: Entity, fact: Fact, value: str) -> str:
    """Return one question that asks for a value of a fact."""
    return text_of(fill(draw.pick(fact.questions[value]), slots(entity, fact)).tokens)


@dataclass(frozen=True)
class Passage:
    """A paragraph about one thing; `stated` maps `fact.value` to the value's start and text in it."""

    entity: Entity
    text: str
    sentences: dict[str, str]
    stated: dict[str, tuple[int, str]]


def passage(draw: Draw, entity: Entity, length: int) -> Passage:
    """Return a paragraph that states `length` facts (or all there are), each in a sentence of its own."""
    known = facts(entity.kind)
    chosen = draw.sample(known, length)
    if known[0] in chosen:  # birth and founding come first, as in an encyclopaedia
        chosen.sort(key=lambda fact: fact is not known[0])
    text, sentences, stated = "", dict[str, str](), dict[str, tuple[int, str]]()
    sentence: Sentence | None = None
    for fact in chosen:
        sentence = statement(draw, entity, fact, _call(draw, sentence))
        written, starts = render(sentence.tokens)
        text += " " if text else ""
        for value in fact.questions:
            first, last = sentence.spans[value]
            end = starts[last - 1] + len(sentence.tokens[last - 1].word)
            stated[f"{fact.name}.{value}"] = (len(text) + starts[first], written[starts[first] : end])
        sentences[fact.name] = written
        text += written
    return Passage(entity, text, sentences, stated)


def _call(draw: Draw, before: Sentence | None) -> str:
    """Choose how the thing is called: by a pronoun only where the sentence before has it as its only subject."""
    if before is None:
        return "full"
    clear = "s" in before.spans and "spouse" not in before.spans
    return draw.pick(("pronoun", "pronoun", "short", "full") if clear else ("short", "short", "full"))

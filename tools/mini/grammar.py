"""The parts that sentences are built of: noun phrases, predicates, adjuncts, each word with its tag."""

from __future__ import annotations

from typing import NamedTuple

from tools.mini.draw import Draw
from tools.mini.lexicon import Noun, Verb, nouns, verbs, words
from tools.mini.phrases import name
from tools.mini.tokens import Phrase, phrase, tagged

__all__ = [
    "BE",
    "MODALS",
    "NounPhrase",
    "adjunct",
    "clause",
    "finite",
    "negated",
    "noun_phrase",
    "object_of",
    "predicate",
    "subject",
    "transitive",
    "with_preposition",
]

MODALS = ("will", "can", "could", "must", "may", "might", "should", "would")
BE = {
    ("past", False): ("was", "VBD"),
    ("past", True): ("were", "VBD"),
    ("present", False): ("is", "VBZ"),
    ("present", True): ("are", "VBP"),
}
_SINGULAR = (*["the"] * 5, *["a"] * 4, "this", "that/DT", "every", "another", "my", "her/PRP$", "our")
_PLURAL = (*["the"] * 5, "these", "those", "both", "several", "many", "two", "three", "five", "my", "their")
_PRONOUNS = (("he", False), ("she", False), ("they", True), ("we", True))
_ADJECTIVES = {
    **dict.fromkeys(("person", "kin", "people", "masculine", "feminine"), "person"),
    **dict.fromkeys(("building", "nature"), "place"),
    **dict.fromkeys(("food", "dish"), "food"),
    "animal": "animal",
    "idea": "idea",
}
"""Which adjectives of `modifiers.txt` go with a class of nouns; the others take those for things."""
_OBJECTS = ("food", "dish", *["thing"] * 2, "person", "animal", "instrument", "vehicle", "building", "nature", "idea")
_PLACES = ("in", "near", "behind", "at")


class NounPhrase(NamedTuple):
    """A noun phrase and its number; `noun` is the common noun at its head, if it has one."""

    tokens: Phrase
    plural: bool
    noun: Noun | None = None


def noun_phrase(draw: Draw, section: str, *, plural: bool | None = None, plain: bool = False) -> NounPhrase:
    """Return a noun phrase with determiner and sometimes an adjective; `plain` ones have `the` and no adjective."""
    noun = draw.pick(nouns(section))
    many = noun.plural is not None and (draw.chance(0.35) if plural is None else plural)
    head = (noun.plural or noun.singular, "NNS") if many else (noun.singular, "NN")
    choices = ("the", "the", "my", "this") if noun.plural is None else _PLURAL if many else _SINGULAR
    determiner = "the" if plain else draw.pick(choices)
    modifier = tagged([(draw.pick(words("modifiers", _ADJECTIVES.get(section, "thing"))), "JJ")])
    described = modifier if not plain and draw.chance(0.3) else ()
    return NounPhrase(phrase(determiner) + described + tagged([head]), many, noun)


def subject(draw: Draw, *, plural: bool | None = None) -> NounPhrase:
    """Return who does something: mostly a person by job or kin, sometimes a first name or a pronoun."""
    if plural is None and draw.chance(0.15):
        word, many = draw.pick(_PRONOUNS)
        return NounPhrase(phrase(word), many)
    if not plural and draw.chance(0.2):
        return NounPhrase(name(draw.name(words("people", draw.pick(("female", "male")))), "PER"), False)
    return noun_phrase(draw, draw.pick(("person", "person", "people", "kin")), plural=plural)


def finite(verb: Verb, tense: str, plural: bool) -> Phrase:
    """Return a verb in the past or present tense."""
    if tense == "past":
        return tagged([(verb.past, "VBD")])
    return tagged([(verb.base, "VBP") if plural else (verb.third, "VBZ")])


def transitive(draw: Draw, frame: str = "transitive") -> tuple[Verb, str]:
    """Return a verb that needs an object, and the class of nouns that the object comes from."""
    sections = ("food", "thing", "person") if frame == "strict" else _OBJECTS
    section = draw.pick(sections)
    return draw.pick(verbs(f"{frame} {section}")), section


def object_of(draw: Draw, section: str) -> Phrase:
    """Return an object of a class of nouns."""
    return noun_phrase(draw, section).tokens


def predicate(draw: Draw, plural: bool, tense: str) -> Phrase:
    """Return what the subject does, in agreement with it."""
    if draw.chance(0.35):
        return finite(draw.pick(verbs("intransitive")), tense, plural)
    verb, section = transitive(draw)
    return finite(verb, tense, plural) + object_of(draw, section)


def negated(draw: Draw, plural: bool) -> Phrase:
    """Return `does not`, `do not`, or the contraction."""
    return tagged([("do", "VBP") if plural else ("does", "VBZ"), ("n't" if draw.chance(0.5) else "not", "RB")])


def clause(draw: Draw, tense: str = "past") -> Phrase:
    """Return a whole clause without its full stop."""
    who = subject(draw)
    return who.tokens + predicate(draw, who.plural, tense)


def with_preposition(draw: Draw) -> Phrase:
    """Return a place, such as `near the old mill`."""
    section = draw.pick(("building", "nature"))
    return (
        phrase(draw.pick(_PLACES if section == "building" else ("near", "behind")))
        + noun_phrase(draw, section, plural=False, plain=draw.chance(0.6)).tokens
    )


def adjunct(draw: Draw) -> Phrase:
    """Return a manner, a place or a time to end a clause with, or nothing."""
    kind = draw.pick(("none", "none", "none", "manner", "place", "day", "event"))
    if kind == "manner":
        return tagged([(draw.pick(words("modifiers", "manner")), "RB")])
    if kind == "place":
        return with_preposition(draw)
    if kind == "day":
        return phrase("on") + tagged([(draw.pick(words("places", "weekday")), "NNP")])
    if kind == "event":
        when = phrase(draw.pick(("before", "after", "during")))
        return when + noun_phrase(draw, "event", plural=False, plain=True).tokens
    return ()

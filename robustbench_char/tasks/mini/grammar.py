"""The parts that sentences are built of: noun phrases, predicates, adjuncts, each word with its tag."""

from __future__ import annotations

from typing import NamedTuple

from robustbench_char.tasks.mini.draw import Draw
from robustbench_char.tasks.mini.lexicon import Noun, Verb, nouns, verbs, words
from robustbench_char.tasks.mini.phrases import name
from robustbench_char.tasks.mini.tokens import Phrase, Token, phrase, tagged

__all__ = ["BE", "MODALS", "NounPhrase", "adjunct", "clause", "finite", "negated", "noun_phrase", "object_of", "predicate", "subject", "transitive", "with_preposition"]

MODALS = ("will", "can", "could", "must", "may", "might", "should", "would")
BE = {("past", False): ("was", "VBD"), ("past", True): ("were", "VBD"), ("present", False): ("is", "VBZ"), ("present", True): ("are", "VBP")}
_SINGULAR = ("the", "the", "the", "the", "the", "a", "a", "a", "a", "this", "that", "every", "another", "my", "her", "our")
_PLURAL = ("the", "the", "the", "the", "the", "these", "those", "some", "several", "many", "two", "three", "five", "my", "their")
_PRONOUNS = (("he", False), ("she", False), ("they", True), ("we", True))
_ADJECTIVES = {"person": "person", "kin": "person", "people": "person", "masculine": "person", "feminine": "person", "animal": "animal", "pet": "animal", "food": "food", "dish": "food",
               "building": "place", "nature": "place", "idea": "idea"}  # fmt: skip
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
    determiner = "the" if plain else draw.pick(_PLURAL if many else _SINGULAR) if noun.plural else draw.pick(("the", "some"))
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
    sections = ("food", "thing", "person") if frame == "strict" else ("food", "thing", "thing", "person", "animal", "vehicle", "building", "nature", "idea")
    section = draw.pick(sections)
    return draw.pick(verbs(f"{frame} {section}")), section


def object_of(draw: Draw, section: str) -> Phrase:
    """Return an object of a class of nouns."""
    return noun_phrase(draw, draw.pick((section, "dish")) if section == "food" and draw.chance(0.3) else section).tokens


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
    return phrase(draw.pick(_PLACES if section == "building" else ("near", "behind"))) + noun_phrase(draw, section, plural=False, plain=draw.chance(0.6)).tokens


def adjunct(draw: Draw) -> Phrase:
    """Return a place or a time to end a clause with, or nothing."""
    if draw.chance(0.45):
        return ()
    if draw.chance(0.5):
        return with_preposition(draw)
    when = draw.pick(words("places", "weekday")) if draw.chance(0.5) else None
    if when:
        return phrase(f"on {when}/NNP")
    return phrase(draw.pick(("before", "after", "during"))) + noun_phrase(draw, "event", plural=False, plain=True).tokens



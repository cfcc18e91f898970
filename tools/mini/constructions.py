"""Sentences of twenty constructions, each well formed or broken in one clear way: the source of CoLA's labels.

A construction is a function of a draw and of whether to break it. Adding one is one function with `@_construction`.
"""

from __future__ import annotations

from collections.abc import Callable

from tools.mini import grammar as g
from tools.mini.draw import Draw
from tools.mini.lexicon import nouns, verbs, words
from tools.mini.tokens import Phrase, Token, capitalised, phrase, tagged, with_articles

__all__ = ["CONSTRUCTIONS", "sentence"]

Construction = Callable[[Draw, bool], Phrase]
CONSTRUCTIONS: dict[str, Construction] = {}


def _construction(build: Construction) -> Construction:
    CONSTRUCTIONS[build.__name__.strip("_")] = build
    return build


def sentence(draw: Draw, construction: str, *, broken: bool = False) -> Phrase:
    """Return one sentence with its full stop; around one in four has an adverb before or a clause after it."""
    core = CONSTRUCTIONS[construction](draw, broken)
    end = "?" if construction in {"question", "wh_question"} else "."
    if end == "." and draw.chance(0.15):
        core = tagged([(draw.pick(words("modifiers", "sentence")), "RB"), (",", ",")]) + core
    if end == "." and draw.chance(0.1):
        core += phrase(draw.pick(("because", "although"))) + g.clause(draw)
    return capitalised(with_articles((*core, Token(end, "."))))


def _verb_phrase(draw: Draw, form: str, tag: str) -> Phrase:
    """Return a verb in one of its forms (an attribute of Verb), with an object if it needs one."""
    if draw.chance(0.35):
        return tagged([(getattr(draw.pick(verbs("intransitive")), form), tag)])
    verb, section = g.transitive(draw)
    return tagged([(getattr(verb, form), tag)]) + g.object_of(draw, section)


def _adjective(draw: Draw) -> Phrase:
    return tagged([(draw.pick(words("modifiers", "person")), "JJ")])


def _noun_subject(draw: Draw, plural: bool) -> g.NounPhrase:
    return g.noun_phrase(draw, draw.pick(("person", "people", "kin")), plural=plural)


@_construction
def _agreement(draw: Draw, broken: bool) -> Phrase:
    """The bakers sell the bread / *The bakers sells the bread."""
    who = _noun_subject(draw, draw.chance(0.5))
    place = g.with_preposition(draw) if draw.chance(0.25) else ()
    often = tagged([(draw.pick(words("modifiers", "frequency")), "RB")]) if not place and draw.chance(0.2) else ()
    return who.tokens + place + often + g.predicate(draw, who.plural != broken, "present")


@_construction
def _be_agreement(draw: Draw, broken: bool) -> Phrase:
    """The bakers were tired / *The bakers was tired."""
    who = _noun_subject(draw, draw.chance(0.5))
    tense = draw.pick(("past", "present"))
    return (
        who.tokens
        + tagged([g.BE[tense, who.plural != broken]])
        + _adjective(draw)
        + (g.adjunct(draw) if tense == "past" else ())
    )


@_construction
def _modal(draw: Draw, broken: bool) -> Phrase:
    """The baker can sell the bread / *The baker can sells the bread."""
    form = draw.pick(("third", "ing")) if broken else "base"
    return g.subject(draw).tokens + phrase(draw.pick(g.MODALS)) + _verb_phrase(draw, form, "VB") + g.adjunct(draw)


@_construction
def _perfect(draw: Draw, broken: bool) -> Phrase:
    """The baker has sold the bread / *The baker has sell the bread."""
    who = g.subject(draw)
    have = ("have", "VBP") if who.plural else ("has", "VBZ")
    return (
        who.tokens + tagged([have]) + _verb_phrase(draw, draw.pick(("third", "ing")) if broken else "participle", "VBN")
    )


@_construction
def _progressive(draw: Draw, broken: bool) -> Phrase:
    """The baker is selling the bread / *The baker is sells the bread."""
    who = g.subject(draw)
    be = g.BE[draw.pick(("past", "present")), who.plural]
    return who.tokens + tagged([be]) + _verb_phrase(draw, draw.pick(("base", "third")) if broken else "ing", "VBG")


@_construction
def _word_order(draw: Draw, broken: bool) -> Phrase:
    """The old baker laughed / *The baker old laughed, *Baker the laughed."""
    who = g.noun_phrase(draw, draw.pick(("person", "people", "kin")), plain=True)
    article, head = who.tokens
    adjective = _adjective(draw)[0]
    order: Phrase = (article, head, adjective) if broken else (article, adjective, head)
    if draw.chance(0.4):
        order = (head, article) if broken else (article, head)
    return order + g.predicate(draw, who.plural, "past") + g.adjunct(draw)


@_construction
def _missing_object(draw: Draw, broken: bool) -> Phrase:
    """The baker mended the lamp / *The baker mended."""
    verb, section = g.transitive(draw, "strict")
    return (
        g.subject(draw).tokens
        + g.finite(verb, "past", False)
        + (() if broken else g.object_of(draw, section))
        + g.adjunct(draw)
    )


@_construction
def _extra_object(draw: Draw, broken: bool) -> Phrase:
    """The baker sneezed / *The baker sneezed the lamp."""
    extra = g.object_of(draw, "thing") if broken else ()
    return g.subject(draw).tokens + g.finite(draw.pick(verbs("bare")), "past", False) + extra + g.adjunct(draw)


@_construction
def _missing_place(draw: Draw, broken: bool) -> Phrase:
    """The baker put the cup on the table / *The baker put the cup."""
    what = g.object_of(draw, "thing")
    where = (
        ()
        if broken
        else phrase(draw.pick(("on", "under", "beside"))) + g.noun_phrase(draw, "furniture", plural=False).tokens
    )
    return g.subject(draw).tokens + g.finite(draw.pick(verbs("placing")), "past", False) + what + where


@_construction
def _reflexive(draw: Draw, broken: bool) -> Phrase:
    """The queen admired herself / *The queen admired himself."""
    section, fitting = draw.pick((("masculine", "himself"), ("feminine", "herself")))
    who = g.noun_phrase(draw, section)
    fitting = "themselves" if who.plural else fitting
    others = [word for word in ("himself", "herself", "themselves") if word != fitting]
    own = phrase(draw.pick(others) if broken else fitting)
    return who.tokens + g.finite(draw.pick(verbs("reflexive")), "past", False) + own + g.adjunct(draw)


@_construction
def _determiner(draw: Draw, broken: bool) -> Phrase:
    """These bakers laughed / *These baker laughed, *Baker laughed."""
    countable = [
        noun for noun in nouns(draw.pick(("person", "animal"))) if noun.plural != noun.singular
    ]  # "many sheep" is right
    noun, plural = draw.pick(countable), draw.chance(0.5)
    word = draw.pick(
        ("these", "those", "many", "several", "both", "two", "four")
        if plural
        else ("this", "that/DT", "every", "each", "another", "a")
    )
    head = ((noun.plural or noun.singular), "NNS") if plural != broken else (noun.singular, "NN")
    verb = draw.pick(verbs("creature"))
    return phrase(word) + tagged([head]) + g.finite(verb, "past", plural) + g.adjunct(draw)


@_construction
def _pronoun_case(draw: Draw, broken: bool) -> Phrase:
    """She thanked the baker / *Her thanked the baker, *The baker thanked she."""
    subjects, objects = ("he", "she", "they", "we", "I"), ("him", "her/PRP", "them", "us", "me")
    verb = draw.pick(verbs("transitive person"))
    index = draw.between(0, 4)
    if draw.chance(0.5):
        who = (objects if broken else subjects)[index]
        return phrase(who) + g.finite(verb, "past", False) + g.noun_phrase(draw, "person").tokens + g.adjunct(draw)
    whom = (subjects if broken else objects)[index]
    return g.noun_phrase(draw, "person").tokens + g.finite(verb, "past", False) + phrase(whom) + g.adjunct(draw)


@_construction
def _question(draw: Draw, broken: bool) -> Phrase:
    """Did the baker sell the bread? / *Did the baker sells the bread?"""
    return (
        phrase("did/VBD")
        + g.subject(draw).tokens
        + _verb_phrase(draw, draw.pick(("third", "ing")) if broken else "base", "VB")
        + g.adjunct(draw)
    )


@_construction
def _wh_question(draw: Draw, broken: bool) -> Phrase:
    """What did the baker sell? / *What did the baker sell the lamp?, *What the baker did sell?"""
    verb, section = g.transitive(draw, "strict")
    asked = phrase("who" if section == "person" else "what")
    who, action = g.subject(draw, plural=False).tokens, tagged([(verb.base, "VB")])
    if broken and draw.chance(0.5):
        return asked + who + phrase("did/VBD") + action
    return asked + phrase("did/VBD") + who + action + (g.object_of(draw, section) if broken else ()) + g.adjunct(draw)


@_construction
def _complement(draw: Draw, broken: bool) -> Phrase:
    """The baker hoped to leave, enjoyed singing / *The baker hoped leave, *enjoyed sing."""
    kind = draw.pick(("infinitive", "gerund"))
    verb = g.finite(draw.pick(verbs(kind)), "past", False)
    if kind == "gerund":
        return g.subject(draw).tokens + verb + _verb_phrase(draw, "base" if broken else "ing", "VBG")
    if broken and draw.chance(0.5):  # with an object, for "needed sleep" and "learned dance" are right
        bare, section = g.transitive(draw)
        return g.subject(draw).tokens + verb + tagged([(bare.base, "VB")]) + g.object_of(draw, section)
    return g.subject(draw).tokens + verb + phrase("to") + _verb_phrase(draw, "third" if broken else "base", "VB")


@_construction
def _comparison(draw: Draw, broken: bool) -> Phrase:
    """The baker is older than the nurse / *is more older than, *is old than."""
    base, more, most = draw.pick(words("modifiers", "compare")).split("/")
    who, whom = g.subject(draw, plural=draw.chance(0.4)), g.noun_phrase(draw, "person")
    be = tagged([g.BE[draw.pick(("past", "present")), who.plural]])
    wrong = draw.pick((phrase(f"more/RBR {more}/JJR"), phrase(f"{base}/JJ"), phrase(f"{most}/JJS")))
    return who.tokens + be + (wrong if broken else phrase(f"{more}/JJR")) + phrase("than") + whom.tokens


@_construction
def _relative(draw: Draw, broken: bool) -> Phrase:
    """The baker who sold the lamp laughed / *The baker who he sold the lamp laughed."""
    verb, section = g.transitive(draw)
    if draw.chance(0.5):
        who = g.noun_phrase(draw, "person", plain=True)
        extra = phrase("they" if who.plural else draw.pick(("he", "she"))) if broken else ()
        inner = phrase("who") + extra + g.finite(verb, "past", False) + g.object_of(draw, section)
        return who.tokens + inner + tagged([(draw.pick(verbs("intransitive")).past, "VBD")])
    what = g.noun_phrase(draw, "thing", plain=True)
    verb = draw.pick(verbs("transitive thing"))
    extra = phrase("them" if what.plural else "it") if broken else ()
    inner = phrase("that/WDT") + g.subject(draw).tokens + g.finite(verb, "past", False) + extra
    return (
        what.tokens
        + inner
        + tagged([g.BE["past", what.plural]])
        + tagged([(draw.pick(words("modifiers", "thing")), "JJ")])
    )


@_construction
def _negation(draw: Draw, broken: bool) -> Phrase:
    """The baker does not sell the bread / *The baker does not sells the bread."""
    who = g.subject(draw)
    return (
        who.tokens
        + g.negated(draw, who.plural)
        + _verb_phrase(draw, draw.pick(("third", "ing")) if broken else "base", "VB")
    )


@_construction
def _passive(draw: Draw, broken: bool) -> Phrase:
    """The lamp was sold by the baker / *The lamp was sell by the baker."""
    what, verb = g.noun_phrase(draw, "thing"), draw.pick(verbs("transitive thing"))
    action = (draw.pick((verb.third, verb.ing)) if broken else verb.participle, "VBN")
    return (
        what.tokens + tagged([g.BE["past", what.plural], action]) + phrase("by") + g.noun_phrase(draw, "person").tokens
    )


@_construction
def _existence(draw: Draw, broken: bool) -> Phrase:
    """There are two dogs near the mill / *There is two dogs near the mill."""
    plural, noun = draw.chance(0.5), draw.pick(nouns(draw.pick(("animal", "person"))))
    what = (
        phrase(draw.pick(("two", "three", "several", "many"))) + tagged([(noun.plural or "", "NNS")])
        if plural
        else phrase("a") + tagged([(noun.singular, "NN")])
    )
    return (
        phrase("there")
        + tagged([g.BE[draw.pick(("past", "present")), plural != broken]])
        + what
        + g.with_preposition(draw)
    )


@_construction
def _report(draw: Draw, broken: bool) -> Phrase:
    """The nurse said that the baker laughed / *The nurse said that the baker."""
    says = g.finite(draw.pick(verbs("clause")), "past", False) + phrase("that/IN")
    who = g.subject(draw, plural=draw.chance(0.4))
    return g.subject(draw).tokens + says + who.tokens + (() if broken else g.predicate(draw, who.plural, "past"))


@_construction
def _gift(draw: Draw, broken: bool) -> Phrase:
    """The nurse gave the baker a lamp, a lamp to the baker / *gave a lamp the baker to."""
    verb = g.finite(draw.pick(verbs("ditransitive")), "past", False)
    whom, what = g.noun_phrase(draw, "person").tokens, g.object_of(draw, "thing")
    if broken:
        return g.subject(draw).tokens + verb + what + whom + phrase("to")
    return g.subject(draw).tokens + verb + (whom + what if draw.chance(0.5) else what + phrase("to") + whom)


@_construction
def _coordination(draw: Draw, broken: bool) -> Phrase:
    """The nurse and the baker were late / *The nurse and the baker was late."""
    first, second = (
        g.noun_phrase(draw, "kin", plural=False, plain=True),
        g.noun_phrase(draw, "person", plural=False, plain=True),
    )
    be = g.BE[draw.pick(("past", "present")), not broken]
    return first.tokens + phrase("and") + second.tokens + tagged([be]) + _adjective(draw)

"""Random phrases of every kind that the templates ask for: names with entity tags, numbers, dates, common nouns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tools.mini.draw import Draw
from tools.mini.lexicon import nouns, words
from tools.mini.tokens import Phrase, Token, phrase, tagged

__all__ = [
    "KINDS",
    "Person",
    "adjective",
    "book",
    "common",
    "company",
    "count",
    "festival",
    "museum",
    "name",
    "number",
    "person",
    "random_phrase",
    "town",
    "year",
]


class Person(NamedTuple):
    """A person's full name, its parts, and the gender that the first name carries (`female` or `male`)."""

    full: Phrase
    first: str
    last: str
    gender: str


def name(text: str, entity: str) -> Phrase:
    """Return proper nouns as one entity."""
    return phrase(" ".join(f"{word}/NNP" for word in text.split(" ")), entity)


def person(draw: Draw) -> Person:
    """Return an invented person; some have a middle initial."""
    gender = draw.pick(("female", "male"))
    first, last = draw.name(words("people", gender)), draw.name(words("people", "last"))
    middle = f" {draw.pick('ABCDEFGHJKLMPRSTW')}." if draw.chance(0.08) else ""
    return Person(name(f"{first}{middle} {last}", "PER"), first, last, gender)


def town(draw: Draw) -> Phrase:
    """Return an invented town; two of three are made of an English beginning and end."""
    if draw.chance(0.35):
        return name(draw.name(words("places", "town")), "LOC")
    start, end = draw.name(words("places", "town-start")), draw.pick(words("places", "town-end"))
    return name(start + (end[1:] if start[-1] == end[0] else end), "LOC")


def river(draw: Draw) -> Phrase:
    """Return an invented river, `the River Orrin` or `the Orrin`."""
    found = draw.name(words("places", "river"))
    return phrase(f"the/DT River/NNP {found}/NNP" if draw.chance(0.5) else f"the/DT {found}/NNP", "LOC")


def company(draw: Draw) -> Phrase:
    """Return an invented company, named after a word or a family."""
    if draw.chance(0.2):
        family, others = draw.name(words("people", "last")), draw.pick(("Sons", "Daughters", "Partners"))
        return phrase(f"{family}/NNP &/CC {others}/NNPS", "ORG")
    start = draw.name(words("places", "company-start") if draw.chance(0.6) else words("people", "last"))
    end = draw.pick(words("places", "company-end"))
    return phrase(f"{start}/NNP {end}/{'NNPS' if end.endswith('s') and end != 'Works' else 'NNP'}", "ORG")


def festival(draw: Draw, place: str) -> Phrase:
    """Return the name of a festival in a town."""
    return phrase(f"the/DT {_nnp(place)} {draw.name(words('places', 'festival'))}/NNP Festival/NNP", "MISC")


def museum(draw: Draw, place: str) -> Phrase:
    """Return the name of a museum in a town."""
    topic = draw.pick(words("places", "museum"))
    pattern = f"Museum/NNP of/IN {topic}/NNP" if draw.chance(0.5) else f"{topic}/NNP Museum/NNP"
    return phrase(f"the/DT {_nnp(place)} {pattern}", "ORG")


def university(draw: Draw) -> Phrase:
    """Return the name of a university."""
    place = " ".join(token.word for token in town(draw))
    if draw.chance(0.5):
        return phrase(f"the/DT University/NNP of/IN {_nnp(place)}", "ORG")
    return phrase(f"{_nnp(place)} {draw.pick(('University', 'College'))}/NNP", "ORG")


def book(draw: Draw) -> Phrase:
    """Return the title of a book, in quotation marks."""
    adjective, noun = draw.pick(words("places", "title-adjective")), draw.name(words("places", "title-noun"))
    other = draw.pick(words("places", "title-noun"))
    pattern = draw.pick(
        (
            f"The/DT {adjective}/NNP {noun}/NNP",
            f"The/DT {noun}/NNP of/IN the/DT {other}/NNP",
            f"A/DT {noun}/NNP for/IN {_first(draw)}/NNP",
        )
    )
    return (Token("``", "``"), *_whole(pattern), Token("''", "''"))


def _first(draw: Draw) -> str:
    return draw.name(words("people", draw.pick(("female", "male"))))


def _whole(pattern: str) -> Phrase:
    return tuple(token._replace(entity=f"{'I' if place else 'B'}-MISC") for place, token in enumerate(phrase(pattern)))


def _nnp(text: str) -> str:
    return " ".join(f"{word}/NNP" for word in text.split(" "))


def number(value: int) -> Phrase:
    """Return a number in figures, with a comma from 1,000 on."""
    return tagged([(f"{value:,}", "CD")])


def year(value: int) -> Phrase:
    """Return a year in figures."""
    return tagged([(str(value), "CD")])


def count(draw: Draw) -> Phrase:
    """Return a small number in words."""
    return tagged([(draw.pick(words("places", "number")), "CD")])


def common(draw: Draw, section: str, *, plural: bool = False) -> Phrase:
    """Return a common noun of a class of `nouns.txt`."""
    noun = draw.pick(nouns(section))
    if plural and noun.plural:
        return tagged([(noun.plural, "NNS")])
    return tagged([(noun.singular, "NN")])


def adjective(draw: Draw, section: str) -> Phrase:
    """Return an adjective of a class of `modifiers.txt`."""
    return tagged([(draw.pick(words("modifiers", section)), "JJ")])


def _word(section: str, tag: str = "NNP") -> Callable[[Draw], Phrase]:
    return lambda draw: tagged([(draw.pick(words("places", section)), tag)])


def _country(part: int, entity: str, tag: str = "NNP") -> Callable[[Draw], Phrase]:
    return lambda draw: phrase(f"{draw.pick(words('places', 'country')).split('/')[part]}/{tag}", entity)


def _team(draw: Draw) -> Phrase:
    place = " ".join(token.word for token in town(draw))
    return name(f"{place} {draw.pick(words('places', 'team-end'))}", "ORG")


def _award(draw: Draw) -> Phrase:
    return phrase(
        f"the/DT {draw.name(words('places', 'award'))}/NNP {draw.pick(('Prize', 'Medal', 'Award'))}/NNP", "MISC"
    )


def _date(draw: Draw) -> Phrase:
    month = draw.pick(words("places", "month"))
    return tagged([(month, "NNP"), (str(draw.between(1, 28)), "CD")])


def _iso_date(draw: Draw) -> Phrase:
    return tagged([(f"{draw.between(1990, 1999)}-{draw.between(1, 12):02d}-{draw.between(1, 28):02d}", "CD")])


def _win(draw: Draw, low: int, high: int) -> Phrase:
    lost = draw.between(low, high - 1)
    return tagged([(f"{draw.between(lost + 1, high)}-{lost}", "CD")])


def _of(section: str, *, plural: bool = False) -> Callable[[Draw], Phrase]:
    return lambda draw: common(draw, section, plural=plural)


KINDS: dict[str, Callable[[Draw], Phrase]] = {
    "per": lambda draw: person(draw).full,
    "last": lambda draw: name(draw.name(words("people", "last")), "PER"),
    "town": town,
    "townupper": lambda draw: tuple(token._replace(word=token.word.upper()) for token in town(draw)),
    "river": river,
    "org": company,
    "team": _team,
    "university": university,
    "museum": lambda draw: museum(draw, " ".join(token.word for token in town(draw))),
    "festival": lambda draw: festival(draw, " ".join(token.word for token in town(draw))),
    "book": book,
    "award": _award,
    "street": lambda draw: name(
        f"{draw.name(words('places', 'town-start'))} {draw.pick(('Street', 'Road', 'Avenue', 'Lane'))}", "LOC"
    ),
    "country": _country(0, "LOC"),
    "nat": _country(1, "MISC", "JJ"),
    "language": _country(2, "MISC"),
    "weekday": _word("weekday"),
    "month": _word("month"),
    "date": _iso_date,
    "date2": _date,
    "year": lambda draw: year(draw.between(1950, 1999)),
    "number": lambda draw: number(draw.between(11, 400)) if draw.chance(0.6) else count(draw),
    "big": lambda draw: number(draw.between(12, 900) * 100),
    "percent": lambda draw: tagged(
        [(f"{draw.between(1, 30)}.{draw.between(1, 9)}" if draw.chance(0.5) else str(draw.between(2, 60)), "CD")]
    ),
    "score": lambda draw: tagged([(f"{draw.between(1, 6)}-{draw.between(0, 5)}", "CD")]),
    "win": lambda draw: _win(draw, 0, 6),
    "sets": lambda draw: tagged([(f"6-{draw.between(0, 4)}", "CD"), (f"6-{draw.between(0, 4)}", "CD")]),
    "tie": lambda draw: tagged([(draw.pick(("1-1", "2-2", "3-3", "4-4")), "CD")]),
    "job": _of("person"),
    "jobs": _of("person", plural=True),
    "animals": _of("animal", plural=True),
    "food": _of("food", plural=True),
    "goods": _of("product", plural=True),
    "thing": _of("thing"),
    "building": _of("building"),
    "sport": _of("teamsport"),
    "count": count,
    "ideaadj": lambda draw: adjective(draw, "idea"),
    "personadj": lambda draw: adjective(draw, "person"),
    "thingadj": lambda draw: adjective(draw, "thing"),
    "placeadj": lambda draw: adjective(draw, "place"),
}


def random_phrase(draw: Draw, slot: str) -> Phrase:
    """Return a phrase for a slot of a template; a digit at its end only tells slots apart."""
    return KINDS[slot if slot in KINDS else slot.rstrip("0123456789")](draw)

"""A small world of invented towns and what is in them: people, companies, festivals, books, museums and their facts."""

from __future__ import annotations

from dataclasses import dataclass

from tools.mini import phrases
from tools.mini.draw import Draw
from tools.mini.lexicon import words
from tools.mini.phrases import adjective, common, count, number, random_phrase, year
from tools.mini.tokens import Phrase, phrase, tagged, text_of, with_articles

__all__ = ["Entity", "world"]


@dataclass(frozen=True)
class Entity:
    """One thing of the world.

    `kind` names its file of facts, `full` and `short` are ways to call it, `pronouns` are subject, possessive and
    object (`she`, `her`, `her`), `values` holds what is true of it, as `fact.value`.
    """

    kind: str
    full: Phrase
    short: Phrase
    pronouns: tuple[str, str, str]
    values: dict[str, Phrase]


_RANDOM = {
    "person": (
        "work.job:job study.university:university marriage.spouse:per marriage.weddingplace:town "
        "award.award:award food.weekday:weekday move.newtown:town"
    ),
    "town": (
        "river.river:river mayor.mayor:per bridge.designer:per trade.goods:goods trade.market:country "
        "team.sport:sport distance.neighbour:town fire.building:building twin.twin:town "
        "twin.country:country market.marketday:weekday"
    ),
    "company": "founding.founder:per goods.goods:goods export.country:country head.director:per sale.buyer:org",
    "festival": "start.organiser:per time.month:month guest.guest:per guest.country:country",
    "book": ("author.author:per hero.place:country language.language:language language.translator:per film.maker:per"),
    "museum": (
        "opening.opener:per collection.country:country closing.closed:weekday closing.holiday:month "
        "building.building:building building.architect:per"
    ),
}
"""The values that depend on nothing else, as `fact.value:kind of phrase`, by kind of thing."""


class _Builder:
    """Makes one town with everything in it."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.town = phrases.town(draw)
        self.place = text_of(self.town)
        self.company = phrases.company(draw)

    def entities(self) -> list[Entity]:
        return [
            self.town_entity(),
            self.person(),
            self.company_entity(),
            self.festival(),
            self.person(),
            self.museum(),
            self.book(),
        ]

    def random(self, kind: str) -> dict[str, Phrase]:
        """Return random phrases for the values of a thing that depend on nothing else."""
        pairs = (slot.split(":") for slot in _RANDOM[kind].split())
        return {name: random_phrase(self.draw, phrase_kind) for name, phrase_kind in pairs}

    def year(self, low: int, high: int) -> Phrase:
        return year(self.draw.between(low, high))

    def here(self) -> Phrase:
        return self.town if self.draw.chance(0.5) else phrases.town(self.draw)

    def person(self) -> Entity:
        draw, who = self.draw, phrases.person(self.draw)
        born = draw.between(1925, 1980)
        values = {
            "birth.birthplace": self.here(),
            "birth.born": year(born),
            "work.employer": self.company if draw.chance(0.5) else phrases.company(draw),
            "work.joined": self.year(born + 24, born + 40),
            "study.subject": common(draw, "subject"),
            "study.graduated": self.year(born + 21, born + 26),
            "marriage.married": self.year(born + 22, born + 38),
            "instrument.age": number(draw.between(5, 45)),
            "award.awarded": self.year(born + 26, born + 36),
            "pets.pets": count(draw) + common(draw, "pet", plural=True),
            "food.meal": self.meal(),
            "move.house": common(draw, "home"),
            "move.moved": self.year(born + 25, born + 38),
            "instrument.instrument": common(draw, "instrument"),
        }
        values |= self.random("person")
        pronouns = ("she", "her", "her") if who.gender == "female" else ("he", "his", "him")
        return Entity("person", who.full, phrases.name(who.last, "PER"), pronouns, values)

    def meal(self) -> Phrase:
        sweet = self.draw.chance(0.5)
        ingredient = common(self.draw, "fruit" if sweet else "vegetable")
        return ingredient + common(self.draw, "cake" if sweet else "stew")

    def town_entity(self) -> Entity:
        draw = self.draw
        values = {
            "river.length": number(draw.between(12, 480)),
            "people.population": number(draw.between(1200, 98000)),
            "people.census": self.year(1900, 2015),
            "founding.founders": self.founders(),
            "founding.founded": self.year(1105, 1840),
            "mayor.elected": self.year(1988, 2015),
            "bridge.material": tagged(
                [(draw.pick(("brick", "concrete", "granite", "iron", "limestone", "marble", "steel", "stone")), "NN")]
            ),
            "bridge.opened": self.year(1850, 1995),
            "team.colour": tagged([(text_of(common(draw, "colour")), "JJ")]),
            "distance.distance": number(draw.between(4, 95)),
            "fire.burnt": self.year(1850, 1985),
            "twin.twinned": self.year(1955, 2005),
            "market.wares": common(draw, draw.pick(("food", "product")), plural=True),
            "team.team": phrases.name(f"{self.place} {draw.pick(words('places', 'team-end'))}", "ORG"),
        }
        values |= self.random("town")
        return Entity("town", self.town, phrase("the town"), ("it", "its", "it"), values)

    def founders(self) -> Phrase:
        if self.draw.chance(0.3):
            return phrase("settlers/NNS from") + random_phrase(self.draw, "country")
        origin = random_phrase(self.draw, "nat") if self.draw.chance(0.5) else phrase("a group/NN of")
        return origin + common(self.draw, "person", plural=True)

    def company_entity(self) -> Entity:
        draw, founded = self.draw, self.draw.between(1850, 1945)
        values = {
            "founding.founded": year(founded),
            "office.moved": self.year(founded + 8, founded + 60),
            "staff.staff": number(draw.between(30, 4800)),
            "staff.counted": self.year(1950, 2015),
            "head.appointed": self.year(1990, 2015),
            "sale.price": number(draw.between(2, 950)),
            "sale.sold": self.year(1980, 2015),
            "goods.factory": self.here(),
            "office.office": self.here(),
        }
        values |= self.random("company")
        return Entity("company", self.company, phrase("the company"), ("it", "its", "it"), values)

    def festival(self) -> Entity:
        draw, full = self.draw, phrases.festival(self.draw, self.place)
        values = {
            "start.first": self.year(1890, 1985),
            "time.days": count(draw),
            "visitors.visitors": number(draw.between(400, 80000)),
            "visitors.visited": self.year(1990, 2015),
            "prize.prize": self.prize(),
            "guest.guestyear": self.year(1990, 2015),
        }
        values |= self.random("festival")
        return Entity("festival", full, phrase("the festival/NN"), ("it", "its", "it"), values)

    def prize(self) -> Phrase:
        if self.draw.chance(0.4):
            return count(self.draw) + phrase("kilos/NNS of") + common(self.draw, "dish")
        return self.treasure()

    def treasure(self) -> Phrase:
        look = phrase(self.draw.pick(("a golden/JJ", "a silver/NN", "a bronze/NN", "a painted/JJ")))
        return look + common(self.draw, "thing")

    def book(self) -> Entity:
        draw, written = self.draw, self.draw.between(1895, 1985)
        hero = with_articles(phrase("a") + adjective(draw, "person") + common(draw, "person"))
        values = {
            "author.written": year(written),
            "hero.hero": hero,
            "publisher.publisher": phrase(
                f"{draw.name(words('places', 'company-start'))}/NNP {draw.pick(('Books/NNPS', 'Press/NNP'))}", "ORG"
            ),
            "publisher.published": self.year(written + 1, written + 4),
            "language.translated": self.year(written + 5, written + 25),
            "sales.pages": number(draw.between(90, 780)),
            "sales.copies": number(draw.between(11, 900) * 1000),
            "film.filmed": self.year(written + 5, written + 30),
        }
        values |= self.random("book")
        return Entity("book", phrases.book(draw), phrase("the book/NN"), ("it", "its", "it"), values)

    def museum(self) -> Entity:
        draw, opened = self.draw, self.draw.between(1890, 1980)
        loot = self.treasure() if draw.chance(0.5) else count(draw) + common(draw, "collection", plural=True)
        values = {
            "opening.opened": year(opened),
            "collection.size": number(draw.between(120, 9000)),
            "collection.pieces": common(draw, "collection", plural=True),
            "ticket.price": count(draw),
            "ticket.free": common(draw, "person", plural=True),
            "theft.loot": loot,
            "theft.stolen": self.year(opened + 3, opened + 30),
        }
        values |= self.random("museum")
        return Entity("museum", phrases.museum(draw, self.place), phrase("the museum/NN"), ("it", "its", "it"), values)


def world(draw: Draw, towns: int, taken: set[str]) -> list[list[Entity]]:
    """Return the things of each of a number of towns; names in `taken` are not given again, new ones are added."""
    result: list[list[Entity]] = []
    while len(result) < towns:
        entities = _Builder(draw).entities()
        names = [text_of(entity.full) for entity in entities]
        if len(set(names)) == len(names) and not taken.intersection(names):
            taken.update(names)
            result.append(entities)
    return result

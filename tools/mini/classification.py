"""The four sentence tasks: acceptability (cola), paraphrase (mrpc), duplicate questions (qqp), answers (qnli)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from tools.mini.constructions import CONSTRUCTIONS, sentence
from tools.mini.draw import Draw
from tools.mini.lexicon import nouns, read_sections, words
from tools.mini.story import Fact, facts, passage, question, slots
from tools.mini.tokens import Phrase, fill, tagged, text_of
from tools.mini.world import Entity, world

__all__ = ["TASKS", "Row", "examples"]


class Row(NamedTuple):
    """An example: one text (cola) or two, and whether it is positive: acceptable, of the same meaning, answered."""

    texts: tuple[str, ...]
    positive: bool
    source: str = ""


_FORMS = ("modal", "perfect", "progressive", "question", "negation", "be_agreement", "determiner", "pronoun_case")


def _cola(draw: Draw, taken: set[str]) -> Iterator[Row]:
    """Sentences of the grammar; two of five are broken, most of them by a wrong form."""
    names = list(CONSTRUCTIONS)
    while True:
        construction, broken = draw.pick(_FORMS if draw.chance(0.5) else names), draw.chance(0.4)
        yield Row(
            (text_of(sentence(draw, construction, broken=broken)),), not broken, f"m{names.index(construction) + 1:02d}"
        )


def _mrpc(draw: Draw, taken: set[str]) -> Iterator[Row]:
    """Two statements: of the same fact in other words, of the fact with one thing changed, or of different facts."""
    while True:
        towns = world(draw, 12, taken)
        for index, entities in enumerate(towns):
            for which, entity in enumerate(entities):
                others = [towns[index - 1][which], towns[index - 2][which]]
                for fact in draw.sample(facts(entity.kind), 4):
                    yield _statements(draw, entity, fact, draw.pick(others))


def _statements(draw: Draw, entity: Entity, fact: Fact, other: Entity) -> Row:
    first, second = draw.sample(fact.statements, 2)
    known = slots(entity, fact)
    one = text_of(fill(first, known).tokens)
    kind = draw.pick(("same", "same", "same", "value", "value", "fact"))
    if kind == "same":
        return Row((one, text_of(fill(second, known).tokens)), True)
    if kind == "value":
        changed = _changed(draw, fact, known, slots(other, fact))
        return Row((one, text_of(fill(draw.pick(fact.statements), changed).tokens)), False)
    another = draw.pick([other for other in facts(entity.kind) if other is not fact])
    return Row((one, text_of(fill(draw.pick(another.statements), slots(entity, another)).tokens)), False)


def _changed(draw: Draw, fact: Fact, known: dict[str, Phrase], other: dict[str, Phrase]) -> dict[str, Phrase]:
    """Return the values with two of them (or the only one) taken from another thing of the same kind."""
    different = [value for value in fact.questions if text_of(known[value]) != text_of(other[value])]
    return known | {value: other[value] for value in draw.sample(different, 2)}


def _qqp(draw: Draw, taken: set[str]) -> Iterator[Row]:
    """Two questions that ask the same or not; half are about the world, half about daily life."""
    while True:
        for entities in world(draw, 12, taken):
            for entity in entities:
                yield _everyday(draw)
                yield _about(draw, entity)
                yield _everyday(draw)
                yield _about(draw, entity)


def _about(draw: Draw, entity: Entity) -> Row:
    fact = draw.pick(facts(entity.kind))
    value = draw.pick(list(fact.questions))
    first, second = draw.sample(fact.questions[value], 2)
    known = slots(entity, fact)
    one = text_of(fill(first, known).tokens)
    if draw.chance(0.5):
        return Row((one, text_of(fill(second, known).tokens)), True)
    other = draw.pick([other for other in facts(entity.kind) if other is not fact])
    return Row((one, question(draw, entity, other, draw.pick(list(other.questions)))), False)


class _Intent(NamedTuple):
    section: str
    templates: tuple[str, ...]


@cache
def _intents() -> tuple[_Intent, ...]:
    return tuple(
        _Intent(title.partition(".")[0], tuple(lines)) for title, lines in read_sections("templates/intents.txt")
    )


_FILLERS: dict[str, Callable[[Draw], Phrase]] = {
    "foods": lambda draw: tagged([(draw.pick(nouns("food")).plural or "", "NNS")]),
    "animals": lambda draw: tagged([(draw.pick(nouns("animal")).plural or "", "NNS")]),
    "job": lambda draw: tagged([(draw.pick(nouns("person")).singular, "NN")]),
    "country": lambda draw: tagged([(draw.pick(words("places", "country")).split("/")[0], "NNP")]),
    "language": lambda draw: tagged([(draw.pick(words("places", "country")).split("/")[2], "NNP")]),
}


def _filler(draw: Draw, section: str) -> Phrase:
    return _FILLERS[section](draw) if section in _FILLERS else tagged([(draw.pick(nouns(section)).singular, "NN")])


def _everyday(draw: Draw) -> Row:
    intent = draw.pick(_intents())
    first, second = draw.sample(intent.templates, 2)
    one, other = _filler(draw, intent.section), _filler(draw, intent.section)
    asked = text_of(fill(first, {"x": one}).tokens)
    if draw.chance(0.5):
        return Row((asked, text_of(fill(second, {"x": one}).tokens)), True)
    if draw.chance(0.4) and one != other:
        return Row((asked, text_of(fill(draw.pick(intent.templates), {"x": other}).tokens)), False)
    different = draw.pick([other for other in _intents() if other.section == intent.section and other is not intent])
    return Row((asked, text_of(fill(draw.pick(different.templates), {"x": one}).tokens)), False)


def _qnli(draw: Draw, taken: set[str]) -> Iterator[Row]:
    """A question and a sentence of a passage: the one that answers it, or another one of the same passage."""
    while True:
        for entities in world(draw, 12, taken):
            for entity in entities:
                yield from _answers(draw, entity)


def _answers(draw: Draw, entity: Entity) -> Iterator[Row]:
    text = passage(draw, entity, 5)
    told = [fact for fact in facts(entity.kind) if fact.name in text.sentences]
    for fact in draw.sample(told, 4):
        asked = question(draw, entity, fact, draw.pick(list(fact.questions)))
        positive = draw.chance(0.5)
        other = draw.pick([other for other in told if other is not fact])
        yield Row((asked, text.sentences[fact.name if positive else other.name]), positive)


TASKS: dict[str, Callable[[Draw, set[str]], Iterator[Row]]] = {"cola": _cola, "mrpc": _mrpc, "qqp": _qqp, "qnli": _qnli}


def examples(task: str, sizes: dict[str, int]) -> dict[str, list[Row]]:
    """Return the rows of every split of a task; no text of an earlier split comes again in a later one."""
    rows: dict[str, list[Row]] = {}
    earlier: set[str] = set()
    names: set[str] = set()
    for split, size in sizes.items():
        draw = Draw(task, split)
        seen: set[tuple[str, ...]] = set()
        rows[split] = []
        for row in TASKS[task](draw, names):
            if row.texts not in seen and not earlier.intersection(row.texts) and len(set(row.texts)) == len(row.texts):
                seen.add(row.texts)
                rows[split].append(row)
            if len(rows[split]) == size:
                break
        draw.shuffle(rows[split])
        earlier.update(text for row in rows[split] for text in row.texts)
    return rows

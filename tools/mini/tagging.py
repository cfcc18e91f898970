"""The two tagging tasks: documents of sentences with parts of speech, chunks and entities."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.mini.constructions import CONSTRUCTIONS, sentence
from tools.mini.draw import Draw
from tools.mini.lexicon import read_sections
from tools.mini.phrases import random_phrase
from tools.mini.story import facts, statement
from tools.mini.tokens import Phrase, fill, text_of
from tools.mini.world import Entity, world

__all__ = ["SHARES", "examples"]

SHARES = {"conll2003": (0.5, 0.4), "ptb_pos": (0.25, 0.35)}
"""For each task, the share of sentences from `news.txt` and from the facts of the world; the rest is of the grammar."""


def examples(task: str, sizes: dict[str, int]) -> dict[str, list[Phrase]]:
    """Return the sentences of every split of a task; none comes twice."""
    sentences: dict[str, list[Phrase]] = {}
    seen: set[str] = set()
    names: set[str] = set()
    for split, size in sizes.items():
        draw = Draw(task, split)
        source = _sentences(draw, SHARES[task], names)
        sentences[split] = []
        while len(sentences[split]) < size:
            tokens = next(source)
            if text_of(tokens) not in seen:
                seen.add(text_of(tokens))
                sentences[split].append(tokens)
    return sentences


def _sentences(draw: Draw, shares: tuple[float, float], names: set[str]) -> Iterator[Phrase]:
    news, facts_share = shares
    templates = [line for _, lines in read_sections("templates/news.txt") for line in lines]
    told = _told(draw, names)
    while True:
        share = draw.between(1, 100) / 100
        if share <= news:
            yield _report(draw, draw.pick(templates))
        elif share <= news + facts_share:
            yield next(told)
        else:
            yield sentence(draw, draw.pick(list(CONSTRUCTIONS)))


def _report(draw: Draw, template: str) -> Phrase:
    slots: dict[str, Phrase] = {}
    for slot in re.findall(r"{(\w+)}", template):
        slots[slot] = random_phrase(draw, slot)
    return fill(template, slots).tokens


def _told(draw: Draw, names: set[str]) -> Iterator[Phrase]:
    while True:
        entities: list[Entity] = [entity for town in world(draw, 12, names) for entity in town]
        for _ in range(3 * len(entities)):
            entity = draw.pick(entities)
            call = draw.pick(("full", "full", "short", "pronoun"))
            yield statement(draw, entity, draw.pick(facts(entity.kind)), call).tokens

"""The two question-answering tasks: articles about towns, a paragraph a thing, questions with exact answers."""

from __future__ import annotations

import hashlib
from typing import Any

from tools.mini.draw import Draw
from tools.mini.story import Fact, Passage, facts, passage, question
from tools.mini.tokens import text_of
from tools.mini.world import Entity, world

__all__ = ["document"]

_ASKED = 4  # questions a paragraph


def document(task: str, sizes: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Return the SQuAD JSON of every split of a task, about `sizes` questions each; no town is in two splits."""
    names: set[str] = set()
    return {split: _split(Draw(task, split), task == "squad_v2", size, names) for split, size in sizes.items()}


def _split(draw: Draw, second: bool, size: int, names: set[str]) -> dict[str, Any]:
    articles: list[dict[str, Any]] = []
    asked = 0
    while asked < size:
        entities = world(draw, 1, names)[0]
        paragraphs = [_paragraph(draw, entity, second) for entity in entities[: -(-(size - asked) // _ASKED)]]
        asked += sum(len(paragraph["qas"]) for paragraph in paragraphs)
        articles.append({"title": text_of(entities[0].full).replace(" ", "_"), "paragraphs": paragraphs})
    return {"version": "v2.0" if second else "1.1", "data": articles}


def _paragraph(draw: Draw, entity: Entity, second: bool) -> dict[str, Any]:
    known = facts(entity.kind)
    text = passage(draw, entity, draw.between(4, len(known) - 1))
    told = [fact for fact in known if fact.name in text.sentences]
    untold = [fact for fact in known if fact.name not in text.sentences]
    qas = []
    for fact in draw.sample(told, _ASKED):
        if second and draw.chance(1 / 3):
            qas.append(_unanswerable(draw, text, draw.pick(untold)))
        else:
            qas.append(_answerable(draw, text, fact, second))
    unique = {item["question"]: item for item in qas}
    return {"context": text.text, "qas": list(unique.values())}


def _answerable(draw: Draw, text: Passage, fact: Fact, second: bool) -> dict[str, Any]:
    value = draw.pick(list(fact.questions))
    asked = question(draw, text.entity, fact, value)
    answers = [_answer(*text.stated[f"{fact.name}.{value}"])]
    if draw.split != "train":
        answers.append(_shorter(answers[0]))
    item = {"question": asked, "id": _id(text, asked), "answers": answers}
    return {**item, "is_impossible": False} if second else item


def _answer(start: int, text: str) -> dict[str, Any]:
    return {"text": text, "answer_start": start}


def _shorter(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer as a second annotator might mark it: without its article."""
    article, _, rest = answer["text"].partition(" ")
    if article.lower() not in {"a", "an", "the"}:
        return answer
    return _answer(answer["answer_start"] + len(article) + 1, rest)


def _unanswerable(draw: Draw, text: Passage, fact: Fact) -> dict[str, Any]:
    """Ask for a fact that the passage does not state; the plausible answer is one of the same sort, if there is one."""
    value = draw.pick(list(fact.questions))
    asked = question(draw, text.entity, fact, value)
    wanted = _sort(text_of(text.entity.values[f"{fact.name}.{value}"]))
    alike = [span for span in text.stated.values() if _sort(span[1]) == wanted]
    plausible = _answer(*draw.pick(alike or list(text.stated.values())))
    return {
        "plausible_answers": [plausible],
        "question": asked,
        "id": _id(text, asked),
        "answers": [],
        "is_impossible": True,
    }


def _sort(value: str) -> str:
    """Tell years, other numbers, names and common words apart."""
    if value.isdigit() and len(value) == 4:
        return "year"
    if value[:1].isdigit():
        return "number"
    return "name" if any(word[:1].isupper() for word in value.split()) else "words"


def _id(text: Passage, asked: str) -> str:
    return hashlib.sha256(f"{text.text}\n{asked}".encode()).hexdigest()[:24]

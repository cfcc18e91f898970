"""What a bounded defence guarantees: all that it can make of a text with one edit in each of several words.

A defence that maps a word and its misspellings to few outputs leaves few texts that the model can ever see. Where they
can be listed, the worst of them bounds every attack of one edit in each of so many words, searched for or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, islice, pairwise, product, zip_longest
from math import prod
from typing import Any, NamedTuple, cast

from robustbench_char.attacks.search import Option, Space, Value
from robustbench_char.common import InputError
from robustbench_char.inference._models import LoadedModel
from robustbench_char.inference.evaluate import PredictionSource
from robustbench_char.inference.worst_case._units import Unit
from robustbench_char.models.system import Bounded
from robustbench_char.tasks.base import Example, token_text
from robustbench_char.text.edits import Edit, apply_edits, in_order

__all__ = ["bounded", "certified", "texts_within"]

_STRETCH = re.compile(r"\S+")
_FORMS = 5_000
"""Forms of a stretch that are listed at most: more come of several words in it, each with an edit."""


def bounded(source: PredictionSource) -> tuple[Bounded, PredictionSource]:
    """Return the bounded defence of a model, and the model without it.

    Raises InputError for a model without such a defence.
    """
    defence = source.kind.defence if isinstance(source, LoadedModel) else None
    if not isinstance(defence, Bounded) or source.task.family == "question_answering":
        found = "no defence with few outputs" if defence is None else f"the defence {defence.info.kind}"
        if source.task.family == "question_answering":
            found = "a task of questions, whose answers are cut out of texts as they were given"
        raise InputError("--certify", found=found, expected="a model behind spell or channel, and classes or tags",
                         fix="Leave it out.")  # fmt: skip
    plain: Any = copy(source)
    plain.kind = copy(plain.kind)
    plain.kind.defence = None
    return defence, cast(PredictionSource, plain)


def certified(
    defence: Bounded, unit: Unit, edits: int, most: int,
    values: Callable[[Sequence[Example]], list[Value]],
) -> tuple[int, ...]:  # fmt: skip
    """Return the most errors of an example under any attack of one edit in each of 1, 2, ... `edits` words.

    The list ends where the defence may make more than `most` texts: beyond, nothing is certified. `values` says how
    well the model does on texts that the defence has made.
    """
    (example,) = unit.examples
    numbers = {name: at for at, (_, name) in enumerate(unit.slots)}
    fields = [_field(defence, value, unit.space, numbers.get(name), most) for name, value in example.fields.items()]
    known = [one for one in fields if one is not None]
    worst: list[int] = []
    for number in range(1, edits + 1):
        places = [place for one in known for place in one.places]
        made = texts_within(places, number, most) if len(known) == len(fields) else None
        if made is None:
            break
        examples = [example._replace(fields=dict(_written(example, known, words))) for words in made]
        worst.append(round(max(-value.left[0] for value in values(examples))))
    return tuple(worst)


class Place(NamedTuple):
    """A word, or a stretch between white space: what the defence may make of it as it is, and, beside that, edited."""

    clean: frozenset[str]
    edited: frozenset[str]


class _Field(NamedTuple):
    """A field by its places, and what stands around them (`k + 1` texts; nothing around tokens)."""

    places: list[Place]
    gaps: list[str] | None


def texts_within(places: Sequence[Place], edits: int, most: int) -> list[tuple[str, ...]] | None:
    """Return all that may come of places of which at most `edits` are edited; None for more than `most`."""
    made: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    for place in places:
        made = [
            (used + more, (*words, word))
            for used, words in made
            for more, outputs in ((0, place.clean), (1, place.edited if used < edits else ()))
            for word in sorted(outputs)
        ]
        if len(made) > most:
            return None
    return [words for _, words in made]


def _field(
    defence: Bounded, value: str | tuple[str, ...], space: Space, number: int | None, most: int
) -> _Field | None:
    """Return what may come of a field whose text has a `number` in a space (None: it is not attacked).

    None for words with too many forms.
    """
    text = token_text(value)
    spans = [match.span() for match in _STRETCH.finditer(text)]
    options = [option for option in space.options if option.text == number]
    forms = [_forms(text, span, options) for span in spans]
    listed = [one for one in forms if one is not None]
    if len(listed) < len(forms):
        return None
    if isinstance(value, tuple):
        outputs = [dict(one) for one in defence.choices(listed)]
        return _Field([_place(own, made) for own, made in zip(listed, outputs, strict=True)], None)
    gaps = [text[start:end] for start, end in pairwise([0, *chain.from_iterable(spans), len(text)])][::2]
    joined = [_joined(parts, most) for parts in defence.choices_of_stretches(listed)]
    whole = [one for one in joined if one is not None]
    return _Field(list(map(_place, listed, whole)), gaps) if len(whole) == len(joined) else None


def _forms(text: str, span: tuple[int, int], options: Sequence[Option]) -> list[str] | None:
    """Return a stretch of a text as it is, and with one edit in each of any of its words; None for too many forms."""
    start, end = span
    words: dict[int, list[Edit]] = {}
    for option in options:
        if start <= option.edit.start <= end and option.edit.start + len(option.edit.removed) <= end:
            words.setdefault(option.word, []).append(option.edit._replace(start=option.edit.start - start))
    if prod(1 + len(own) for own in words.values()) > _FORMS:
        return None
    sets = product(*([None, *own] for own in words.values()))
    made = (apply_edits(text[start:end], in_order(edit for edit in chosen if edit is not None)) for chosen in sets)
    return list(dict.fromkeys(made))


def _joined(parts: Mapping[str, Sequence[frozenset[str]]], most: int) -> dict[str, frozenset[str]] | None:
    """Return the outputs of each form of a stretch; None for too many."""
    if any(prod(map(len, own)) > most for own in parts.values()):
        return None
    return {form: frozenset(map("".join, product(*own))) for form, own in parts.items()}


def _place(forms: Sequence[str], outputs: Mapping[str, frozenset[str]]) -> Place:
    clean = outputs[forms[0]]
    return Place(clean, frozenset(chain.from_iterable(outputs[form] for form in forms[1:])) - clean)


def _written(
    example: Example, fields: Sequence[_Field], words: Sequence[str]
) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Yield the fields of an example, their places filled with words."""
    left = iter(words)
    for name, field in zip(example.fields, fields, strict=True):
        own = tuple(islice(left, len(field.places)))
        if field.gaps is None:
            yield name, own
        else:
            yield name, "".join(chain.from_iterable(zip_longest(field.gaps, own, fillvalue="")))

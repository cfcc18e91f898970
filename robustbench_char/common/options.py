"""Options: each is declared once, as a field of a frozen model with its default, bounds and help.

From the model are made the options of a command (`cli.options.command`), the part of a benchmark spec
(`all_optional`) and the keywords of a Python function (`options_of`). An error names an option as Python spells it;
`spelled` has it as the command line or a spec does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.frozen import Frozen

__all__ = [
    "Called", "Option", "Options", "all_optional", "fields_of", "flags", "keywords_of", "options_of", "spelled",
    "within",
]  # fmt: skip

O = TypeVar("O", bound="Options")  # noqa: E741


class Options(Frozen):
    """A model whose fields are options; None, where it is allowed, stands for a value that is resolved later."""

    model_config = ConfigDict(allow_inf_nan=False)


@dataclass(frozen=True)
class Called:
    """How a field is called outside its model, where that differs: the keyword of Python, the flag of the command."""

    keyword: str | None = None
    flag: str | None = None


class Field(NamedTuple):
    """One option: the field of its model, what it is called in Python and on the command line, and its declaration."""

    name: str
    keyword: str
    flag: str
    info: FieldInfo


def fields_of(model: type[Options]) -> Iterator[Field]:
    """Yield the options of a model in order."""
    for name, info in model.model_fields.items():
        called = next((item for item in info.metadata if isinstance(item, Called)), Called())
        keyword = called.keyword or name
        dashed = keyword.replace("_", "-")
        switch = f"--{dashed}/--no-{dashed}" if bool in (info.annotation, *get_args(info.annotation)) else f"--{dashed}"
        yield Field(name, keyword, called.flag or switch, info)


class Option(str):
    """An option as the place of an error: `max_length=`, as Python spells it."""

    def __new__(cls, keyword: str) -> Option:
        option = super().__new__(cls, f"{keyword}=")
        option.keyword = keyword
        return option

    keyword: str

    def __getnewargs__(self) -> tuple[str]:
        return (self.keyword,)


_MENTION = re.compile(r"`(\w+)=`")


def spelled(error: InputError, spell: Callable[[str], str]) -> InputError:
    """Return an error with its options, as place or between backticks, in another spelling of their keywords."""
    place = spell(error.place.keyword) if isinstance(error.place, Option) else error.place
    expected, fix = (_MENTION.sub(lambda match: spell(match[1]), text) for text in (error.expected, error.fix))
    return type(error)(place, found=error.found, expected=expected, fix=fix)


def options_of(keywords: Mapping[str, Any], *models: type[Options]) -> tuple[Any, ...]:
    """Return the options of each model from the keywords of a call; None stands for the default.

    Raises InputError for the first one that is unknown, of another type or out of bounds.
    """
    known = {field.keyword for model in models for field in fields_of(model)}
    for keyword in keywords:
        if keyword not in known:
            expected, fix = f"one of {', '.join(sorted(known))}", f"Correct the name.{nearest(keyword, known)}"
            raise InputError(Option(keyword), found="an unknown option", expected=expected, fix=fix)
    return tuple(_made(model, keywords) for model in models)


def keywords_of(*options: Options) -> dict[str, Any]:
    """Return options as keywords of a call, less those that are left to their default."""
    return {
        field.keyword: getattr(model, field.name)
        for model in options
        for field in fields_of(type(model))
        if getattr(model, field.name) != field.info.default
    }


def _made(model: type[O], keywords: Mapping[str, Any]) -> O:
    fields = {field.name: field for field in fields_of(model)}
    given = {name: keywords.get(field.keyword) for name, field in fields.items()}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    try:
        return model(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = fields[str(first["loc"][0])]
        raise _wrong(field, given[field.name]) from None


def _wrong(field: Field, value: object) -> InputError:
    """Return the error for a value of another type or out of bounds."""
    kinds = (field.info.annotation, *get_args(field.info.annotation))
    named = [choice for kind in kinds for choice in get_args(kind) if isinstance(choice, str)]
    return InputError(
        Option(field.keyword),
        found=repr(value),
        expected=f"one of {', '.join(named)}" if named else _bounds(field.info) or f"a value as {field.info.default!r}",
        fix=f"Correct the value.{nearest(str(value), named)}" if named else "Correct the number.",
    )


def _bounds(info: FieldInfo) -> str:
    words = {Gt: "more than", Ge: "at least", Lt: "less than", Le: "at most"}
    return " and ".join(f"{words[type(item)]} {_limit(item)}" for item in info.metadata if type(item) in words)


def _limit(item: Any) -> Any:
    return next(getattr(item, name) for name in ("gt", "ge", "lt", "le") if hasattr(item, name))


def within(option: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise InputError unless `low` <= `value` <= `high`: for bounds that are known with the model or data only."""
    if not low <= value <= high:
        expected = f"at least {low}" if high == math.inf else f"at least {low} and at most {high}"
        raise InputError(Option(option), found=str(value), expected=expected, fix="Correct the number.")


def all_optional(model: type[Options]) -> type[Frozen]:
    """Return a model of the same options and bounds, which may all be left out (None); its user resolves them."""
    kinds: dict[str, Any] = {
        name: Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
        for name, info in model.model_fields.items()
    }
    fields: dict[str, Any] = {name: (kind | None, None) for name, kind in kinds.items()}
    return create_model(model.__name__, __base__=Frozen, **fields)


def flags(model: type[Options], values: Mapping[str, Any]) -> list[str]:
    """Return options as arguments of a command."""
    found = []
    for field in fields_of(model):
        value, (on, _, off) = values.get(field.name), field.flag.partition("/")
        if value is not None:
            found.append((on if value else off) if off else f"{on}={value}")
    return found

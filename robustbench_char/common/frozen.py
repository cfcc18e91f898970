"""The base of all frozen models, and reading JSON files of our own into them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from robustbench_char.common.errors import InputError, visible
from robustbench_char.common.files import read_json

__all__ = ["Frozen", "lines_of", "read_json_model"]

M = TypeVar("M", bound=BaseModel)


class Frozen(BaseModel):
    """A frozen model of known keys whose values are of the very types declared; a field is given by name or alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, protected_namespaces=())


def read_json_model(path: Path, model: type[M], *, expected: str, fix: str, text: str | None = None) -> M:
    """Read a JSON file into a model whose field `schema_version` (key `schema`) holds the newest schema as its default.

    `text` is its content where that is known already. Raises InputError that names file and field; `expected` and `fix`
    are its words for a field that is wrong.
    """
    value = read_json(path, text)
    newest = model.model_fields["schema_version"].default
    schema = value.get("schema") if isinstance(value, dict) else None
    if isinstance(schema, int) and schema > newest:
        found = f"{schema}, of a newer version of robustbench-char"
        fix = "Upgrade: pip install --upgrade robustbench-char."
        raise InputError(f"{path}: schema", found=found, expected=f"schema {newest}", fix=fix)
    for field, number in _numbers(value):
        if _unbounded(number):
            place, found = ": ".join(filter(None, (str(path), field))), f"the number {str(number)[:20]}"
            raise InputError(place, found=found, expected="numbers of at most 64 bits", fix=fix)
    try:
        return model.model_validate_json(path.read_bytes() if text is None else text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole file"
        found = "an unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise InputError(f"{path}: {field}", found=found, expected=expected, fix=fix) from None


def _numbers(value: Any) -> Iterator[tuple[str, int | float]]:
    """Yield the numbers of a JSON value, each with its field."""
    waiting = [("", value)]
    while waiting:
        field, one = waiting.pop()
        if isinstance(one, dict | list):
            inner = one.items() if isinstance(one, dict) else enumerate(one)
            waiting += ((f"{field}.{name}" if field else str(name), part) for name, part in inner)
        elif isinstance(one, int | float):
            yield field, one


def _unbounded(number: float) -> bool:
    """Return whether no table can hold a number: nothing that we wrote has one."""
    return not math.isfinite(number) if isinstance(number, float) else not -(1 << 63) <= number < 1 << 63


def lines_of(title: str, **lines: str) -> str:
    """Return a title and named lines below it, without the empty ones: how a record is printed."""
    return visible("\n".join([title, *(f"  {name:<8} {line}" for name, line in lines.items() if line)]))

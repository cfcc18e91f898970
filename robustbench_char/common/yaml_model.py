"""YAML files as frozen, strict pydantic models: a safe loader, and one error that names all mistakes in the file."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.files import whole_file
from robustbench_char.common.lines import check_text_file

__all__ = ["Mistake", "all_at_once", "check_mapping", "load_yaml_model", "load_yaml_parts", "read_yaml"]

M = TypeVar("M", bound=BaseModel)


def load_yaml_model(path: Path, model: type[M]) -> M:
    """Read a YAML file into a pydantic model; a model with a key `schema` demands that the file states it.

    Raises InputError: one that lists all mistakes, each with its key, what was found and what was expected, and the
    nearest match of an unknown key.
    """
    value = read_yaml(path)
    return check_mapping(value, model, place=path, mistakes=_unstated(value, model))


def load_yaml_parts(path: Path, model: type[M]) -> tuple[M | None, list[Mistake]]:
    """Read a YAML file as far as it can be read: the model less what is wrong, and all mistakes.

    So that a caller with checks of its own can report everything at once. The model is None where what is left makes
    none. Raises InputError for a file that is not a YAML mapping.
    """
    value = read_yaml(path)
    mistakes = _unstated(value, model)
    for _ in range(_ROUNDS):
        try:
            return model.model_validate_json(_as_json(value, path)), mistakes
        except ValidationError as error:
            items = error.errors(include_url=False)
            new = [_describe(model, dict(item)) for item in items]
            mistakes += [mistake for mistake in new if mistake not in mistakes]
            if sum(_dropped(value, item["loc"]) for item in items) < len(items):
                break
    return None, mistakes


def _unstated(value: Mapping[str, Any], model: type[BaseModel]) -> list[Mistake]:
    """Return the mistake of a file that does not state its schema, where the model has one."""
    stated = "schema" in value or all(field.alias != "schema" for field in model.model_fields.values())
    return [] if stated else [_NO_SCHEMA]


_ROUNDS = 5  # of leaving out what is wrong: a key left out may show another mistake


def _dropped(value: Any, location: Sequence[int | str]) -> bool:
    """Remove what stands at `location`; return whether there was something."""
    for step in location[:-1]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    if location and isinstance(value, dict) and location[-1] in value:
        del value[location[-1]]
        return True
    return False


def _as_json(value: Mapping[str, Any], place: object) -> str:
    """Return the mapping as JSON, from which strict models take a list for a tuple, and nothing else is lenient."""
    try:
        return json.dumps(value, default=str)
    except (ValueError, TypeError, RecursionError) as error:  # an alias inside its own anchor; a date as a key
        raise InputError(place, found=f"a value not representable in JSON ({error})", expected="plain keys and values",
                         fix="Use texts as keys, and no alias inside its own anchor.") from None  # fmt: skip


def check_mapping(value: Mapping[str, Any], model: type[M], *, place: object, mistakes: Iterable[Mistake] = ()) -> M:
    """Check keys and values from a file against a model. Raises InputError that lists all mistakes, led by `place`."""
    known = list(mistakes)
    text = _as_json(value, place)
    try:
        checked = model.model_validate_json(text)
    except ValidationError as error:
        known += [_describe(model, dict(item)) for item in error.errors(include_url=False)]
        raise all_at_once(place, known) from None
    if known:
        raise all_at_once(place, known)
    return checked


class Mistake(NamedTuple):
    """One thing wrong in a file: the key it stands at, and the parts of an InputError."""

    key: str
    found: str
    expected: str
    fix: str


_NO_SCHEMA = Mistake("schema", "no such key", "`schema: 1`", "Add the line `schema: 1`.")


_LARGEST = 1 << 22  # bytes of a YAML file: far more than any has, and read within a minute
_MERGE = "tag:yaml.org,2002:merge"
MOST_VALUES = 100_000
"""Values that a file may stand for: a short one can stand for any number, by aliases of aliases."""


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node stands for, with its aliases written out; infinite inside itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        parts = node.value if isinstance(node, yaml.SequenceNode) else ()
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else parts
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


class _Loader(yaml.SafeLoader):
    """The safe loader, less two traps: of two equal keys PyYAML drops the first, and `yes` it takes for a truth value.

    So a key is what is written; a value that is not in quotes is still what YAML takes it for.
    """

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _size(node, {}) > MOST_VALUES:
            found = f"aliases that stand for more than {MOST_VALUES:,} values, or for themselves"
            raise yaml.constructor.ConstructorError(None, None, found, node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} twice", key.start_mark)
            seen.add(key.value)
            if key.tag != _MERGE:
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds. Raises InputError, with the line where it is known, for another."""
    data = whole_file(check_text_file(path), _LARGEST)
    try:
        value = yaml.load(data.decode(), Loader=_Loader)
    except UnicodeDecodeError as error:
        raise InputError(path, found=f"byte {error.start} that is not UTF-8", expected="UTF-8 text",
                         fix="Save the file as UTF-8.") from None  # fmt: skip
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else path
        reason = str(getattr(error, "problem", None) or error).removeprefix("found ")
        found = reason if isinstance(error, yaml.constructor.ConstructorError) else f"malformed YAML ({reason})"
        raise InputError(place, found=found, expected="valid YAML",
                         fix="Correct that line.") from None  # fmt: skip
    except Exception as error:  # PyYAML raises anything: a date that cannot be, depth, a tag that does not fit
        raise InputError(path, found=f"a value that cannot be read ({error})", expected="plain keys and values",
                         fix="Correct the value.") from None  # fmt: skip
    if not isinstance(value, dict):
        raise InputError(path, found=f"a {type(value).__name__} at the top", expected="keys and values",
                         fix="Start from one of the shipped files.")  # fmt: skip
    return value


def _describe(model: type[BaseModel], item: dict[str, Any]) -> Mistake:
    """Say one error of pydantic as a mistake."""
    location: tuple[int | str, ...] = item["loc"]
    key, last = ".".join(map(str, location)) or "(top)", str(location[-1]) if location else ""
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        hint = nearest(last, known)
        return Mistake(key, f"unknown key {last!r}", f"one of {', '.join(known)}", f"Correct the key.{hint}")
    if item["type"] == "missing":
        return Mistake(key, "no such key", "a value for it", "Add the key.")
    if item["type"] == "value_error":  # a validator of the model itself: its message says what was expected
        return Mistake(key, _short(item["input"]), str(item["ctx"]["error"]), "Correct the value.")
    if item["type"] == "string_type" and not isinstance(item["input"], dict | list):
        return Mistake(key, _short(item["input"]), "string", f"Put it in quotes{_UNQUOTED[type(item['input'])]}.")
    expected = str(item["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    hint = nearest(item["input"], _choices(item)) if isinstance(item["input"], str) else ""
    return Mistake(key, _short(item["input"]), expected, f"Correct the value.{hint}")


_UNQUOTED = {
    bool: ', as in "yes" or "true": without them YAML takes yes, no, on, off, true and false for truth values',
    type(None): ', as in "null": without them YAML takes null and ~ for nothing',
    int: ', as in "1": without them YAML takes it for a number',
    float: ', as in "1.0": without them YAML takes it for a number',
}


def _choices(item: dict[str, Any]) -> list[str]:
    expected = str(item.get("ctx", {}).get("expected", ""))
    return [part.strip(" '") for part in expected.replace(" or ", ",").split(",")]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def all_at_once(place: object, mistakes: Sequence[Mistake]) -> InputError:
    """Return the one error that lists all mistakes of a file."""
    if len(mistakes) == 1:
        key, found, expected, fix = mistakes[0]
        return InputError(f"{place}: {key}", found=found, expected=expected, fix=fix)
    lines = [f"\n  {key}: found {found}; expected {expected}. {fix}" for key, found, expected, fix in mistakes]
    return InputError(place, found=f"{len(mistakes)} mistakes", expected="none",
                      fix="Correct each of them:" + "".join(lines))  # fmt: skip


def _keys_at(model: type[BaseModel], location: Iterable[int | str]) -> list[str]:
    """Return the keys that the model at `location` has, as they are written in the file."""
    types: list[Any] = [model]
    for step in location:
        types = [inner for kind in types for inner in _step(kind, step)]
    return [field.alias or name for kind in _models(types) for name, field in kind.model_fields.items()]


def _step(kind: Any, step: int | str) -> list[Any]:
    """Return the types that one step (a key, an index, or the name of a branch of a union) leads to."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        inner = [field.annotation for name, field in kind.model_fields.items() if step in (name, field.alias)]
        return inner or ([kind] if step == kind.__name__ else [])
    if get_origin(kind) in (dict, list, tuple):
        return [get_args(kind)[-1 if get_origin(kind) is dict else 0]]
    return [inner for branch in get_args(kind) for inner in _step(branch, step)] or [kind]


def _models(types: Iterable[Any]) -> list[type[BaseModel]]:
    models: list[type[BaseModel]] = []
    for kind in types:
        models += [kind] if isinstance(kind, type) and issubclass(kind, BaseModel) else _models(get_args(kind))
    return models

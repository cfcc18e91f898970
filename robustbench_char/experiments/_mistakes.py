"""The mistakes of a spec, gathered while it is resolved, so that all are reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel

from robustbench_char.common import InputError
from robustbench_char.common.options import Option, fields_of, spelled
from robustbench_char.common.yaml_model import Mistake
from robustbench_char.training.options import AugmentOptions

__all__ = ["Mistakes"]

T = TypeVar("T")


class Mistakes(list[Mistake]):
    """The mistakes so far; what is wrong is left out of what is resolved."""

    def add(self, key: str, found: str, expected: str, fix: str) -> None:
        """Add a mistake, unless it is here already."""
        if (mistake := Mistake(key, found, expected, fix)) not in self:
            self.append(mistake)

    def each(self, keys: Iterable[str], make: Callable[[str], T], place: str) -> dict[str, T]:
        """Return what is made of each key; an InputError is a mistake of that key below `place`."""
        made = {}
        for key in keys:
            try:
                made[key] = make(key)
            except InputError as error:
                where = f"in {error.place}, " if "/" in error.place or "." in error.place else ""
                self.add(f"{place}.{key}", f"{where}{error.found}", error.expected, error.fix)
        return made

    def of_options(self, parts: Mapping[str, BaseModel], check: Callable[[], object]) -> None:
        """Add the mistake that a check of options finds, below the nearest of the parts of the spec that state it."""
        try:
            check()
        except InputError as error:
            key = _KEYS.get(error.place.keyword, error.place.keyword) if isinstance(error.place, Option) else ""
            stating = [place for place, part in parts.items() if key in part.model_fields_set]
            stating += [place for place, part in parts.items() if part.model_fields_set]
            place = [*stating, list(parts)[-1]][0]
            error = spelled(error, lambda keyword: _KEYS.get(keyword, keyword))
            self.add(f"{place}.{key}" if key else place, error.found, error.expected, error.fix)


_KEYS = {field.keyword: field.name for field in fields_of(AugmentOptions)}
"""Keys of the spec that Python calls otherwise."""

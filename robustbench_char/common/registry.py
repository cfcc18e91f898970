"""One small registry for everything that has a name: operators, tasks, metrics, systems, report sections."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.extras import needed

__all__ = ["Registry", "lazy_names"]

T = TypeVar("T")


def lazy_names(package: str, **modules: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package whose public names, by their module, are imported when first used.

    An extra that is missing is an InputError with the line that installs it.
    """
    homes = {name: f"{package}.{module}" for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with needed():
            return getattr(importlib.import_module(homes[name]), name)

    return load


class Registry(Generic[T]):
    """Names to things, in order of registration; `module:attribute` stands for a thing imported when asked for."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T | str] = {}

    def register(self, name: str, entry: T | str) -> None:
        """Add one name. Raises ValueError when the name is taken by something else."""
        if self._entries.get(name, entry) != entry:
            raise ValueError(f"{self.kind} {name!r} is already registered")
        self._entries[name] = entry

    def get(self, name: str, *, place: object | None = None) -> T:
        """Return what `name` stands for. Raises InputError with the nearest known name."""
        if name not in self._entries:
            raise InputError(
                place or f"{self.kind} name",
                found=f"unknown {self.kind} {name!r}",
                expected=f"one of {', '.join(self._entries)}",
                fix=f"Correct the name.{nearest(name, self._entries)}",
            )
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            with needed():
                entry = cast(T, getattr(importlib.import_module(module), attribute))
            self._entries[name] = entry
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

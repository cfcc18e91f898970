"""One small registry for everything that has a name: operators, tasks, metrics, systems, report sections."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Generic, TypeVar, cast

from robustbench_char.common.errors import InputError, nearest

__all__ = ["Registry"]

T = TypeVar("T")


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
            entry = cast(T, getattr(importlib.import_module(module), attribute))
            self._entries[name] = entry
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

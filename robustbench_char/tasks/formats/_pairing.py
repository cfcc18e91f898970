"""Attacked examples in the order of the file that is written again."""

from __future__ import annotations

from collections.abc import Iterable

from robustbench_char.tasks.base import Attacked


class Pairing:
    """Hands out attacked examples row by row, and insists that they follow the file."""

    def __init__(self, attacked: Iterable[Attacked]) -> None:
        self._attacked = iter(attacked)

    def take(self, row: int) -> Attacked:
        """Return the attacked example of the next row. Raises ValueError if another one comes."""
        item = next(self._attacked, None)
        if item is None or item.example.row != row:
            raise ValueError(f"row {row}: the attacked examples are not those of this file, in its order")
        return item

    def finish(self) -> None:
        """Raise ValueError if examples are left over."""
        if next(self._attacked, None) is not None:
            raise ValueError("more attacked examples than the file has rows")

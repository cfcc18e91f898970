"""Attacked examples in the order of the file that is written again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from robustbench_char.tasks.base import Attacked, AttackedBlock, Block, token_text


class Pairing:
    """Hands out attacked examples row by row, and insists that they follow the file."""

    def __init__(self, attacked: Iterable[Attacked]) -> None:
        self._attacked = iter(attacked)

    @classmethod
    def of(cls, attacked: Iterable[AttackedBlock]) -> Pairing:
        """Take the examples of blocks."""
        return cls(chain.from_iterable(block.items for block in attacked))

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


def attacked_blocks(blocks: Iterable[Block], attacked: Iterable[Attacked]) -> Iterator[AttackedBlock]:
    """Yield the blocks of a file with its attacked examples. Raises ValueError if they do not follow the file."""
    pairing = Pairing(attacked)
    for block in blocks:
        items = list(map(pairing.take, block.rows))
        texts = {name: [token_text(item.example.fields[name]) for item in items] for name in block.texts}
        yield AttackedBlock(block, texts, partial(list, items))
    pairing.finish()

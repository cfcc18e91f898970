"""Attacked examples in the order of the file that is written again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice, zip_longest

from robustbench_char.tasks.base import Attacked, AttackedBlock, Block, token_text


def attacked_blocks(blocks: Iterable[Block], attacked: Iterable[Attacked]) -> Iterator[AttackedBlock]:
    """Yield the blocks of a file with its attacked examples. Raises ValueError if they do not follow the file."""
    examples = iter(attacked)
    for block in blocks:
        items = list(islice(examples, len(block.rows)))
        for row, item in zip_longest(block.rows, items):
            if item is None or item.example.row != row:
                raise ValueError(f"row {row}: the attacked examples are not those of this file, in its order")
        texts = {name: [token_text(item.example.fields[name]) for item in items] for name in block.texts}
        yield AttackedBlock(block, texts, partial(list, items))
    if next(examples, None) is not None:
        raise ValueError("more attacked examples than the file has rows")

"""Blocks: pieces packed to a fixed length without padding, an endless stream of them, and the way back into it.

A block is the beginning mark, `block_size` - 2 pieces, the end mark; it goes on over the ends of lines. The last pieces
of a chunk, which fill no block, are dropped (less than a block in a thousand lines): so a chunk's blocks, which are
shuffled, depend on seed, pass and chunk alone. Shape legend: T = `block_size`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerFast

from robustbench_char.common import InputError
from robustbench_char.training.pretraining.corpus import Chunk, Corpus, Place
from robustbench_char.training.pretraining.noise import IGNORED, Masker, Noiser, Pieces

__all__ = ["Block", "BlockCollator", "BlockMaker", "Blocks", "Characters", "Position", "heldout_blocks"]

Ints = NDArray[np.int64]
HELD_OUT = 0
"""The pass that held-out text is noised and masked as, always the same; training counts its passes from 1."""


class Block(NamedTuple):
    """One block, each [T]. `labels`: masked pieces; `nlm_labels`: terms; `originals`: clean pieces of noised words.

    -100 where there is nothing to predict. `surfaces`: the text of each piece, "" for the marks; empty where no system
    reads characters.
    """

    input_ids: Ints
    labels: Ints
    nlm_labels: Ints
    originals: Ints
    surfaces: list[str]


@dataclass(frozen=True)
class BlockMaker:
    """Makes the blocks of a chunk. `surfaces` says whether their characters are read."""

    tokenizer: PreTrainedTokenizerFast
    noiser: Noiser
    masker: Masker
    block_size: int
    seed: int
    surfaces: bool

    def __call__(self, chunk: Chunk, number: int) -> list[Block]:
        """Return the blocks of a chunk in pass `number` over the text."""
        pieces = self.noiser.pieces(chunk.lines, chunk.numbers, str(number))
        generator = np.random.Generator(np.random.PCG64([self.seed, number, chunk.place.chunk]))
        ids, labels = self.masker(pieces, generator)
        body = self.block_size - 2
        order = generator.permutation(len(ids) // body)
        columns = [self._rows(values, body) for values in (ids, labels, pieces.terms, pieces.originals)]
        return [
            self._block([rows[row] for rows in columns], self._surfaces(pieces, row * body, body))
            for row in order.tolist()
        ]

    def _rows(self, values: Ints, body: int) -> Ints:
        return values[: len(values) // body * body].reshape(-1, body)

    def _surfaces(self, pieces: Pieces, first: int, body: int) -> list[str]:
        if not self.surfaces:
            return []
        some = slice(first, first + body)
        spans = zip(pieces.starts[some].tolist(), pieces.ends[some].tolist(), strict=True)
        return ["", *(pieces.text[start:end] for start, end in spans), ""]

    def _block(self, columns: list[Ints], surfaces: list[str]) -> Block:
        ids = np.pad(columns[0], 1)
        ids[0], ids[-1] = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        labels, terms, originals = (np.pad(values, 1, constant_values=IGNORED) for values in columns[1:])
        return Block(ids, labels, terms, originals, surfaces)


class Position(NamedTuple):
    """A place in the stream: the pass, the chunk there, and how many blocks of it are behind."""

    number: int
    place: Place
    behind: int


@dataclass
class Blocks(IterableDataset[Block]):
    """The blocks of a corpus, pass after pass without end; noise and masks are drawn again in each.

    `start` is where the stream begins, so that a resumed run need not make the blocks before. Raises InputError for a
    corpus that has no whole block.
    """

    corpus: Corpus
    maker: BlockMaker
    start: Position = field(default_factory=lambda: Position(1, Place(), 0))
    _begun: list[tuple[int, int, Place]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Block]:
        count = -self.start.behind  # blocks given since `start`
        number, place = self.start.number, self.start.place
        self._begun.clear()
        while True:
            before = count
            for chunk in self.corpus.chunks(place):
                self._begun.append((count, number, chunk.place))
                blocks = self.maker(chunk, number)
                yield from blocks[max(0, -count) :]
                count += len(blocks)
            if count == before and place == Place():
                raise too_short(self.corpus, self.maker.block_size)
            number, place = number + 1, Place()

    def position(self, given: int) -> Position:
        """Return the place after the first `given` blocks since `start`, and forget what lies before it."""
        if not self._begun:
            return self.start
        while len(self._begun) > 1 and self._begun[1][0] <= given:
            self._begun.pop(0)
        before, number, place = self._begun[0]
        return Position(number, place, given - before)


def heldout_blocks(corpus: Corpus, maker: BlockMaker, most: int) -> list[Block]:
    """Return the first blocks of held-out text, `most` at most. Raises InputError when there is not one."""
    blocks: list[Block] = []
    for chunk in corpus.chunks():
        blocks += maker(chunk, HELD_OUT)
        if len(blocks) >= most:
            break
    if not blocks:
        raise too_short(corpus, maker.block_size)
    return blocks[:most]


def too_short(corpus: Corpus, block_size: int) -> InputError:
    """Return the error for text that fills no block."""
    held = corpus.part == "heldout"
    return InputError(
        ", ".join(str(path) for path in corpus.files),
        found=f"{'held-out text (every 100th line)' if held else 'text'} shorter than one block",
        expected=f"at least {block_size} sub-words",
        fix="Give more text" + (", or files of `heldout=`." if held else ", or a smaller `block_size=`."),
    )


Characters = Callable[[Sequence[str], Sequence[bool]], dict[str, NDArray[np.int32]]]
"""From the surfaces of a block's pieces and which of them are masked to the character inputs."""


@dataclass(frozen=True)
class BlockCollator:
    """Make a batch [B, T] of blocks; `characters` builds CharBERT's inputs, here, for this process's blocks alone."""

    characters: Characters | None = None

    def __call__(self, blocks: Sequence[Block]) -> dict[str, torch.Tensor]:
        """Return int64 tensors; character inputs are padded with 0 to the longest."""
        names = ("input_ids", "labels", "nlm_labels", "originals")
        batch = {name: torch.from_numpy(np.stack([getattr(block, name) for block in blocks])) for name in names}
        if self.characters is None:
            return batch
        rows = [self.characters(block.surfaces, (block.labels != IGNORED).tolist()) for block in blocks]
        return batch | {name: _padded([row[name] for row in rows]) for name in rows[0]}


def _padded(rows: Sequence[NDArray[Any]]) -> torch.Tensor:
    table = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(table)

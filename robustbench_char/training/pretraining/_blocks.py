"""Plain text in chunks of lines, and blocks of them: pieces packed to a fixed length, in an endless stream.

Memory does not grow with the files. Each line is a paragraph; every 100th line of the training text is held out, unless
held-out files are given. A block is the beginning mark, `block_size` - 2 pieces, the end mark; it goes on over the ends
of lines. The last pieces of a chunk, which fill no block, are dropped (less than a block in a thousand lines): so a
chunk's blocks, which are shuffled, depend on seed, pass and chunk alone. Shape legend: T = `block_size`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name, sha256_file
from robustbench_char.common.lines import check_text_file
from robustbench_char.common.options import Option
from robustbench_char.models.charbert.characters import CharacterUnit
from robustbench_char.models.charbert.processor import whole_words
from robustbench_char.text.columns import Column
from robustbench_char.text.words import SPLITTERS
from robustbench_char.training.pretraining._noise import IGNORED, Bools, Masker, Noiser, Pieces, TermCounter
from robustbench_char.training.saved import TextInfo

Ints = NDArray[np.int64]
HELD_OUT = 0
"""The pass that held-out text is noised and masked as, always the same; training counts its passes from 1."""
HELD_OUT_EVERY = 100
"""One line in so many is held out."""
CHUNK_LINES = 1000
CHUNK_BYTES = 1 << 22
LONGEST_LINE = 1 << 20
"""Bytes; a longer line is cut after the last space before, or between two characters; the parts are noised as lines."""


class Place(NamedTuple):
    """Where a chunk begins: its number, file, byte and line there, and the number of its first line in all.

    In `total`, parts of a line that was too long count as lines; in `line` they do not, so that errors name the line.
    """

    chunk: int = 0
    file: int = 0
    byte: int = 0
    line: int = 0
    total: int = 0


class Chunk(NamedTuple):
    """Some lines that are not blank, without the space around them, with their numbers in the whole corpus."""

    place: Place
    lines: list[str]
    numbers: list[int]


class Survey(NamedTuple):
    """Lines and words (between white space) of the text that is trained on; `counter` holds terms, if asked for."""

    lines: int
    words: int
    counter: TermCounter


@dataclass(frozen=True)
class Corpus:
    """Text files, in order. `part`: all lines, or those that are (not) held out."""

    files: tuple[Path, ...]
    part: Literal["all", "train", "heldout"] = "all"

    @classmethod
    def of(cls, files: Sequence[Path], *, part: Literal["all", "train", "heldout"], option: str) -> Corpus:
        """Check that the files, which `option` named, are there and not empty. Raises InputError otherwise."""
        if not files:
            raise InputError(Option(option), found="no file", expected="at least one text file", fix="Name one.")
        return cls(tuple(check_text_file(path, option=f"`{option}=`") for path in files), part)

    def chunks(self, start: Place | None = None) -> Iterator[Chunk]:
        """Read on from a place (by default from the beginning).

        Raises InputError that names file and line of bytes that are not UTF-8 text.
        """
        place = start or Place()
        for index in range(place.file, len(self.files)):
            with self.files[index].open("rb") as file:
                file.seek(place.byte)
                while chunk := self._chunk(file, place):
                    yield chunk[0]
                    place = chunk[1]
            place = Place(place.chunk, index + 1, 0, 0, place.total)

    def _chunk(self, file: BinaryIO, place: Place) -> tuple[Chunk, Place] | None:
        """Return a chunk and the place of the next one, or None at the end of the file."""
        chunk = Chunk(place, [], [])
        line, total, size = place.line, place.total, 0
        # As many lines in the end: blocks do not go on over the end of a chunk, and the rest of it is dropped.
        share = HELD_OUT_EVERY if self.part == "heldout" else 1
        while size < share * CHUNK_BYTES and total - place.total < share * CHUNK_LINES and (data := _read_line(file)):
            text = _decode(data, self.files[place.file], line, first=place.byte + size == 0).strip()
            if text and self._wanted(total):
                chunk.lines.append(text)
                chunk.numbers.append(total)
            line, total, size = line + data.endswith(b"\n"), total + 1, size + len(data)
        if total == place.total:
            return None
        return chunk, Place(place.chunk + 1, place.file, file.tell(), line, total)

    def _wanted(self, line: int) -> bool:
        return self.part == "all" or (line % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == (self.part == "heldout")

    def __str__(self) -> str:
        return ", ".join(map(str, self.files))

    @cached_property
    def infos(self) -> tuple[TextInfo, ...]:
        """Name and hash of each file; none for lines held out of the text that is trained on."""
        files = () if self.part == "heldout" else self.files
        return tuple(TextInfo(name=safe_name(str(path)), sha256=sha256_file(path)) for path in files)

    def survey(self, *, terms: str | None) -> Survey:
        """Read the text once; `terms` names the word splitter whose words are counted, None: none are.

        Raises InputError that names file and line of bytes that are not UTF-8 text, and for text without a word to
        count.
        """
        counter, lines, words = TermCounter(), 0, 0
        for chunk in self.chunks():
            lines += len(chunk.lines)
            words += sum(len(line.split()) for line in chunk.lines)
            if terms is not None:
                split, text = SPLITTERS.get(terms)(Column.of(chunk.lines)), "\n".join(chunk.lines)
                counter.add(text[a:b] for a, b in zip(split.starts.tolist(), split.ends.tolist(), strict=True))
        if terms is not None and not counter.counts:
            expected, fix = "text with words that NLM can name", "Give a text file with words in it."
            raise InputError(self, found="no words", expected=expected, fix=fix)
        return Survey(lines, words, counter)


def _read_line(file: BinaryIO) -> bytes:
    data = file.readline(LONGEST_LINE)
    if len(data) < LONGEST_LINE or data.endswith(b"\n"):
        return data
    cut = data.rfind(b" ") + 1 or _last_character(data)
    file.seek(cut - len(data), 1)
    return data[:cut]


def _last_character(data: bytes) -> int:
    """Return where the last character of UTF-8 text begins, which may be cut off; the end, where none begins."""
    begins = (at for at in range(len(data) - 1, max(0, len(data) - 4), -1) if data[at] & 0xC0 != 0x80)
    return next(begins, len(data))


def _decode(data: bytes, path: Path, line: int, *, first: bool) -> str:
    try:
        text = data.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        found, expected = "bytes that are not UTF-8 text", "plain text in UTF-8, one paragraph per line"
        fix = "Give a text file; convert other encodings with `iconv -t utf-8`."
        raise InputError(f"{path}:{line + 1}", found=found, expected=expected, fix=fix)
    return text


class Block(NamedTuple):
    """One block, each [T]. `labels`: masked pieces; `nlm_labels`: terms; `originals`: clean pieces of noised words.

    -100 where there is nothing to predict. `surfaces`: the text whose characters each piece exposes, "" for the marks,
    None where a masked piece would be seen; empty where no system reads characters.
    """

    input_ids: Ints
    labels: Ints
    nlm_labels: Ints
    originals: Ints
    surfaces: list[str | None]


@dataclass(frozen=True)
class BlockMaker:
    """Makes the blocks of a chunk. `unit`: what a piece exposes the characters of; None: none are read."""

    noiser: Noiser
    masker: Masker
    block_size: int
    unit: CharacterUnit | None

    def __call__(self, chunk: Chunk, number: int) -> list[Block]:
        """Return the blocks of a chunk in pass `number` over the text."""
        pieces = self.noiser.pieces(chunk.lines, chunk.numbers, str(number))
        generator = np.random.Generator(np.random.PCG64([self.noiser.seed, number, chunk.place.chunk]))
        read, masked = self.masker(pieces, generator)
        marks, body = self.noiser.tokenizer, self.block_size - 2
        ids = _framed(read, body, marks.cls_token_id, marks.sep_token_id)
        targets = (masked, pieces.terms, pieces.originals)
        labels, terms, originals = (_framed(values, body, IGNORED, IGNORED) for values in targets)
        surfaces = self._surfaces(pieces, masked != IGNORED)
        return [
            Block(ids[row], labels[row], terms[row], originals[row], _row(surfaces, row * body, body))
            for row in generator.permutation(len(ids)).tolist()
        ]

    def _surfaces(self, pieces: Pieces, masked: Bools) -> list[str | None]:
        if self.unit is None:
            return []
        spans = list(zip(pieces.starts.tolist(), pieces.ends.tolist(), strict=True))
        shown = np.array(whole_words(pieces.text, spans) if self.unit == "word" else spans, np.int64).reshape(-1, 2)
        edges = np.zeros(len(pieces.text) + 1, np.int64)
        np.add.at(edges, pieces.starts[masked], 1)
        np.add.at(edges, pieces.ends[masked], -1)
        secret = np.cumsum(np.cumsum(edges) > 0)  # characters of masked pieces, up to each and with it
        before = np.concatenate([[0], secret])
        hidden = masked | (before[shown[:, 1]] > before[shown[:, 0]])
        rows = zip(hidden.tolist(), shown.tolist(), strict=True)
        return [None if hide else pieces.text[start:end] for hide, (start, end) in rows]


def _row(surfaces: list[str | None], first: int, body: int) -> list[str | None]:
    return ["", *surfaces[first : first + body], ""] if surfaces else []


def _framed(values: Ints, body: int, first: int, last: int) -> Ints:
    """Return rows of `body` values, each between two marks; what fills no row is left out."""
    rows = values[: len(values) // body * body].reshape(-1, body)
    return np.pad(rows, ((0, 0), (1, 1)), constant_values=((0, 0), (first, last)))


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
        corpus,
        found=f"{'held-out text (every 100th line)' if held else 'text'} shorter than one block",
        expected=f"at least {block_size} sub-words",
        fix="Give more text" + (", or files of `heldout=`." if held else ", or a smaller `block_size=`."),
    )


@dataclass(frozen=True)
class BlockCollator:
    """Make a batch [B, T] of blocks; `characters` builds CharBERT's inputs, here, for this process's blocks alone.

    It takes the surfaces of a block's pieces.
    """

    characters: Callable[[Sequence[str | None]], dict[str, NDArray[np.int32]]] | None = None

    def __call__(self, blocks: Sequence[Block]) -> dict[str, torch.Tensor]:
        """Return int64 tensors; character inputs are padded with 0 to the longest."""
        names = ("input_ids", "labels", "nlm_labels", "originals")
        batch = {name: torch.from_numpy(np.stack([getattr(block, name) for block in blocks])) for name in names}
        if self.characters is None:
            return batch
        rows = [self.characters(block.surfaces) for block in blocks]
        return batch | {name: _padded([row[name] for row in rows]) for name in rows[0]}


def _padded(rows: Sequence[NDArray[Any]]) -> torch.Tensor:
    table = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(table)

"""Plain text, read in chunks: memory does not grow with the files.

Each line is a paragraph. Every 100th line of the training text is held out, unless held-out files are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from robustbench_char.common import InputError
from robustbench_char.common.files import check_file, safe_name, sha256_file
from robustbench_char.common.options import Option
from robustbench_char.text.columns import Column
from robustbench_char.text.words import SPLITTERS
from robustbench_char.training.pretraining.noise import TermCounter
from robustbench_char.training.saved import TextInfo

__all__ = ["HELD_OUT_EVERY", "Chunk", "Corpus", "Place", "Survey", "TextInfo", "survey", "text_infos"]

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
        return cls(tuple(check_file(path, option=f"`{option}=`") for path in files), part)

    def chunks(self, start: Place | None = None) -> Iterator[Chunk]:
        """Read on from a place (by default from the beginning).

        Raises InputError that names file and line of bytes that are not UTF-8 text.
        """
        place = start or Place()
        for index in range(place.file, len(self.files)):
            with self.files[index].open("rb") as file:
                file.seek(place.byte)
                while (chunk := self._chunk(file, place)) is not None:
                    found, place = chunk
                    yield found
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
        raise InputError(
            f"{path}:{line + 1}",
            found="bytes that are not UTF-8 text",
            expected="plain text in UTF-8, one paragraph per line",
            fix="Give a text file; convert other encodings with `iconv -t utf-8`.",
        )
    return text


@dataclass(frozen=True)
class Survey:
    """Lines and words (between white space) of the text that is trained on; `counter` holds terms, if asked for."""

    lines: int
    words: int
    counter: TermCounter


def survey(corpus: Corpus, *, terms: str | None) -> Survey:
    """Read the text once; `terms` names the word splitter whose words are counted, None: none are.

    Raises InputError that names file and line of bytes that are not UTF-8 text, and for text without a word to count.
    """
    counter, lines, words = TermCounter(), 0, 0
    for chunk in corpus.chunks():
        lines += len(chunk.lines)
        words += sum(len(line.split()) for line in chunk.lines)
        if terms is not None:
            column, text = SPLITTERS.get(terms)(Column.of(chunk.lines)), "\n".join(chunk.lines)
            spans = zip(column.starts.tolist(), column.ends.tolist(), strict=True)
            counter.add(text[start:end] for start, end in spans)
    if terms is not None and not counter.counts:
        raise InputError(
            ", ".join(str(path) for path in corpus.files),
            found="no words",
            expected="text with words that NLM can name",
            fix="Give a text file with words in it.",
        )
    return Survey(lines, words, counter)


def text_infos(corpus: Corpus | None) -> tuple[TextInfo, ...]:
    """Return name and hash of each file."""
    files = corpus.files if corpus else ()
    return tuple(TextInfo(name=safe_name(str(path)), sha256=sha256_file(path)) for path in files)

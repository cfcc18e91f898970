"""The characters that CharBERT sees: a vocabulary of them, and how those of a sequence stand in one row.

Layout: the characters of each piece, then one separator. A piece that exposes none has one placeholder instead, so that
every piece has one start and one end.

Shape legend: T sub-words of one sequence, C characters of it (separators included).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from robustbench_char.common import InputError
from robustbench_char.common.files import check_file, write_json
from robustbench_char.common.frozen import Frozen, read_json_model
from robustbench_char.models.folders import CHARACTER_VOCABULARY, refuse_html
from robustbench_char.models.inputs import IntArray

__all__ = ["CharacterVocabulary", "lay_out"]

CHARACTER_INPUTS = ("char_input_ids", "start_ids", "end_ids")
"""What the model reads besides sub-words."""

CharacterCase = Literal["lower", "surface"]

CharacterUnit = Literal["word", "piece"]

PLACEHOLDERS = 3, 4
"""Ids of a special and of a masked piece, of vocabularies of mode `surface`."""
_SPECIAL_IDS = 5
_UNKNOWN = "<unk>"


class CharacterIds(NamedTuple):
    """The ids that stand for no character of the text."""

    pad: int
    unknown: int
    separator: int
    special: int
    mask: int


class CharacterVocabulary(Frozen):
    """Characters and their ids.

    mode `surface` (ours): 0 pad, 1 unknown, 2 separator, 3 special piece, 4 masked piece, then `characters` in order.
    mode `reference` (the list released with the 2020 models): `characters` holds its lines, whose numbers are the ids;
    id 0 is separator, special, mask and pad, the last one is unknown. `case` says how the characters were counted;
    `unit` whether a piece exposes the characters of its whole word or its own.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    mode: Literal["surface", "reference"] = "surface"
    case: CharacterCase | None = None
    unit: CharacterUnit = "piece"
    characters: tuple[str, ...]

    @classmethod
    def build(
        cls, texts: Iterable[str], size: int = 1000, case: CharacterCase = "surface", unit: CharacterUnit = "piece"
    ) -> Self:
        """Take the `size` most frequent characters of texts, sorted by frequency, then by code point.

        Reads the texts once, one at a time. White space does not count. Raises InputError when none is left.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text.lower() if case == "lower" else text)
        seen = [character for character in counts if not character.isspace() and not "\ud800" <= character <= "\udfff"]
        if not seen:
            expected = "text with at least one character"
            fix = "Give a text file with words in it."
            raise InputError("the character vocabulary", found="no characters", expected=expected, fix=fix)
        frequent = sorted(seen, key=lambda character: (-counts[character], character))[:size]
        return cls(characters=tuple(frequent), case=case, unit=unit)

    @classmethod
    def from_reference(cls, file: Path) -> Self:
        """Read the reference's list: UTF-8, one entry per line, `<unk>` last; of equal lines the later one counts.

        Raises InputError for a file that is something else.
        """
        expected = f"a character list: one character per line, {_UNKNOWN} last"
        fix = "Give the character list that was released with the checkpoint."
        refuse_html(check_file(file, option="--char-vocab"), expected=expected)
        try:
            # Nothing but the line feed ends an entry: the list holds the other kinds of white space as characters.
            lines = file.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise InputError(
                file, found=f"bytes that are not UTF-8 text ({error})", expected=expected, fix=fix
            ) from None
        if len(lines) < 2 or lines[-1] != _UNKNOWN:
            raise InputError(
                f"{file}:{len(lines)}", found=f"{lines[-1][:40]!r} as the last line", expected=expected, fix=fix
            )
        long = [number for number, line in enumerate(lines, 1) if len(line) > 1]
        if len(long) > max(1, len(lines) // 10):
            raise InputError(
                f"{file}:{long[0]}", found=f"{lines[long[0] - 1][:40]!r}, a word", expected=expected, fix=fix
            )
        return cls(characters=tuple(lines), mode="reference")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it from a model folder. Raises InputError when it is missing, damaged, or of a newer schema."""
        path = folder / CHARACTER_VOCABULARY
        expected, fix = "a character vocabulary", "Save the processor into the folder again, or give a CharBERT model."
        if not path.is_file():
            raise InputError(folder, found=f"no {CHARACTER_VOCABULARY}", expected=expected, fix=fix)
        refuse_html(path, expected=expected)
        stored = read_json_model(path, cls, expected=expected, fix=fix)
        wrong = _first_wrong(stored)
        if wrong is not None:
            found = repr(wrong)[:60] if wrong else "too few characters"
            expected = "each character once" if stored.mode == "surface" else f"lines with {_UNKNOWN} last"
            raise InputError(f"{path}: characters", found=found, expected=expected, fix=fix)
        return stored

    def check(self, folder: Path, config: Any) -> None:
        """Raise InputError where it is not the one that the model of a folder, which has this config, was made for."""
        found, expected = (len(self), self.unit), (config.char_vocab_size, config.character_unit)
        if found != expected:
            said, right = (f"{size} characters, read by the {unit}" for size, unit in (found, expected))
            fix = "Copy the whole folder again: its files do not belong together."
            wanted = f"{right}, as the model in the same folder has"
            raise InputError(folder / CHARACTER_VOCABULARY, found=f"a vocabulary of {said}", expected=wanted, fix=fix)

    def save(self, folder: Path) -> None:
        """Write the vocabulary into a model folder."""
        write_json(folder / CHARACTER_VOCABULARY, self.model_dump(mode="json", by_alias=True))

    def __len__(self) -> int:
        """Return the number of ids: rows of the model's table of character embeddings."""
        return len(self.characters) + (_SPECIAL_IDS if self.mode == "surface" else 0)

    @property
    def ids(self) -> CharacterIds:
        """The ids that stand for no character of the text."""
        if self.mode == "surface":
            return CharacterIds(0, 1, 2, *PLACEHOLDERS)
        return CharacterIds(pad=0, unknown=len(self) - 1, separator=0, special=0, mask=0)

    @cached_property
    def _table(self) -> dict[str, int]:
        return {character: index for index, character in enumerate(self.characters, len(self) - len(self.characters))}

    def spell(self, text: str) -> tuple[int, ...]:
        """Return the id of each character of a text."""
        unknown = self.ids.unknown
        return tuple(self._table.get(character, unknown) for character in text)


def lay_out(pieces: Sequence[tuple[int, ...]]) -> dict[str, IntArray]:
    """Lay the characters of pieces end to end. Each of the T pieces holds at least one id, and its separator after it.

    Returns `char_input_ids` [C], and `start_ids` and `end_ids` [T]: where each piece's first and last character stand.
    """
    lengths = np.fromiter(map(len, pieces), np.int32, len(pieces))
    after = np.cumsum(lengths, dtype=np.int32)
    total = int(after[-1]) if len(pieces) else 0
    return {
        "char_input_ids": np.fromiter(itertools.chain.from_iterable(pieces), np.int32, total),
        "start_ids": after - lengths,
        "end_ids": after - np.int32(2),
    }


def _first_wrong(stored: CharacterVocabulary) -> str | None:
    """Return the first entry that makes the list unusable, or None when it is as it should be."""
    if stored.mode == "reference":
        good = len(stored.characters) > 1 and stored.characters[-1] == _UNKNOWN
        return None if good else (stored.characters or [""])[-1]
    if not stored.characters:
        return ""
    seen: set[str] = set()
    for character in stored.characters:
        if len(character) != 1 or character in seen:
            return character
        seen.add(character)
    return None

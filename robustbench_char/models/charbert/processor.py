"""CharBERT's processor: sub-words from the tokenizer, and the characters of each from the text that it stands for."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tokenizers import Encoding
from tokenizers.pre_tokenizers import ByteLevel
from transformers import BatchEncoding, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import LARGE_INTEGER
from transformers.utils.generic import PaddingStrategy

from robustbench_char.common import InputError
from robustbench_char.models.charbert.characters import CHARACTER_INPUTS, CharacterCase, CharacterVocabulary, lay_out
from robustbench_char.models.checkpoints import drop_limits, load_tokenizer
from robustbench_char.models.inputs import IntArray, clean

__all__ = ["CharBertProcessor"]

LONGEST = {"piece": 256, "word": 32}
"""Characters; a longer one, such as a coded image or an address, shows its first, or no batch could hold it."""

_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_CACHED = 1 << 17
"""Spellings kept: more than a sub-word vocabulary has; what is beyond are unknown words, of which there is no end."""


class CharBertProcessor:
    """A fast sub-word tokenizer together with a character vocabulary.

    A piece exposes the characters of the text that its offsets cover, so that an unknown piece keeps them, and marks
    such as `##` never appear. Special and masked pieces, and pieces that cover no text, expose one placeholder. With a
    vocabulary of the unit `word` each piece exposes the whole word that it is part of: letters and digits side by side.

    With a vocabulary of mode `reference` pieces are spelled as the reference does: from the tokenizer's own string, `#`
    taken off both ends, RoBERTa's word-start character kept; unknown pieces from the text, as in its pre-training. Of a
    piece that is all `#` the reference keeps nothing, and gives each later piece its neighbour's characters; here such
    a piece has the special placeholder.

    `character_case` "lower" lower-cases each piece's characters. Default: the vocabulary's case, or else "lower" where
    the tokenizer lower-cases and "surface" elsewhere.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        vocabulary: CharacterVocabulary,
        character_case: CharacterCase | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.character_case = character_case or vocabulary.case or case_of(tokenizer)
        self.vocabulary = vocabulary.model_copy(update={"case": self.character_case})
        ids = vocabulary.ids
        self._special, self._mask = (ids.special, ids.separator), (ids.mask, ids.separator)
        self._unknown = tokenizer.unk_token_id
        self._placeholders = dict.fromkeys(set(tokenizer.all_special_ids) - {self._unknown}, self._special)
        if tokenizer.mask_token_id is not None:
            self._placeholders[tokenizer.mask_token_id] = self._mask
        self._byte_level = isinstance(tokenizer.backend_tokenizer.pre_tokenizer, ByteLevel)
        self._spellings: dict[str, tuple[int, ...]] = {}

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, words: bool = False, character_case: CharacterCase | None = None
    ) -> Self:
        """Load from a model folder; `words` says that texts will come as lists of words.

        Raises InputError when tokenizer or character vocabulary is missing, damaged, or of a newer schema.
        """
        vocabulary = CharacterVocabulary.load(Path(folder))
        return cls(load_tokenizer(Path(folder), words=words), vocabulary, character_case)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer and character vocabulary into a model folder."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        drop_limits(self.tokenizer)
        self.tokenizer.save_pretrained(path)
        self.vocabulary.save(path)

    def character_inputs(
        self, encoding: Encoding, sources: Sequence[str | Sequence[str]], masked: Sequence[bool] | None = None
    ) -> dict[str, IntArray]:
        """Return the character inputs of one encoding, not padded.

        `sources` is what was encoded: one or two texts, or the words of one sentence; in place of a text its list of
        words may stand. `masked` [T] marks pieces whose characters must not be seen. Returns `char_input_ids` [C],
        `start_ids` and `end_ids` [T].
        """
        pieces = self.spellings(*self._surfaces(encoding, sources))
        for index, piece in enumerate(encoding.ids):
            if piece in self._placeholders:
                pieces[index] = self._placeholders[piece]
        for index, hidden in enumerate(masked if masked is not None else ()):
            if hidden:
                pieces[index] = self._mask
        return lay_out(pieces)

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[Any] | None = None,
        *,
        is_split_into_words: bool = False,
        padding: bool | str = False,
        truncation: bool | str = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
    ) -> BatchEncoding:
        """Encode a text, a pair of texts, or a batch of either, for the model.

        `padding` (True or "longest", "max_length", False), `truncation`, `max_length` and `return_tensors` ("pt", "np")
        are those of tokenizers; padding stands on the right. Raises InputError where the length to pad to
        is not known.
        """
        single = isinstance(text, str) or (is_split_into_words and all(isinstance(word, str) for word in text))
        columns = [clean([one] if single else one) for one in (text, text_pair) if one is not None]
        if not columns[0]:
            return BatchEncoding({name: [] for name in (*self.tokenizer.model_input_names, *CHARACTER_INPUTS)})
        batch = self.tokenizer(
            *columns, is_split_into_words=is_split_into_words, truncation=truncation, max_length=max_length
        )
        rows = [
            self._row(batch, index, encoding, [column[index] for column in columns])
            for index, encoding in enumerate(batch.encodings or ())
        ]
        self._pad(rows, PaddingStrategy(_PADDING.get(padding, padding)), max_length)
        if single and return_tensors is None:
            return BatchEncoding(rows[0])
        return BatchEncoding({name: [row[name] for row in rows] for name in rows[0]}, tensor_type=return_tensors)

    def _surfaces(
        self, encoding: Encoding, sources: Sequence[str | Sequence[str]]
    ) -> tuple[Sequence[str], Sequence[bool]]:
        """Return what each piece exposes, before case, "" for one that stands for no text; and whether it goes on where
        the one before it ends.
        """
        surfaces, going_on = _covered(encoding, sources)
        if self.vocabulary.mode == "surface":
            return surfaces, going_on
        unknown = self._unknown
        return [
            surface if piece == unknown or special else token.strip("#")
            for surface, token, piece, special in zip(
                surfaces, encoding.tokens, encoding.ids, encoding.special_tokens_mask, strict=True
            )
        ], going_on

    def spellings(self, surfaces: Sequence[str], going_on: Sequence[bool]) -> list[tuple[int, ...]]:
        """Return the ids of what each piece exposes, its separator included, from the text that it covers.

        `going_on` [T]: whether a piece begins where the one before it ends. At most LONGEST characters are seen.
        """
        if self.vocabulary.unit == "word":
            surfaces = whole_words(surfaces, going_on)
        return [self._spelling(surface.strip()) for surface in surfaces]

    def _spelling(self, surface: str) -> tuple[int, ...]:
        surface = surface[: LONGEST[self.vocabulary.unit]]
        ids = self._spellings.get(surface)
        if ids is None:
            if len(self._spellings) >= _CACHED:
                self._spellings.clear()
            ids = self._spellings[surface] = self._spell(surface)
        return ids

    def _spell(self, surface: str) -> tuple[int, ...]:
        if not surface:
            return self._special
        if self.character_case == "lower":
            # Byte-level strings write bytes as letters, which have a lower case of their own and another meaning.
            symbols = self._byte_level and self.vocabulary.mode == "reference"
            surface = surface.translate(_ASCII_LOWER) if symbols else surface.lower()
        return (*self.vocabulary.spell(surface), self.vocabulary.ids.separator)

    def _row(
        self, batch: BatchEncoding, index: int, encoding: Encoding, sources: Sequence[Any]
    ) -> dict[str, list[int]]:
        names = ("input_ids", "token_type_ids", "attention_mask")
        row = {name: list(batch[name][index]) for name in names if name in batch}
        characters = self.character_inputs(encoding, sources)
        return {**row, **{name: values.tolist() for name, values in characters.items()}}

    def _pad(self, rows: list[dict[str, list[int]]], strategy: PaddingStrategy, max_length: int | None) -> None:
        """Fill rows up on the right, in place: pieces to the longest or to `max_length`, characters to the longest."""
        if strategy is PaddingStrategy.DO_NOT_PAD:
            return
        pieces = max(len(row["input_ids"]) for row in rows)
        characters = max(len(row["char_input_ids"]) for row in rows)
        if strategy is PaddingStrategy.MAX_LENGTH:
            length = max_length or int(self.tokenizer.model_max_length)
            if length > LARGE_INTEGER:
                found = "no max_length, and a tokenizer without a limit"
                fix = "Give max_length, or padding=True for the longest of the batch."
                raise InputError("padding='max_length'", found=found, expected="a length", fix=fix)
            pieces = max(pieces, length)
        fill = {
            "input_ids": self.tokenizer.pad_token_id,
            "token_type_ids": self.tokenizer.pad_token_type_id,
            "char_input_ids": self.vocabulary.ids.pad,
        }
        for row in rows:
            for name, values in row.items():
                width = characters if name == "char_input_ids" else pieces
                values.extend([fill.get(name, 0)] * (width - len(values)))


_PADDING: Mapping[bool | str, str] = {True: "longest", False: "do_not_pad"}


def case_of(tokenizer: PreTrainedTokenizerFast) -> CharacterCase:
    """Return "lower" for a tokenizer that lower-cases, and "surface" for one that keeps capitals."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    return "lower" if normalizer is not None and normalizer.normalize_str("A") == "a" else "surface"


def whole_words(surfaces: Sequence[str], going_on: Sequence[bool]) -> list[str]:
    """Return for each piece the word that it is part of: pieces of letters and digits that go on in each other.

    >>> whole_words(["wei", "rd", "-", "ly", "", "rd"], [False, True, True, True, False, False])
    ['weird', 'weird', '-', 'ly', '', 'rd']
    """
    words: list[list[str]] = []
    for surface, goes_on in zip(surfaces, going_on, strict=True):
        if goes_on and surface[:1].isalnum() and words[-1][-1][-1:].isalnum():
            words[-1].append(surface)
        else:
            words.append([surface])
    return [joined for word in words for joined in ["".join(word)] * len(word)]


def _covered(encoding: Encoding, sources: Sequence[Any]) -> tuple[list[str], list[bool]]:
    """Return the text that each piece covers, nothing for special pieces; and whether it begins where the last ends."""
    if encoding.n_sequences == 1 and len(sources) != 1 and all(isinstance(one, str) for one in sources):
        sources = [sources]  # the words of one sentence
    words = not any(isinstance(one, str) for one in sources)
    surfaces, going_on, last = [], [], None
    for sequence, word, (start, end) in zip(encoding.sequence_ids, encoding.word_ids, encoding.offsets, strict=True):
        none = sequence is None or (words and word is None)
        text = "" if none else sources[sequence][word] if words else sources[sequence]
        surfaces.append(text[start:end])
        going_on.append(last == (sequence, word, start))
        last = None if none else (sequence, word, end)
    return surfaces, going_on

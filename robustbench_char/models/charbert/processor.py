"""CharBERT's processor: sub-words from the tokenizer, and the characters of each from the text that it stands for."""

from __future__ import annotations

import re
import string
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Self

from tokenizers import Encoding
from transformers import BatchEncoding, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import LARGE_INTEGER
from transformers.utils.generic import PaddingStrategy

from robustbench_char.common import InputError
from robustbench_char.models.charbert.characters import CHARACTER_INPUTS, CharacterCase, CharacterVocabulary, lay_out
from robustbench_char.models.checkpoints import drop_limits, load_tokenizer
from robustbench_char.models.inputs import IntArray, clean
from robustbench_char.models.tokenizing import is_byte_level

__all__ = ["CharBertProcessor"]

LONGEST = {"piece": 256, "word": 32}
"""Characters; a longer one, such as a coded image or an address, shows its first, or no batch could hold it."""

_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_CACHED = 1 << 17
"""Spellings kept: more than a sub-word vocabulary has; what is beyond are unknown words, of which there is no end."""
_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MARKS = "".join(chr(code) for code in range(0x300, 0x3100) if unicodedata.category(chr(code))[0] == "M")
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|(?:[^\W_{_IDEOGRAPHS}]+|[{_MARKS}]+)+")


class CharBertProcessor:
    """A fast sub-word tokenizer together with a character vocabulary.

    A piece exposes the characters of the text that its offsets cover, so that an unknown piece keeps them, and marks
    such as `##` never appear. Special and masked pieces, and pieces that cover no text, expose one placeholder. With a
    vocabulary of the unit `word` each piece exposes the whole word that it is part of, as `whole_words` has it; a word
    without a letter exposes the placeholder, since a number with a typo is another number.

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
        self._byte_level = is_byte_level(tokenizer)
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
        pieces = [self.spelling(surface) for surface in self._surfaces(encoding, sources)]
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
        split_special_tokens: bool = True,
    ) -> BatchEncoding:
        """Encode a text, a pair of texts, or a batch of either, for the model.

        `padding` (True or "longest", "max_length", False), `truncation`, `max_length` and `return_tensors` ("pt", "np")
        are those of tokenizers; padding stands on the right. With `split_special_tokens` False `[MASK]` in a text is
        the mask. Raises InputError where the length to pad to is not known.
        """
        single = isinstance(text, str) or (is_split_into_words and all(isinstance(word, str) for word in text))
        columns = [clean([one] if single else one) for one in (text, text_pair) if one is not None]
        if not columns[0]:
            return BatchEncoding({name: [] for name in (*self.tokenizer.model_input_names, *CHARACTER_INPUTS)})
        batch = self.tokenizer(
            *columns,
            is_split_into_words=is_split_into_words,
            truncation=truncation,
            max_length=max_length,
            split_special_tokens=split_special_tokens,
        )
        rows = [
            self._row(batch, index, encoding, [column[index] for column in columns])
            for index, encoding in enumerate(batch.encodings or ())
        ]
        self._pad(rows, PaddingStrategy(_PADDING.get(padding, padding)), max_length)
        if single and return_tensors is None:
            return BatchEncoding(rows[0])
        return BatchEncoding({name: [row[name] for row in rows] for name in rows[0]}, tensor_type=return_tensors)

    def _surfaces(self, encoding: Encoding, sources: Sequence[str | Sequence[str]]) -> list[str]:
        """Return what each piece exposes, before case; an empty string for pieces that stand for no text."""
        text, spans = _covered(encoding, sources)
        if self.vocabulary.unit == "word":
            spans = whole_words(text, spans)
        surfaces = [text[start:end] for start, end in spans]
        if self.vocabulary.mode == "surface":
            return surfaces
        unknown = self._unknown
        return [
            surface if piece == unknown or special else token.strip("#")
            for surface, token, piece, special in zip(
                surfaces, encoding.tokens, encoding.ids, encoding.special_tokens_mask, strict=True
            )
        ]

    def spelling(self, surface: str) -> tuple[int, ...]:
        """Return the ids of what one piece exposes, its separator included; at most LONGEST of its characters."""
        surface = surface.strip()[: LONGEST[self.vocabulary.unit]]
        ids = self._spellings.get(surface)
        if ids is None:
            if len(self._spellings) >= _CACHED:
                self._spellings.clear()
            ids = self._spellings[surface] = self._spell(surface)
        return ids

    def _spell(self, surface: str) -> tuple[int, ...]:
        if not surface or (self.vocabulary.unit == "word" and not any(map(str.isalpha, surface))):
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


def is_one_word(text: str) -> bool:
    """Return whether a text is one word with a letter: all of it is then shown by each of its pieces."""
    return _WORD.fullmatch(text) is not None and any(map(str.isalpha, text))


@lru_cache(maxsize=2)  # windows of one text come one after the other
def _words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _WORD.finditer(text)]


def whole_words(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the span of the word that each piece of a text is part of; its own, where it is not part of just one.

    Words are letters, digits and marks side by side, however a tokenizer parts them; each ideograph is one.

    >>> whole_words("weird-ly", [(0, 3), (3, 5), (5, 6), (6, 8)])
    [(0, 5), (0, 5), (5, 6), (6, 8)]
    """
    words = _words(text)
    begins, wide = [start for start, _ in words], []
    for start, end in spans:
        while start < end and text[start].isspace():
            start += 1
        at = bisect_right(begins, start) - 1
        wide.append(words[at] if at >= 0 and start < end <= words[at][1] else (start, end))
    return wide


def _covered(encoding: Encoding, sources: Sequence[Any]) -> tuple[str, list[tuple[int, int]]]:
    """Return all that was encoded as one text, and the span of each piece in it, an empty one for special pieces."""
    if encoding.n_sequences == 1 and len(sources) != 1 and all(isinstance(one, str) for one in sources):
        sources = [sources]  # the words of one sentence
    split = not any(isinstance(one, str) for one in sources)
    texts = list(chain.from_iterable(sources)) if split else list(sources)
    begins = [0, *accumulate(len(text) + 1 for text in texts)]
    second = len(sources[0]) if split else 1  # where the texts of a second sequence begin
    spans = []
    for sequence, word, (start, end) in zip(encoding.sequence_ids, encoding.word_ids, encoding.offsets, strict=True):
        which = word if split else 0
        if sequence is None or which is None:
            spans.append((0, 0))
        else:
            begin = begins[sequence * second + which]
            spans.append((begin + start, begin + end))
    return "\n".join(texts), spans

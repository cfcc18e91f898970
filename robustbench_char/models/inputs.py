"""From texts to sub-words: windows of limited length that know which words or characters they stand for.

A tokenizer that does not say where its pieces stand is fed word by word (`PlainReader`). A word is what white space
parts. Where white space is pieces too, as with characters and bytes, it is fed between the words and belongs to none.
Pieces are placed to the character where they spell their word, else they span all of it.

Shape legend: T sub-words of one window.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from transformers import BatchEncoding, PreTrainedTokenizerBase

from robustbench_char.models.tokenizing import bare
from robustbench_char.text.characters import without_surrogates
from robustbench_char.text.corrections import Correction, replaced

__all__ = ["NO_WORD", "InputArray", "IntArray", "PlainReader", "Window", "pad", "words_of"]

IntArray = npt.NDArray[np.int32]
InputArray = npt.NDArray[np.int32 | np.float32]

NO_WORD = NO_TEXT = -1
_NOTHING: IntArray = np.zeros(0, np.int32)


class Window(NamedTuple):
    """The sub-words of one text, or of one window of it.

    `row` counts the texts given in one call. `inputs` holds what the model reads, most of it [T]. `words` [T] is the
    index of the word a piece belongs to (NO_WORD for special tokens). `offsets` [T, 2] is the piece's start and end, in
    code points, in the context, or in the text that `texts` [T] numbers (0 or 1, NO_TEXT for special tokens); -1
    elsewhere.
    """

    row: int
    inputs: Mapping[str, InputArray]
    truncated: bool = False
    words: IntArray = _NOTHING
    offsets: IntArray = _NOTHING
    texts: IntArray = _NOTHING


def pad(
    inputs: Sequence[Mapping[str, InputArray]], values: Mapping[str, int], *, least: int = 1
) -> dict[str, npt.NDArray[np.int64 | np.float32]]:
    """Stack inputs [T] to tables [B, T], filled up on the right, to `least` at least, with the value of their name.

    Whole numbers become int64; others stay as they are.
    """
    tables: dict[str, npt.NDArray[np.int64 | np.float32]] = {}
    for name in inputs[0]:
        kind = np.float32 if inputs[0][name].dtype == np.float32 else np.int64
        table = np.full((len(inputs), max(least, *(len(one[name]) for one in inputs))), values[name], kind)
        for line, one in zip(table, inputs, strict=True):
            line[: len(one[name])] = one[name]
        tables[name] = table
    return tables


def clean(texts: Any) -> Any:
    """Replace lone surrogates, which a JSON file can hold and no tokenizer takes; lengths stay as they are."""
    return without_surrogates(texts) if isinstance(texts, str) else [clean(text) for text in texts]


Further = Callable[[Encoding, Sequence[Any], int], Mapping[str, InputArray]]
"""Further inputs of a window, from its encoding, what was encoded (one or two texts, or the words of a sentence), and
the row of that."""


def encode_texts(
    tokenizer: PreTrainedTokenizerBase,
    first: Sequence[str],
    second: Sequence[str] | None = None,
    *,
    max_length: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode texts, or pairs of texts, cutting the longer one first."""
    texts = [clean(column) for column in (first, second) if column is not None]
    if not tokenizer.is_fast:
        yield from PlainReader(tokenizer).texts(texts, max_length)
        return
    batch = tokenizer(*texts, truncation="longest_first", max_length=max_length)
    for row, encoding in enumerate(batch.encodings):
        sources = [column[row] for column in texts]
        held = np.array([NO_TEXT if text is None else text for text in encoding.sequence_ids], np.int32)
        offsets = np.where(held[:, None] == NO_TEXT, -1, np.array(encoding.offsets, np.int32).reshape(-1, 2))
        inputs = _inputs(batch, row, sources, row, further)
        yield Window(row, inputs, truncated=bool(encoding.overflowing), offsets=offsets, texts=held)


def encode_words(
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[Sequence[str]],
    *,
    max_length: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode sentences given as words. A word may have no piece: cut off, or of characters that are dropped."""
    given = clean(sentences)
    if not tokenizer.is_fast:
        yield from PlainReader(tokenizer).sentences(given, max_length)
        return
    batch = tokenizer(given, is_split_into_words=True, truncation=True, max_length=max_length)
    for row, encoding in enumerate(batch.encodings):
        words = np.array([NO_WORD if word is None else word for word in encoding.word_ids], np.int32)
        inputs = _inputs(batch, row, given[row], row, further)
        yield Window(row, inputs, truncated=bool(encoding.overflowing), words=words)


def encode_contexts(
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[str],
    contexts: Sequence[str],
    *,
    max_length: int,
    stride: int,
    max_question: int,
    further: Further | None = None,
) -> Iterator[Window]:
    """Encode questions with windows over their contexts; neighbouring windows share `stride` pieces.

    A question is cut to `max_question` pieces, so that room for the context remains.
    """
    asked, given = clean(questions), clean(contexts)
    if not tokenizer.is_fast:
        yield from PlainReader(tokenizer).contexts(asked, given, max_length, stride, max_question)
        return
    heads = [head_of(tokenizer, question, max_question) for question in asked]
    windows: dict[str, Any] = {"max_length": max_length, "stride": stride, "return_overflowing_tokens": True}
    batch = tokenizer(heads, given, truncation="only_second", **windows)
    owners = batch["overflow_to_sample_mapping"]
    for index, encoding in enumerate(batch.encodings):
        offsets = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        in_context = np.array([sequence == 1 for sequence in encoding.sequence_ids])
        row = int(owners[index])
        yield Window(
            row,
            _inputs(batch, index, (heads[row], given[row]), row, further),
            truncated=heads[row] != asked[row],
            offsets=np.where(in_context[:, None], offsets, -1),
        )


def head_of(tokenizer: PreTrainedTokenizerBase, text: str, pieces: int) -> str:
    """Return the start of `text` that has at most `pieces` sub-words."""
    encoding = tokenizer(text, add_special_tokens=False, truncation=True, max_length=pieces).encodings[0]
    return text[: encoding.offsets[-1][1]] if encoding.overflowing else text


_BLANKS = re.compile(r"\s{8,}")
"""White space that takes the room of words; shorter runs, as after a full stop, are read as they are."""


def squeezed(
    tokenizer: PreTrainedTokenizerBase, columns: Sequence[Sequence[str]], pieces: int
) -> list[list[Correction]] | None:
    """Return one or two columns of texts in which blanks take no room from words, None where none does.

    Where the texts of a row have more than `pieces` sub-words, long runs of white space become one space.
    """
    if not any(_BLANKS.search(text) for texts in columns for text in texts):
        return None
    rows = [_squeezed(tokenizer, texts, pieces) for texts in zip(*columns, strict=True)]
    return [list(texts) for texts in zip(*rows, strict=True)]


def _squeezed(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pieces: int) -> list[Correction]:
    runs = [[match.span() for match in _BLANKS.finditer(text)] for text in texts]
    if not any(runs) or sum(len(tokenizer.tokenize(clean(text))) for text in texts) <= pieces:
        runs = [[] for _ in texts]
    return [replaced(text, own, [" "] * len(own)) for text, own in zip(texts, runs, strict=True)]


def words_of(texts: IntArray, offsets: IntArray, spans: Sequence[npt.NDArray[np.int64]]) -> IntArray:
    """Return the word that each piece stands in [T], from where pieces and words begin; NO_WORD between words.

    `texts` and `offsets` are those of a `Window`, `spans` those of the words [W, 2] of each text; words are numbered
    through all texts.
    """
    owners = np.full(len(texts), NO_WORD, np.int32)
    before = 0
    for number, words in enumerate(spans):
        inside = np.flatnonzero(texts == number)
        starts, ends = offsets[inside].T
        place = np.searchsorted(words[:, 1], starts, side="right")  # the first word that ends behind the piece's start
        within = np.minimum(place, len(words) - 1)
        belongs = np.zeros(len(inside), np.bool_)
        if len(words):  # a byte-level piece of the space before a word alone has no length, and is the word's
            space = (starts == ends) & (starts == words[within, 0])
            belongs = (place < len(words)) & ((words[within, 0] < ends) | space)
        owners[inside[belongs]] = before + place[belongs]
        before += len(words)
    return owners


def _inputs(
    batch: BatchEncoding, index: int, sources: Sequence[Any], row: int, further: Further | None
) -> dict[str, InputArray]:
    names = ("input_ids", "token_type_ids", "attention_mask")
    inputs: dict[str, InputArray] = {name: np.array(batch[name][index], np.int32) for name in names if name in batch}
    return inputs if further is None else {**inputs, **further(batch[index], sources, row)}


class Pieces(NamedTuple):
    """Sub-words without special ones: `ids` [T], `offsets` [T, 2] in the text or the word, `words` [T]."""

    ids: IntArray
    offsets: IntArray
    words: IntArray

    def part(self, start: int, stop: int) -> Pieces:
        """Return some of the pieces."""
        return Pieces(self.ids[start:stop], self.offsets[start:stop], self.words[start:stop])


class PlainReader:
    """Reads texts with a tokenizer without offsets; no text is taken for a special token."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer: Any = tokenizer
        self._names = {name for name in tokenizer.all_special_tokens if len(name) > 1 and name != tokenizer.unk_token}
        self.spaces = len(self.tokens("a a")) > 2 * len(self.tokens("a"))
        self._known: dict[str, tuple[IntArray, IntArray]] = {}
        self._chunks = re.compile(r"\s+|\S+" if self.spaces else r"\S+")

    def tokens(self, word: str) -> list[str]:
        """Return the pieces of a word by itself, as text. The name of a special token in it is none."""
        given = clean(word)
        whole = list(self.tokenizer.tokenize(given, split_special_tokens=True))
        if self._names.isdisjoint(whole):
            return whole
        name = re.compile("|".join(map(re.escape, sorted(self._names))))
        cuts = [0, *(match.start() + 1 for match in name.finditer(given)), len(given)]
        parts = (self.tokenizer.tokenize(given[a:b], split_special_tokens=True) for a, b in pairwise(cuts))
        return list(chain.from_iterable(parts))

    def sentence(self, words: Sequence[str]) -> Pieces:
        """Return the pieces of words given one by one."""
        parts: list[tuple[str, int, int]] = []
        for number, word in enumerate(words):
            parts += [(" ", NO_WORD, 0)] if number and self.spaces else []
            parts.append((word, number, 0))
        return self._joined(parts)

    def text(self, text: str) -> Pieces:
        """Return the pieces of a text. Words are those between white space."""
        chunks = enumerate(self._chunks.finditer(text))
        return self._joined([(match.group(), number, match.start()) for number, match in chunks])

    def window(self, row: int, *parts: Pieces, truncated: bool) -> Window:
        """Return a window over one or two texts, with the tokenizer's special tokens around them."""
        marks = [[-1], [-2]][: len(parts)]
        frame = self.tokenizer.build_inputs_with_special_tokens(*marks)
        kinds = self.tokenizer.create_token_type_ids_from_sequences(*marks)
        kinds = kinds if len(kinds) == len(frame) else [0] * len(frame)
        slots = [(_pieces([token]), NO_TEXT) if token >= 0 else (parts[-1 - token], -1 - token) for token in frame]
        lengths = [len(pieces.ids) for pieces, _ in slots]
        ids, offsets, words = map(np.concatenate, zip(*(pieces for pieces, _ in slots), strict=True))
        inputs: dict[str, InputArray] = {"input_ids": ids}
        if "token_type_ids" in self.tokenizer.model_input_names:
            inputs["token_type_ids"] = np.repeat(np.array(kinds, np.int32), lengths)
        inputs["attention_mask"] = np.ones(len(ids), np.int32)
        texts = np.repeat(np.array([number for _, number in slots], np.int32), lengths)
        return Window(row, inputs, truncated=truncated, words=words, offsets=offsets, texts=texts)

    def room(self, max_length: int, *, pair: bool) -> int:
        """Return how many pieces fit beside the special tokens."""
        return max_length - int(self.tokenizer.num_special_tokens_to_add(pair=pair))

    def texts(self, columns: Sequence[Sequence[str]], max_length: int) -> Iterator[Window]:
        """Encode texts, or pairs of texts; see `encode_texts`."""
        room = self.room(max_length, pair=len(columns) > 1)
        for row, texts in enumerate(zip(*columns, strict=True)):
            parts = [self.text(text) for text in texts]
            lengths = [len(part.ids) for part in parts]
            kept = _fitted(lengths, room)
            cut = (part.part(0, length) for part, length in zip(parts, kept, strict=True))
            yield self.window(row, *cut, truncated=kept != lengths)._replace(words=_NOTHING)

    def sentences(self, sentences: Sequence[Sequence[str]], max_length: int) -> Iterator[Window]:
        """Encode sentences given as words; see `encode_words`."""
        room = self.room(max_length, pair=False)
        for row, words in enumerate(sentences):
            pieces = self.sentence(words)
            window = self.window(row, pieces.part(0, room), truncated=len(pieces.ids) > room)
            yield window._replace(offsets=_NOTHING, texts=_NOTHING)

    def contexts(
        self, questions: Sequence[str], contexts: Sequence[str], max_length: int, stride: int, max_question: int
    ) -> Iterator[Window]:
        """Encode questions with windows over their contexts; see `encode_contexts`."""
        for row, (question, context) in enumerate(zip(questions, contexts, strict=True)):
            asked, pieces = self.text(question), self.text(context)
            head, cut = asked.part(0, max_question), len(asked.ids) > max_question
            room = self.room(max_length, pair=True) - len(head.ids)
            for start in range(0, max(len(pieces.ids) - stride, 1), room - stride):
                window = self.window(row, head, pieces.part(start, start + room), truncated=cut)
                offsets = np.where(window.texts[:, None] == 1, window.offsets, np.int32(-1))
                yield window._replace(offsets=offsets, words=_NOTHING, texts=_NOTHING)

    def _joined(self, parts: Sequence[tuple[str, int, int]]) -> Pieces:
        """Return the pieces of chunks of text, each with the word that it is and its start."""
        found = [(*self._word(chunk), number, start) for chunk, number, start in parts]
        if not found:
            return _pieces([])
        ids = np.concatenate([ids for ids, _, _, _ in found])
        offsets = np.concatenate([offsets + np.int32(start) for _, offsets, _, start in found])
        lengths = [len(ids) for ids, _, _, _ in found]
        return Pieces(ids, offsets, np.repeat(np.array([number for *_, number, _ in found], np.int32), lengths))

    def _word(self, word: str) -> tuple[IntArray, IntArray]:
        if word not in self._known:
            tokens = self.tokens(word)
            ids = np.array(self.tokenizer.convert_tokens_to_ids(tokens), np.int32).reshape(-1)
            self._known[word] = ids, np.array(_placed(tokens, word), np.int32).reshape(-1, 2)
        return self._known[word]


def _placed(tokens: Sequence[str], word: str) -> list[tuple[int, int]]:
    """Return where each piece stands in its word: exactly where the pieces spell it, else all of the word."""
    if all(len(token) == 1 and ord(token) < 256 for token in tokens) and len(tokens) == len(word.encode()):
        return [(place, place + 1) for place, letter in enumerate(word) for _ in letter.encode()]
    spelled = (word, _folded(word))
    for pieces in (list(tokens), [bare(token) for token in tokens]):
        if "".join(pieces) in spelled:
            ends = np.cumsum([len(piece) for piece in pieces]).tolist()
            return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []
    return [(0, len(word))] * len(tokens)


def _folded(word: str) -> str:
    """Return a word in lower case without accents, as uncased tokenizers have it; the word where its length differs."""
    letters = unicodedata.normalize("NFD", word.lower())
    bare = "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")
    return bare if len(bare) == len(word) else word


def _fitted(lengths: Sequence[int], room: int) -> list[int]:
    """Return how many pieces of one or two texts are kept: the longer is cut first, as fast tokenizers do."""
    if sum(lengths) <= room or len(lengths) == 1:
        return [min(length, room) for length in lengths]
    short = min(*lengths, room // 2)
    return [short, room - short] if lengths[0] <= lengths[1] else [room - short, short]


def _pieces(ids: Sequence[int]) -> Pieces:
    """Return pieces that belong to no word and no text."""
    nowhere = np.full(len(ids), NO_WORD, np.int32)
    return Pieces(np.array(ids, np.int32), np.full((len(ids), 2), -1, np.int32), nowhere)

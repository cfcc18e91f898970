"""The words that CharBERT knows: those of its base's vocabulary and of lists, with their sub-words.

Known words are spelt as the processor shows words: letters and digits, at least one letter, in its case.
Shape legend: W known words, P sub-words of one, K numbers of a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from robustbench_char.common import InputError
from robustbench_char.common.files import check_file, whole_file
from robustbench_char.models.charbert.character_encoders import MOST_PIECES, KnownWords
from robustbench_char.models.charbert.characters import CharacterCase, CharacterVocabulary
from robustbench_char.models.charbert.configuration import CharBertConfig
from robustbench_char.models.charbert.modeling import CharBertForMaskedLM
from robustbench_char.models.charbert.processor import LONGEST, is_one_word
from robustbench_char.models.checkpoints import load_config, read_model, refuse_missing

__all__ = ["Lexicon", "character_model", "fill", "read_words", "spelled", "sub_words"]

CHARACTER_SIZE, GRU_SIZE = 64, 128
"""Numbers of a character's embedding, and of the GRU's state in each direction: enough for keys, small to ship."""
_AT_ONCE = 4096


class Lexicon(NamedTuple):
    """`W` known words and the sub-words of each, -1 after them [W, P]."""

    words: tuple[str, ...]
    pieces: Tensor

    @classmethod
    def of(
        cls, tokenizer: PreTrainedTokenizerFast, lists: Iterable[str], case: CharacterCase, *, own: bool = True
    ) -> Lexicon:
        """Return the words of a tokenizer's vocabulary, in its order (`own`), then those of lists, each once.

        Words of more than MOST_PIECES sub-words, or with an unknown one, are left out.
        """
        every = (*(_vocabulary_words(tokenizer) if own else ()), *lists)
        usual = (word.lower() if case == "lower" else word for word in every)
        words = [word for word in dict.fromkeys(usual) if is_one_word(word) and len(word) <= LONGEST["word"]]
        kept = [
            (word, ids) for word, ids in zip(words, sub_words(tokenizer, words), strict=True) if _usable(ids, tokenizer)
        ]
        table = torch.full((len(kept), MOST_PIECES), -1)
        for row, (_, ids) in enumerate(kept):
            table[row, : len(ids)] = torch.tensor(ids)
        return cls(tuple(word for word, _ in kept), table)

    @property
    def prior(self) -> Tensor:
        """How frequent words are [W]: a vocabulary is in order of frequency, and a word as rare as its rarest piece."""
        return -torch.log1p(self.pieces.amax(dim=1).float())


def _vocabulary_words(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Return the pieces of a vocabulary that are whole words, not parts of one."""
    special = set(tokenizer.all_special_ids)
    ids = [index for index in range(len(tokenizer)) if index not in special]
    words = [word.strip() for word in tokenizer.batch_decode([[index] for index in ids])]
    candidates = [(index, word) for index, word in zip(ids, words, strict=True) if is_one_word(word)]
    pieces = sub_words(tokenizer, [word for _, word in candidates])
    return [word for (index, word), own in zip(candidates, pieces, strict=True) if own == [index]]


def sub_words(tokenizer: PreTrainedTokenizerFast, words: Sequence[str]) -> Iterator[list[int]]:
    """Yield the sub-words of each word as it is written inside a text, after a space."""
    for encoding in tokenizer.backend_tokenizer.encode_batch([f" {word}" for word in words], add_special_tokens=False):
        yield [index for index, (start, end) in zip(encoding.ids, encoding.offsets, strict=True) if end > start]


def _usable(ids: list[int], tokenizer: PreTrainedTokenizerFast) -> bool:
    return 0 < len(ids) <= MOST_PIECES and tokenizer.unk_token_id not in ids


def read_words(path: Path) -> list[str]:
    """Return the words of a list: the first of each line of UTF-8 text; what follows it, such as a count, is not read.

    Raises InputError for a file that is empty or something else.
    """
    expected, fix = "a list of words: UTF-8 text, one word per line", "Give a word list."
    try:
        text = whole_file(check_file(path, option="`words=`", holding=expected)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"bytes that are not UTF-8 text ({error.reason} at byte {error.start})"
        raise InputError(path, found=found, expected=expected, fix=fix) from None
    if "\0" in text:
        raise InputError(path, found="a binary file", expected=expected, fix=fix)
    words = [line.split()[0] for line in text.splitlines() if line.strip()]
    if not words:
        raise InputError(path, found="no words", expected=expected, fix=fix)
    return words


def spelled(words: Sequence[str], characters: CharacterVocabulary) -> Tensor:
    """Return the characters of words [N, M], zeros after them."""
    rows = [characters.spell(word[: LONGEST["word"]]) for word in words]
    table = torch.zeros(len(rows), max(map(len, rows), default=1), dtype=torch.long)
    for row, ids in enumerate(rows):
        table[row, : len(ids)] = torch.tensor(ids)
    return table


def character_model(
    folder: Path, lexicon: Lexicon, characters: CharacterVocabulary, *, seed: int
) -> tuple[CharBertForMaskedLM, KnownWords]:
    """Return a CharBERT on a plain base, and its character encoder, which has room for known words.

    What the base lacks is drawn from the seed.

    Raises InputError for a base that is neither BERT- nor RoBERTa-type, or lacks weights.
    """
    fields = {"char_embedding_size": CHARACTER_SIZE, "char_hidden_size": GRU_SIZE, "known_words": len(lexicon.words)}
    case = characters.case or "surface"
    config = CharBertConfig.from_base(
        load_config(folder), char_vocab_size=len(characters), character_case=case, **fields
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, missing = read_model(CharBertForMaskedLM, folder, config=config)
    own = ("charbert.embeddings.", "charbert.encoder.layer.")
    refuse_missing(folder, [name for name in missing if name.startswith(own)])
    return cast(CharBertForMaskedLM, model), cast(KnownWords, model.base_model.char_embeddings)


@torch.no_grad()
def fill(encoder: KnownWords, lexicon: Lexicon, characters: CharacterVocabulary) -> None:
    """Give an encoder its known words: the keys that it computes [W, K], their sub-words and their priors, in place."""
    words = lexicon.words
    parts = [encoder.encode(spelled(words[at : at + _AT_ONCE], characters)) for at in range(0, len(words), _AT_ONCE)]
    for name, values in {"keys": torch.cat(parts), "pieces": lexicon.pieces, "prior": lexicon.prior}.items():
        cast(Tensor, getattr(encoder, name)).copy_(values)

"""Making a folder's tokenizer ready: it reads texts as plain text, words as in a text, and fits the model.

Whatever its class, its pieces are looked at on a few words. What can be set right is set in the backend (the
tokenizer of the library `tokenizers`); the rest is refused.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

from tokenizers import AddedToken, Encoding, Regex
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, Split
from tokenizers.pre_tokenizers import Sequence as Steps
from tokenizers.processors import Sequence as Processors
from transformers import PreTrainedConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from robustbench_char.common.errors import InputError
from robustbench_char.common.files import read_json

__all__ = ["after_another", "bare", "is_byte_level", "prepare"]

PROBES = ("another", "opened", "don't", "3.5", "co-op")
"""Words that tokenizers cut in all their ways."""
_MARKS = re.compile("(?<=.)@@$|(?<=.)</w>$|^##(?=.)|^[\u2581\u0120]")
"""What tokenizers add to a piece to say whether a space stands before or behind it."""
_ASCII, _ANY = re.compile("[A-Z]").search, lambda token: token != token.lower()
_STRAY, _LOOKED_AT = 0.01, 200
"""The share of a vocabulary that is no accident, and how many words of it are read."""
_SPACES = "\u2581\u0120"
"""How pieces begin that have the space before them in them: of SentencePiece, and of bytes."""
_RARE = "\ua66e"
"""A letter that hardly a vocabulary has."""
_LOG = logging.getLogger(__name__)


def bare(token: str) -> str:
    """Return a piece without what says whether a space stands before or behind it."""
    return _MARKS.sub("", token)


def is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer's pieces are of bytes, as RoBERTa's are, with the space before a word in them."""
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return False
    backend = tokenizer.backend_tokenizer
    return "ByteLevel" in f"{backend.normalizer!r} {backend.pre_tokenizer!r}"


def prepare(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig | None, folder: Path, *, words: bool) -> None:
    """Make the tokenizer of a folder ready, in place; `words` says that it gets words one by one.

    Raises InputError for one that cannot be set right, or does not fit the model of `config` (None: there is none).
    """
    known = config is None or hasattr(config, "vocab_size")  # CANINE has no vocabulary, but all characters
    vocabulary = dict(sorted(tokenizer.get_vocab().items(), key=itemgetter(1))) if known else {}
    tokenizer.split_special_tokens = True
    tokenizer.model_max_length = _longest(tokenizer.model_max_length, folder)
    _check_unknown(tokenizer, folder)
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        _read_plain_text(tokenizer, folder)
        begun = (bare(token) for token in vocabulary if token[:1] in _SPACES)
        probes = (*PROBES, *islice((word for word in begun if word.isascii() and word.isalpha()), _LOOKED_AT))
        if words:
            _space_before_words(tokenizer, probes, folder)
        _set_offsets_right(tokenizer, probes, folder)
    else:
        _check_word_by_word(tokenizer, folder)
    if config and known:
        _check_fit(tokenizer, vocabulary, config, folder)
    _check_capitals(tokenizer, vocabulary, folder)


def _longest(given: Any, folder: Path) -> int:
    """Return how many pieces a tokenizer says that its model reads. Raises InputError where that is no such number."""
    if isinstance(given, (int, float)) and not isinstance(given, bool) and given >= 1:
        return int(min(given, VERY_LARGE_INTEGER))
    fix = "Correct tokenizer_config.json, or download it again."
    place, found = f"{folder / 'tokenizer_config.json'}: model_max_length", json.dumps(given, default=str)[:80]
    raise InputError(place, found=found, expected="a number of pieces, at least 1", fix=fix)


def _check_unknown(tokenizer: PreTrainedTokenizerBase, place: object) -> None:
    """Raise InputError for a tokenizer that fails at what it does not know, perhaps only at a later text."""
    try:
        if None in [tokenizer.convert_tokens_to_ids(token) for token in tokenizer.tokenize(_RARE)]:
            raise KeyError(tokenizer.unk_token)
    except Exception as error:  # tokenizers raises nothing narrower
        found = f"a tokenizer that fails at a character that it does not know ({error})"
        fix = "Correct `unk_token` in tokenizer_config.json, or download the tokenizer again."
        raise InputError(place, found=found, expected="a token for the unknown in its vocabulary", fix=fix) from None


def _check_word_by_word(tokenizer: PreTrainedTokenizerBase, place: object) -> None:
    """Raise InputError for a slow tokenizer whose pieces of a word are others in a text than by itself.

    It says nowhere where its pieces stand, and so is fed word by word, white space between them where that is a piece.
    """
    before, space = (tokenizer.tokenize(text) for text in ("a", " "))
    before = before + space if len(tokenizer.tokenize("a a")) > 2 * len(before) else before
    for word in PROBES:
        inside, own = tokenizer.tokenize(f"a {word}"), before + tokenizer.tokenize(word)
        if inside != own:
            found = f"a slow tokenizer that reads {word!r} after another word as {inside[1:]}, by itself as {own[1:]}"
            fix = "Save the model's fast tokenizer (tokenizer.json) into the folder."
            raise InputError(place, found=found, expected="the same pieces, as it is fed word by word", fix=fix)


def _read_plain_text(tokenizer: PreTrainedTokenizerFast, place: object) -> None:
    """Have the name of a special token in a text read as any other text: `[SEP]` ends nothing there.

    Raises InputError where that cannot be had. A name of one character has no other reading, and stays.
    """
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    if not (taken := _taken(tokenizer)):
        return
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in taken])
    # Vocabularies of unigrams and of whole words hold the names too: nothing is looked up over a cut.
    cuts = "|".join(f"(?<={re.escape(name[0])}){re.escape(name[1:])}" for name in taken)
    backend.pre_tokenizer = _steps(backend.pre_tokenizer, Split(Regex(cuts), "isolated"))
    if still := [name for name in _taken(tokenizer) if name != tokenizer.unk_token]:
        found = f"a tokenizer that takes {still[0]!r} in a text for its special token"
        fix = f"Save the tokenizer again with `AddedToken({still[0]!r}, special=True)`."
        raise InputError(place, found=found, expected="one that can read it as plain text", fix=fix)


def _taken(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Return the special tokens that are found by their name in a text."""
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder().values()
    names = {*tokenizer.all_special_tokens, *(token.content for token in added if token.special)}
    parted = sorted(name for name in names if len(name) > 1)
    read = _encoded(tokenizer, [f"a{name} {name} a" for name in parted])
    return [
        name for name, encoding in zip(parted, read, strict=True) if any(name == token for token in encoding.tokens)
    ]


def _encoded(tokenizer: PreTrainedTokenizerBase, given: Sequence[Any], *, words: bool = False) -> list[Encoding]:
    if not given:
        return []
    read = tokenizer(list(given), is_split_into_words=words, add_special_tokens=False).encodings
    return cast(list[Encoding], read)


def _steps(*steps: Any) -> Steps:
    """Return pre-tokenizers one after the other, those that there are."""
    return Steps([step for step in steps if step is not None])


def after_another(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[list[str]]:
    """Return the pieces of each word where it stands after another one in a text, the space with them."""
    before, *texts = _encoded(tokenizer, ["a", *(f"a {word}" for word in words)])
    return [text.tokens[len(before) :] for text in texts]


def _space_before_words(tokenizer: PreTrainedTokenizerFast, probes: Sequence[str], place: object) -> None:
    """Have words that are given one by one read as after a space. Raises InputError where that cannot be had."""
    if _odd_word(tokenizer, probes) is None:
        return
    backend = tokenizer.backend_tokenizer
    if isinstance(backend.pre_tokenizer, ByteLevel):
        backend.pre_tokenizer.add_prefix_space = True
    else:  # a ByteLevel after other steps would put a space before each part of a word
        backend.pre_tokenizer = _steps(Metaspace(" ", "first", split=False), backend.pre_tokenizer)
    tokenizer.init_kwargs["add_prefix_space"] = True  # as it is saved
    if odd := _odd_word(tokenizer, probes):
        word, inside, given = odd
        found = f"a tokenizer that reads {word!r} as {given} where words are given one by one, in a text as {inside}"
        fix = "Save the tokenizer with `add_prefix_space=True`, or one whose pre-tokenizer has it."
        raise InputError(place, found=found, expected="the same pieces", fix=fix)


def _odd_word(tokenizer: PreTrainedTokenizerFast, probes: Sequence[str]) -> tuple[str, list[str], list[str]] | None:
    """Return a word with its pieces in a text and by itself, where they differ; None where none does."""
    texts = after_another(tokenizer, probes)
    alone = _encoded(tokenizer, [["a", word] for word in probes], words=True)
    for word, inside, own in zip(probes, texts, alone, strict=True):
        given = [token for token, number in zip(own.tokens, own.word_ids, strict=True) if number == 1]
        if inside != given:
            return word, inside, given
    return None


def _set_offsets_right(tokenizer: PreTrainedTokenizerFast, probes: Sequence[str], place: object) -> None:
    """Have pieces stand where they are spelled. Raises InputError where that cannot be had."""
    for name, value in (("add_prefix_space", True), ("trim_offsets", False)):
        if _misplaced(tokenizer, probes) is None:
            return
        _set(tokenizer.backend_tokenizer.post_processor, name, value)
    if odd := _misplaced(tokenizer, probes):
        found = f"a tokenizer that says that its piece {odd[0]!r} stands for {odd[1]!r}"
        fix = "Save it with an `add_prefix_space` that is equal in its pre-tokenizer and its post-processor."
        raise InputError(place, found=found, expected="the text that the piece spells", fix=fix)


def _misplaced(tokenizer: PreTrainedTokenizerFast, probes: Sequence[str]) -> tuple[str, str] | None:
    """Return a piece that spells other text than its offsets cover, with that text; None where none does."""
    texts = [*probes, " ".join(probes)]
    (words,) = _encoded(tokenizer, [probes], words=True)
    sources = [*([text] * len(text) for text in texts), [probes[number or 0] for number in words.word_ids]]
    for source, encoding in zip(sources, [*_encoded(tokenizer, texts), words], strict=True):
        for token, (start, end), text in zip(encoding.tokens, encoding.offsets, source, strict=False):
            spelled, covered = bare(token).lower(), text[start:end].strip().lower()
            if spelled.isalpha() and spelled in text.lower() and spelled != covered:
                return token, text[start:end]
    return None


def _set(processor: Any, name: str, value: bool) -> None:
    """Change a setting of a post-processor, or of those of its steps that have it."""
    steps: Any = processor if isinstance(processor, Processors) else (processor,)
    for step in steps:
        if hasattr(step, name):
            setattr(step, name, value)


def _check_fit(
    tokenizer: PreTrainedTokenizerBase, vocabulary: Mapping[str, int], config: PreTrainedConfig, folder: Path
) -> None:
    """Raise InputError where a token, or a kind of text, has no embedding in the model that a tokenizer feeds."""
    rows, padding = int(config.vocab_size), getattr(config, "pad_token_id", None) or 0
    pair = tokenizer("a", "a", return_token_type_ids=True)
    around = {*pair["input_ids"], *tokenizer("a")["input_ids"]}
    ids = {**vocabulary, **{str(tokenizer.convert_ids_to_tokens(number)): number for number in around}}
    _check_rows(tokenizer, {token: number for token, number in ids.items() if number >= rows}, rows, folder)
    if padding >= rows:
        found, expected = f"a token for padding with the id {padding}", f"one of the {rows} rows of embeddings"
        raise InputError(folder / "config.json", found=found, expected=expected, fix="Correct `pad_token_id`.")
    _check_kinds(tokenizer, max(pair["token_type_ids"], default=0), getattr(config, "type_vocab_size", None), folder)


def _check_rows(tokenizer: PreTrainedTokenizerBase, beyond: Mapping[str, int], rows: int, folder: Path) -> None:
    """Raise InputError for tokens `beyond` the embeddings that can be read: special ones stand in no text."""
    named = {tokenizer.mask_token, tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token, tokenizer.sep_token}
    unread = {*tokenizer.all_special_tokens} - named
    if not beyond:
        return
    token = max(beyond, key=lambda name: (name not in unread, beyond[name]))
    found = (
        f"a tokenizer with {len(beyond)} tokens beyond the model's embeddings, {token!r} with the id {beyond[token]}"
    )
    if token in unread:
        _warn(f"{folder}: {found}: they are special tokens, which no text is read as.")
        return
    fix = "Save the model's own tokenizer with it; where tokens were added, call"
    fix += " `model.resize_token_embeddings(len(tokenizer))` before it is trained, and save both."
    raise InputError(folder, found=found, expected=f"ids from 0 to {rows - 1}: `vocab_size` is {rows}", fix=fix)


def _check_kinds(tokenizer: PreTrainedTokenizerBase, kind: int, known: int | None, folder: Path) -> None:
    """Leave out the kinds of texts where a model knows one alone. Raises InputError where it knows too few."""
    if known is None or kind < known or "token_type_ids" not in tokenizer.model_input_names:
        return
    if known > 1:
        found = f"a tokenizer that tells {kind + 1} kinds of texts apart (`token_type_ids`)"
        expected = f"{known} at most, as `type_vocab_size` has it"
        raise InputError(folder, found=found, expected=expected, fix="Save the model's own tokenizer with it.")
    tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]


def _check_capitals(tokenizer: PreTrainedTokenizerBase, vocabulary: Mapping[str, int], folder: Path) -> None:
    """Raise InputError where words of a vocabulary have capitals that are lost without a word in the folder.

    Where the folder says so, it is a warning: the model may have been trained like this. So are capitals that are kept
    and have no piece.
    """
    of_bytes = is_byte_level(tokenizer)
    letters = _ASCII if of_bytes else _ANY  # other capitals there stand for bytes, and one alone for its own
    special = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    bared = (bare(token) for token in vocabulary if token not in special and token[:1] not in "[<")
    words = [word for word in bared if letters(word) and len(word) > of_bytes]
    if len(words) <= _STRAY * len(vocabulary):
        _check_small(tokenizer, vocabulary, folder)
        return
    few = words[:: max(1, len(words) // _LOOKED_AT)]
    if any(letters(piece) for word in few for piece in tokenizer.tokenize(word) if piece not in special):
        return
    longest = max(few, key=len)
    example = f"{longest!r} becomes {' '.join(tokenizer.tokenize(longest))!r}"
    told = f"a tokenizer that makes capitals small, and {len(words)} pieces with capitals in its vocabulary ({example})"
    if _says_small(folder):
        _warn(f"{folder}: {told}: the model never reads them.")
        return
    fix = 'Write {"do_lower_case": false} into tokenizer_config.json beside it (true, where the model was trained so).'
    raise InputError(folder, found=told, expected="a tokenizer that can yield them", fix=fix)


def _check_small(tokenizer: PreTrainedTokenizerBase, vocabulary: Mapping[str, int], folder: Path) -> None:
    """Warn where a tokenizer keeps capitals, of which a vocabulary has none."""
    words = [word for word in map(bare, vocabulary) if word.isalpha() and word.islower()]
    few = [word for word in words[:: max(1, len(words) // _LOOKED_AT)] if not _unknown(tokenizer, word)]
    lost = [word for word in few if _unknown(tokenizer, word.upper())]
    if few and len(lost) >= (1 - _STRAY) * len(few):
        told = "a tokenizer that keeps capitals, and none of them in its vocabulary"
        example = f"{lost[-1].upper()!r} becomes {tokenizer.unk_token!r}"
        fix = 'If the model is uncased, write {"do_lower_case": true} into tokenizer_config.json in a copy.'
        _warn(f"{folder}: {told} ({example}): the model knows no word with one. {fix}")


def _unknown(tokenizer: PreTrainedTokenizerBase, word: str) -> bool:
    return tokenizer.unk_token in tokenizer.tokenize(word)


def _says_small(folder: Path) -> bool:
    """Return whether a folder itself says that capitals are made small."""
    settings, whole = (folder / name for name in ("tokenizer_config.json", "tokenizer.json"))
    if settings.is_file() and "do_lower_case" in (said := read_json(settings)):
        return bool(said["do_lower_case"])
    normalizer = json.dumps(read_json(whole).get("normalizer") if whole.is_file() else None)
    return '"lowercase": true' in normalizer or '"Lowercase"' in normalizer


@cache
def _warn(text: str) -> None:
    """Say something once: a command opens a folder several times."""
    _LOG.warning(text)

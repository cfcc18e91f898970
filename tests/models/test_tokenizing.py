"""Tokenizers of any class are set right, or refused: plain text, words one by one, offsets, rows of embeddings."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    ProphetNetTokenizer,
    RobertaConfig,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from robustbench_char.common import InputError
from robustbench_char.inference._attack_set import piece_counts
from robustbench_char.models.checkpoints import load_tokenizer
from robustbench_char.models.inputs import encode_texts, encode_words

pytestmark = pytest.mark.models

NAMES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
SPECIAL = tuple(NAMES.values())
SIZE = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
WORD_LIKE = Regex(r"'s|'t|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+")
BYTES: dict[str, Callable[[], Any]] = {
    "plain": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "prefixed": lambda: pre_tokenizers.ByteLevel(add_prefix_space=True),
    "after digits": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "after a pattern": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Split(WORD_LIKE, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    ),
}
TEMPLATE = ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
AROUND: dict[str, Callable[[], Any]] = {
    "template": lambda: processors.TemplateProcessing(*TEMPLATE),
    "trimming": lambda: processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), trim_offsets=True,
                                                     add_prefix_space=False),
    "steps": lambda: processors.Sequence([processors.ByteLevel(trim_offsets=True, add_prefix_space=False),
                                          processors.TemplateProcessing(*TEMPLATE)]),
}  # fmt: skip


def byte_level(pre: Any, around: Any) -> Tokenizer:
    """Return pieces of bytes, and the words `opened`, ` another`, `an` and `other`."""
    tokens = [*SPECIAL, *sorted(bytes_to_unicode().values())]
    merges: dict[tuple[str, str], None] = {}
    for word in ("Ġa", "opened", "Ġan", "Ġother", "an", "other"):
        for end in range(2, len(word) + 1):
            merges[word[: end - 1], word[end - 1]] = None
            tokens.append(word[:end])
    merges["Ġan", "other"] = None
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys([*tokens, "Ġanother"]))}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges)))
    tokenizer.pre_tokenizer, tokenizer.post_processor = pre, around
    return tokenizer


def unigrams(pre: Any) -> Tokenizer:
    """Return unigrams; the names of special tokens are pieces too, and likelier than all others."""
    pieces = ["▁", *"abcdefghijklmnopqrstuvwxyz'.-35<>/[]ACDEKLMNPSU", "▁another", "another"]
    tokenizer = Tokenizer(models.Unigram([*((name, 0.0) for name in SPECIAL), *((p, -9.0) for p in pieces)], unk_id=1))
    tokenizer.pre_tokenizer, tokenizer.post_processor = pre, processors.TemplateProcessing(*TEMPLATE)
    return tokenizer


def word_pieces(*words: str, whole: bool = False) -> Tokenizer:
    letters = [mark + letter for mark in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz'.-35[]"]
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters, *words])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit() if whole else pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(*TEMPLATE)
    return tokenizer


def save(folder: Path, backend: Tokenizer, config: PreTrainedConfig | None = None, **names: Any) -> Path:
    """Save a tokenizer of no class of its own beside the config of a model."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **{**NAMES, **names})
    (config or BertConfig(vocab_size=len(tokenizer), **SIZE)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def spelled(tokenizer: Any, window: Any) -> list[str]:
    tokens: list[str] = tokenizer.convert_ids_to_tokens(window.inputs["input_ids"].tolist())
    return tokens


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("pre", BYTES)
def test_words_of_bytes_are_read_as_in_a_text(pre: str, around: str, tmp_path: Path) -> None:
    folder = save(tmp_path, byte_level(BYTES[pre](), AROUND[around]()))
    for _ in range(2):  # as it was, and as we save it
        tokenizer = load_tokenizer(folder, words=True)
        (window,) = encode_words(tokenizer, [["opened", "another", "a's"]], max_length=20)
        assert spelled(tokenizer, window) == ["[CLS]", "Ġ", "opened", "Ġanother", "Ġa", "'", "s", "[SEP]"]
        assert piece_counts(tokenizer, ["another", "opened", "a"]) == {"another": 1, "opened": 2, "a": 1}
        tokenizer.save_pretrained(folder)
    assert "split_special_tokens" not in (folder / "tokenizer_config.json").read_text()


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("pre", BYTES)
def test_pieces_of_bytes_stand_where_they_are_spelled(pre: str, around: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save(tmp_path, byte_level(BYTES[pre](), AROUND[around]())))
    text = "another a opened another"
    (window,) = encode_texts(tokenizer, [text], max_length=20)
    read = [text[start:end].strip() for start, end in window.offsets.tolist() if end > start]
    assert [one for one in read if one] in (text.split(), ["an", "other", *text.split()[1:]])


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
def test_words_of_unigrams_are_read_as_in_a_text(scheme: Any, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save(tmp_path, unigrams(pre_tokenizers.Metaspace(prepend_scheme=scheme))), words=True)
    (window,) = encode_words(tokenizer, [["ab", "another"]], max_length=20)
    assert spelled(tokenizer, window)[-2:] == ["▁another", "[SEP]"]
    assert piece_counts(tokenizer, ["another"]) == {"another": 1}


def test_words_that_cannot_be_read_as_in_a_text(tmp_path: Path) -> None:
    backend = byte_level(BYTES["plain"](), AROUND["template"]())
    backend.normalizer = normalizers.Strip()
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), BYTES["plain"]()])
    load_tokenizer(save(tmp_path, backend), words=True)  # no piece knows a space: all is alike
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_next")
    backend.normalizer = normalizers.Sequence([normalizers.Replace(Regex(r"^\s*(?=\w)"), ""), normalizers.ByteLevel()])
    with pytest.raises(InputError, match=r"reads 'another' as .* one by one, in a text as .*add_prefix_space=True"):
        load_tokenizer(save(tmp_path, backend), words=True)


TEXT = "a[SEP] b [MASK] [CLS] [UNK] [PAD]"


@pytest.mark.parametrize(
    "backend",
    [
        byte_level(BYTES["plain"](), AROUND["template"]()),
        unigrams(pre_tokenizers.Metaspace()),
        unigrams(None),
        word_pieces(),
        word_pieces(whole=True),
    ],
    ids=["bytes", "unigrams", "bare unigrams", "word pieces", "whole words"],
)
def test_names_of_special_tokens_are_plain_text(backend: Tokenizer, tmp_path: Path) -> None:
    backend.add_tokens([AddedToken("[SEP]", special=False)])
    folder = save(tmp_path, backend)
    for words in (False, True):
        tokenizer = load_tokenizer(folder, words=words)
        marks = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        encode = tokenizer.backend_tokenizer.encode
        assert marks.isdisjoint(encode(TEXT, add_special_tokens=False).ids)
        (window,) = encode_texts(tokenizer, [TEXT], max_length=60)
        assert [place for place, one in enumerate(window.inputs["input_ids"].tolist()) if one in marks] == [
            0,
            len(window.offsets) - 1,
        ]
        assert {place for start, end in window.offsets.tolist() for place in range(start, end)} >= {1, 2, 3, 4, 5}
        (window,) = encode_words(tokenizer, [TEXT.split()], max_length=60)
        assert marks.isdisjoint(window.inputs["input_ids"][1:-1].tolist())


def test_a_special_token_of_one_letter_stays(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(save(tmp_path, byte_level(BYTES["plain"](), None), pad_token="!"))
    assert tokenizer.tokenize("a!") == ["a", "!"]


def cased(folder: Path, vocabulary: list[str], **settings: Any) -> Path:
    folder.mkdir(exist_ok=True)
    BertConfig(vocab_size=len(vocabulary), **SIZE).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


WORDS = [*SPECIAL, "am", "##st", "##er", "##dam", "Amsterdam", "Ober", "[unused1]"]


def test_a_cased_vocabulary_that_is_made_small(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(
        InputError, match=r"2 pieces with capitals .*'Amsterdam' becomes 'am ##st ##er ##dam'.*do_lower_case.: false"
    ):
        load_tokenizer(cased(tmp_path / "unsaid", WORDS))
    backend = cased(tmp_path / "whole", WORDS, do_lower_case=False)
    BertTokenizer.from_pretrained(backend).save_pretrained(backend)
    (backend / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match="makes capitals small"):
        load_tokenizer(backend)
    assert not caplog.records
    assert load_tokenizer(cased(tmp_path / "cased", WORDS, do_lower_case=False)).tokenize("Amsterdam") == ["Amsterdam"]
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "robustbench_char"):
        load_tokenizer(cased(tmp_path / "said", WORDS, do_lower_case=True))
    assert "the model never reads them" in caplog.text


def test_an_uncased_vocabulary_is_nothing_odd(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_tokenizer(cased(tmp_path / "words", [word for word in WORDS if word.islower()] + list(SPECIAL)))
    backend = byte_level(pre_tokenizers.Split("Ġ", "merged_with_next"), AROUND["template"]())
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.ByteLevel()])
    load_tokenizer(save(tmp_path / "bytes", backend))  # letters that stand for bytes are no capitals
    assert not caplog.records


def test_capitals_that_an_uncased_vocabulary_does_not_know(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As where `do_lower_case` was written wrongly: nothing is left of a capitalised word."""
    small = [word for word in WORDS if word.islower()] + list(SPECIAL)
    with caplog.at_level(logging.WARNING, "robustbench_char"):
        tokenizer = load_tokenizer(cased(tmp_path / "small", small, do_lower_case=False))
    assert tokenizer.tokenize("Am") == ["[UNK]"]
    assert "keeps capitals, and none of them in its vocabulary ('" in caplog.text
    assert '{"do_lower_case": true}' in caplog.text
    caplog.clear()
    load_tokenizer(cased(tmp_path / "letters", [*small, *map(chr, range(65, 91))], do_lower_case=False))
    assert not caplog.records  # a capital is a piece of its own


def test_a_slow_tokenizer_is_fed_word_by_word(tmp_path: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.slow_bert_base(tmp_path / "slow")
    load_tokenizer(folder, offsets=False)
    with monkeypatch.context() as patch:
        patch.setattr(ProphetNetTokenizer, "tokenize", lambda self, text, **_: re.findall(r" ?\S", text))
        with pytest.raises(
            InputError, match=r"reads 'another' after another word as \[' a', 'n', .* by itself as \['a'"
        ):
            load_tokenizer(folder, offsets=False)
    with monkeypatch.context() as patch:
        patch.setattr(ProphetNetTokenizer, "tokenize", lambda self, text, **_: list(text))
        patch.setattr(ProphetNetTokenizer, "_convert_token_to_id", lambda self, token: self.vocab.get(token))
        with pytest.raises(InputError, match=r"fails at a character that it does not know \('\[UNK\]'\)"):
            load_tokenizer(folder, offsets=False)


@pytest.mark.parametrize("added", ["capital letters", "tokens"])
def test_more_tokens_than_rows(added: str, tmp_path: Path) -> None:
    backend = word_pieces("film")
    rows = backend.get_vocab_size()
    if added == "tokens":
        backend.add_tokens(["filmish", "bookish"])
    else:
        rows -= 1
    with pytest.raises(InputError, match=rf"beyond the model's embeddings, .*: `vocab_size` is {rows}.*resize_token"):
        load_tokenizer(save(tmp_path, backend, BertConfig(vocab_size=rows, **SIZE)))


def test_special_tokens_beyond_the_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What stands around texts, or pads them, needs a row; a name that no text is read as needs none."""
    backend = word_pieces("film")
    rows = {"config": BertConfig(vocab_size=backend.get_vocab_size(), **SIZE)}
    with pytest.raises(InputError, match=r"1 tokens beyond the model's embeddings, '<pad>'"):
        load_tokenizer(save(tmp_path / "pad", backend, **rows, pad_token="<pad>"))
    load_tokenizer(save(tmp_path / "more", backend, **rows, extra_special_tokens=["<more>"]))
    assert "'<more>' with the id" in caplog.text
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 500)])
    with pytest.raises(InputError, match="500"):
        load_tokenizer(save(tmp_path / "around", backend, **rows))


def test_padding_beyond_the_rows(tmp_path: Path) -> None:
    config = RobertaConfig(vocab_size=word_pieces().get_vocab_size(), **SIZE)
    save(tmp_path, word_pieces(), config)
    said = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**said, "pad_token_id": 5000}))
    with pytest.raises(InputError, match=r"config\.json: found a token for padding with the id 5000"):
        load_tokenizer(tmp_path)


def test_kinds_of_texts_that_a_model_does_not_know(tmp_path: Path) -> None:
    backend = word_pieces()
    sized, names = (
        {"vocab_size": backend.get_vocab_size(), **SIZE},
        {"model_input_names": ["input_ids", "token_type_ids"]},
    )
    folder = save(tmp_path / "one", backend, RobertaConfig(**sized, type_vocab_size=1), **names)
    assert list(load_tokenizer(folder)("a", "b")) == ["input_ids"]
    two = load_tokenizer(save(tmp_path / "two", backend, **names))
    assert two("a", "b")["token_type_ids"] == [0, 0, 0, 1, 1]
    backend.post_processor = processors.TemplateProcessing("[CLS] $A", "[CLS] $A $B:2", TEMPLATE[2])
    with pytest.raises(InputError, match=r"tells 3 kinds of texts apart .*expected 2 at most, as `type_vocab_size`"):
        load_tokenizer(save(tmp_path / "three", backend, BertConfig(**sized), **names))


def test_a_limit_that_is_no_number(tmp_path: Path) -> None:
    folder = save(tmp_path, word_pieces())
    said = json.loads((path := folder / "tokenizer_config.json").read_text())
    for given, most in {
        "512.0": 512,
        "1e30": 10**30,
        "Infinity": 10**30,
        "true": None,
        '"512"': None,
        "-3": None,
    }.items():
        path.write_text(json.dumps({**said, "model_max_length": json.loads(given)}))
        if most:
            assert load_tokenizer(folder).model_max_length == pytest.approx(most)
            continue
        with pytest.raises(InputError, match=r"tokenizer_config.json: model_max_length: found .* a number of pieces"):
            load_tokenizer(folder)


def test_an_unknown_token_that_is_unknown(tmp_path: Path) -> None:
    folder = save(tmp_path, word_pieces(*"anotheropenddon't3.5co-p"))
    said = json.loads((path := folder / "tokenizer.json").read_text())
    said["model"]["unk_token"] = "[NONE]"
    path.write_text(json.dumps(said))
    with pytest.raises(InputError, match=r"fails at a character that it does not know \(.*\[NONE\]|Missing \[UNK\]"):
        load_tokenizer(folder)

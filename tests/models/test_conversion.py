"""Checkpoints of the reference implementation, converted: the same outputs, every key accounted for, clear errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
from transformers.convert_slow_tokenizer import bytes_to_unicode
from typer.testing import CliRunner

from robustbench_char.cli.convert import convert
from robustbench_char.common import InputError
from robustbench_char.models.charbert import (
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
)
from robustbench_char.models.charbert.conversion import convert_checkpoint, reference_state
from robustbench_char.models.charbert.processor import CharBertProcessor

pytestmark = pytest.mark.models

CHARACTERS = [" ", "Ġ", "", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ#.,", "Ã", "©", "<unk>"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "A", "film", "##s", "s", ".", "#"]
TEXT = "A films é #."


@pytest.fixture(scope="module")
def plain(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    return load_module(Path(__file__).resolve().parent.parent / "oracles" / "charbert_plain.py")


@pytest.fixture(scope="module")
def make(plain: ModuleType) -> Callable[..., tuple[dict[str, Any], dict[str, Tensor]]]:
    """Return a function that makes a tiny checkpoint, and returns its weights for the oracle and as they are saved."""

    def build(folder: Path, base: str = "bert", head: str = "masked_lm") -> tuple[Any, dict[str, Tensor]]:
        folder.mkdir(parents=True, exist_ok=True)
        rng, sizes = np.random.default_rng(3), sizes_of(plain, base)
        weights = plain.random_weights(rng, sizes)
        heads = {"base": {}, "masked_lm": plain.masked_lm_weights(rng, sizes)}.get(head)
        if heads is None:
            rows = 2 if head == "qa_outputs" else 3
            heads = {f"{head}.weight": rng.normal(0, 0.4, (rows, 32)), f"{head}.bias": rng.normal(0, 0.4, rows)}
        prefix = "" if head == "base" else f"{base}."
        arrays = {**{prefix + name: value for name, value in weights.items()}, **heads}
        state = {name: torch.tensor(value, dtype=torch.float32) for name, value in arrays.items()}
        if head == "masked_lm":
            name = "lm_head.decoder.weight" if base == "roberta" else "cls.predictions.decoder.weight"
            state[name] = state[f"{prefix}embeddings.word_embeddings.weight"].clone()
        save(folder, sizes, plain, state)
        return {**weights, **heads}, state

    return build


def sizes_of(plain: ModuleType, base: str) -> Any:
    roberta = base == "roberta"
    return plain.Sizes(base=base, types=1 if roberta else 2, chars=len(CHARACTERS), vocab=300 if roberta else 60)


def save(folder: Path, sizes: Any, plain: ModuleType, state: dict[str, Tensor]) -> None:
    fields = plain.config_fields(sizes)
    for name in ("base_type", "char_vocab_size", "char_embedding_size", "term_vocab_size", "pad_token_id"):
        del fields[name]  # released configs say nothing of them
    written = {"output_past": True, "pruned_heads": {}, "pad_token_id": 0, "eos_token_ids": 0, "num_labels": 2}
    (folder / "config.json").write_text(json.dumps({**fields, **written}))
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *bytes_to_unicode().values(), "Ġf"]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nĠ f\n", encoding="utf-8")


@pytest.fixture
def char_vocab(tmp_path: Path) -> Path:
    path = tmp_path / "char_vocab"
    path.write_bytes(("\n".join(CHARACTERS) + "\n").encode())
    return path


def same(found: Tensor, expected: Any) -> None:
    torch.testing.assert_close(found[0].double(), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def sentence_of(plain: ModuleType, processor: CharBertProcessor, text: str) -> Any:
    """Spell a text as the reference's scripts do, written a second time from their description."""
    tokenizer = processor.tokenizer
    ids = tokenizer(text)["input_ids"]
    chars: list[int] = []
    starts, ends = [], []
    for piece in tokenizer.convert_ids_to_tokens(ids):
        spelled = "" if piece in tokenizer.all_special_tokens else piece.strip("#")
        numbers = [CHARACTERS.index(one) if one in CHARACTERS else len(CHARACTERS) - 1 for one in spelled] or [0]
        starts.append(len(chars))
        chars += [*numbers, 0]
        ends.append(len(chars) - 2)
    return plain.Sentence(ids, [0] * len(ids), chars, starts, ends)


@pytest.mark.parametrize("base", ["bert", "roberta"])
@torch.no_grad()
def test_text_to_outputs_as_the_formulas_have_it(
    make: Callable[..., Any], plain: ModuleType, tmp_path: Path, char_vocab: Path, base: str
) -> None:
    weights, state = make(tmp_path / "in", base)
    text = TEXT.replace("é", "A") if base == "bert" else TEXT  # BERT's unknown pieces keep their characters here
    report = convert_checkpoint(tmp_path / "in", tmp_path / "out", char_vocab=char_vocab)
    processor = CharBertProcessor.from_pretrained(tmp_path / "out")
    sentence = sentence_of(plain, processor, text)
    inputs = processor(text, return_tensors="pt")
    assert inputs["char_input_ids"].tolist() == [sentence.chars]
    sizes = sizes_of(plain, base)
    words, characters = plain.encode(weights, sentence, sizes)
    logits, terms = plain.masked_lm(weights, words[-1], characters[-1], sizes)
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out").eval()
    assert isinstance(model, CharBertForMaskedLM)
    outputs = model(**inputs)
    same(outputs.logits, logits)
    same(outputs.nlm_logits, terms)
    assert (report.base_type, report.head, report.processor, report.missing) == (base, "masked_lm", True, ())
    assert report.left_over == (f"{base}.pooler.dense.bias", f"{base}.pooler.dense.weight")
    assert {*report.used, *report.left_over} == set(state)
    assert (model.config.char_vocab_size, model.config.term_vocab_size) == (len(CHARACTERS), sizes.terms)
    assert model.config.character_case == "surface"


@pytest.mark.parametrize(
    ("base", "head", "name", "kind"),
    [
        ("bert", "base", "base", CharBertModel),
        ("roberta", "base", "base", CharBertModel),
        ("bert", "classifier", "token_classification", CharBertForTokenClassification),
        ("roberta", "classifier", "token_classification", CharBertForTokenClassification),
        ("roberta", "char_classifier", "sequence_classification", CharBertForSequenceClassification),
        ("bert", "qa_outputs", "question_answering", CharBertForQuestionAnswering),
        ("roberta", "qa_outputs", "question_answering", CharBertForQuestionAnswering),
    ],
)
@torch.no_grad()
def test_heads(
    make: Callable[..., Any], plain: ModuleType, tmp_path: Path, base: str, head: str, name: str, kind: Any
) -> None:
    weights, _ = make(tmp_path / "in", base, head)
    report = convert_checkpoint(tmp_path / "in", tmp_path / "out")
    assert (report.base_type, report.head, report.processor) == (base, name, False)
    assert "no processor was saved" in report.warnings[0]
    sizes = sizes_of(plain, base)
    sentence = plain.random_sentence(np.random.default_rng(1), sizes, 7)
    last = [states[-1] for states in plain.encode(weights, sentence, sizes)]
    names = ("input_ids", "token_type_ids", "char_input_ids", "start_ids", "end_ids")
    inputs = {one: torch.tensor([values]) for one, values in zip(names, sentence, strict=True)}
    outputs = kind.from_pretrained(tmp_path / "out").eval()(**inputs)
    if head == "base":
        same(outputs.last_hidden_state, last[0])
        same(outputs.character_pooler_output, plain.pooled(weights, last[1]))
    elif head == "qa_outputs":
        same(outputs.end_logits, plain.answer(weights, *last)[:, 1])
    elif head == "char_classifier":
        same(outputs.logits, plain.sequence_label(weights, *last, name=head))
    else:
        same(outputs.logits, plain.token_labels(weights, *last))


def test_config_says_what_a_classifier_labels(make: Callable[..., Any], tmp_path: Path) -> None:
    make(tmp_path / "in", "bert", "classifier")
    config = tmp_path / "in" / "config.json"
    unsaid = convert_checkpoint(tmp_path / "in", tmp_path / "unsaid")
    assert "does not say whether" in unsaid.warnings[1]
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "unsaid").num_labels == 3
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "architectures": ["BertForSequenceClassification"]})
    )
    said = convert_checkpoint(tmp_path / "in", tmp_path / "said")
    assert (said.head, len(said.warnings)) == ("sequence_classification", 1)


@pytest.mark.parametrize("form", ["safetensors", "old .bin", "gamma and beta", "one of the shared"])
def test_forms_of_the_same_weights(make: Callable[..., Any], tmp_path: Path, form: str) -> None:
    _, state = make(tmp_path / "in")
    convert_checkpoint(tmp_path / "in", tmp_path / "expected")
    path = tmp_path / "in" / "pytorch_model.bin"
    if form == "safetensors":
        save_file(state, tmp_path / "in" / "model.safetensors")
        path.unlink()
    elif form == "old .bin":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    elif form == "gamma and beta":
        old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        torch.save({_replaced(key, old): tensor for key, tensor in state.items()}, path)
    else:
        torch.save({key: tensor for key, tensor in state.items() if "fusion_layer_list.1" not in key}, path)
    report = convert_checkpoint(tmp_path / "in", tmp_path / "out")
    assert report.missing == ()
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("expected", "out"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def _replaced(key: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        key = key.replace(old, new)
    return key


def test_an_encoder_without_pooler(make: Callable[..., Any], tmp_path: Path) -> None:
    _, state = make(tmp_path / "in", "bert", "base")
    kept = {key: tensor for key, tensor in state.items() if not key.startswith("pooler.")}
    torch.save({**kept, "embeddings.position_ids": torch.arange(80)[None]}, tmp_path / "in" / "pytorch_model.bin")
    report = convert_checkpoint(tmp_path / "in", tmp_path / "out")
    assert report.missing == ("pooler.dense.bias", "pooler.dense.weight")
    assert report.left_over == ("embeddings.position_ids",)
    assert "no pooler" in report.warnings[1]
    assert isinstance(AutoModel.from_pretrained(tmp_path / "out"), CharBertModel)


def test_names_of_ours() -> None:
    one, two = torch.zeros(1), torch.ones(1)
    bert = {
        "bert.embeddings.LayerNorm.beta": one,
        "bert.encoder.fusion_layer_list.0.bias": two,
        "bert.encoder.fusion_layer_list.1.bias": two,
        "cls.predictions.adv_transform.dense.bias": one,
        "cls.seq_relationship.bias": one,
    }
    assert reference_state(bert, "bert") == {
        "charbert.embeddings.LayerNorm.bias": one,
        "charbert.encoder.interaction.fusion.bias": two,
        "nlm_head.transform.dense.bias": one,
    }
    roberta = {"lm_head.layer_norm.weight": one, "roberta.encoder.word_linear1.weight": two}
    assert reference_state(roberta, "roberta") == {
        "mlm_head.transform.LayerNorm.weight": one,
        "nlm_head.transform.LayerNorm.weight": one,
        "charbert.encoder.interaction.word_linear.weight": two,
    }


@pytest.mark.parametrize("key", ["bert.encoder.fusion_layer_list.1.bias", "cls.predictions.decoder.weight"])
def test_weights_that_must_be_shared(make: Callable[..., Any], tmp_path: Path, key: str) -> None:
    _, state = make(tmp_path / "in")
    torch.save({**state, key: state[key] + 1}, tmp_path / "in" / "pytorch_model.bin")
    refused(tmp_path, f"{key}: found values other than those of")


def test_weights_that_are_no_numbers(make: Callable[..., Any], tmp_path: Path) -> None:
    _, state = make(tmp_path / "in")
    key = "bert.encoder.layer.0.output.dense.weight"
    state[key][0, 0] = float("nan")
    torch.save(state, tmp_path / "in" / "pytorch_model.bin")
    refused(tmp_path, f"{key}: found values that are no finite numbers; expected finite weights")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "found an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "found a Git LFS pointer"),
        (b"no weights at all", "found a file that cannot be read"),
        (b"", "found an empty file"),
    ],
)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_files_that_are_no_weights(
    make: Callable[..., Any], tmp_path: Path, content: bytes, message: str, name: str
) -> None:
    make(tmp_path / "in")
    (tmp_path / "in" / name).write_bytes(content)
    refused(tmp_path, message)


class Code:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": Code()}, "cannot be read .*nothing but tensors"),
        ({"epoch": 3}, "a dict of other things"),
        ({0: torch.zeros(2)}, "expected dense tensors by name"),
        ({"bert.x": torch.zeros(2, 2).to_sparse()}, "expected dense tensors by name"),
        ([torch.zeros(2)], "a list of other things"),
        ({}, r"weights of another model \(no tensors"),
        ({"bert.pooler.dense.bias": torch.zeros(2)}, "weights of another model .bert.pooler.dense.bias"),
    ],
)
def test_bins_that_are_no_checkpoint(make: Callable[..., Any], tmp_path: Path, content: Any, message: str) -> None:
    make(tmp_path / "in")
    torch.save(content, tmp_path / "in" / "pytorch_model.bin")
    refused(tmp_path, message)


def test_folders_that_are_no_checkpoint(make: Callable[..., Any], tmp_path: Path) -> None:
    refused(tmp_path, "no such folder")
    make(tmp_path / "in")
    with pytest.raises(InputError, match="found a file"):
        convert_checkpoint(tmp_path / "in" / "config.json", tmp_path / "out")
    (tmp_path / "in" / "pytorch_model.bin").unlink()
    refused(tmp_path, "found no weights")
    make(tmp_path / "in")
    config = tmp_path / "in" / "config.json"
    config.unlink()
    refused(tmp_path, r"found no config\.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": 61}, r"word_embeddings.weight: found shape \(60, 16\); expected \(61, 16\)"),
        ({"num_hidden_layers": 3}, r"found no weights for charbert.encoder.layer.2.* \(16 missing\)"),
        ({"num_hidden_layers": 1}, r"num_hidden_layers: found 1, and weights of further layers .*layer\.1\."),
        ({"num_attention_heads": 0}, r"config.json: found values that make no model \(ZeroDivisionError"),
        ({"hidden_act": "none"}, r"config.json: found values that make no model \(KeyError: 'none'\)"),
        ({"id2label": 5}, r"config.json: found values that make no model"),
        ({"hidden_size": "16"}, r"config.json: found values that make no model"),
        ({"char_vocab_size": 1001}, r"char_embeddings.embedding.weight: found shape"),
        ({"model_type": "gpt2"}, "model_type: found 'gpt2'"),
        ({"model_type": "charbert"}, "one of ours already"),
    ],
)
def test_configs_of_other_models(
    make: Callable[..., Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    make(tmp_path / "in")
    config = tmp_path / "in" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    refused(tmp_path, message)


def test_what_the_reference_does_one_way_only(make: Callable[..., Any], tmp_path: Path) -> None:
    """Its decoder is tied and its layers see both ways, whatever a config says that some other program wrote."""
    make(tmp_path / "in")
    convert_checkpoint(tmp_path / "in", tmp_path / "expected")
    config = tmp_path / "in" / "config.json"
    changes = {"tie_word_embeddings": False, "is_decoder": True, "return_dict": False, "char_hidden_size": 9}
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    convert_checkpoint(tmp_path / "in", tmp_path / "out")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()


@pytest.mark.parametrize(
    ("base", "name", "content", "message"),
    [
        ("bert", "vocab.txt", b"film\n##s\n", r"without \[CLS\], \[MASK\], \[PAD\], \[SEP\], \[UNK\]"),
        ("bert", "vocab.txt", b"\xff\xfe", "tokenizer files that cannot be read"),
        ("bert", "tokenizer.json", b"{}", "tokenizer files that cannot be read"),
        ("roberta", "vocab.json", b"{", r"tokenizer files that cannot be read \(Exception: Error while"),
        ("roberta", "vocab.json", b'{"a": 1}', "tokenizer files that cannot be read"),
        ("roberta", "merges.txt", b"", "an empty file"),
        ("roberta", "merges.txt", b"{", "tokenizer files that cannot be read"),
    ],
)
def test_tokenizer_files_that_are_none(
    make: Callable[..., Any], tmp_path: Path, char_vocab: Path, base: str, name: str, content: bytes, message: str
) -> None:
    make(tmp_path / "in", base)
    (tmp_path / "in" / name).write_bytes(content)
    refused(tmp_path, message, char_vocab=char_vocab)


def test_configs_that_are_none(make: Callable[..., Any], tmp_path: Path) -> None:
    make(tmp_path / "in")
    for content, message in (("<html>", "HTML page"), ("{", "malformed JSON"), ("[]", "found a list")):
        (tmp_path / "in" / "config.json").write_text(content)
        refused(tmp_path, message)


def refused(folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(InputError, match=message):
        convert_checkpoint(folder / "in", folder / "out", **options)
    assert not (folder / "out").exists()


def test_character_lists_and_tokenizers_of_other_models(
    make: Callable[..., Any], tmp_path: Path, char_vocab: Path
) -> None:
    make(tmp_path / "in")
    whole = char_vocab.read_bytes()
    char_vocab.write_bytes(b"\n".join([b" ", b"a", b"<unk>"]))
    refused(tmp_path, f"found 3 characters; expected {len(CHARACTERS)}", char_vocab=char_vocab)
    char_vocab.write_bytes(whole)
    vocabulary = tmp_path / "in" / "vocab.txt"
    vocabulary.write_text("\n".join([*PIECES, *map(str, range(70))]))
    refused(tmp_path, "found a tokenizer of 81 sub-words; expected at most 60", char_vocab=char_vocab)
    vocabulary.write_text("<html>")
    refused(tmp_path, "found an HTML page", char_vocab=char_vocab)
    vocabulary.unlink()
    refused(tmp_path, r"found no tokenizer files; expected vocab\.txt", char_vocab=char_vocab)
    with pytest.raises(InputError, match="no such file"):
        convert_checkpoint(tmp_path / "in", tmp_path / "out", char_vocab=tmp_path / "absent")


@pytest.mark.parametrize(
    ("stated", "pieces", "case"),
    [({}, PIECES, "surface"), ({}, [*PIECES[:5], "film"], "lower"), ({"do_lower_case": True}, PIECES, "lower")],
)
def test_case_of_the_tokenizer(
    make: Callable[..., Any], tmp_path: Path, char_vocab: Path, stated: dict[str, Any], pieces: list[str], case: str
) -> None:
    make(tmp_path / "in")
    (tmp_path / "in" / "vocab.txt").write_text("\n".join(pieces))
    if stated:
        (tmp_path / "in" / "tokenizer_config.json").write_text(json.dumps(stated))
    convert_checkpoint(tmp_path / "in", tmp_path / "out", char_vocab=char_vocab)
    processor = CharBertProcessor.from_pretrained(tmp_path / "out")
    assert processor.character_case == case
    assert json.loads((tmp_path / "out" / "config.json").read_text())["character_case"] == case
    assert processor.tokenizer.model_max_length == 80


def test_words_one_by_one(make: Callable[..., Any], tmp_path: Path, char_vocab: Path) -> None:
    make(tmp_path / "in", "roberta")
    convert_checkpoint(tmp_path / "in", tmp_path / "out", char_vocab=char_vocab)
    processor = CharBertProcessor.from_pretrained(tmp_path / "out", words=True)
    found = processor(["f", "a"], is_split_into_words=True)
    assert processor.tokenizer.convert_ids_to_tokens(found["input_ids"]) == ["<s>", "Ġf", "Ġ", "a", "</s>"]
    start, f, a = (CHARACTERS.index(one) for one in "Ġfa")
    assert found["char_input_ids"] == [0, 0, start, f, 0, start, 0, a, 0, 0, 0]


def test_an_output_folder_is_replaced_on_demand_alone(make: Callable[..., Any], tmp_path: Path) -> None:
    make(tmp_path / "in")
    convert_checkpoint(tmp_path / "in", tmp_path / "out")
    make(tmp_path / "in", "roberta")
    with pytest.raises(InputError, match="other content"):
        convert_checkpoint(tmp_path / "in", tmp_path / "out")
    convert_checkpoint(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["base_type"] == "roberta"
    with pytest.raises(InputError, match="in the output folder"):
        convert_checkpoint(tmp_path / "in", tmp_path / "in", overwrite=True)


def test_the_command_prints_every_key(make: Callable[..., Any], tmp_path: Path) -> None:
    _, state = make(tmp_path / "in", "roberta")
    app = typer.Typer()
    app.command()(convert)
    done = CliRunner().invoke(app, [str(tmp_path / "in"), "--output", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "left over  roberta.pooler.dense.bias" in lines
    assert (
        "used       lm_head.layer_norm.bias -> mlm_head.transform.LayerNorm.bias, nlm_head.transform.LayerNorm.bias"
    ) in lines
    assert len([line for line in lines if line.startswith(("used ", "left over "))]) == len(state)
    assert lines[-1].endswith(f"converted (roberta, masked_lm); {len(state) - 2} keys used, 2 left over, 0 missing")
    assert "warning: no processor was saved" in done.stderr


PARITY: dict[str, tuple[Any, dict[str, str]]] = {
    "base": (
        CharBertModel,
        {
            "subword_stream": "last_hidden_state",
            "character_stream": "character_hidden_state",
            "subword_pooled": "pooler_output",
            "character_pooled": "character_pooler_output",
        },
    ),
    "masked_lm": (CharBertForMaskedLM, {"mlm_logits": "logits", "nlm_logits": "nlm_logits"}),
    "token_classification": (CharBertForTokenClassification, {"logits": "logits"}),
    "sequence_classification": (CharBertForSequenceClassification, {"logits": "logits"}),
    "question_answering": (
        CharBertForQuestionAnswering,
        {"start_logits": "start_logits", "end_logits": "end_logits"},
    ),
}


@pytest.mark.data
@pytest.mark.parametrize("name", PARITY)
@torch.no_grad()
def test_converted_weights_give_the_outputs_of_the_reference(name: str, shared_data: Path, tmp_path: Path) -> None:
    parity = shared_data.parent / "parity" / "charbert"
    (tmp_path / "in").mkdir()
    shutil.copy(parity / "config.json", tmp_path / "in" / "config.json")
    shutil.copy(parity / f"{name}.weights.safetensors", tmp_path / "in" / "model.safetensors")
    convert_checkpoint(tmp_path / "in", tmp_path / "out")
    kind, names = PARITY[name]
    outputs = kind.from_pretrained(tmp_path / "out").eval()(**load_file(parity / "inputs.safetensors"))
    expected = load_file(parity / f"{name}.outputs.safetensors")
    assert expected.keys() == names.keys()
    for theirs, ours in names.items():
        torch.testing.assert_close(outputs[ours], expected[theirs], rtol=1e-5, atol=1e-5)

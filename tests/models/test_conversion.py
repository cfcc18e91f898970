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
from fixtures.charbert import CHARACTERS, PIECES, sizes_of
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification
from typer.testing import CliRunner

from robustbench_char.cli import training as command
from robustbench_char.common import InputError
from robustbench_char.models.charbert import (
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
)
from robustbench_char.models.charbert.configuration import CharBertConfig
from robustbench_char.models.charbert.conversion import convert, reference_state
from robustbench_char.models.charbert.processor import CharBertProcessor

pytestmark = pytest.mark.models

TEXT = "A films é #."


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
    report = convert(tmp_path / "in", tmp_path / "out", char_vocab=char_vocab)
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
    report = convert(tmp_path / "in", tmp_path / "out")
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
    unsaid = convert(tmp_path / "in", tmp_path / "unsaid")
    assert "does not say whether" in unsaid.warnings[1]
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "unsaid").num_labels == 3
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "architectures": ["BertForSequenceClassification"]})
    )
    said = convert(tmp_path / "in", tmp_path / "said")
    assert (said.head, len(said.warnings)) == ("sequence_classification", 1)


@pytest.mark.parametrize("form", ["safetensors", "old .bin", "gamma and beta", "one of the shared"])
def test_forms_of_the_same_weights(make: Callable[..., Any], tmp_path: Path, form: str) -> None:
    _, state = make(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "expected")
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
    report = convert(tmp_path / "in", tmp_path / "out")
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
    report = convert(tmp_path / "in", tmp_path / "out")
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


def test_what_the_reference_does_one_way_only(make: Callable[..., Any], tmp_path: Path) -> None:
    """Its decoder is tied and its layers see both ways, whatever a config says that some other program wrote."""
    make(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "expected")
    config = tmp_path / "in" / "config.json"
    changes = {"tie_word_embeddings": False, "is_decoder": True, "return_dict": False, "char_hidden_size": 9}
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    convert(tmp_path / "in", tmp_path / "out")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()


@pytest.mark.parametrize("base", ["bert", "roberta"])
def test_what_a_config_leaves_unsaid(base: str, make: Callable[..., Any], tmp_path: Path) -> None:
    """The reference's defaults are those of BERT for both; what shapes decide comes from the weights."""
    make(tmp_path / "in", base)
    config = tmp_path / "in" / "config.json"
    said = json.loads(config.read_text())
    left = {name: value for name, value in said.items() if name not in ("layer_norm_eps", "type_vocab_size")}
    config.write_text(json.dumps(left))
    convert(tmp_path / "in", tmp_path / "out")
    made = CharBertConfig.from_pretrained(tmp_path / "out")
    assert made.layer_norm_eps == 1e-12
    assert made.type_vocab_size == said["type_vocab_size"]


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
    convert(tmp_path / "in", tmp_path / "out", char_vocab=char_vocab)
    processor = CharBertProcessor.from_pretrained(tmp_path / "out")
    assert processor.character_case == case
    assert json.loads((tmp_path / "out" / "config.json").read_text())["character_case"] == case
    assert processor.tokenizer.model_max_length == 80


def test_words_one_by_one(make: Callable[..., Any], tmp_path: Path, char_vocab: Path) -> None:
    make(tmp_path / "in", "roberta")
    convert(tmp_path / "in", tmp_path / "out", char_vocab=char_vocab)
    processor = CharBertProcessor.from_pretrained(tmp_path / "out", words=True)
    found = processor(["f", "a"], is_split_into_words=True)
    assert processor.tokenizer.convert_ids_to_tokens(found["input_ids"]) == ["<s>", "Ġf", "Ġ", "a", "</s>"]
    start, f, a = (CHARACTERS.index(one) for one in "Ġfa")
    assert found["char_input_ids"] == [0, 0, start, f, 0, start, 0, a, 0, 0, 0]


def test_an_output_folder_is_replaced_on_demand_alone(make: Callable[..., Any], tmp_path: Path) -> None:
    make(tmp_path / "in")
    convert(tmp_path / "in", tmp_path / "out")
    make(tmp_path / "in", "roberta")
    with pytest.raises(InputError, match="other content"):
        convert(tmp_path / "in", tmp_path / "out")
    convert(tmp_path / "in", tmp_path / "out", overwrite=True)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["base_type"] == "roberta"
    with pytest.raises(InputError, match="in the output folder"):
        convert(tmp_path / "in", tmp_path / "in", overwrite=True)


def test_the_command_prints_every_key(make: Callable[..., Any], tmp_path: Path) -> None:
    _, state = make(tmp_path / "in", "roberta")
    app = typer.Typer()
    app.command()(command.convert)
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
    convert(tmp_path / "in", tmp_path / "out")
    kind, names = PARITY[name]
    outputs = kind.from_pretrained(tmp_path / "out").eval()(**load_file(parity / "inputs.safetensors"))
    expected = load_file(parity / f"{name}.outputs.safetensors")
    assert expected.keys() == names.keys()
    for theirs, ours in names.items():
        torch.testing.assert_close(outputs[ours], expected[theirs], rtol=1e-5, atol=1e-5)

"""CharBERT against the formulas written plainly, and against what the reference computed from its own weights."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from robustbench_char.models.charbert import (
    CharBertConfig,
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
)
from robustbench_char.models.charbert.configuration import AS_RELEASED
from robustbench_char.models.charbert.conversion import reference_state

pytestmark = pytest.mark.models
BASES = ["bert", "roberta"]


@pytest.fixture(scope="module")
def parity(shared_data: Path) -> Path:
    folder = shared_data.parent / "parity" / "charbert"
    if not folder.is_dir():
        pytest.skip("the outputs of the reference are not here")
    return folder


def filled(model: Any, state: dict[str, Tensor], base: str) -> Any:
    """Return the model in eval mode with the reference's weights, all of which must find their place."""
    missing, unexpected = model.load_state_dict(reference_state(state, base), strict=False)
    assert set(missing) <= {"mlm_head.decoder.weight", "mlm_head.decoder.bias"}  # tied
    assert set(unexpected) <= {"charbert.pooler.dense.weight", "charbert.pooler.dense.bias"}
    model.tie_weights()
    return model.eval()


def tensors(weights: dict[str, Any], prefix: str = "") -> dict[str, Tensor]:
    return {prefix + name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()}


def batch_of(sentence: Any) -> dict[str, Tensor]:
    fields = {
        "input_ids": sentence.ids,
        "token_type_ids": sentence.types,
        "char_input_ids": sentence.chars,
        "start_ids": sentence.starts,
        "end_ids": sentence.ends,
    }
    return {name: torch.tensor([values]) for name, values in fields.items()}


def same(found: Tensor, expected: Any) -> None:
    torch.testing.assert_close(found[0], torch.tensor(expected, dtype=torch.float32), rtol=1e-4, atol=1e-5)


@pytest.fixture(params=[(base, act) for base in BASES for act in ("gelu", "relu")], ids="-".join)
def case(request: pytest.FixtureRequest, plain: ModuleType) -> dict[str, Any]:
    """Return sizes, weights, one sentence and the oracle's streams of it."""
    rng = np.random.default_rng(7)
    base, act = request.param
    sizes = plain.Sizes(base=base, act=act, types=1 if base == "roberta" else 2)
    weights = plain.random_weights(rng, sizes)
    sentence = plain.random_sentence(rng, sizes, pieces=9)
    words, characters = plain.encode(weights, sentence, sizes)
    config = CharBertConfig(**plain.config_fields(sizes), num_labels=3)
    return {
        "sizes": sizes,
        "weights": weights,
        "words": words,
        "characters": characters,
        "config": config,
        "inputs": batch_of(sentence),
        "rng": rng,
    }


@torch.no_grad()
def test_both_streams_are_those_of_the_formulas(case: dict[str, Any], plain: ModuleType) -> None:
    model = filled(CharBertModel(case["config"]), tensors(case["weights"]), case["sizes"].base)
    outputs = model(**case["inputs"], output_hidden_states=True)
    for found, expected in zip(outputs.hidden_states, case["words"], strict=True):
        same(found, expected)
    for found, expected in zip(outputs.character_hidden_states, case["characters"], strict=True):
        same(found, expected)
    assert outputs.last_hidden_state is outputs.hidden_states[-1]
    assert outputs.character_hidden_state is outputs.character_hidden_states[-1]
    same(outputs.pooler_output, plain.pooled(case["weights"], case["words"][-1]))
    same(outputs.character_pooler_output, plain.pooled(case["weights"], case["characters"][-1]))


@torch.no_grad()
def test_masked_lm_is_that_of_the_formulas(case: dict[str, Any], plain: ModuleType) -> None:
    sizes = case["sizes"]
    heads = plain.masked_lm_weights(case["rng"], sizes)
    sub_words, terms = plain.masked_lm({**case["weights"], **heads}, case["words"][-1], case["characters"][-1], sizes)
    state = {**tensors(case["weights"], f"{sizes.base}."), **tensors(heads)}
    outputs = filled(CharBertForMaskedLM(case["config"]), state, sizes.base)(**case["inputs"])
    same(outputs.logits, sub_words)
    same(outputs.nlm_logits, terms)
    assert outputs.loss is None


@torch.no_grad()
def test_task_heads_are_those_of_the_formulas(case: dict[str, Any], plain: ModuleType) -> None:
    base, last = case["sizes"].base, (case["words"][-1], case["characters"][-1])
    width = 2 * case["sizes"].hidden
    head = {"weight": case["rng"].normal(0, 0.4, (3, width)), "bias": case["rng"].normal(0, 0.4, 3)}
    two = {name: value[:2] for name, value in head.items()}

    def run(kind: Any, name: str, part: dict[str, Any]) -> Any:
        state = {**tensors(case["weights"], f"{base}."), **tensors({f"{name}.{k}": v for k, v in part.items()})}
        return filled(kind(case["config"]), state, base)(**case["inputs"])

    named = {f"classifier.{k}": v for k, v in head.items()}
    same(run(CharBertForTokenClassification, "classifier", head).logits, plain.token_labels(named, *last))
    released = "char_classifier" if base == "roberta" else "classifier"
    same(run(CharBertForSequenceClassification, released, head).logits, plain.sequence_label(named, *last))
    spans = run(CharBertForQuestionAnswering, "qa_outputs", two)
    expected = plain.answer({f"qa_outputs.{k}": v for k, v in two.items()}, *last)
    same(spans.start_logits, expected[:, 0])
    same(spans.end_logits, expected[:, 1])


def parity_model(kind: Any, folder: Path, name: str, **fields: Any) -> Any:
    config = CharBertConfig(**json.loads((folder / "config.json").read_text()), **AS_RELEASED, **fields)
    return filled(kind(config), load_file(folder / f"{name}.weights.safetensors"), "bert")


PARITY: dict[str, tuple[Any, dict[str, str], dict[str, Any]]] = {
    "base": (
        CharBertModel,
        {
            "subword_stream": "last_hidden_state",
            "character_stream": "character_hidden_state",
            "subword_pooled": "pooler_output",
            "character_pooled": "character_pooler_output",
        },
        {},
    ),
    "masked_lm": (CharBertForMaskedLM, {"mlm_logits": "logits", "nlm_logits": "nlm_logits"}, {}),
    "token_classification": (CharBertForTokenClassification, {"logits": "logits"}, {"num_labels": 5}),
    "sequence_classification": (CharBertForSequenceClassification, {"logits": "logits"}, {"num_labels": 3}),
    "question_answering": (
        CharBertForQuestionAnswering,
        {"start_logits": "start_logits", "end_logits": "end_logits"},
        {},
    ),
}


@pytest.mark.data
@pytest.mark.parametrize("name", PARITY)
@torch.no_grad()
def test_outputs_of_the_reference(name: str, parity: Path) -> None:
    kind, names, fields = PARITY[name]
    outputs = parity_model(kind, parity, name, **fields)(**load_file(parity / "inputs.safetensors"))
    expected = load_file(parity / f"{name}.outputs.safetensors")
    assert set(expected) == set(names)
    for theirs, ours in names.items():
        torch.testing.assert_close(outputs[ours], expected[theirs], rtol=1e-5, atol=1e-5)


@pytest.mark.data
def test_the_formulas_give_the_outputs_of_the_reference(parity: Path, plain: ModuleType) -> None:
    """The oracle itself, on the reference's numbers."""
    config = json.loads((parity / "config.json").read_text())
    sizes = plain.Sizes(
        hidden=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        eps=config["layer_norm_eps"],
    )
    weights = {key: value.double().numpy() for key, value in load_file(parity / "base.weights.safetensors").items()}
    inputs = load_file(parity / "inputs.safetensors")
    expected = load_file(parity / "base.outputs.safetensors")
    names = ("input_ids", "token_type_ids", "char_input_ids", "start_ids", "end_ids")
    for row in range(2):
        words, characters = plain.encode(
            weights, plain.Sentence(*(inputs[name][row].tolist() for name in names)), sizes
        )
        np.testing.assert_allclose(words[-1], expected["subword_stream"][row], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(characters[-1], expected["character_stream"][row], rtol=1e-5, atol=1e-5)

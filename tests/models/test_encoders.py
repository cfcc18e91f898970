"""Encoders of every kind: what is read of them, how much they read, results that do not depend on padding."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import (
    AutoModel,
    BartConfig,
    BertConfig,
    BertTokenizer,
    DebertaV2Config,
    ElectraConfig,
    FNetConfig,
    GPT2Config,
    GPT2Model,
    LongformerConfig,
    ModernBertConfig,
    PreTrainedConfig,
    T5Config,
    ViTConfig,
    XLMRobertaConfig,
)

from robustbench_char.common import InputError
from robustbench_char.models.bases import resolve_base
from robustbench_char.models.checkpoints import load_config, load_tokenizer
from robustbench_char.models.encoders import EncoderSystem, read_encoder, state_count

pytestmark = pytest.mark.models

SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 150,
}
KINDS = ("canine", "byt5", "distilbert", "slow_bert")


@pytest.fixture(scope="module")
def folders(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    scratch = tmp_path_factory.mktemp("encoders")
    return {kind: getattr(tiny, f"{kind}_base")(scratch / kind) for kind in KINDS}


def saved(config: PreTrainedConfig, folder: Path, tokenizer: Path) -> Path:
    AutoModel.from_config(config).save_pretrained(folder)
    BertTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_alone_and_in_a_batch(kind: str, folders: dict[str, Path]) -> None:
    """Lengths around the ends of CANINE's chunks of 16 characters and molecules of 4."""
    system, model = EncoderSystem.open(folders[kind], words=False), read_encoder(folders[kind]).eval()
    longest = EncoderSystem.limits(folders[kind]).longest
    texts = ["a" * length for length in range(1, 46)]
    windows = [window.inputs for window in system.text_windows(texts, None, max_length=60)]
    for inputs in windows:
        alone = {name: torch.tensor(values[None]).long() for name, values in inputs.items()}
        for more in (1, 3, 40):
            if alone["input_ids"].shape[1] + more > longest:
                continue
            batch = {name: torch.nn.functional.pad(values, (0, more)) for name, values in alone.items()}
            with torch.inference_mode():
                one, other = (
                    model(**given, output_hidden_states=True, return_dict=True).hidden_states
                    for given in (alone, batch)
                )
            assert len(one) == state_count(model)
            for layer, padded in zip(one, other, strict=True):
                assert layer.shape[1] == alone["input_ids"].shape[1]
                torch.testing.assert_close(padded[:, : layer.shape[1]], layer, atol=1e-5, rtol=1e-4)


def test_canine_reads_as_much_as_it_says(folders: dict[str, Path]) -> None:
    longest = EncoderSystem.limits(folders["canine"]).longest
    model = read_encoder(folders["canine"]).eval()
    with torch.inference_mode():
        found = model(input_ids=torch.full((1, longest), 97), attention_mask=torch.ones(1, longest))
    assert found.last_hidden_state.shape == (1, longest, 16)
    assert found.last_hidden_state.isfinite().all()


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        (BertConfig(**SIZE, max_position_embeddings=40), 40),
        (ElectraConfig(**SIZE, embedding_size=8, max_position_embeddings=40), 40),
        (XLMRobertaConfig(**SIZE, max_position_embeddings=40, pad_token_id=1), 38),
        (BartConfig(vocab_size=150, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                    decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=40), 40),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)  # fmt: skip
def test_reads_as_much_as_its_positions_allow(
    config: PreTrainedConfig, longest: int, tmp_path: Path, shared_bert: Path
) -> None:
    folder = saved(config, tmp_path / "model", shared_bert)
    assert EncoderSystem.limits(folder).longest == longest
    system = EncoderSystem.open(folder, words=False)
    (window,) = system.text_windows(["a b c " * 40], None, max_length=longest)
    inputs = {name: torch.tensor(values[None]).long() for name, values in window.inputs.items()}
    with torch.inference_mode():
        found = read_encoder(folder).eval()(**inputs, return_dict=True)
    assert found.last_hidden_state.shape == (1, longest, 16)


def test_relative_positions_have_no_end(folders: dict[str, Path]) -> None:
    assert EncoderSystem.limits(folders["byt5"]).longest >= 100_000


def test_layers_keep_the_first_ones(folders: dict[str, Path]) -> None:
    assert read_encoder(folders["slow_bert"], layers=1).config.num_hidden_layers == 1
    with pytest.raises(InputError, match="layers=: found 2; expected a number from 1 to 1"):
        read_encoder(folders["byt5"], layers=2)


@pytest.mark.parametrize(
    "config",
    [
        ModernBertConfig(**SIZE, pad_token_id=0, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3),
        LongformerConfig(**SIZE, attention_window=8, pad_token_id=1),
        DebertaV2Config(**SIZE, relative_attention=True, position_biased_input=False, type_vocab_size=0),
        T5Config(vocab_size=150, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2),
    ],
    ids=lambda config: config.model_type,
)
def test_built_saved_and_loaded_with_fewer_layers(config: PreTrainedConfig, tmp_path: Path, shared_bert: Path) -> None:
    folder = saved(config, tmp_path / "model", shared_bert)
    base = resolve_base(str(folder), any_type=True)
    model = EncoderSystem.build(base, "tagging", ["a", "b"], layers=1, seed=0).eval()
    system = EncoderSystem.open(folder, words=True)
    model.save_pretrained(tmp_path / "saved")
    system.save(tmp_path / "saved")
    loaded = EncoderSystem.load(tmp_path / "saved", "tagging").eval()
    (window,) = EncoderSystem.open(tmp_path / "saved", words=True).word_windows([["anna", "went"]], max_length=20)
    inputs = {name: torch.tensor(values[None]).long() for name, values in window.inputs.items()}
    with torch.inference_mode():
        assert torch.equal(model(**inputs).logits, loaded(**inputs).logits)
    assert not [name for name, _ in loaded.named_parameters() if "decoder" in name or "pooler" in name]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BertConfig(**SIZE, is_decoder=True), "type bert, which reads texts from left to right only"),
        (FNetConfig(**SIZE), r"type fnet, which takes .*expected one that takes input_ids and attention_mask"),
        (ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16), "type vit"),
    ],
    ids=["decoder", "no mask", "pictures"],
)
def test_what_does_not_encode_texts_is_refused(
    config: PreTrainedConfig, message: str, tmp_path: Path, shared_bert: Path
) -> None:
    folder = saved(config, tmp_path / "model", shared_bert)
    with pytest.raises(InputError, match=message):
        EncoderSystem.open(folder, words=False)


def test_a_model_that_reads_from_left_to_right_is_refused(tmp_path: Path, shared_bert: Path) -> None:
    folder = tmp_path / "gpt2"
    GPT2Model(GPT2Config(vocab_size=150, n_embd=16, n_layer=1, n_head=2)).save_pretrained(folder)
    BertTokenizer.from_pretrained(shared_bert).save_pretrained(folder)
    message = (
        r"found a model of the type gpt2, which reads texts from left to right only.*expected an encoder \(as BERT"
    )
    message += ".*Choose another base"
    with pytest.raises(InputError, match=message):
        EncoderSystem.open(folder, words=True)
    with pytest.raises(InputError, match=message):
        read_encoder(folder)


def test_a_base_too_short_for_any_text_is_refused(tmp_path: Path, shared_bert: Path) -> None:
    folder = saved(BertConfig(**SIZE, max_position_embeddings=6), tmp_path / "short", shared_bert)
    with pytest.raises(InputError, match="reads at most 6 pieces; expected at least 8"):
        EncoderSystem.limits(folder)


def test_pickled_weights_are_refused(tmp_path: Path, tiny: ModuleType) -> None:
    folder = tiny.canine_base(tmp_path / "canine")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"found pickled weights alone \(pytorch_model.bin\)"):
        resolve_base(str(folder), any_type=True)


def test_weights_that_miss_a_layer(tmp_path: Path, tiny: ModuleType) -> None:
    folder = tiny.byt5_base(tmp_path / "byt5")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_layers": 2}))
    with pytest.raises(InputError, match=r"weights without encoder\.block\.1"):
        read_encoder(folder)


def test_the_system_of_sub_words_refuses_other_types(folders: dict[str, Path]) -> None:
    with pytest.raises(
        InputError, match=r"model_type: found 'canine'; expected one of bert, roberta, charbert.*--system encoder"
    ):
        resolve_base(str(folders["canine"]))
    with pytest.raises(InputError, match=r"found a slow tokenizer.*use the system `encoder`"):
        load_tokenizer(folders["slow_bert"])
    assert load_config(folders["canine"]).model_type == "canine"

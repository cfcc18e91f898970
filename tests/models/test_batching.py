"""No result depends on what shares a batch: measured on each model, on tiny ones of every encoder that there is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES, MODEL_MAPPING

from robustbench_char.common import InputError
from robustbench_char.inference.systems import load_system
from robustbench_char.models.bases import resolve_base
from robustbench_char.models.batching import Batching, measured, probe_words, shortest
from robustbench_char.models.checkpoints import load_config
from robustbench_char.models.encoders import EncoderSystem, read_encoder
from robustbench_char.models.inputs import Window
from robustbench_char.models.representations import WordReader
from robustbench_char.tasks.base import Example
from robustbench_char.training.finetune import finetune

pytestmark = pytest.mark.models

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32, "d_model": 32,
    "max_position_embeddings": 160, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "dim": 32, "n_layers": 2, "n_heads": 4,
    "hidden_dim": 32, "embedding_size": 32, "emb_dim": 32, "num_key_value_heads": 2, "head_dim": 8, "block_size": 4,
    "num_random_blocks": 1, "attention_window": 8, "local_attention": 16, "bos_token_id": 2, "eos_token_id": 3,
    "cls_token_id": 2, "sep_token_id": 3, "decoder_start_token_id": 2, "pad_token_id": 0, "num_layers": 2,
    "num_heads": 4, "d_kv": 8, "d_ff": 32,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "canine": {"max_position_embeddings": 512, "num_hash_buckets": 512, "local_transformer_stride": 16},
    "mobilebert": {"intra_bottleneck_size": 32, "true_hidden_size": 32, "num_feedforward_networks": 1},
    "funnel": {"block_sizes": [1, 1], "n_head": 2, "d_head": 8, "d_inner": 32, "num_decoder_layers": 1},
    "perceiver": {"num_latents": 4, "d_latents": 32, "num_self_attends_per_block": 1, "num_blocks": 1},
    "yoso": {"num_hash": 2, "hash_code_len": 4},
    "nystromformer": {"num_landmarks": 64, "segment_means_seq_len": 64, "conv_kernel_size": 5},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "reformer": {"attention_head_size": 8, "feed_forward_size": 32, "axial_pos_shape": [8, 20], "num_buckets": 4,
                 "axial_pos_embds_dim": [16, 16], "attn_layers": ["local", "lsh"], "lsh_attn_chunk_length": 8,
                 "local_attn_chunk_length": 8},
    "xlnet": {"n_head": 4, "d_head": 8, "d_inner": 32, "n_layer": 2},
    "fnet": {"tpu_short_seq_length": 160, "use_tpu_fourier_optimizations": False},
}  # fmt: skip
DEPENDENT = {"convbert", "funnel", "mobilebert", "nystromformer", "yoso"}
"""Types whose outputs depend on padding: texts of one length share a batch."""
REFUSED = {
    "fnet": "which takes input_ids, token_type_ids, position_ids; expected one that takes input_ids and attention_mask",
    "reformer": "a model that draws numbers as it reads",
    "perceiver": "which takes inputs, attention_mask",
    "tapas": "a model that cannot read a text",
}
NOT_HERE = {"esmc", "luke", "modernvbert", "neomme", "ultravbert"}
"""Types that need more than text, or cannot be made tiny."""


def tiny_encoder(kind: str, folder: Path, tokenizer: Path) -> Path:
    """Save a random encoder of any type with the tokenizer of a tiny BERT."""
    pieces = BertTokenizer.from_pretrained(tokenizer)
    config = CONFIG_MAPPING[kind]
    model_class = MODEL_MAPPING[config][0] if kind == "funnel" else MODEL_MAPPING[config]
    known = inspect.signature(config).parameters.keys() | config.attribute_map.keys()
    sizes = {name: value for name, value in SIZES.items() if name in known}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config(**{**sizes, "vocab_size": len(pieces), **OWN.get(kind, {})}))
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "norm" not in name.lower():
                torch.nn.init.normal_(weight, std=0.3)  # that of the padding, too
    model.save_pretrained(folder)
    pieces.save_pretrained(folder)
    return folder


def reader(folder: Path) -> WordReader:
    kind, model = EncoderSystem.open(folder, words=True), read_encoder(folder).eval()
    return WordReader(model, kind, 120, words=True, batching=Batching(least=shortest(load_config(folder)))).measured()


def states(one: WordReader, size: int) -> list[Any]:
    windows = list(
        one.kind.word_windows([words[:length] for words in probe_words() for length in (3, 7, 40)], max_length=120)
    )
    made: list[Any] = [None] * len(windows)
    for chosen in one.batching.batches([len(window.words) for window in windows], size):
        for number, found in zip(chosen, one._states([windows[number] for number in chosen]), strict=True):
            made[number] = found[: len(windows[number].words)].numpy()
    return made


def check(kind: str, folder: Path) -> None:
    one = reader(folder)
    assert one.batching.alike == (kind in DEPENDENT)
    assert not one.batching.alone
    for alone, beside in zip(states(one, 1), states(one, 32), strict=True):
        np.testing.assert_allclose(alone, beside, rtol=0, atol=1e-4 * max(1.0, float(np.abs(alone).max())))


@pytest.mark.parametrize("kind", ["convbert", "yoso", "electra", "big_bird"])
def test_representations_do_not_depend_on_the_batch(kind: str, tmp_path: Path, shared_bert: Path) -> None:
    check(kind, tiny_encoder(kind, tmp_path, shared_bert))


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted({*MODEL_FOR_MASKED_LM_MAPPING_NAMES, "splinter", "xlnet"} - NOT_HERE))
def test_every_encoder_that_there_is(kind: str, tmp_path: Path, shared_bert: Path) -> None:
    folder = tiny_encoder(kind, tmp_path, shared_bert)
    if kind not in REFUSED:
        check(kind, folder)
        return
    with pytest.raises(InputError, match=REFUSED[kind]):
        reader(folder)


@pytest.mark.parametrize("task", ["conll2003", "mrpc", "squad_v2"])
def test_a_fine_tuned_encoder_says_the_same_in_any_batch(task: str, tmp_path: Path, shared_bert: Path) -> None:
    """ConvBERT, whose convolutions see what follows a text."""
    base = tiny_encoder("convbert", tmp_path / "base", shared_bert)
    words = [("a", "good", "film", "in", "paris")[:length] * times for length in (1, 2, 5) for times in (1, 3)]
    fields = {"conll2003": ("tokens",), "mrpc": ("sentence1", "sentence2"), "squad_v2": ("question", "context")}[task]
    labels = {"conll2003": lambda own: tuple("OB"[n % 2] if n % 2 == 0 else "B-PER" for n in range(len(own)))}
    examples = [
        Example(row, str(row), str(row), {name: own if task == "conll2003" else " ".join(own) for name in fields},
                labels[task](own) if task in labels else "equivalent" if task == "mrpc" else None, answerable=False)
        for row, own in enumerate(words)
    ]  # fmt: skip
    stride: dict[str, Any] = {"doc_stride": 16} if task == "squad_v2" else {}
    finetune(
        task, train=examples, train_sha256="0" * 64, system="encoder", base=str(base), output=tmp_path / "system",
        store=tmp_path / "store", epochs=0, progress=False, **stride,
    )  # fmt: skip
    system = load_system(tmp_path / "system")
    assert system.batching.alike
    windows = list(system.recipe.windows(system.kind, examples))
    alone = [system.forward([window])[0] for window in windows]
    for chosen in system._batches(windows, 32):
        for number, found in zip(chosen, system.forward([windows[number] for number in chosen]), strict=True):
            assert all(np.allclose(found[name], own, atol=1e-5) for name, own in alone[number].items())


class Fake:
    """A model that gives the sum of a text, and whatever `more` makes of all texts of the batch."""

    def __init__(self, more: Callable[[list[Any]], float]) -> None:
        self.more = more

    def __call__(self, windows: Sequence[Window]) -> list[dict[str, Any]]:
        ids = [window.inputs["input_ids"] for window in windows]
        return [{"logits": np.array([own.sum() + self.more(ids)], np.float32)} for own in ids]


def windows_of(*lengths: int) -> list[Window]:
    return [Window(row, {"input_ids": np.arange(length, dtype=np.int32)}) for row, length in enumerate(lengths)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (lambda ids: 0.0, Batching()),
        (lambda ids: float(max(map(len, ids)) != len(ids[-1]) or len(ids) > 2), Batching(alike=True)),
        (lambda ids: float(len(ids) > 1), Batching(alone=True)),
    ],
    ids=["of itself", "of padding", "of its neighbours"],
)
def test_what_outputs_depend_on(more: Callable[[list[Any]], float], expected: Batching) -> None:
    assert measured(Fake(more), windows_of(2, 4, 9), Batching(), "model") == expected


def test_a_model_that_draws_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="found a model that draws numbers as it reads"):
        measured(Fake(lambda ids: float(rng.normal())), windows_of(2, 9), Batching(), "model")


def test_a_model_that_needs_more_than_text_is_refused() -> None:
    def fail(windows: Sequence[Window]) -> Any:
        raise ValueError("`visual_feats` cannot be `None`")

    with pytest.raises(InputError, match=r"cannot read a text \(`visual_feats` cannot be `None`\).*more than a text"):
        measured(fail, windows_of(2, 9), Batching(), "model")


def test_batches() -> None:
    lengths = [3, 9, 3, 9, 3]
    assert list(Batching().batches(lengths, 2)) == [[1, 3], [0, 2], [4]]
    assert list(Batching(alike=True).batches(lengths, 32)) == [[1, 3], [0, 2, 4]]
    assert list(Batching(alone=True).batches(lengths, 32)) == [[1], [3], [0], [2], [4]]


def test_what_cannot_read_a_text_is_said_before_training(tmp_path: Path, shared_bert: Path) -> None:
    """TAPAS reads tables."""
    base = resolve_base(str(tiny_encoder("tapas", tmp_path / "base", shared_bert)), any_type=True)
    with pytest.raises(InputError, match="base: found a model that cannot read a text"):
        EncoderSystem.build(base, "tagging", ["a", "b"], layers=None, seed=0)

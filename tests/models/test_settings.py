"""What an earlier task or a library left in a config.json is reset, or refused where it makes another model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from robustbench_char.common import InputError
from robustbench_char.models.bases import labels_in, resolve_base
from robustbench_char.models.checkpoints import load_encoder
from robustbench_char.models.folders import check_model_folder, reading_sha256
from robustbench_char.models.settings import without_left_over

pytestmark = pytest.mark.models

THREE = {"id2label": {"0": "entails", "1": "says nothing", "2": "denies"}, "label2id": {"entails": 0}, "num_labels": 3}
LEFT_OVER: dict[str, dict[str, Any]] = {
    "labels of three classes": THREE,
    "a number of labels": {"num_labels": 3},
    "labels that are none": {"id2label": ["a", "b"], "num_labels": "3"},
    "one output": {"id2label": {"0": "score"}, "label2id": {"score": 0}, "problem_type": "regression"},
    "regression": {"problem_type": "regression"},
    "many labels at once": {"problem_type": "multi_label_classification"},
    "a loss that is none": {"problem_type": "single_label_classification", "num_labels": 1},
    "attentions": {"output_attentions": True},
    "hidden states": {"output_hidden_states": True},
    "tuples": {"return_dict": False},
    "tuples as ever called": {"use_return_dict": False, "torchscript": True},
    "dropout of a head": {"classifier_dropout": 0.9},
    "dropout that is none": {"classifier_dropout": 5},
    "chunks": {"chunk_size_feed_forward": 3},
    "memory": {"gradient_checkpointing": True, "use_cache": True},
    "half precision": {"torch_dtype": "float16"},
    "no precision": {"dtype": "float99"},
    "a task": {"finetuning_task": "mnli", "task_specific_params": {"a": {"max_length": 3}}, "num_beams": 4},
    "fast attention": {"attn_implementation": "flash_attention_2"},
    "quantization": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    "a pair": {"is_encoder_decoder": True, "tie_word_embeddings": False, "tie_encoder_decoder": True},
    "code": {"auto_map": {"AutoModel": "own.Model"}},
    "no heads pruned": {"pruned_heads": {"0": []}},
}
REFUSED = [
    ({"is_decoder": True}, "is_decoder: found true: a model that reads from left to right.*set is_decoder to false"),
    ({"add_cross_attention": True}, "add_cross_attention: found true: a model that reads from left to right"),
    ({"causal": True}, "causal: found true: a model that reads from left to right"),
    ({"position_embedding_type": "relative_key"}, "position_embedding_type: found relative_key; expected absolute"),
    ({"pruned_heads": {"1": [0]}}, "pruned_heads: found heads pruned in layer 1; expected a model with all its heads"),
    ({"num_hidden_layers": 0}, "num_hidden_layers: found 0; expected at least 1"),
    ({"num_attention_heads": -2}, "num_attention_heads: found -2; expected at least 1"),
    ({"hidden_size": 0.5}, "hidden_size: found 0.5; expected at least 1"),
    ({"num_hidden_layers": 10**12}, "num_hidden_layers: found 1000000000000; expected at most 1,000"),
    ({"block_sizes": [4, 10**9]}, "block_sizes: found 1000000000; expected at most 1,000"),
    ({"num_labels": 10**9}, "num_labels: found 1000000000; expected at most 1,000,000"),
]


def changed(folder: Path, copy: Path, **values: Any) -> Path:
    """Return a copy of a model folder with other values in its config.json."""
    shutil.copytree(folder, copy)
    said = json.loads((copy / "config.json").read_text()) | values
    (copy / "config.json").write_text(json.dumps(said))
    return copy


@pytest.mark.parametrize("name", LEFT_OVER)
def test_what_is_left_over_changes_no_config(name: str, shared_bert: Path, tmp_path: Path) -> None:
    from robustbench_char.models.checkpoints import load_config

    folder = changed(shared_bert, tmp_path / "model", **LEFT_OVER[name])
    plain, found = load_config(shared_bert).to_dict(), load_config(folder).to_dict()
    new = {"use_cache", "num_beams", "_name_or_path"}
    assert {key: value for key, value in found.items() if key not in new} == {
        key: value for key, value in plain.items() if key not in new
    }
    load_config(folder).save_pretrained(tmp_path / "saved")


@pytest.mark.parametrize("family", ["classification", "tagging", "question_answering"])
def test_all_that_may_be_left_over_at_once(family: Any, shared_bert: Path, tmp_path: Path) -> None:
    """Built, saved and loaded again: weights and outputs are those of the base without it."""
    import torch
    from transformers.utils.generic import ModelOutput

    from robustbench_char.models.bert import BertSystem

    usable = (values for name, values in LEFT_OVER.items() if "none" not in name)
    left = {key: value for values in usable for key, value in values.items()}
    folder = changed(shared_bert, tmp_path / "model", **left)
    given = {"input_ids": torch.tensor([[2, 7, 9, 3, 8]])}
    labels = () if family == "question_answering" else ("a", "b", "c", "d")
    said: list[ModelOutput] = []
    for base in (shared_bert, folder):
        model = BertSystem.build(resolve_base(str(base)), family, labels, layers=None, seed=3)
        model.save_pretrained(tmp_path / f"saved-{base.name}")
        said.append(BertSystem.load(tmp_path / f"saved-{base.name}", family).eval()(**given))
    assert said[0].keys() == said[1].keys()
    assert all(torch.equal(one, other) for one, other in zip(said[0].values(), said[1].values(), strict=True))


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[next(iter(values)) for values, _ in REFUSED])
def test_what_makes_another_model_is_refused(
    values: dict[str, Any], message: str, shared_bert: Path, tmp_path: Path
) -> None:
    folder = changed(shared_bert, tmp_path / "model", **values)
    for any_type in (False, True):
        with pytest.raises(InputError, match=f"config\\.json: {message}"):
            check_model_folder(folder, any_type=any_type)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("architectures", 1e-12, "a list of names"),
        ("architectures", ["BertModel", 3], "a list of names"),
        ("id2label", 7, "a name for each id"),
        ("num_labels", "two", "a number"),
        ("pruned_heads", [1], "a list of heads for each layer"),
        ("pad_token_id", {}, "a number"),
        ("max_position_embeddings", "many", "a number"),
    ],
)
def test_settings_of_another_type(name: str, value: Any, expected: str, shared_bert: Path, tmp_path: Path) -> None:
    for model_type in ("bert", "gpt2"):
        folder = changed(shared_bert, tmp_path / model_type, **{name: value, "model_type": model_type})
        with pytest.raises(InputError, match=rf"config\.json: {name}: found .*; expected {expected}"):
            check_model_folder(folder)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps"),
        ({"hidden_size": "32"}, "hidden_size"),
    ],
)
def test_values_that_make_no_model(values: dict[str, Any], found: str, shared_bert: Path, tmp_path: Path) -> None:
    from robustbench_char.models.checkpoints import load_config

    folder = changed(shared_bert, tmp_path / "model", **values)
    with pytest.raises(InputError, match=rf"config\.json: found values that make no model \(.*{found}.*Correct"):
        load_config(folder)


def test_quantized_weights_are_refused(shared_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared_bert, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    name = "encoder.layer.0.output.dense.weight"
    save_file(weights | {name: weights[name].astype(np.int8)}, folder / "model.safetensors")
    with pytest.raises(InputError, match=rf"found {name} as I8: weights that are quantized; expected .*dequantize"):
        check_model_folder(folder)


def test_a_key_says_what_was_reset_where_results_change(shared_bert: Path, tmp_path: Path) -> None:
    """Stored results of a model that was trained under such a setting are not taken for those without it."""
    from robustbench_char.models.folders import changed_by_reset

    assert list(changed_by_reset({"problem_type": "regression", "classifier_dropout": 0.3})) == [
        "problem_type", "classifier_dropout",
    ]  # fmt: skip
    assert not list(changed_by_reset({"problem_type": "single_label_classification", "output_attentions": True}))
    folder = changed(shared_bert, tmp_path / "model", problem_type="regression")
    before = reading_sha256(shared_bert)
    assert reading_sha256(folder) != before


def test_a_head_that_is_kept_keeps_its_labels() -> None:
    config = {"model_type": "bert", **THREE, "classifier_dropout": 0.2, "problem_type": "regression"}
    assert without_left_over(config, head=True) == {"model_type": "bert", **THREE, "classifier_dropout": 0.2}
    assert without_left_over(config, head=False) == {"model_type": "bert"}
    other = {"model_type": "t5", "is_encoder_decoder": True, "tie_word_embeddings": False}
    assert without_left_over(other, head=False) == other


def test_labels_by_their_ids() -> None:
    assert labels_in({"id2label": {"1": "b", "0": "a"}, "label2id": {"a": 0, "b": 1}}) == ["a", "b"]
    assert labels_in({"label2id": {"b": 1, "a": 0, "c": 2}}) == ["a", "b", "c"]
    assert labels_in({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"b": 1, "a": 0}}) == ["a", "b"]
    assert labels_in({"num_labels": 3}) == ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert labels_in({}) == ["LABEL_0", "LABEL_1"]


@pytest.mark.parametrize("ids", [{"1": "a", "2": "b"}, {"a": "x"}, ["a", "b"], {"0": "a", "00": "b"}])
def test_labels_without_ids_from_0_on(ids: Any) -> None:
    with pytest.raises(InputError, match=r"config\.json: id2label: found .*; expected a name for each id from 0 on"):
        labels_in({"id2label": ids})


def test_labels_that_contradict_each_other() -> None:
    config = {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}
    with pytest.raises(InputError, match=r"label2id: found 'a' for 1, where id2label has 'b'.*--labels"):
        labels_in(config)
    assert labels_in(config, given=True) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "numbers"), [("vocab_size", "word_embeddings"), ("intermediate_size", "dense"), ("hidden_size", "query")]
)
def test_sizes_beyond_the_weights_take_no_memory(name: str, numbers: str, tiny_base: str, tmp_path: Path) -> None:
    folder = changed(Path(tiny_base), tmp_path / "base", **{name: 10**9})
    with pytest.raises(InputError, match=rf"config.json: found sizes that make [\d,]{{12,}} numbers, .*{numbers}"):
        load_encoder(folder)

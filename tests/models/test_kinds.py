"""Folders that hold no model to be read here are told apart, and the message says what they are and what to do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.inference.opening import kind_of_model
from robustbench_char.models.folders import check_model_folder, weight_files

pytestmark = pytest.mark.models

FILES = [
    ("model-q4.gguf", "a model in the format GGUF, of llama.cpp.*Name the model that it was made from"),
    ("model.onnx", "a model exported to ONNX"),
    ("onnx/model.onnx", "a model exported to ONNX"),
    ("openvino_model.xml", "a model exported to OpenVINO"),
    ("tf_model.h5", "weights of TensorFlow.*save_pretrained"),
    ("flax_model.msgpack", "weights of Flax"),
    ("config.cfg", "a pipeline of spaCy.*through a predictor"),
    ("model_index.json", "a pipeline of Diffusers.*Choose a model of text"),
]


def written(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}")
    return folder


@pytest.mark.parametrize(("name", "message"), FILES)
@pytest.mark.parametrize("config", [True, False])
def test_files_of_other_programs(name: str, message: str, config: bool, shared_bert: Path, tmp_path: Path) -> None:
    folder = written(tmp_path / "model", name)
    if config:
        shutil.copy(shared_bert / "config.json", folder)
    calls: list[Callable[[Path], Any]] = [check_model_folder] if config else [check_model_folder, kind_of_model]
    for call in calls:
        with pytest.raises(InputError, match=f"found {message}"):
            call(folder)


def test_a_whole_model_may_have_such_files_beside_it(shared_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared_bert, tmp_path / "model"))
    written(folder, "onnx/model.onnx", "tf_model.h5", "checkpoint-3/config.json")
    assert check_model_folder(folder)["model_type"] == "bert"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"peft_type": "LORA", "base_model_name_or_path": "org/base"}, r"a PEFT adapter \(LORA\) for org/base"),
        ({"config": {"architecture": "lora"}, "model_name": "org/base"}, "an adapter for org/base"),
        ([], "an adapter for some model"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_adapters(said: Any, message: str, whole: bool, shared_bert: Path, tmp_path: Path) -> None:
    """Beside whole weights too: with peft at hand, Transformers would put it on them without a word."""
    folder = tmp_path / "model"
    if whole:
        shutil.copytree(shared_bert, folder)
    else:
        written(folder, "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match=f"found {message}; expected a whole model.*merge_and_unload"):
        check_model_folder(folder)


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        (("0_Transformer",), "a model of sentence-transformers inside (0_Transformer)"),
        (("checkpoint-500", "checkpoint-1000"), "checkpoints of training inside (checkpoint-500, checkpoint-1000)"),
        (("snapshots/1a2b",), "the hub's cache of a model inside (snapshots/1a2b)"),
        (("my-model",), "models inside (my-model)"),
    ],
)
def test_a_model_one_folder_below(inside: tuple[str, ...], message: str, shared_bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "outer"
    for name in inside:
        shutil.copytree(shared_bert, folder / name)
    if inside == ("0_Transformer",):
        written(folder, "modules.json", "1_Pooling/config.json")
    for call in (check_model_folder, kind_of_model):
        expected = re.escape(message) + f".*Name the folder inside: {folder / inside[-1]}$"
        with pytest.raises(InputError, match=expected):
            call(folder)


def test_pickled_weights_are_named_without_the_state_of_training(shared_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared_bert, tmp_path / "model"))
    (folder / "model.safetensors").unlink()
    written(folder, "pytorch_model.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin")
    with pytest.raises(InputError, match=r"pickled weights alone \(pytorch_model.bin\)"):
        weight_files(folder)


@pytest.mark.parametrize(
    ("kind", "architecture", "message"),
    [
        ("llama", "LlamaForCausalLM", "writes text, and reads from left to right only"),
        ("vit", "ViTForImageClassification", "reads pictures"),
        ("wav2vec2", "Wav2Vec2ForCTC", "hears speech"),
    ],
)
def test_models_that_do_not_encode_text(
    kind: str, architecture: str, message: str, shared_bert: Path, tmp_path: Path
) -> None:
    from robustbench_char.inference._identities import check_head

    folder = Path(shutil.copytree(shared_bert, tmp_path / "model"))
    config = {"model_type": kind, "architectures": [architecture]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=f"found '{kind}'.*This model {message}: choose an encoder of text"):
        check_model_folder(folder)
    with pytest.raises(InputError, match=f"{architecture}, which has no head.*It {message}: choose another model"):
        check_head("model", config, "classification")


@pytest.mark.parametrize(
    ("kind", "architecture", "found", "fix"),
    [
        (
            "t5",
            "T5ForConditionalGeneration",
            "which writes its answer as text",
            "predictor of yours.* --system encoder",
        ),
        ("bart", "BartForConditionalGeneration", "which writes its answer as text", "train a head on its encoder"),
        ("marian", "MarianMTModel", "which writes its answer as text", "--system encoder"),
        ("t5", "T5EncoderModel", "which has no head", "a new head first: .*--base model --system encoder --train"),
        ("distilbert", "DistilBertModel", "which has no head", "a new head first: .* --system encoder"),
        ("roberta", "RobertaForMaskedLM", "which has no head", "a new head first: .*--base model --train FILE"),
    ],
)
def test_models_of_another_head(kind: str, architecture: str, found: str, fix: str) -> None:
    """The command that is named is one that takes the model."""
    from robustbench_char.inference._identities import check_head

    config = {"model_type": kind, "architectures": [architecture]}
    with pytest.raises(InputError, match=f"{architecture}, {found}.*{fix}"):
        check_head("model", config, "classification")


def test_a_language_has_to_be_chosen(shared_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shared_bert, tmp_path / "model"))
    said: dict[str, Any] = {"model_type": "xmod", "languages": ["en_XX", "de_DE"]}
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match=r'default_language: found none.*"default_language": NAME, of en_XX, de_DE'):
        check_model_folder(folder, any_type=True)
    (folder / "config.json").write_text(json.dumps({**said, "default_language": "de_DE"}))
    assert check_model_folder(folder, any_type=True)["model_type"] == "xmod"

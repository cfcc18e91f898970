"""What is no checkpoint of the reference implementation is refused, with a message that says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.charbert import CHARACTERS, PIECES

from robustbench_char.common import InputError
from robustbench_char.models.charbert.conversion import convert

pytestmark = pytest.mark.models


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
    refused(tmp_path, f"{key}: found values that are not finite; expected finite weights")


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
        convert(tmp_path / "in" / "config.json", tmp_path / "out")
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
        convert(folder / "in", folder / "out", **options)
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
        convert(tmp_path / "in", tmp_path / "out", char_vocab=tmp_path / "absent")

"""Checks of a model folder before anything is loaded from it: config, safetensors weights, tokenizer.

Weights are data, read from safetensors alone. Folders that hold only pickled weights are refused, and so are files that
are something else than their name says (an HTML page saved by a browser, a Git LFS pointer, half a download).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from robustbench_char.common import InputError
from robustbench_char.common.files import read_json, sha256_bytes, sha256_file
from robustbench_char.models.kinds import refuse_other_folder, what_it_reads
from robustbench_char.models.settings import changed_by_reset, refuse_settings, refuse_types

__all__ = ["check_model_folder", "numbers_in", "reading_sha256", "refuse_html", "weights_sha256"]

SUPPORTED_TYPES = ("bert", "roberta", "charbert")
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
CHARACTER_VOCABULARY = "character_vocabulary.json"
_READING = (*(CONFIG, CHARACTER_VOCABULARY), *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"))
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_TOKENIZERS = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
_OTHER_TOKENIZERS = (("tokenizer_config.json",), ("spiece.model",), ("sentencepiece.bpe.model",))
"""Of other types: CANINE's and ByT5's have no vocabulary."""
_OF_TRAINING = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
_FLOATS = ("F64", "F32", "F16", "BF16")
_VOCABULARIES = (".model", ".codes", ".tokenizer")


def check_model_folder(folder: Path, *, place: object | None = None, any_type: bool = False) -> dict[str, Any]:
    """Check that `folder` holds a supported model and its tokenizer as data files, and return its config.

    Raises InputError that names the missing or unusable file.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        expected = "a model folder with config.json and model.safetensors"
        raise InputError(place or folder, found=found, expected=expected, fix="Check the path.")
    refuse_other_folder(folder, place or folder)
    config = _config(folder, any_type)
    for path in weight_files(folder):
        _check_safetensors(path)
    known = _TOKENIZERS + (_OTHER_TOKENIZERS if any_type else ())
    if not any(all((folder / name).is_file() for name in names) for names in known):
        expected = "tokenizer.json (or vocab.txt, or vocab.json with merges.txt)"
        fix = "Save the tokenizer into the same folder with `tokenizer.save_pretrained(folder)`."
        raise InputError(folder, found="no tokenizer", expected=expected, fix=fix)
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that hold the weights: one, or the shards that the index names, sorted.

    Raises InputError where there are none, or pickled ones alone.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return _shards(folder)
    pickled = sorted(
        path.name for path in folder.iterdir() if path.suffix in _PICKLED and not path.name.startswith(_OF_TRAINING)
    )
    if pickled:
        raise InputError(
            folder,
            found=f"pickled weights alone ({', '.join(pickled)})",
            expected=f"weights as {WEIGHTS}",
            fix="Pickled files can run code and are never read. Convert them where you trust them: load the model with"
            " transformers and call `save_pretrained`, which writes safetensors.",
        )
    fix = "Download the whole model folder."
    raise InputError(folder, found="no weights", expected=f"{WEIGHTS} (or {INDEX} with its shards)", fix=fix)


def numbers_in(folder: Path) -> int:
    """Return how many numbers the weights of a folder hold, as their headers say, which are checked against the files.

    Raises InputError for a file that is no safetensors file.
    """
    return sum(math.prod(shape) for path in weight_files(folder) for shape, _ in _tensors(path).values())


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of the weights file; of several shards, the SHA-256 of their hashes in order of names."""
    hashes = [sha256_file(path) for path in weight_files(folder)]
    return hashes[0] if len(hashes) == 1 else sha256_bytes("".join(hashes).encode())


def reading_sha256(folder: Path) -> str:
    """Return the SHA-256 over config, tokenizer and characters: with the weights they decide what a model says."""
    own = {path.name for path in folder.iterdir() if path.suffix in _VOCABULARIES}
    names = sorted({*_READING, *sum(_TOKENIZERS, ()), *own})
    lines = [f"{name} {sha256_file(folder / name)}\n" for name in names if (folder / name).is_file()]
    lines += [f"reset {name}\n" for name in changed_by_reset(read_json(folder / CONFIG))]
    return sha256_bytes("".join(lines).encode())


def refuse_html(path: Path, *, expected: str) -> None:
    """Raise InputError when `path` is a web page or a Git LFS pointer instead of `expected`."""
    with path.open("rb") as file:
        head = file.read(1024).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        fix = "The download saved a web page: fetch the file itself (from the hub: `hf download`)."
        raise InputError(path, found="an HTML page", expected=expected, fix=fix)
    if head.startswith(b"version https://git-lfs"):
        fix = "Run `git lfs pull` in the repository it came from."
        raise InputError(path, found="a Git LFS pointer", expected=expected, fix=fix)


def _config(folder: Path, any_type: bool) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        expected = "a model folder with its config"
        raise InputError(folder, found=f"no {CONFIG}", expected=expected, fix=f"Add the model's {CONFIG}.")
    refuse_html(path, expected="the model's config as JSON")
    config = read_json(path)
    if isinstance(config, dict):
        refuse_types(path, config)
    kind = config.get("model_type") if isinstance(config, dict) else None
    known = kind in SUPPORTED_TYPES or (any_type and isinstance(kind, str))
    if not isinstance(config, dict) or not known:
        expected = "the type of an encoder" if any_type else f"one of {', '.join(SUPPORTED_TYPES)}"
        fix = "Give a BERT-type, RoBERTa-type or CharBERT model; `finetune --system encoder` takes other encoders."
        does = what_it_reads(config) if isinstance(config, dict) else None
        fix = f"This model {does}: choose an encoder of text." if does else fix
        raise InputError(f"{path}: model_type", found=repr(kind), expected=expected, fix=fix)
    refuse_settings(path, config)
    return config


def _shards(folder: Path) -> list[Path]:
    refuse_html(folder / INDEX, expected="the index of the weight files as JSON")
    index = read_json(folder / INDEX)
    table = index.get("weight_map") if isinstance(index, dict) else None
    names = sorted({str(name) for name in table.values()}) if isinstance(table, dict) else []
    odd = [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]
    if odd or not names:
        found = f"a weight file {odd[0]!r}" if odd else "no weight files"
        expected = "safetensors files of the same folder" if odd else "a `weight_map` with file names"
        raise InputError(folder / INDEX, found=found, expected=expected, fix="Download the model again.")
    if missing := [name for name in names if not (folder / name).is_file()]:
        expected = f"every weight file that {INDEX} names"
        raise InputError(folder, found=f"no {missing[0]}", expected=expected, fix="Download the missing file.")
    return [folder / name for name in names]


def _tensors(path: Path) -> dict[str, tuple[list[int], str]]:
    """Return size and kind of the tensors of a safetensors file."""
    expected = "weights in the safetensors format"
    refuse_html(path, expected=expected)
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            return {name: (one.get_shape(), str(one.get_dtype())) for name, one in slices.items()}
    except (SafetensorError, OSError) as error:  # OSError: a folder, a pipe
        fix = "The file is damaged or incomplete: copy or download it again."
        raise InputError(path, found=f"not a safetensors file ({error})", expected=expected, fix=fix) from None


def _check_safetensors(path: Path) -> None:
    kinds = {name: kind for name, (_, kind) in _tensors(path).items()}
    if not kinds:
        fix = "Copy or download the file again."
        raise InputError(path, found="no tensors", expected="the weights of the model", fix=fix)
    if whole := [name for name, kind in kinds.items() if name.endswith("weight") and kind not in _FLOATS]:
        fix = "Use the model as it was before, or load it with transformers, call `dequantize` and `save_pretrained`."
        found, expected = (
            f"{whole[0]} as {kinds[whole[0]]}: weights that are quantized",
            "weights as floating-point numbers",
        )
        raise InputError(path, found=found, expected=expected, fix=fix)

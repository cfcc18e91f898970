"""The files of a checkpoint of the 2020 reference implementation: what config.json says, and the weights as tensors.

Nothing that a file names is run: `.bin` files are read for their tensors alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from robustbench_char.common import InputError
from robustbench_char.common.files import check_file, read_json
from robustbench_char.models.folders import refuse_html

__all__ = ["EXPECTED", "FIX", "read_checkpoint"]

EXPECTED = "a CharBERT checkpoint of the reference implementation"
FIX = "Download the checkpoint's folder again: config.json and weights of the same model."

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def read_checkpoint(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """Return where the weights stand, what config.json says, and the weights in single precision.

    Raises InputError when a file is missing or something else.
    """
    if not folder.is_dir():
        raise InputError(
            folder,
            found="a file" if folder.exists() else "no such folder",
            expected=f"the folder of {EXPECTED}",
            fix="Give the folder that holds config.json and the weights.",
        )
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if path is None or not (folder / "config.json").is_file():
        raise InputError(
            folder,
            found="no weights" if path is None else "no config.json",
            expected=f"config.json with {' or '.join(_WEIGHTS)}",
            fix="Download the whole folder of the checkpoint.",
        )
    fields = _read_config(folder / "config.json")
    refuse_html(check_file(path, option="CHECKPOINT_DIR"), expected="weights of a model")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_bin(path)
    weights = {key: tensor.float() for key, tensor in state.items()}
    _refuse_diverged(path, weights)
    return path, fields, weights


def _refuse_diverged(path: Path, weights: dict[str, Tensor]) -> None:
    wrong = next((key for key, tensor in weights.items() if not tensor.isfinite().all()), None)
    if wrong is not None:
        raise InputError(
            f"{path}: {wrong}",
            found="values that are not finite",
            expected="finite weights",
            fix="Training diverged, or the file was altered: use another checkpoint.",
        )


def _read_config(path: Path) -> dict[str, Any]:
    refuse_html(path, expected="the model's config as JSON")
    fields = read_json(path)
    kind = fields.get("model_type") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or kind not in (None, "bert", "roberta"):
        ours = kind == "charbert"
        raise InputError(
            f"{path}: model_type",
            found=repr(kind) if isinstance(fields, dict) else f"a {type(fields).__name__}",
            expected="bert or roberta, as checkpoints of the reference have it",
            fix="It is one of ours already: use it as it is." if ours else "Give the folder of a CharBERT checkpoint.",
        )
    return fields


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error, "a safetensors file") from None


def _read_bin(path: Path) -> dict[str, Tensor]:
    try:
        # weights_only: tensors and plain containers alone are read, and no code that the file names is run.
        state = torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    except Exception as error:  # whatever torch's readers of its three formats raise for a file that is none of them
        raise _damaged(path, error, "weights saved by torch, with nothing but tensors in them") from None
    if not isinstance(state, dict) or not all(_is_weight(key, tensor) for key, tensor in state.items()):
        raise InputError(
            path, found=f"a {type(state).__name__} of other things", expected="dense tensors by name", fix=FIX
        )
    return state


def _is_weight(key: object, tensor: object) -> bool:
    dense = isinstance(tensor, Tensor) and tensor.layout is torch.strided and not tensor.is_complex()
    return isinstance(key, str) and dense


def _damaged(path: Path, error: Exception, expected: str) -> InputError:
    return InputError(
        path,
        found=f"a file that cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:200]})",
        expected=expected,
        fix="The file is damaged, incomplete, or no model: download it again.",
    )

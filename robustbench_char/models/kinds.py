"""What a folder or a model is that is none to be read here: the true reason, and what to do. Files and config alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustbench_char.common.errors import InputError
from robustbench_char.common.files import read_json

__all__ = ["refuse_other_folder", "what_it_reads"]

_CONFIG, _WEIGHTS = "config.json", ("model.safetensors", "model.safetensors.index.json")
_CONVERT = (
    "Where the model stands in Transformers, save it from there with `save_pretrained`, which writes safetensors."
)
_BEFORE = "Name the model that it was made from, as Transformers saves it."
_BY_FUNCTION = "Evaluate it through a predictor: a function of yours that calls it (file.py:function)."
_OTHERS = (
    ("*.gguf", "a model in the format GGUF, of llama.cpp", _BEFORE),
    ("*.onnx", "a model exported to ONNX", _BEFORE),
    ("onnx/*.onnx", "a model exported to ONNX", _BEFORE),
    ("openvino_model*.xml", "a model exported to OpenVINO", _BEFORE),
    ("*.mlpackage", "a model exported to Core ML", _BEFORE),
    ("tf_model*.h5", "weights of TensorFlow", _CONVERT),
    ("saved_model.pb", "weights of TensorFlow", _CONVERT),
    ("flax_model*.msgpack", "weights of Flax", _CONVERT),
    ("rust_model.ot", "weights for rust-bert", _CONVERT),
    ("model_index.json", "a pipeline of Diffusers, which makes pictures", "Choose a model of text."),
    ("config.cfg", "a pipeline of spaCy", _BY_FUNCTION),
    ("final-model.pt", "a model of Flair", _BY_FUNCTION),
)
"""Files that tell of what program a folder is, where it lacks config or weights; what it is; what to do."""
_EXPECTED = f"a model folder with {_CONFIG} and {_WEIGHTS[0]}"


def refuse_other_folder(folder: Path, place: object) -> None:
    """Raise InputError for a folder that is an adapter, of another program, or holds the model one folder below."""
    if (folder / "adapter_config.json").is_file():
        raise _adapter(folder, place)
    if (folder / _CONFIG).is_file() and any((folder / name).is_file() for name in _WEIGHTS):
        return
    inside = [] if (folder / _CONFIG).is_file() else _models_inside(folder)
    if inside:
        kinds = {"checkpoint": "checkpoints of training", "snapshots": "the hub's cache of a model"}
        named = next((kind for start, kind in kinds.items() if inside[-1].startswith(start)), "models")
        named = "a model of sentence-transformers" if (folder / "modules.json").is_file() else named
        found = f"no {_CONFIG}, but {named} inside ({', '.join(inside[:3])}{', ...' if inside[3:] else ''})"
        raise InputError(place, found=found, expected=_EXPECTED, fix=f"Name the folder inside: {folder / inside[-1]}")
    for pattern, found, fix in _OTHERS:
        if any(folder.glob(pattern)):
            raise InputError(place, found=found, expected=_EXPECTED, fix=fix)


def _adapter(folder: Path, place: object) -> InputError:
    said = read_json(folder / "adapter_config.json")
    said = said if isinstance(said, dict) else {}
    of = said.get("base_model_name_or_path") or said.get("model_name")
    kind = f"a PEFT adapter ({said['peft_type']})" if said.get("peft_type") else "an adapter"
    fix = (
        "Put both together first: load the model and the adapter with peft, call `merge_and_unload()`, and save what it"
    )
    fix += " returns and the tokenizer into a new folder with `save_pretrained`."
    return InputError(place, found=f"{kind} for {of or 'some model'}", expected="a whole model", fix=fix)


def _models_inside(folder: Path) -> list[str]:
    """Return the folders inside that have a config of a model, the latest checkpoint last."""
    models = (
        path.parent.relative_to(folder) for depth in ("*", "snapshots/*") for path in folder.glob(f"{depth}/{_CONFIG}")
    )
    named = [path.as_posix() for path in models if any((folder / path / name).is_file() for name in _WEIGHTS)]
    return sorted(named, key=lambda name: [int(part) if part.isdigit() else -1 for part in re.split(r"\D+", name)])


_HEADS = {
    "CausalLM|LMHeadModel": "writes text, and reads from left to right only",
    "Image|Vision|Object|Depth|Segmentation|Mask2|Video": "reads pictures",
    "Audio|CTC|Speech|Whisper|XVector": "hears speech",
}


def what_it_reads(config: Mapping[str, Any]) -> str | None:
    """Return what a model does that is no encoder of text, by the names of its architectures; None where it may be."""
    named = " ".join(map(str, config.get("architectures") or ()))
    return next((what for names, what in _HEADS.items() if re.search(names, named)), None)

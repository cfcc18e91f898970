"""What a config.json says beside what its encoder is: settings of an earlier task or of a library, which stay behind.

A model that was fine-tuned or exported leaves its labels, its loss and how it returned its outputs in config.json. What
decides what the encoder itself says is kept, or refused where Transformers does not compute it; all else is reset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robustbench_char.common.errors import InputError

__all__ = ["changed_by_reset", "refuse_settings", "refuse_types", "without_left_over"]

_HOW = {
    *("output_attentions", "output_hidden_states", "return_dict", "use_return_dict", "torchscript"),
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal", "attn_implementation_internal"),
    *("experts_implementation", "_experts_implementation", "_experts_implementation_internal"),
    *("chunk_size_feed_forward", "gradient_checkpointing", "torch_dtype", "dtype", "use_bfloat16", "pruned_heads"),
    *("quantization_config", "transformers_weights", "configuration_files", "auto_map", "name_or_path"),
    *("problem_type", "finetuning_task", "task_specific_params", "_name_or_path", "_commit_hash"),
}
"""How outputs are computed and returned, a loss, and where files stood: never what a model says of a text."""
_OF_A_HEAD = {"id2label", "label2id", "num_labels", "classifier_dropout"}
_OF_A_PAIR = {"is_encoder_decoder", "tie_encoder_decoder", "tie_word_embeddings"}
"""Of BERT's kind, which is one encoder, with its decoder of sub-words tied to their embeddings."""
_ENCODERS = ("bert", "roberta", "charbert")

_ONCE_BY_THE_BATCH = ("convbert", "yoso", "nystromformer", "mobilebert", "funnel", "big_bird", "bigbird_pegasus")
"""Types whose outputs under our heads depended on what shared their batch."""

_LEFT_TO_RIGHT = ("is_decoder", "add_cross_attention", "causal", "is_causal")
_RELATIVE = ("relative_key", "relative_key_query")
_SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
_PARTS = re.compile(r"(layers?|groups?|blocks?|networks|group_num|block_(sizes|repeats))$")
"""Settings that count parts of a model."""
_OWN_COPY = "in a copy of the folder"
_TYPES: Mapping[str, tuple[type, type, str]] = {
    "architectures": (list, str, "a list of names"),
    "languages": (list, str, "a list of names"),
    "id2label": (dict, object, "a name for each id from 0 on"),
    "pruned_heads": (dict, object, "a list of heads for each layer"),
    "num_labels": (int, object, "a number"),
    "pad_token_id": (int, object, "a number"),
    "max_position_embeddings": (int, object, "a number"),
}
"""What is read of a config.json before Transformers reads it: its type, that of its items, and both in words."""


def without_left_over(config: Mapping[str, Any], *, head: bool) -> dict[str, Any]:
    """Return a config.json without what is left over; with `head`, labels and dropout of its head stay."""
    left = _HOW | (set() if head else _OF_A_HEAD)
    if config.get("model_type") in _ENCODERS:
        left |= _OF_A_PAIR
    return {name: value for name, value in config.items() if name not in left}


def changed_by_reset(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings under which earlier versions had other results: they were not reset, or read otherwise."""
    if config.get("problem_type") not in (None, "single_label_classification"):
        yield "problem_type"
    if config.get("classifier_dropout") is not None:
        yield "classifier_dropout"
    if config.get("model_type") in _ONCE_BY_THE_BATCH:
        yield "batches"
    roberta = config.get("base_type", config.get("model_type")) == "roberta"
    if roberta and config.get("hidden_act", "gelu") != "gelu":
        yield "hidden_act"  # of the masked-LM head of a CharBERT on it


def refuse_types(path: Path, config: Mapping[str, Any]) -> None:
    """Raise InputError where a setting holds what none of its kind is."""
    for name, (kind, items, expected) in _TYPES.items():
        value = config.get(name)
        if value is None or (isinstance(value, kind) and all(isinstance(one, items) for one in _items(value))):
            continue
        fix = "Correct config.json, or download it again."
        raise InputError(f"{path}: {name}", found=repr(value)[:80], expected=expected, fix=fix)


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def refuse_settings(path: Path, config: Mapping[str, Any]) -> None:
    """Raise InputError for settings under which a model is no encoder, or not the one that Transformers computes."""
    for name in _LEFT_TO_RIGHT:
        if config.get(name):
            found = f"{str(config[name]).lower()}: a model that reads from left to right, as the half that writes text"
            fix = f"Choose an encoder. If it was trained to read in both directions, set {name} to false {_OWN_COPY}."
            raise InputError(f"{path}: {name}", found=found, expected="false, as encoders have it", fix=fix)
    if config.get("model_type") == "xmod" and not config.get("default_language"):
        known = ", ".join(map(str, config.get("languages") or ["en_XX"]))
        fix = f'Choose one {_OWN_COPY}: "default_language": NAME, of {known}.'
        found = "none: a model with parts for each language, of which none is chosen"
        raise InputError(f"{path}: default_language", found=found, expected="the language of the texts", fix=fix)
    _refuse_counts(path, config)
    if (places := config.get("position_embedding_type")) in _RELATIVE:
        expected, fix = (
            "absolute",
            "Transformers 5 does not compute relative positions of this kind: choose another model.",
        )
        raise InputError(f"{path}: position_embedding_type", found=str(places), expected=expected, fix=fix)
    if pruned := [layer for layer, heads in (config.get("pruned_heads") or {}).items() if heads]:
        fix = f"Transformers 5 prunes no heads: choose another model, or save it whole and leave this out {_OWN_COPY}."
        found = f"heads pruned in layer {', '.join(pruned)}"
        raise InputError(f"{path}: pruned_heads", found=found, expected="a model with all its heads", fix=fix)


def _refuse_counts(path: Path, config: Mapping[str, Any]) -> None:
    """Raise InputError for sizes below one, and for counts that would fill the memory with parts of a model."""
    flat = ((name, one) for name, value in config.items() for one in (value if isinstance(value, list) else [value]))
    for name, value in flat:
        most = 1_000_000 if name == "num_labels" else 1_000 if _PARTS.search(name) else None
        if not isinstance(value, (int, float)) or not ((name in _SIZES and value < 1) or (most and value > most)):
            continue
        expected = "at least 1" if value < 1 else f"at most {most:,}"
        fix = "Correct config.json, or download it again."
        raise InputError(f"{path}: {name}", found=str(value)[:80], expected=expected, fix=fix)

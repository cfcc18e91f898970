"""Config, encoder and tokenizer, as they are read from the folder of a base checkpoint (see `bases`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, cast, overload

import torch
from transformers import (
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as hf_logging

from robustbench_char.common.errors import InputError
from robustbench_char.common.files import machine_error, read_json
from robustbench_char.models.bases import Base, check_layers
from robustbench_char.models.folders import CONFIG, numbers_in
from robustbench_char.models.settings import without_left_over
from robustbench_char.models.tokenizing import prepare

__all__ = ["load_config", "load_tokenizer", "positions_of", "quiet", "read_model", "refuse_missing"]

_NO_MODEL = ("values that make no model", "the config of a model", "Correct config.json, or download it again.")
_TIMES, _NEW = 10, 100_000_000
"""Heads and characters that a folder lacks are drawn: a model has at most so many times its weights, and so many."""
_BUFFERS = ("position_ids", "token_type_ids", "inv_freq", "num_batches_tracked")
"""How names end that older versions of Transformers saved, of values that are computed."""
_CHOSEN = ("num_hidden_layers", "interaction", "character_unit", "character_positions")
"""What a training may choose in another way than its base has it, whose weights are then left out on purpose."""
_PER_LAYER = ("layer_types", "attention_window")
"""Lists in a config with one entry per layer: ModernBERT's and Longformer's."""


def load_config(folder: Path, *, layers: int | None = None, head: bool = False) -> PreTrainedConfig:
    """Return the config of a checked folder, cut to the first `layers` layers, without what is left over in it.

    With `head` the labels of its own head stay. Raises InputError where it has fewer layers, or values that make no
    model.
    """
    with quiet(), loading(folder / CONFIG, *_NO_MODEL):
        config = _config(folder, head)
        config.validate()  # as saving does, after training
    if layers is not None:
        check_layers(layers, config.num_hidden_layers)
        config.num_hidden_layers = layers
        for name in _PER_LAYER:
            if isinstance(getattr(config, name, None), list):
                setattr(config, name, getattr(config, name)[:layers])
    return config


def _config(folder: Path, head: bool) -> PreTrainedConfig:
    said = read_json(folder / CONFIG)
    if said.get("model_type") not in CONFIG_MAPPING:
        raise ValueError(f"Transformers has no type {said.get('model_type')!r}")
    kept = without_left_over(said, head=head) | {"name_or_path": str(folder)}
    made: PreTrainedConfig = CONFIG_MAPPING[said["model_type"]].from_dict(kept)
    if getattr(made, "attention_type", None) == "block_sparse":
        made.attention_type = "original_full"  # BigBird's changes to it for good at the first batch of short texts
    return made


def kind_of(config: PreTrainedConfig) -> str:
    """Return `bert` or `roberta`, whose embeddings and tokenizer a model has; CharBERT is built on either."""
    return str(getattr(config, "base_type", config.model_type))


def positions_of(config: PreTrainedConfig) -> int:
    """Return the longest input in sub-words: RoBERTa counts positions from after its padding index."""
    before = config.pad_token_id + 1 if kind_of(config) == "roberta" else 0
    return int(config.max_position_embeddings - before)


@overload
def load_tokenizer(folder: Path, *, words: bool = ..., offsets: Literal[True] = ...) -> PreTrainedTokenizerFast: ...


@overload
def load_tokenizer(folder: Path, *, words: bool = ..., offsets: bool) -> PreTrainedTokenizerBase: ...


def load_tokenizer(folder: Path, *, words: bool = False, offsets: bool = True) -> PreTrainedTokenizerBase:
    """Return a folder's tokenizer, without stored padding or truncation; `words` says that it gets words one by one.

    It reads plain text, and fits the model of the folder (see `tokenizing`). With `offsets` it must say where its
    pieces stand. Raises InputError for a slow one, which does not, and for one that does not fit.
    """
    # As the model is read with: what is left over in config.json is no obstacle. A processor is saved without a model.
    config = load_config(folder) if (folder / CONFIG).is_file() else None
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    options |= {"config": config} if config else {}
    with quiet(), loading(folder):
        tokenizer = cast(PreTrainedTokenizerBase, AutoTokenizer.from_pretrained(folder, **options))
    if offsets and not tokenizer.is_fast:
        fix = "Save the model's fast tokenizer into the folder, or use the system `encoder`, which needs none."
        raise InputError(folder, found="a slow tokenizer", expected="a fast tokenizer (tokenizer.json)", fix=fix)
    if tokenizer.is_fast and set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):  # made of nothing
        raise InputError(folder, found="a tokenizer without a vocabulary", expected="tokenizer.json with its pieces",
                         fix="Copy the whole folder again, its links as files.")  # fmt: skip
    drop_limits(tokenizer)
    prepare(tokenizer, config, folder, words=words)
    return tokenizer


def drop_limits(tokenizer: PreTrainedTokenizerBase) -> None:
    """Forget stored padding and truncation."""
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()


def load_encoder(base: Base | Path, *, layers: int | None = None) -> PreTrainedModel:
    """Return the encoder (with its pooler) in single precision, keeping the first `layers` layers.

    A missing pooler is drawn from torch's global generator. Raises InputError when other weights are missing.
    """
    folder = base.folder if isinstance(base, Base) else base
    encoder, missing = read_model(AutoModel, folder, config=load_config(folder, layers=layers))
    refuse_missing(folder, [name for name in missing if not name.startswith("pooler.")])
    return encoder


def read_model(
    kind: Any, folder: Path, *, config: PreTrainedConfig | None = None, **options: Any
) -> tuple[PreTrainedModel, list[str]]:
    """Return `kind` with the weights of a folder, in single precision, and the names of those that the folder lacks.

    Without `config` it is the folder's, with its own head. What the folder lacks is drawn from torch's global
    generator. Raises InputError for a folder that cannot be loaded, or whose encoder has weights that find no place.
    """
    config = config or load_config(folder, head=True)
    _refuse_sizes(kind, folder, config, options)
    with quiet(), loading(folder):
        model, report = kind.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            **options,
        )
    for name, found, expected in sorted(report["mismatched_keys"]):
        sizes = {"found": f"{name} of size {list(found)}", "expected": f"{list(expected)}, as config.json has it"}
        raise InputError(folder, **sizes, fix="Weights and config do not belong together: save the folder again.")
    _refuse_unused(folder, model, config, sorted(report["unexpected_keys"]))
    return cast(PreTrainedModel, model), sorted(report["missing_keys"])


def _refuse_sizes(kind: Any, folder: Path, config: PreTrainedConfig, options: Mapping[str, Any]) -> None:
    """Raise InputError, before memory is taken, for a config whose sizes its weights are far from filling."""
    make = getattr(kind, "from_config", kind)
    with quiet(), loading(folder / CONFIG, *_NO_MODEL), torch.random.fork_rng(devices=[]), torch.device("meta"):
        sizes = {name: one.numel() for name, one in make(deepcopy(config), **options).named_parameters()}
    held, most = numbers_in(folder), max(sizes, key=sizes.__getitem__)
    if sum(sizes.values()) > _NEW + _TIMES * held:
        found = f"sizes that make {sum(sizes.values()):,} numbers, {sizes[most]:,} of them in {most}"
        fix = "Weights and config do not belong together: save the folder again."
        raise InputError(folder / CONFIG, found=found, expected=f"those of the weights ({held:,} numbers)", fix=fix)


def _refuse_unused(folder: Path, model: PreTrainedModel, config: PreTrainedConfig, names: Sequence[str]) -> None:
    """Raise InputError for weights of an encoder's own parts that it does not use; another head, or pooler, is none.

    A config that chooses something else than the folder's does so on purpose.
    """
    parts = {name for name, _ in model.base_model.named_children()}
    own = {name: name.removeprefix(f"{model.base_model_prefix}.") for name in names if not name.endswith(_BUFFERS)}
    unused = [name for name, inner in own.items() if inner.partition(".")[0] in parts]
    if unused and not _chosen_otherwise(folder, config):
        found = f"{unused[0]}, which has no place in a model as config.json has it ({len(unused)} such weights)"
        fix = (
            "Correct config.json (num_hidden_layers, say); `layers=` of a training takes the first ones alone. If they"
            " are left over, load the model with transformers, and give the folder that its `save_pretrained` writes."
        )
        raise InputError(folder, found=found, expected="weights that the model uses", fix=fix)


def _chosen_otherwise(folder: Path, config: PreTrainedConfig) -> bool:
    own, asked = load_config(folder), {name: getattr(config, name, None) for name in _CHOSEN}
    return any(getattr(own, name, value) != value for name, value in asked.items())


def refuse_missing(folder: Path, missing: Sequence[str]) -> None:
    """Raise InputError when weights that a folder should have are missing."""
    if missing:
        found = f"weights without {missing[0]} ({len(missing)} missing)"
        fix = "The weights do not belong to this config: download the model folder again."
        raise InputError(folder, found=found, expected="all weights that config.json asks for", fix=fix)


@contextmanager
def loading(
    place: Path,
    found: str = "a model that cannot be loaded",
    expected: str = "a complete model folder",
    fix: str = "Download or save the model folder again.",
) -> Iterator[None]:
    """Turn what transformers raises about an unusable folder into an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # tokenizers raises nothing narrower
        if told := machine_error(error):
            raise told from None
        reason = " ".join(str(error).split())[:300]
        raise InputError(place, found=f"{found} ({reason})", expected=expected, fix=fix) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' warnings and loading bars; code checks what they say of missing weights."""
    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity(logging.ERROR)
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]

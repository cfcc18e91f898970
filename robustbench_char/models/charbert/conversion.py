"""From checkpoints of the 2020 reference implementation to our CharBERT.

Source: the key layouts of the released weights (`wtma/CharBERT`). BERT's layout lists one shared convolution once per
layer; RoBERTa's masked-LM head has one layer norm for both streams, which becomes one for each here. Dropped are the
parts that no head reads (the pooler, except in the encoder alone). Nothing that a file names is run: `.bin` files are
read for their tensors alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import BertTokenizer, PreTrainedTokenizerFast, RobertaTokenizer

from robustbench_char.common import InputError
from robustbench_char.common.files import check_file, output_folder, read_json
from robustbench_char.models.charbert.characters import CharacterVocabulary
from robustbench_char.models.charbert.configuration import AS_RELEASED, CharBertConfig
from robustbench_char.models.charbert.modeling import (
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
    CharBertPreTrainedModel,
)
from robustbench_char.models.charbert.processor import CharBertProcessor
from robustbench_char.models.checkpoints import positions_of, quiet
from robustbench_char.models.folders import refuse_html

__all__ = ["ConversionReport", "convert"]

_CHECKPOINT = "a CharBERT checkpoint of the reference implementation"
_FIX = "Download the checkpoint's folder again: config.json and weights of the same model."
_DAMAGED = "The file is damaged, incomplete, or no model: download it again."
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

Head = Literal["base", "masked_lm", "token_classification", "sequence_classification", "question_answering"]
BaseType = Literal["bert", "roberta"]

_MODELS: dict[Head, type[CharBertPreTrainedModel]] = {
    "base": CharBertModel,
    "masked_lm": CharBertForMaskedLM,
    "token_classification": CharBertForTokenClassification,
    "sequence_classification": CharBertForSequenceClassification,
    "question_answering": CharBertForQuestionAnswering,
}
_ENCODER_RULES = {
    r"(embeddings\.(?:(?:word|position|token_type)_embeddings|LayerNorm)\..+)": r"\1",
    r"char_embeddings\.char_embeddings\.(.+)": r"char_embeddings.embedding.\1",
    r"char_embeddings\.rnn_layer\.(.+)": r"char_embeddings.gru.\1",
    r"(encoder\.layer\..+)": r"\1",
    r"encoder\.(word|char)_linear1\.(.+)": r"encoder.interaction.\1_linear.\2",
    r"encoder\.(word|char)_norm\.(.+)": r"encoder.interaction.\1_norm.\2",
    r"(pooler\..+)": r"\1",
}
_FUSION_RULES: dict[BaseType, str] = {
    "bert": r"encoder\.fusion_layer_list\.\d+\.(.+)",
    "roberta": r"encoder\.fusion_layer\.(.+)",
}
_WORDS = "charbert.embeddings.word_embeddings.weight"
_HEAD_RULES: dict[BaseType, dict[str, tuple[str, ...]]] = {
    "bert": {
        r"cls\.predictions\.(?:decoder\.)?bias": ("mlm_head.bias",),
        r"cls\.predictions\.decoder\.weight": (_WORDS,),
        r"cls\.predictions\.(transform\..+)": (r"mlm_head.\1",),
        r"cls\.predictions\.adv_(transform\..+)": (r"nlm_head.\1",),
        r"cls\.predictions\.adv_(decoder\..+)": (r"nlm_head.\1",),
        r"((?:classifier|qa_outputs)\..+)": (r"\1",),
    },
    "roberta": {
        r"lm_head\.(?:decoder\.)?bias": ("mlm_head.bias",),
        r"lm_head\.decoder\.weight": (_WORDS,),
        r"lm_head\.(dense\..+)": (r"mlm_head.transform.\1",),
        r"lm_head\.char_(dense\..+)": (r"nlm_head.transform.\1",),
        r"lm_head\.layer_norm\.(.+)": (r"mlm_head.transform.LayerNorm.\1", r"nlm_head.transform.LayerNorm.\1"),
        r"lm_head\.adv_(decoder\..+)": (r"nlm_head.\1",),
        r"(?:char_)?(classifier\..+)": (r"\1",),
        r"(qa_outputs\..+)": (r"\1",),
    },
}
_TOKENIZER_FILES = "the tokenizer files of the checkpoint's base model"
_COPY = "Copy the tokenizer files from the base model's folder again."
_TAKEN = {
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "max_position_embeddings"),
    *("type_vocab_size", "initializer_range", "layer_norm_eps", "char_vocab_size", "char_embedding_size"),
    *("id2label", "label2id", "problem_type"),
}
"""What config.json decides. The rest is one way in the reference: decoders are tied, and no layer is a decoder's."""

# Configs of that time say pad_token_id 0 of any model; the reference never reads it.
_SPECIAL: dict[BaseType, dict[str, int]] = {
    "bert": {"pad_token_id": 0},
    "roberta": {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
}

_WARNINGS = (
    "no processor was saved: give the reference's character list with --char-vocab to save one",
    "config.json does not say whether `classifier` labels tokens or texts: the model was saved as one for tokens,"
    " and AutoModelForSequenceClassification loads it just as well",
    "the checkpoint has no pooler: the model was saved without one",
)


@dataclass(frozen=True)
class ConversionReport:
    """What became of a checkpoint.

    `used` gives, for each key of the checkpoint, the weights of ours that it became; keys that share weights become the
    same one. `left_over` are keys that our model has no place for. `missing` are weights of ours that the checkpoint
    lacks: those of the pooler at most, which is then left out.
    """

    base_type: BaseType
    head: Head
    used: Mapping[str, tuple[str, ...]]
    left_over: tuple[str, ...]
    missing: tuple[str, ...]
    processor: bool
    warnings: tuple[str, ...]


def convert(
    checkpoint: Path | str, output: Path | str, *, char_vocab: Path | str | None = None, overwrite: bool = False
) -> ConversionReport:
    """Convert a released CharBERT checkpoint (BERT or RoBERTa layout), atomically; return what became of each key.

    `checkpoint` holds config.json and pytorch_model.bin or model.safetensors; `char_vocab`, the reference's character
    list, makes a processor too, with the tokenizer files of the folder. Raises InputError for missing or damaged files,
    and for files that do not belong together.
    """
    folder, characters = Path(checkpoint), None if char_vocab is None else Path(char_vocab)
    path, fields, state = _read_checkpoint(folder)
    base_type = _base_type(state, path)
    head = _head(state, fields)
    state_of_ours = reference_state(state, base_type, path)
    config = _config(fields, state_of_ours, base_type, head, folder / "config.json")
    processor = _processor(folder, config, characters)
    model, missing = _model(config, state_of_ours, head, path)
    known = model.state_dict().keys()
    targets = {key: [name for name in _targets(key, base_type, _is_base(state)) if name in known] for key in state}
    used = {key: tuple(names) for key, names in targets.items() if names}
    inputs = [folder / "config.json", path, *([characters] if characters else [])]
    with output_folder(Path(output), overwrite=overwrite, inputs=inputs) as scratch:
        with quiet():
            model.save_pretrained(scratch)
        if processor is not None:
            processor.save_pretrained(scratch)
    left_over = tuple(sorted(state.keys() - used.keys()))
    unsaid = "classifier.weight" in state and not (fields.get("architectures") or fields.get("finetuning_task"))
    warnings = tuple(compress(_WARNINGS, (processor is None, unsaid, bool(missing))))
    return ConversionReport(base_type, head, used, left_over, missing, processor is not None, warnings)


def reference_state(
    state: Mapping[str, Tensor], base_type: BaseType, place: object = "the checkpoint"
) -> dict[str, Tensor]:
    """Return weights in the reference's key layout under our names; keys without a place in ours are left out.

    Raises InputError where keys that must share one tensor differ: the convolutions of BERT's layout, or the sub-word
    decoder and the embeddings.
    """
    ours: dict[str, Tensor] = {}
    first: dict[str, str] = {}
    base = _is_base(state)
    for key, tensor in state.items():
        for name in _targets(key, base_type, base):
            if name in ours and not torch.equal(ours[name], tensor):
                raise _wrong(
                    f"{place}: {key}",
                    f"values other than those of {first[name]}",
                    "equal values: the model has one tensor for both",
                    "The checkpoint was altered, or is of another model.",
                )
            ours[name] = tensor
            first.setdefault(name, key)
    return ours


def _targets(key: str, base_type: BaseType, base: bool) -> tuple[str, ...]:
    """Return the names of ours that a key of the reference becomes: none where there is no place for it."""
    plain = re.sub(r"\.beta$", ".bias", re.sub(r"\.gamma$", ".weight", re.sub(rf"^{base_type}\.", "", key)))
    prefix = "" if base else "charbert."
    rules: dict[str, tuple[str, ...]] = {pattern: (prefix + name,) for pattern, name in _ENCODER_RULES.items()}
    rules[_FUSION_RULES[base_type]] = (prefix + r"encoder.interaction.fusion.\1",)
    for pattern, names in {**rules, **_HEAD_RULES[base_type]}.items():
        match = re.fullmatch(pattern, plain)
        if match:
            return tuple(match.expand(name) for name in names)
    return ()


def _is_base(state: Mapping[str, Tensor]) -> bool:
    return not any(re.match(r"(cls|lm_head|(char_)?classifier|qa_outputs)\.", key) for key in state)


def _base_type(state: Mapping[str, Tensor], place: Path) -> BaseType:
    keys = [re.sub(r"^(bert|roberta)\.", "", key) for key in state]
    if any(key.startswith("char_embeddings.rnn_layer.") for key in keys):
        if any(key.startswith("encoder.fusion_layer_list.") for key in keys):
            return "bert"
        if any(key.startswith("encoder.fusion_layer.") for key in keys):
            return "roberta"
    raise InputError(
        place,
        found=f"weights of another model ({', '.join(sorted(state)[:3]) or 'no tensors'}, ...)",
        expected=f"{_CHECKPOINT}, with char_embeddings.rnn_layer and encoder.fusion_layer",
        fix="Give the folder of a CharBERT checkpoint; a BERT or RoBERTa needs no conversion to be a --base.",
    )


def _head(state: Mapping[str, Tensor], fields: Mapping[str, Any]) -> Head:
    """Return the head that the keys show; in BERT's layout config.json says what a classifier labels."""
    starts = {key.split(".")[0] for key in state}
    if "qa_outputs" in starts:
        return "question_answering"
    if "char_classifier" in starts:
        return "sequence_classification"
    if "classifier" in starts:
        texts = "SequenceClassification" in str(fields.get("architectures")) or fields.get("finetuning_task")
        return "sequence_classification" if texts else "token_classification"
    return "masked_lm" if starts & {"cls", "lm_head"} else "base"


def _config(
    fields: Mapping[str, Any], state: Mapping[str, Tensor], base_type: BaseType, head: Head, place: Path
) -> CharBertConfig:
    """Return our config: what config.json says of the encoder, and sizes that it leaves unsaid from the weights."""
    chosen = {name: value for name, value in fields.items() if name in _TAKEN}
    prefix = "" if head == "base" else "charbert."
    if kinds := _rows(state, f"{prefix}embeddings.token_type_embeddings.weight"):
        chosen = {"type_vocab_size": kinds, **chosen}
    table = state.get(f"{prefix}char_embeddings.embedding.weight")
    if table is not None and table.dim() == 2:
        chosen = {"char_vocab_size": table.shape[0], "char_embedding_size": table.shape[1], **chosen}
    chosen["term_vocab_size"] = _rows(state, "nlm_head.decoder.weight") if head == "masked_lm" else None
    labels, named = _rows(state, "classifier.weight"), chosen.get("id2label")
    if labels is not None and not (isinstance(named, dict) and len(named) == labels):
        chosen["id2label"] = {index: f"LABEL_{index}" for index in range(labels)}
        chosen["label2id"] = {name: index for index, name in chosen["id2label"].items()}
    chosen.update(AS_RELEASED, **_SPECIAL[base_type], base_type=base_type, char_pad_id=0, character_case="surface")
    # a division by no heads, an unknown activation, too little memory
    with _reading(place, "values that make no model", "the config of the checkpoint"):
        return CharBertConfig(**chosen)


def _rows(state: Mapping[str, Tensor], name: str) -> int | None:
    return state[name].shape[0] if name in state and state[name].dim() else None


def _model(
    config: CharBertConfig, state: Mapping[str, Tensor], head: Head, place: Path
) -> tuple[CharBertPreTrainedModel, tuple[str, ...]]:
    """Return the model with all its weights, and what was missing and left out of it."""
    pooled = "pooler.dense.weight" in state
    options = {"add_pooling_layer": pooled} if head == "base" else {}
    config_file = place.with_name("config.json")
    values = _reading(config_file, "values that make no model", "the config of the checkpoint")
    with torch.random.fork_rng(), quiet(), values:
        model = _MODELS[head](config, **options)
    own = model.state_dict()
    beyond = sorted(name for name in state if name not in own and "encoder.layer." in name)
    if beyond:
        found = f"{config.num_hidden_layers}, and weights of further layers ({beyond[0]}, ...)"
        raise _wrong(f"{config_file}: num_hidden_layers", found, "as many layers as the weights have")
    tied = {"mlm_head.decoder.weight", "mlm_head.decoder.bias"}
    missing = sorted(own.keys() - state.keys() - tied)
    if missing:
        found = f"no weights for {', '.join(missing[:8])} ({len(missing)} missing)"
        raise _wrong(place, found, "all weights of the model in config.json")
    given = {name: state[name] for name in own if name in state}
    for name in given:
        if own[name].shape != state[name].shape:
            expected = f"{tuple(own[name].shape)}, by config.json"
            raise _wrong(f"{place}: {name}", f"shape {tuple(state[name].shape)}", expected)
    model.load_state_dict(given, strict=False)
    return model, () if pooled or head != "base" else ("pooler.dense.bias", "pooler.dense.weight")


def _processor(folder: Path, config: CharBertConfig, char_vocab: Path | None) -> CharBertProcessor | None:
    if char_vocab is None:
        return None
    vocabulary = CharacterVocabulary.from_reference(char_vocab)
    if len(vocabulary) != config.char_vocab_size:
        fix = "Give the character list that was released with this checkpoint; BERT and RoBERTa have one each."
        expected = f"{config.char_vocab_size}, as many as the model has"
        raise _wrong(char_vocab, f"{len(vocabulary)} characters", expected, fix)
    tokenizer = _tokenizer(folder, config)
    if len(tokenizer) > config.vocab_size:
        fix = "Put the tokenizer files of this checkpoint's base model into the folder."
        expected = f"at most {config.vocab_size}, as many as the model has"
        raise _wrong(folder, f"a tokenizer of {len(tokenizer)} sub-words", expected, fix)
    processor = CharBertProcessor(tokenizer, vocabulary)
    config.character_case = processor.character_case
    return processor


def _tokenizer(folder: Path, config: CharBertConfig) -> PreTrainedTokenizerFast:
    """Return the tokenizer from the files of the folder. Without a word on case it is that of its vocabulary."""
    bert = config.base_type == "bert"
    files = ("vocab.txt",) if bert else ("vocab.json", "merges.txt")
    whole = (folder / "tokenizer.json").is_file()
    if not whole and not all((folder / name).is_file() for name in files):
        fix = "Copy them from the base model's folder, or leave out --char-vocab."
        expected = f"{' and '.join(files)} (or tokenizer.json) for a processor"
        raise _wrong(folder, "no tokenizer files", expected, fix)
    for name in (*files, "tokenizer.json"):
        if (folder / name).is_file():
            refuse_html(check_file(folder / name, option="CHECKPOINT_DIR"), expected="a tokenizer file")
    path = folder / "tokenizer_config.json"
    stated = read_json(path) if path.is_file() else {}
    options: dict[str, Any] = {"model_max_length": positions_of(config)}
    with quiet(), _reading(folder, "tokenizer files that cannot be read", _TOKENIZER_FILES, _COPY):
        if bert and not whole and "do_lower_case" not in stated:
            lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
            options["do_lower_case"] = all(line == line.lower() or re.fullmatch(r"\[.*\]", line) for line in lines)
        kind = BertTokenizer if bert else RobertaTokenizer
        tokenizer = cast(PreTrainedTokenizerFast, kind.from_pretrained(folder, local_files_only=True, **options))
    absent = set(tokenizer.all_special_tokens) - tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False).keys()
    if absent and not whole:
        found = f"a vocabulary without {', '.join(sorted(absent))}"
        raise _wrong(folder / files[0], found, "the sub-words of the checkpoint's base model", _COPY)
    return tokenizer


def _read_checkpoint(folder: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """Return where the weights stand, what config.json says, and the weights in single precision.

    Raises InputError when a file is missing or something else.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        fix = "Give the folder that holds config.json and the weights."
        raise _wrong(folder, found, f"the folder of {_CHECKPOINT}", fix)
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if path is None or not (folder / "config.json").is_file():
        found = "no weights" if path is None else "no config.json"
        expected = f"config.json with {' or '.join(_WEIGHTS)}"
        raise _wrong(folder, found, expected, "Download the whole folder of the checkpoint.")
    fields = _read_config(folder / "config.json")
    refuse_html(check_file(path, option="CHECKPOINT_DIR"), expected="weights of a model")
    safe = path.suffix == ".safetensors"
    expected = "a safetensors file" if safe else "weights saved by torch, with nothing but tensors in them"
    with _reading(path, "a file that cannot be read", expected, _DAMAGED):
        # weights_only: tensors and plain containers alone are read, and no code that the file names is run.
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)  # noqa: TID251
    if not isinstance(state, dict) or not all(_is_weight(key, tensor) for key, tensor in state.items()):
        raise _wrong(path, f"a {type(state).__name__} of other things", "dense tensors by name")
    weights = {key: tensor.float() for key, tensor in state.items()}
    if wrong := [key for key, tensor in weights.items() if not tensor.isfinite().all()]:
        fix = "Training diverged, or the file was altered: use another checkpoint."
        raise _wrong(f"{path}: {wrong[0]}", "values that are not finite", "finite weights", fix)
    return path, fields, weights


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


def _is_weight(key: object, tensor: object) -> bool:
    dense = isinstance(tensor, Tensor) and tensor.layout is torch.strided and not tensor.is_complex()
    return isinstance(key, str) and dense


def _wrong(place: object, found: str, expected: str, fix: str = _FIX) -> InputError:
    return InputError(place, found=found, expected=expected, fix=fix)


@contextmanager
def _reading(place: Path, found: str, expected: str, fix: str = _FIX) -> Iterator[None]:
    """Turn whatever is raised about files or values that make no model into an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # libraries raise nothing more special
        found += f" ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        raise _wrong(place, found, expected, fix) from error

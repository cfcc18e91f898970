"""The system `encoder`: any encoder of texts that transformers has, by characters, bytes or sub-words, under a head.

Its class, the inputs it takes, how much it reads, its weights; a head is one linear layer over each piece, or over
their mean.

Shape legend: B batch, T sub-words, D hidden size, L labels.
"""

# Much of Transformers is not annotated.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from transformers import CanineModel, EncoderDecoderConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import (
    BaseModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
)
from transformers.utils.generic import ModelOutput

from robustbench_char.common import InputError
from robustbench_char.models import charbert  # noqa: F401  # registers it with Transformers
from robustbench_char.models.bases import Base, Limits
from robustbench_char.models.batching import reading_texts
from robustbench_char.models.checkpoints import load_config, load_tokenizer, quiet, read_model, refuse_missing
from robustbench_char.models.inputs import Window
from robustbench_char.models.system import Defence, System, labelled_config
from robustbench_char.tasks.base import Family

__all__ = ["INPUT_NAMES", "EncoderSystem", "length_limit", "limits_of", "longest_input", "read_encoder"]

INPUT_NAMES = ("input_ids", "token_type_ids", "attention_mask")
_NO_END = 1_000_000  # relative positions go on for ever
_SHORTEST = 8
_NO_MASKED_LM = ("xlnet", "splinter")
"""Encoders that were trained in other ways."""
_OTHERS: tuple[tuple[Any, str], ...] = (
    ((EncoderDecoderConfig,), "which is a pair of two models: save its half that reads, `model.encoder`, by itself"),
    (MODEL_FOR_CAUSAL_LM_MAPPING, "which reads texts from left to right only"),
    (MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, "which reads pictures"),
    (MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING, "which reads pictures and texts"),
)
_USUAL = 512
PIECES_A_WORD = 4
"""How many times as many pieces a text has as characters or bytes than as sub-words, for default lengths."""


class PaddedCanine(CanineModel):
    """CANINE whose result for a text depends on that text alone, with a state for each character in every layer.

    It looks at characters in chunks of fixed width and reads the deep layers' molecules of four characters, so the last
    characters of a text see how much padding follows. Here they are always followed by enough, up to a full chunk.
    """

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **options: Any,
    ) -> BaseModelOutput:
        """Return states [B, T, D]; of molecules, that of the one which a character is read from."""
        assert input_ids is not None
        length = input_ids.shape[1]
        more = _padded_length(self.config, length) - length
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        kinds = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        outputs: Any = super().forward(
            pad(input_ids, (0, more), value=self.config.pad_token_id or 0),
            pad(mask, (0, more)),
            pad(kinds, (0, more)),
            output_hidden_states=output_hidden_states,
            **{**options, "return_dict": True},
        )
        states = outputs.hidden_states and tuple(
            self._of_characters(one, length + more) for one in outputs.hidden_states
        )
        return BaseModelOutput(
            last_hidden_state=outputs.last_hidden_state[:, :length],
            hidden_states=states and tuple(one[:, :length] for one in states),
        )

    def _of_characters(self, states: Tensor, length: int) -> Tensor:
        whole = states.shape[1] == length
        return states if whole else self._repeat_molecules(states, char_seq_length=length)[:, :length]


def _padded_length(config: Any, length: int) -> int:
    """Return a length of whole chunks that leaves each character, and those a convolution sees, a molecule."""
    chunk = math.lcm(config.local_transformer_stride, config.downsampling_rate)
    return math.ceil((length + _margin(config)) / chunk) * chunk


def _margin(config: Any) -> int:
    return int(config.downsampling_rate + config.upsampling_kernel_size)


def state_count(model: PreTrainedModel) -> int:
    """Return how many hidden states a model gives; CANINE has a layer of characters before and after the deep ones."""
    around = 4 if isinstance(model, CanineModel) else 0
    return int(model.config.num_hidden_layers) + 1 + around


def encoder_class(config: PreTrainedConfig, place: object) -> type[PreTrainedModel]:
    """Return the class that reads a model's encoder. Raises InputError for what does not encode text."""
    kind = type(config)
    if config.model_type == "canine":
        return PaddedCanine
    named: Any = MODEL_FOR_TEXT_ENCODING_MAPPING.get(kind, None)
    if named is not None and named.__name__.endswith("EncoderModel"):
        return cast(type[PreTrainedModel], named)  # of T5 and its kind, whose decoder is not read then
    reads = config.is_encoder_decoder or kind in MODEL_FOR_MASKED_LM_MAPPING or config.model_type in _NO_MASKED_LM
    encoder: Any = MODEL_MAPPING[kind] if reads and kind in MODEL_MAPPING else None
    encoder = encoder[0] if isinstance(encoder, tuple) else encoder
    if encoder is None or getattr(config, "is_decoder", False):
        raise InputError(
            place,
            found=f"a model of the type {config.model_type}, {_why_not(kind)}",
            expected="an encoder (as BERT, DeBERTa, CANINE), or a model that has one (as T5, BART)",
            fix="Choose another base.",
        )
    return cast(type[PreTrainedModel], encoder)


def _why_not(kind: type[PreTrainedConfig]) -> str:
    return next((why for types, why in _OTHERS if kind in types), "which Transformers lists as no encoder of texts")


def new_encoder(config: PreTrainedConfig, place: object = "config.json") -> PreTrainedModel:
    """Return the encoder of a config, without pooler where it can do without, with new weights."""
    own = deepcopy(config)  # a model writes into its config how it computes attention
    own._attn_implementation_internal = None
    kind = encoder_class(config, place)
    return _encoder_of(kind(own, **_options(kind)))


def read_encoder(folder: Path, *, layers: int | None = None) -> PreTrainedModel:
    """Return the encoder of a checked folder in single precision, cut to its first `layers` layers.

    A pooler that is missing is drawn from torch's global generator. Raises InputError where other weights are missing.
    """
    config = load_config(folder, layers=layers)
    kind = encoder_class(config, folder)
    model, missing = read_model(kind, folder, config=config, **_options(kind))
    refuse_missing(folder, [name for name in missing if "pooler" not in name])
    return _encoder_of(model)


def _encoder_of(model: PreTrainedModel) -> PreTrainedModel:
    return cast(Any, model).get_encoder() if model.config.is_encoder_decoder else model


def _options(kind: type[PreTrainedModel]) -> dict[str, Any]:
    """Leave out the pooler, which no head of ours reads."""
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(kind.__init__).parameters else {}


def input_names(config: PreTrainedConfig, place: object) -> tuple[str, ...]:
    """Return which of a tokenizer's inputs an encoder takes. Raises InputError where it cannot tell what is padding."""
    with torch.device("meta"), quiet():
        taken = inspect.signature(new_encoder(config, place).forward).parameters
    if not {"input_ids", "attention_mask"} <= taken.keys():
        found = f"a model of the type {config.model_type}, which takes {', '.join(list(taken)[:3])}"
        fix = "Choose another base: texts of a batch are padded to one length, which this one would read."
        raise InputError(place, found=found, expected="one that takes input_ids and attention_mask", fix=fix)
    kinds = getattr(config, "type_vocab_size", 2) > 1  # RoBERTa's has one: it does not tell texts apart
    return tuple(name for name in INPUT_NAMES if name in taken and (kinds or name != "token_type_ids"))


def limits_of(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase, place: object) -> Limits:
    """Return how much an encoder reads at once. Raises InputError for one that is too short for any text."""
    longest = _longest(config, place)
    if longest < _SHORTEST:
        expected, fix = f"at least {_SHORTEST}", "Choose a base that reads longer texts."
        raise InputError(place, found=f"an encoder that reads at most {longest} pieces", expected=expected, fix=fix)
    return Limits(longest, _scale(tokenizer))


def _scale(tokenizer: PreTrainedTokenizerBase) -> int:
    word = "characters"
    by_character = len(tokenizer.tokenize(word)) >= len(word)
    return PIECES_A_WORD if by_character else 1


def _longest(config: PreTrainedConfig, place: object) -> int:
    with torch.device("meta"), quiet():
        return longest_input(new_encoder(config, place))


def longest_input(encoder: PreTrainedModel) -> int:
    """Return how many pieces an encoder has positions for; relative ones have no end."""
    config: Any = encoder.config
    most = int(getattr(config, "max_position_embeddings", None) or -1)
    if most < 0:
        return _NO_END
    if config.model_type == "canine":
        whole: int = most - most % math.lcm(config.local_transformer_stride, config.downsampling_rate)
        return whole - _margin(config)
    return most - _not_read(encoder)


def _not_read(model: PreTrainedModel) -> int:
    """Return how many positions are not for texts: RoBERTa's kind counts from after its padding."""
    modules = model.named_modules()
    padded = any("position" in name and getattr(one, "padding_idx", None) is not None for name, one in modules)
    return int(model.config.pad_token_id or 0) + 1 if padded else 0


def length_limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Limits:
    """Return how much a fine-tuned model reads at once: what its positions and its tokenizer's own limit allow.

    Where neither says, it is the usual length, as is that of contexts, which are read in windows.
    """
    scale = _scale(tokenizer)
    positions = int(getattr(model.config, "max_position_embeddings", None) or -1)
    limits = [positions - _not_read(model) if positions > 0 else _NO_END, tokenizer.model_max_length]
    longest = min(limits)
    return Limits(longest if longest < _NO_END else _USUAL * scale, scale)


_DROPOUT = 0.1


class EncoderWithHead(PreTrainedModel):
    """An encoder under one linear layer of `outputs` numbers. `config` is the encoder's own, with the labels."""

    config_class = PreTrainedConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    spans: ClassVar[bool] = False

    def __init__(self, config: PreTrainedConfig) -> None:
        encoder = new_encoder(config)
        super().__init__(config)
        self.encoder = encoder
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(config.hidden_size, 2 if self.spans else int(config.num_labels or 0))
        self.post_init()

    def states(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """Return the last hidden states [B, T, D], after dropout."""
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        outputs: Any = self.encoder(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **kinds)
        states: Tensor = self.dropout(outputs.last_hidden_state)
        return states


class _Classifier(EncoderWithHead):
    output: ClassVar[type[ModelOutput]]

    def _read(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        return states

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> ModelOutput:
        """Return logits [..., L], and the loss where `labels` [...] are given (-100: left out)."""
        states = self.states(input_ids, attention_mask, token_type_ids)
        logits = self.head(self._read(states, attention_mask))
        return self.output(loss=_loss(logits, labels), logits=logits)


class EncoderForClassification(_Classifier):
    """A class [B, L] from the mean over the pieces of the input, special ones too: not every encoder has a [CLS]."""

    output = SequenceClassifierOutput

    def _read(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask[..., None].to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1)


class EncoderForTagging(_Classifier):
    """A tag for each piece [B, T, L]."""

    output = TokenClassifierOutput


class EncoderForSpans(EncoderWithHead):
    """Where an answer starts and ends."""

    spans = True

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Return start and end logits [B, T], and their mean loss where positions [B] are given."""
        starts, ends = self.head(self.states(input_ids, attention_mask, token_type_ids)).unbind(-1)
        losses = _loss(starts, start_positions), _loss(ends, end_positions)
        loss = None if losses[0] is None or losses[1] is None else (losses[0] + losses[1]) / 2
        return QuestionAnsweringModelOutput(loss=loss, start_logits=starts, end_logits=ends)


HEADS: dict[Family, type[EncoderWithHead]] = {
    "classification": EncoderForClassification,
    "tagging": EncoderForTagging,
    "question_answering": EncoderForSpans,
}


def _loss(logits: Tensor, targets: Tensor | None) -> Any:
    """Return the cross-entropy over the last axis in single precision, None without targets."""
    if targets is None:
        return None
    return cross_entropy(logits.reshape(-1, logits.shape[-1]).to(torch.float32), targets.reshape(-1))


class EncoderSystem(System):
    """Fine-tuning of any encoder as it is. `inputs` names what it takes of a tokenizer's inputs."""

    name = "encoder"
    recipe = "encoder/1"
    any_type = True

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, inputs: Sequence[str], defence: Defence | None = None
    ) -> None:
        super().__init__(tokenizer, defence)
        self.inputs = tuple(inputs)

    @classmethod
    def open(cls, folder: Path, *, words: bool, defence: Defence | None = None) -> Self:
        """Return the system with a folder's tokenizer, with offsets or without.

        Raises InputError where a file is missing or unusable, for a tokenizer that cannot pad, and for what is not
        an encoder of texts.
        """
        names = input_names(load_config(folder), folder)
        tokenizer = load_tokenizer(folder, words=words, offsets=False)
        if tokenizer.pad_token_id is None:
            expected = "one that pads texts of a batch to one length"
            fix = "Name a token for it: set tokenizer.pad_token and save the tokenizer again."
            raise InputError(folder, found="a tokenizer without a token for padding", expected=expected, fix=fix)
        return cls(tokenizer, names, defence)

    @classmethod
    def limits(cls, folder: Path) -> Limits:
        """Return how much a base reads at once; default lengths are longer for characters and bytes."""
        return limits_of(load_config(folder), load_tokenizer(folder, offsets=False), folder)

    @classmethod
    def build(
        cls, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        config = labelled_config(base, family, labels, layers=layers)
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            encoder = read_encoder(base.folder, layers=layers)
            model = HEADS[family]._from_config(config, dtype=torch.float32)
            model.encoder.load_state_dict(encoder.state_dict())
            with torch.no_grad(), reading_texts(base.folder):  # says before training what cannot be read
                ones = torch.ones(1, _SHORTEST, dtype=torch.long)
                model.eval()(**dict.fromkeys(input_names(config, base.folder), ones))
        return cast(PreTrainedModel, model)

    @classmethod
    def load(cls, folder: Path, family: Family) -> PreTrainedModel:
        model, missing = read_model(HEADS[family], folder)
        refuse_missing(folder, missing)
        return model

    def adapted(self, window: Window) -> Window:
        """Return a window with the inputs that the encoder takes, a mask always among them."""
        mask = np.ones(len(window.inputs["input_ids"]), np.int32)
        given = {"attention_mask": mask, **window.inputs}
        return window._replace(inputs={name: given[name] for name in self.inputs if name in given})

"""CharBERT and its heads, as Transformers models.

Characters become vectors, and two streams, of sub-words and of characters, are mixed after each Transformer layer.
Source: Ma et al. 2020, "CharBERT: Character-aware Pre-trained Language Model", section 3, as its released weights have
it (`interaction="released"`, `character_unit="piece"`): no activation and no second linear layer in the heterogeneous
interaction. Ours (`residual`, `word`) starts as exactly its base, and reads each word by itself.

Shape legend: B batch, T sub-words, C characters, D hidden, L labels, V sub-word vocabulary, W term vocabulary.
All models take `input_ids`, `attention_mask`, `token_type_ids` [B, T]; `char_input_ids` [B, C]; and the first and the
last character of each sub-word, `start_ids` and `end_ids` [B, T]. Without `attention_mask` every sub-word is real. No
result depends on padding, of sub-words or of characters.
"""

# Much of Transformers is not annotated.
# mypy: disable-error-code="no-untyped-call, untyped-decorator"

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import QuestionAnsweringModelOutput, SequenceClassifierOutput, TokenClassifierOutput
from transformers.models.bert.modeling_bert import (
    BertEmbeddings,
    BertLayer,
    BertLMPredictionHead,
    BertPooler,
    BertPredictionHeadTransform,
)
from transformers.models.roberta.modeling_roberta import RobertaEmbeddings
from transformers.utils.generic import ModelOutput, can_return_tuple

from robustbench_char.common import InputError
from robustbench_char.models.charbert.character_encoders import CharacterEmbeddings, KnownWords, WordCharacters
from robustbench_char.models.charbert.configuration import CharBertConfig
from robustbench_char.models.checkpoints import positions_of

__all__ = ["CharBertForMaskedLM"]

IGNORED = -100
"""The label of positions that a loss leaves out."""

_BASE_KEYS = {
    r"^(bert|roberta)\.": "charbert.",
    r"^cls\.predictions\.": "mlm_head.",
    r"^lm_head\.dense\.": "mlm_head.transform.dense.",
    r"^lm_head\.layer_norm\.": "mlm_head.transform.LayerNorm.",
    r"^lm_head\.": "mlm_head.",
}
"""Where the weights of a BERT or RoBERTa checkpoint go."""

_TIED = {
    "mlm_head.decoder.weight": "charbert.embeddings.word_embeddings.weight",
    "mlm_head.decoder.bias": "mlm_head.bias",
}
_UNSPLIT = ["BertLayer", "CharacterEmbeddings", "WordCharacters", "KnownWords"]
_HEADS_OF_A_BASE = [r"pooler\.", r"^cls\.seq_relationship\."]
_HEADS_LEFT_BEHIND = [*_HEADS_OF_A_BASE, r"^mlm_head\.", r"^nlm_head\."]
_STREAMS_APART = ("cpu",)
"""Where a layer takes one stream after the other: twice the memory at a time costs more there than it saves."""
Streams = tuple[Tensor, Tensor]


class ResidualInteraction(nn.Module):
    """Mix the two streams over neighbouring sub-words, and add the mixture to each through a gate of its own.

    `gates`, two of each layer, that of the sub-words first, start at 0: both streams are then what the base alone makes
    of them.
    """

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__()
        self.fusion = nn.Conv1d(2 * config.hidden_size, config.hidden_size, kernel_size=3, padding=1)
        self.gates = nn.ParameterList(torch.zeros(2) for _ in range(config.num_hidden_layers))

    def kernel(self) -> Tensor:
        """Return what mixes two neighbouring sub-words at a time, as four matrices [4, 2D, D]."""
        left, own, right = self._taps()
        ends = left + right
        return torch.stack([left, (ends + own) / 2, (ends - own) / 2, right])

    def _taps(self) -> Tensor:
        """Return what a sub-word gets from its left neighbour, itself and its right neighbour [3, 2D, D]."""
        return self.fusion.weight.permute(2, 1, 0)

    def forward(self, words: Tensor, chars: Tensor, kernel: Tensor, padding: Tensor | None, layer: int) -> Streams:
        """Return both streams [B, T, D] mixed; what stands at `padding` (bool [B, T, 1]) reaches no neighbour.

        Four products give two neighbours what three taps at each would, so a third of the operations is saved. Source:
        Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1, F(2, 3).
        """
        both = torch.cat([words, chars], dim=-1)
        if padding is not None:
            both = both.masked_fill(padding, 0.0)
        length = both.shape[1]
        pairs = functional.pad(both, (0, 0, 1, 1 + length % 2)).unflatten(1, (-1, 2))
        (before, first), (second, after) = pairs[:, :-1].unbind(2), pairs[:, 1:].unbind(2)
        given = (before - second, first + second, second - first, first - after)
        outer, plus, minus, last = (part @ matrix for part, matrix in zip(given, kernel, strict=True))
        plus = plus + cast(Tensor, self.fusion.bias)
        mixed = torch.stack([plus + minus + outer, plus - minus - last], dim=2).flatten(1, 2)[:, :length]
        return self._added(words, chars, mixed, layer)

    def _added(self, words: Tensor, chars: Tensor, mixed: Tensor, layer: int) -> Streams:
        gates = self.gates[layer]
        return words + gates[0] * mixed, chars + gates[1] * mixed


class HeterogeneousInteraction(ResidualInteraction):
    """Mix the two streams over neighbouring sub-words, add the same mixture to both, and normalise: as released.

    Two linear maps without bias and a convolution without activation are one linear map: they are folded, once a
    forward pass for all layers, which share these weights.
    """

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__(config)
        del self.gates
        hidden = config.hidden_size
        self.word_linear = nn.Linear(hidden, hidden, bias=False)
        self.char_linear = nn.Linear(hidden, hidden, bias=False)
        self.word_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.char_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)

    def _taps(self) -> Tensor:
        words, chars = super()._taps().chunk(2, dim=1)
        return torch.cat([self.word_linear.weight.T @ words, self.char_linear.weight.T @ chars], dim=1)

    def _added(self, words: Tensor, chars: Tensor, mixed: Tensor, layer: int) -> Streams:
        return self.word_norm(mixed + words), self.char_norm(mixed + chars)


_INTERACTIONS = {"released": HeterogeneousInteraction, "residual": ResidualInteraction}


class CharBertEncoder(nn.Module):
    """Transformer layers, each run on both streams with the same weights and followed by the interaction, if any.

    Everything in here compiles without a graph break: `model.encoder.compile(fullgraph=True)`.
    """

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config, layer_idx=index) for index in range(config.num_hidden_layers))
        kind = _INTERACTIONS.get(config.interaction)
        self.interaction = kind(config) if kind else None

    def forward(
        self, streams: Streams, attention_mask: Tensor | None, padding: Tensor | None, *, keep_all: bool = False
    ) -> tuple[Streams, ...]:
        """Return both streams [B, T, D], words before characters, after the last layer; all states if `keep_all`.

        `attention_mask` is what the attention implementation takes, for B rows; `padding` is bool [B, T, 1].
        """
        apart = streams[0].device.type in _STREAMS_APART
        if attention_mask is not None and not apart:
            attention_mask = torch.cat([attention_mask, attention_mask])
        kernel = None if self.interaction is None else self.interaction.kernel()
        states = [streams]
        for index, layer in enumerate(self.layer):
            if apart:
                words, chars = (layer(stream, attention_mask) for stream in streams)
            else:
                words, chars = layer(torch.cat(streams), attention_mask).chunk(2)
            streams = words, chars
            if self.interaction is not None:
                streams = self.interaction(words, chars, kernel, padding, index)
            if keep_all:
                states.append(streams)
        return tuple(states) if keep_all else (streams,)


def gates_of(model: PreTrainedModel) -> dict[str, tuple[float, ...]] | None:
    """Return how far the mixture is let into each stream after each layer, 0 is not at all; None without gates."""
    interaction = getattr(getattr(model.base_model, "encoder", None), "interaction", None)
    if type(interaction) is not ResidualInteraction:
        return None
    words, chars = zip(*(gate.tolist() for gate in interaction.gates), strict=True)
    return {"sub_words": words, "characters": chars}


@dataclass
class CharBertModelOutput(ModelOutput):
    """What the encoder returns.

    `last_hidden_state` is the sub-word stream and `character_hidden_state` the character stream [B, T, D];
    `pooler_output` and `character_pooler_output` [B, D] are None without a pooler; `hidden_states` and
    `character_hidden_states`, the streams before the first and after each layer, are None unless asked for.
    """

    last_hidden_state: Tensor | None = None
    character_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    character_pooler_output: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    character_hidden_states: tuple[Tensor, ...] | None = None


@dataclass
class CharBertMaskedLMOutput(ModelOutput):
    """What masked language modelling returns.

    `loss` is the sum of `mlm_loss` (sub-words, from the sub-word stream) and `nlm_loss` (original words, from the
    character stream); a part whose labels are all ignored has a loss of zero. `logits` is [B, T, V], `nlm_logits`
    [B, T, W] or None without that head. With `sparse_prediction` a part that has labels has its logits at labelled
    positions only, [labelled, V] and [labelled, W], in order of rows.
    """

    loss: Tensor | None = None
    mlm_loss: Tensor | None = None
    nlm_loss: Tensor | None = None
    logits: Tensor | None = None
    nlm_logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class CharBertPreTrainedModel(PreTrainedModel):
    """What all CharBERT models share: how new weights are drawn, and how a BERT or RoBERTa folder is read."""

    config_class = CharBertConfig
    config: CharBertConfig
    base_model_prefix = "charbert"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # the Trainer averages the losses of accumulated batches
    _supports_sdpa = True
    _no_split_modules = _UNSPLIT

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Draw the weights of one module: PyTorch's defaults for GRU and convolution, BERT's for everything else.

        Transformers has no rule for a GRU, which would stay uninitialised memory, and its own for a convolution.
        """
        if isinstance(module, nn.GRU):
            _draw_uniform(module, fan_in=module.hidden_size)
        elif isinstance(module, nn.Conv1d):
            _draw_uniform(module, fan_in=module.in_channels * module.kernel_size[0])
        else:
            super()._init_weights(module)
        if isinstance(module, BertLMPredictionHead):
            init.zeros_(module.bias)
        elif isinstance(module, nn.ParameterList):  # the gates
            for gate in module:
                init.zeros_(gate)
        elif isinstance(module, KnownWords):
            for part in (module.weighing, *module.buffers(recurse=False)):
                init.zeros_(part)
        elif isinstance(module, BertEmbeddings | RobertaEmbeddings):
            positions = torch.arange(module.position_ids.shape[-1]).expand((1, -1))
            init.copy_(module.position_ids, positions)
            init.zeros_(module.token_type_ids)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load a CharBERT folder, or the weights of a BERT or RoBERTa folder; what these lack is drawn.

        Takes and returns what Transformers' `from_pretrained` does. Draws come from torch's global generator.
        """
        loaded = super().from_pretrained(*args, **{"key_mapping": _BASE_KEYS, **kwargs})
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model._weight_conversions = None  # saved under our own names, whatever the names were that it was read from
        return loaded


def _draw_uniform(module: nn.Module, *, fan_in: int) -> None:
    for weight in module.parameters(recurse=False):
        init.uniform_(weight, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


class CharBertModel(CharBertPreTrainedModel):
    """The encoder: a stream of sub-words and a stream of their characters. Both share one pooler, if there is one."""

    def __init__(self, config: CharBertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = RobertaEmbeddings(config) if config.base_type == "roberta" else BertEmbeddings(config)
        by_word = KnownWords if config.known_words else WordCharacters
        self.char_embeddings = (by_word if config.character_unit == "word" else CharacterEmbeddings)(config)
        self.encoder = CharBertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the sub-word embeddings."""
        return cast(nn.Module, self.embeddings.word_embeddings)

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the sub-word embeddings."""
        self.embeddings.word_embeddings = cast(nn.Embedding, value)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        char_input_ids: Tensor | None = None,
        start_ids: Tensor | None = None,
        end_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> CharBertModelOutput:
        """Return both streams. Raises InputError for inputs that are missing or longer than the model holds."""
        self._check(input_ids, char_input_ids=char_input_ids, start_ids=start_ids, end_ids=end_ids)
        real = None if attention_mask is None else attention_mask.bool()
        words = self.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        spelling, table = (char_input_ids, start_ids, end_ids, real), self.get_input_embeddings()
        known = (table(input_ids), table) if self.config.character_unit == "word" else ()
        characters = self.char_embeddings(*spelling, *known)
        if self.config.character_positions:
            characters = self.embeddings(inputs_embeds=characters, token_type_ids=token_type_ids)
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=words, attention_mask=attention_mask)
        keep_all = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        padding = None if real is None else ~real.unsqueeze(-1)
        states = self.encoder((words, characters.to(words.dtype)), mask, padding, keep_all=bool(keep_all))
        return self._output(states, bool(keep_all))

    def _check(self, input_ids: Tensor, **characters: Tensor | None) -> None:
        if missing := [name for name, value in characters.items() if value is None]:
            expected = f"input_ids with {', '.join(characters)}"
            fix = "Encode the text with CharBertProcessor."
            raise InputError("the inputs of CharBERT", found=f"no {', '.join(missing)}", expected=expected, fix=fix)
        most = positions_of(self.config)
        if input_ids.shape[1] > most:
            expected = f"at most {most}, which is what the model has positions for"
            fix = "Truncate the text when it is encoded."
            raise InputError("input_ids", found=f"{input_ids.shape[1]} sub-words", expected=expected, fix=fix)

    def _output(self, states: tuple[Streams, ...], keep_all: bool) -> CharBertModelOutput:
        words, characters = zip(*states, strict=True)
        return CharBertModelOutput(
            last_hidden_state=words[-1],
            character_hidden_state=characters[-1],
            pooler_output=None if self.pooler is None else self.pooler(words[-1]),
            character_pooler_output=None if self.pooler is None else self.pooler(characters[-1]),
            hidden_states=words if keep_all else None,
            character_hidden_states=characters if keep_all else None,
        )


class _TaskModel(CharBertPreTrainedModel):
    """An encoder without pooler under one linear layer, which sees both streams [B, T, 2D]."""

    _keys_to_ignore_on_load_unexpected = _HEADS_LEFT_BEHIND

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__(config)
        self.charbert = CharBertModel(config, add_pooling_layer=False)
        self.num_labels = cast(int, config.num_labels)

    def _encode(self, *inputs: Tensor | None, **options: Any) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        outputs = self.charbert(*inputs, return_dict=True, **options)
        both = torch.cat([outputs.last_hidden_state, outputs.character_hidden_state], dim=-1)
        return both, outputs.hidden_states


class _Classifier(_TaskModel):
    """Labels from the states that `_read` gives."""

    output: ClassVar[type[ModelOutput]]

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__(config)
        chosen = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if chosen is None else chosen)
        self.classifier = nn.Linear(2 * config.hidden_size, self.num_labels)
        self.post_init()

    def _read(self, both: Tensor, attention_mask: Tensor | None) -> Tensor:
        return both

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return _cross_entropy(logits, labels)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        char_input_ids: Tensor | None = None,
        start_ids: Tensor | None = None,
        end_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> ModelOutput:
        """Return logits [..., L], and the loss where `labels` [...] are given."""
        inputs = (input_ids, attention_mask, token_type_ids, char_input_ids, start_ids, end_ids)
        both, hidden_states = self._encode(*inputs, output_hidden_states=output_hidden_states)
        logits = self.classifier(self.dropout(self._read(both, attention_mask)))
        loss = None if labels is None else self._loss(logits, labels)
        return self.output(loss=loss, logits=logits, hidden_states=hidden_states)


class CharBertForTokenClassification(_Classifier):
    """One label for each sub-word: logits [B, T, L] for `labels` [B, T] (-100: left out)."""

    output = TokenClassifierOutput


class CharBertForSequenceClassification(_Classifier):
    """One label (or, with one label alone, one number) for a text or pair of texts, from the mean of its sub-words.

    Logits are [B, L], `labels` [B].
    """

    output = SequenceClassifierOutput

    def _read(self, both: Tensor, attention_mask: Tensor | None) -> Tensor:
        if attention_mask is None:
            return both.mean(dim=1)
        real = attention_mask.bool().unsqueeze(-1)
        return both.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1).clamp(min=1)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ForSequenceClassificationLoss(labels, logits, self.config)


class CharBertForQuestionAnswering(_TaskModel):
    """First and last sub-word of the answer to a question in a context."""

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__(config)
        self.qa_outputs = nn.Linear(2 * config.hidden_size, 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        char_input_ids: Tensor | None = None,
        start_ids: Tensor | None = None,
        end_ids: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Return start and end logits [B, T], and the loss where both positions [B] are given.

        The loss is over real sub-words alone; a position at padding or from T on is left out.
        """
        inputs = (input_ids, attention_mask, token_type_ids, char_input_ids, start_ids, end_ids)
        both, hidden_states = self._encode(*inputs, output_hidden_states=output_hidden_states)
        starts, ends = (part.squeeze(-1) for part in self.qa_outputs(both).split(1, dim=-1))
        loss = None
        if start_positions is not None and end_positions is not None:
            first = _position_loss(starts, start_positions, attention_mask)
            loss = (first + _position_loss(ends, end_positions, attention_mask)) / 2
        return QuestionAnsweringModelOutput(
            loss=loss, start_logits=starts, end_logits=ends, hidden_states=hidden_states
        )


class CharBertForMaskedLM(CharBertPreTrainedModel):
    """Pre-training: masked sub-words from the sub-word stream, original words of noised ones from the characters.

    The head for words is made where `term_vocab_size` says how many there are.
    """

    _tied_weights_keys = _TIED
    _keys_to_ignore_on_load_unexpected = _HEADS_OF_A_BASE

    def __init__(self, config: CharBertConfig) -> None:
        super().__init__(config)
        self.charbert = CharBertModel(config, add_pooling_layer=False)
        self.mlm_head = BertLMPredictionHead(config)
        self.nlm_head = None
        if config.term_vocab_size is not None:  # as BERT's head, with a decoder of its own
            self.nlm_head = nn.Sequential(OrderedDict(transform=BertPredictionHeadTransform(config)))
            self.nlm_head.add_module("decoder", nn.Linear(config.hidden_size, config.term_vocab_size))
        if config.base_type == "roberta":  # whose heads have this activation, whatever that of the layers is
            for head in filter(None, (self.mlm_head, self.nlm_head)):
                cast(Any, head).transform.transform_act_fn = nn.GELU()
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """Return the decoder of sub-words, which is tied to their embeddings."""
        return cast(nn.Module, self.mlm_head.decoder)

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the decoder of sub-words."""
        self.mlm_head.decoder = new_embeddings
        self.mlm_head.bias = new_embeddings.bias

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        char_input_ids: Tensor | None = None,
        start_ids: Tensor | None = None,
        end_ids: Tensor | None = None,
        labels: Tensor | None = None,
        nlm_labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> CharBertMaskedLMOutput:
        """Return logits of both parts, and losses where `labels` or `nlm_labels` [B, T] (-100: left out) are given.

        Raises InputError for `nlm_labels` without the head that predicts words.
        """
        inputs = (input_ids, attention_mask, token_type_ids, char_input_ids, start_ids, end_ids)
        outputs = self.charbert(*inputs, output_hidden_states=output_hidden_states, return_dict=True)
        logits, mlm_loss = self._predict(self.mlm_head, outputs.last_hidden_state, labels)
        if self.nlm_head is not None:
            nlm_logits, nlm_loss = self._predict(self.nlm_head, outputs.character_hidden_state, nlm_labels)
        elif nlm_labels is None:
            nlm_logits, nlm_loss = None, None
        else:
            found = "a model without the head that predicts words"
            fix = "Set term_vocab_size in its CharBertConfig, or give no nlm_labels."
            raise InputError("nlm_labels", found=found, expected="a model made with term_vocab_size", fix=fix)
        losses = [loss for loss in (mlm_loss, nlm_loss) if loss is not None]
        return CharBertMaskedLMOutput(
            loss=torch.stack(losses).sum() if losses else None,
            mlm_loss=mlm_loss,
            nlm_loss=nlm_loss,
            logits=logits,
            nlm_logits=nlm_logits,
            hidden_states=outputs.hidden_states,
        )

    def _predict(self, head: nn.Module, states: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if labels is None:
            return head(states), None
        if self.config.sparse_prediction:
            labelled = labels != IGNORED
            states, labels = states[labelled], labels[labelled]
        logits = head(states)
        return logits, _cross_entropy(logits, labels)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over labelled positions; zero, still part of the graph, where there are none."""
    labels = labels.flatten().long()
    total = functional.cross_entropy(logits.flatten(0, -2).float(), labels, ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum().clamp(min=1)


def _position_loss(logits: Tensor, positions: Tensor, attention_mask: Tensor | None) -> Tensor:
    real = torch.ones_like(logits, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    positions = positions.flatten().long().clamp(0, logits.shape[1])
    inside = functional.pad(real, (0, 1)).gather(1, positions.unsqueeze(1)).squeeze(1)
    logits = logits.float()
    logits = logits.masked_fill(~real, torch.finfo(logits.dtype).min)  # or the loss would grow with the padding
    return _cross_entropy(logits, positions.masked_fill(~inside, IGNORED))

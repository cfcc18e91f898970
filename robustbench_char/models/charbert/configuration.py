"""The configuration of CharBERT: that of the BERT or RoBERTa it is built on, and the sizes of its character parts."""

from __future__ import annotations

from typing import Any, Self

from transformers import PreTrainedConfig

from robustbench_char.common import InputError

__all__ = ["CharBertConfig"]

_BASES = ("bert", "roberta")
_CHOICES = {
    "base_type": _BASES,
    "character_case": ("lower", "surface"),
    "character_unit": ("word", "piece"),
    "interaction": ("residual", "released", "none"),
}
AS_RELEASED: dict[str, Any] = {"interaction": "released", "character_unit": "piece", "character_positions": False}
"""How the model of 2020 mixes its streams and reads characters: that of a config.json which does not say."""
INTERACTIONS = {True: "released", False: "none"}
"""As older files say it: whether there is one."""
_NOT_OF_THE_BASE = ("model_type", "architectures", "transformers_version", "auto_map", "base_type")


class CharBertConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]  # its base class is not annotated
    """Configuration of a CharBERT model: the fields of a BERT's, and those of the characters.

    `base_type` (`bert` or `roberta`) decides the sub-word embeddings. `interaction` says how the two streams are mixed
    after each layer: `residual` adds a mixture through gates that start at 0, so that a new model is its base;
    `released` adds it and normalises once more, as the checkpoints of 2020 do; with `none`, an ablation, they never
    meet. `character_unit`: every `word` is read by itself, and its sub-words share its vector; or one GRU reads the
    whole text, and a `piece` is its states at its first and last character, as in the checkpoints of 2020. With
    `character_positions` the base's position embeddings and layer norm are applied to the characters' vectors. With
    `known_words` (how many there are) each word is read as those of them that are spelt alike, whose keys have
    `key_size` numbers; with 0 its vector is learnt. `char_hidden_size` is the size of the character GRU in each
    direction; with pieces it must be a quarter of `hidden_size`, since two directions at two characters make one
    sub-word. `character_case` says whether the processor lower-cases the characters. `term_vocab_size` is the number of
    words that the noisy language modelling head predicts (None: no such head). With `sparse_prediction`, masked
    language modelling computes logits at labelled positions only. Raises InputError for values that make no model.
    """

    model_type = "charbert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    classifier_dropout: float | None = None
    tie_word_embeddings: bool = True
    is_decoder: bool = False  # read by the layers of Transformers; an encoder is never one
    add_cross_attention: bool = False
    base_type: str = "bert"
    char_vocab_size: int = 1001
    char_embedding_size: int = 256
    char_hidden_size: int | None = None
    char_pad_id: int = 0
    character_case: str = "lower"
    term_vocab_size: int | None = None
    interaction: str = "residual"
    character_unit: str = "word"
    character_positions: bool = True
    known_words: int = 0
    key_size: int = 64
    sparse_prediction: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        if self.char_hidden_size is None:
            self.char_hidden_size = self.hidden_size // 4
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        place = self.name_or_path or type(self).__name__
        for name, known in _CHOICES.items():
            if (value := getattr(self, name)) not in known:
                found, expected = f"{name} {value!r}", " or ".join(known)
                raise InputError(place, found=found, expected=expected, fix="Correct the value in the config.")
        if self.character_unit == "piece" and 4 * self.char_hidden_size != self.hidden_size:
            raise InputError(
                place,
                found=f"char_hidden_size {self.char_hidden_size} with hidden_size {self.hidden_size}",
                expected="a char_hidden_size that is a quarter of hidden_size",
                fix="Take a base whose hidden size is a multiple of four, and leave char_hidden_size out.",
            )

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what config.json holds: always how streams are mixed and characters read, whose defaults have changed.

        Source: Transformers leaves out what is the default of the version that writes.
        """
        said: dict[str, Any] = super().to_diff_dict()
        return said | {name: getattr(self, name) for name in AS_RELEASED}

    @classmethod
    def from_base(cls, config: PreTrainedConfig, **overrides: Any) -> Self:
        """Return the configuration of a CharBERT on the base that `config` describes; `overrides` are further fields.

        Raises InputError when the base is neither BERT- nor RoBERTa-type.
        """
        place = config.name_or_path or "the base model"
        return cls(**{**_adapted(config.to_dict(), place), **overrides})

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: Any, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what config.json says; that of a BERT or RoBERTa is made into one of CharBERT.

        Raises InputError for models of any other type.
        """
        fields, unused = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        return _adapted(fields, pretrained_model_name_or_path), unused

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Return what `config_dict` describes: in the file of a CharBERT, what it does not say is as released."""
        fields = {**AS_RELEASED, **config_dict} if config_dict.get("model_type") == cls.model_type else config_dict
        mixed = fields.get("interaction")
        said = {"interaction": INTERACTIONS[mixed]} if isinstance(mixed, bool) else {}
        return super().from_dict({**fields, **said}, **kwargs)


def _adapted(fields: dict[str, Any], place: object) -> dict[str, Any]:
    kind = fields.get("model_type")
    if kind == CharBertConfig.model_type:
        return fields
    if kind not in _BASES:
        expected = "a BERT- or RoBERTa-type model (model_type bert, roberta or charbert)"
        raise InputError(place, found=f"a model of type {kind!r}", expected=expected, fix="Choose another base.")
    kept = {name: value for name, value in fields.items() if name not in _NOT_OF_THE_BASE}
    return {**kept, "base_type": kind}

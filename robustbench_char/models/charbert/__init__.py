"""CharBERT (Ma et al. 2020): two streams, of sub-words and of characters. Registers with Transformers' Auto classes."""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from robustbench_char.models.charbert.configuration import CharBertConfig
from robustbench_char.models.charbert.modeling import (
    CharBertForMaskedLM,
    CharBertForQuestionAnswering,
    CharBertForSequenceClassification,
    CharBertForTokenClassification,
    CharBertModel,
)
from robustbench_char.models.charbert.processor import CharBertProcessor

__all__ = [
    "CharBertConfig",
    "CharBertForMaskedLM",
    "CharBertForQuestionAnswering",
    "CharBertForSequenceClassification",
    "CharBertForTokenClassification",
    "CharBertModel",
    "CharBertProcessor",
]

AutoConfig.register(CharBertConfig.model_type, CharBertConfig)
AutoModel.register(CharBertConfig, CharBertModel)
AutoModelForMaskedLM.register(CharBertConfig, CharBertForMaskedLM)
AutoModelForQuestionAnswering.register(CharBertConfig, CharBertForQuestionAnswering)
AutoModelForSequenceClassification.register(CharBertConfig, CharBertForSequenceClassification)
AutoModelForTokenClassification.register(CharBertConfig, CharBertForTokenClassification)

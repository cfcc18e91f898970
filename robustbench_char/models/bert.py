"""The systems on a plain encoder: `bert` with a new head, and those that differ in what stands before or around it.

A system is a way to read text (`open`, then `*_windows`) and a model (`build`, `load`). Others start from `BertSystem`
and override what differs: `build` and `load` for another architecture, `further` for more inputs. A recogniser can
stand in front of any of them: texts are corrected before they are encoded, and answers found in corrected text are
mapped back to the text as given.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from robustbench_char.models.checkpoints import (
    Base,
    drop_limits,
    load_config,
    load_encoder,
    load_tokenizer,
    positions_of,
    quiet,
    read_model,
    refuse_missing,
)
from robustbench_char.models.encoders import Limits
from robustbench_char.models.inputs import Further, Window, encode_contexts, encode_texts, encode_words
from robustbench_char.tasks.base import Family

if TYPE_CHECKING:
    from robustbench_char.models.defence import Defence
    from robustbench_char.text.corrections import Correction

__all__ = ["AdvBertSystem", "BertAugSystem", "BertMlmSystem", "BertSystem", "BertWordRecSystem"]

_HEADS: dict[Family, Any] = {
    "classification": AutoModelForSequenceClassification,
    "tagging": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
}


class BertSystem:
    """Fine-tuning of an encoder as it is.

    `pretraining` names the system that `pretrain` must have made the base for (None: any BERT- or RoBERTa-type
    checkpoint), `any_type` that it takes other types too; `needs_recogniser` and `augmentation` (the default suite) say
    what defends it.
    """

    name: ClassVar[str] = "bert"
    pretraining: ClassVar[str | None] = None
    any_type: ClassVar[bool] = False
    needs_recogniser: ClassVar[bool] = False
    augmentation: ClassVar[str | None] = None

    def __init__(self, tokenizer: PreTrainedTokenizerBase, recogniser: Defence | None = None) -> None:
        self.tokenizer, self.recogniser = tokenizer, recogniser
        self.further: Further | None = None

    @classmethod
    def open(cls, folder: Path, *, words: bool, recogniser: Defence | None = None) -> Self:
        """Return the system with what `folder` says of reading; `words` says that it gets words one by one.

        Raises InputError where a file is missing or unusable.
        """
        return cls(load_tokenizer(folder, words=words), recogniser)

    def save(self, folder: Path) -> None:
        """Write what `open` reads: the tokenizer, without stored padding or truncation."""
        drop_limits(self.tokenizer)
        self.tokenizer.save_pretrained(folder)

    @classmethod
    def limits(cls, folder: Path) -> Limits:
        """Return how much a base reads at once."""
        return Limits(positions_of(load_config(folder)))

    @classmethod
    def build(
        cls, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        """Return the base encoder under a new head. What is drawn depends on `seed` alone."""
        config = load_config(base.folder, layers=layers)
        config.architectures = None
        if family != "question_answering":
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: index for index, label in enumerate(labels)}
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(seed)
            encoder = load_encoder(base, layers=layers)
            model = _HEADS[family].from_config(config, dtype=torch.float32)
        model.base_model.load_state_dict(
            encoder.state_dict(), strict=False
        )  # not strict: most heads have no use for the pooler
        return cast(PreTrainedModel, model)

    @classmethod
    def load(cls, folder: Path, family: Family) -> PreTrainedModel:
        """Return a fine-tuned model in single precision. Raises InputError when weights are missing."""
        model, missing = read_model(_HEADS[family], folder)
        refuse_missing(folder, missing)
        return model

    @classmethod
    def trains_as(cls) -> list[str]:
        """Return the names of the systems whose code decides the weights: those alike in them share one training."""
        return [kind.name for kind in cls.__mro__ if _has_code(kind)]

    def new_parameters(self, model: PreTrainedModel) -> frozenset[str]:
        """Return the names of the parameters that a plain encoder lacks: those of the head."""
        encoder = f"{model.base_model_prefix}."
        return frozenset(name for name, _ in model.named_parameters() if not name.startswith(encoder))

    def extra_parameters(self, model: PreTrainedModel) -> int:
        """Return how many parameters the encoder has beside those of a plain one."""
        return 0

    def padding(self) -> dict[str, int]:
        """Return the value that each model input is padded with."""
        return {
            "input_ids": int(self.tokenizer.pad_token_id),
            "token_type_ids": int(self.tokenizer.pad_token_type_id),
            "attention_mask": 0,
        }

    def text_windows(self, first: Sequence[str], second: Sequence[str] | None, *, max_length: int) -> Iterator[Window]:
        """Encode texts or pairs of texts; offsets count in the texts as given."""
        columns = [first] if second is None else [first, second]
        corrections = [self.recogniser.correct_texts(texts) for texts in columns] if self.recogniser else None
        if corrections:
            columns = [[one.text for one in texts] for texts in corrections]
        second = columns[1] if len(columns) > 1 else None
        for window in encode_texts(self.tokenizer, columns[0], second, max_length=max_length, further=self.further):
            for number, texts in enumerate(corrections or ()):
                window = _in_given_text(window, texts[window.row], window.texts == number)
            yield window

    def word_windows(self, sentences: Sequence[Sequence[str]], *, max_length: int) -> Iterator[Window]:
        """Encode sentences given as words."""
        if self.recogniser:
            sentences = self.recogniser.correct(sentences)
        return encode_words(self.tokenizer, sentences, max_length=max_length, further=self.further)

    def context_windows(
        self, questions: Sequence[str], contexts: Sequence[str], *, max_length: int, stride: int, max_question: int
    ) -> Iterator[Window]:
        """Encode questions with overlapping windows over their contexts; offsets count in the contexts as given."""
        corrections = None
        if self.recogniser:
            questions = [one.text for one in self.recogniser.correct_texts(questions)]
            corrections = self.recogniser.correct_texts(contexts)
            contexts = [one.text for one in corrections]
        for window in encode_contexts(
            self.tokenizer,
            questions,
            contexts,
            max_length=max_length,
            stride=stride,
            max_question=max_question,
            further=self.further,
        ):
            inside = window.offsets[:, 0] >= 0
            yield _in_given_text(window, corrections[window.row], inside) if corrections else window


def _has_code(kind: type) -> TypeGuard[type[BertSystem]]:
    """Return whether a system's class says how to read or build; one that only names its defences does not."""
    own = (part for name, part in vars(kind).items() if name == "__init__" or not name.startswith("__"))
    return issubclass(kind, BertSystem) and any(map(inspect.isroutine, own))


def _in_given_text(window: Window, correction: Correction, inside: NDArray[np.bool_]) -> Window:
    """Return a window over corrected text; offsets of the pieces `inside` [T] now count in the text as given."""
    offsets = np.array(window.offsets)
    starts, ends = correction.to_given(offsets[inside, 0], offsets[inside, 1])
    offsets[inside] = np.stack([starts, ends], axis=1)
    return window._replace(offsets=offsets)


class BertMlmSystem(BertSystem):
    """An encoder pre-trained further on clean text: what more training brings without noise or characters."""

    name = "bert_mlm"
    pretraining = "bert_mlm"


class AdvBertSystem(BertSystem):
    """An encoder pre-trained further on noised text."""

    name = "advbert"
    pretraining = "advbert"


class BertWordRecSystem(BertSystem):
    """An encoder fine-tuned on the text as given, behind a recogniser of words (Pruthi et al. 2019)."""

    name = "bert_wordrec"
    needs_recogniser = True


class BertAugSystem(BertSystem):
    """An encoder fine-tuned on clean and attacked copies of the training examples."""

    name = "bert_aug"
    augmentation = "mixed"

"""What every system shares: how texts become windows behind a defence, and what a model of its own must say.

A system is a way to read text (`open`, then `*_windows`) and a model (`build`, `load`). A defence can stand in front of
any of them: texts are corrected before they are encoded, and answers in corrected text are mapped back to the text as
given. `bert` fine-tunes BERT- and RoBERTa-type encoders, `encoders` any other one, `charbert.system` CharBERT.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from robustbench_char.models.bases import Base, Limits
from robustbench_char.models.checkpoints import drop_limits, load_config
from robustbench_char.models.inputs import Further, Window, encode_contexts, encode_texts, encode_words
from robustbench_char.tasks.base import Family
from robustbench_char.text.corrections import Correction

__all__ = ["System"]


class Defence(Protocol):
    """What stands before a model: it reads text as given and hands on other text, as many words out as came in."""

    def correct(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Return the sentences with their words corrected, none added and none left out."""

    def correct_texts(self, texts: Sequence[str]) -> Sequence[Correction]:
        """Return each text corrected, with the way back to its offsets as given."""

    def save(self, folder: Path) -> None:
        """Write what the defence is loaded from."""


class System(ABC):
    """A system that is compared.

    `recipe` is the stable id of how its weights are made, which keys of stored results hold. Systems of one recipe
    share their training: a class with code of its own states another, and a change of what it computes a higher number.
    `pretraining` names the system that `pretrain` must have made the base for (None: any plain checkpoint), `any_type`
    that it takes other types than BERT's and RoBERTa's; `needs_recogniser` and `augmentation` (the default suite) say
    what defends it.
    """

    name: ClassVar[str]
    recipe: ClassVar[str]
    pretraining: ClassVar[str | None] = None
    any_type: ClassVar[bool] = False
    needs_recogniser: ClassVar[bool] = False
    augmentation: ClassVar[str | None] = None

    def __init__(self, tokenizer: PreTrainedTokenizerBase, recogniser: Defence | None = None) -> None:
        self.tokenizer, self.recogniser = tokenizer, recogniser
        self.further: Further | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class that reads or builds in its own way under the recipe of another."""
        super().__init_subclass__(**options)
        own = (part for name, part in vars(cls).items() if name == "__init__" or not name.startswith("__"))
        if "recipe" not in vars(cls) and any(map(inspect.isroutine, own)):
            raise TypeError(f'{cls.__name__} has code of its own: state its `recipe`, such as "{cls.name}/1"')

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, *, words: bool, recogniser: Defence | None = None) -> Self:
        """Return the system with what `folder` says of reading; `words` says that it gets words one by one.

        Raises InputError where a file is missing or unusable.
        """

    def save(self, folder: Path) -> None:
        """Write what `open` reads: the tokenizer, without stored padding or truncation."""
        drop_limits(self.tokenizer)
        self.tokenizer.save_pretrained(folder)

    @classmethod
    @abstractmethod
    def limits(cls, folder: Path) -> Limits:
        """Return how much a base reads at once."""

    @classmethod
    @abstractmethod
    def build(
        cls, base: Base, family: Family, labels: Sequence[str], *, layers: int | None, seed: int
    ) -> PreTrainedModel:
        """Return the base encoder under a new head. What is drawn depends on `seed` alone."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, family: Family) -> PreTrainedModel:
        """Return a fine-tuned model in single precision. Raises InputError when weights are missing."""

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
        for window in encode_texts(self.tokenizer, *columns, max_length=max_length, further=self.further):
            for number, texts in enumerate(corrections or ()):
                window = _in_given_text(window, texts[window.row], window.texts == number)
            yield self.adapted(window)

    def word_windows(self, sentences: Sequence[Sequence[str]], *, max_length: int) -> Iterator[Window]:
        """Encode sentences given as words."""
        if self.recogniser:
            sentences = self.recogniser.correct(sentences)
        return map(self.adapted, encode_words(self.tokenizer, sentences, max_length=max_length, further=self.further))

    def context_windows(
        self, questions: Sequence[str], contexts: Sequence[str], *, max_length: int, stride: int, max_question: int
    ) -> Iterator[Window]:
        """Encode questions with overlapping windows over their contexts; offsets count in the contexts as given."""
        corrections = None
        if self.recogniser:
            questions = [one.text for one in self.recogniser.correct_texts(questions)]
            corrections = self.recogniser.correct_texts(contexts)
            contexts = [one.text for one in corrections]
        sizes = {"max_length": max_length, "stride": stride, "max_question": max_question}
        for window in encode_contexts(self.tokenizer, questions, contexts, further=self.further, **sizes):
            if corrections:
                window = _in_given_text(window, corrections[window.row], window.offsets[:, 0] >= 0)
            yield self.adapted(window)

    def adapted(self, window: Window) -> Window:
        """Return a window with the inputs that the model takes: by default, all of them."""
        return window


def labelled_config(base: Base, family: Family, labels: Sequence[str], *, layers: int | None) -> PreTrainedConfig:
    """Return a base's config, cut to its first `layers` layers, with the labels of a task."""
    config = load_config(base.folder, layers=layers)
    if family != "question_answering":
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    return config


def _in_given_text(window: Window, correction: Correction, inside: NDArray[np.bool_]) -> Window:
    """Return a window over corrected text; offsets of the pieces `inside` [T] now count in the text as given."""
    offsets = np.array(window.offsets)
    starts, ends = correction.to_given(offsets[inside, 0], offsets[inside, 1])
    offsets[inside] = np.stack([starts, ends], axis=1)
    return window._replace(offsets=offsets)

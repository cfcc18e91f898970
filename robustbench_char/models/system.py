"""What every system shares: how texts become windows behind a defence, and what a model of its own must say.

A system is a way to read text (`open`, then `*_windows`) and a model (`build`, `load`). A defence can stand in front of
any of them: texts are corrected before they are encoded, and answers in corrected text are mapped back to the text as
given. `bert` fine-tunes BERT- and RoBERTa-type encoders, `encoders` any other one, `charbert.system` CharBERT.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from robustbench_char.models.bases import Base, Limits
from robustbench_char.models.checkpoints import drop_limits, load_config
from robustbench_char.models.inputs import (
    Further,
    InputArray,
    Window,
    encode_contexts,
    encode_texts,
    encode_words,
    squeezed,
)
from robustbench_char.records.evaluation import DefenceInfo
from robustbench_char.tasks.base import Family
from robustbench_char.text.corrections import Correction, each_once

__all__ = ["Adaptive", "Bounded", "Defence", "Posterior", "SoftDefence", "System"]

_CHUNK = 1000
"""Rows that are encoded at a time."""


class Defence(Protocol):
    """What stands before a model: it reads text as given and hands on other text, as many words out as came in.

    A call is given all texts of a file, each once; only of an `Adaptive` one, what it makes of a text depends on the
    others.
    """

    @property
    def info(self) -> DefenceInfo:
        """What records hold of it."""
        ...

    def correct(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Return the sentences with their words corrected, none added and none left out."""

    def correct_texts(self, texts: Sequence[str]) -> Sequence[Correction]:
        """Return each text corrected, with the way back to its offsets as given."""

    def save(self, folder: Path) -> None:
        """Write what the defence is loaded from."""


Posterior = Sequence[tuple[str, float]]
"""Candidates of a word with their probabilities, which sum to 1; the word as given may be among them."""


@runtime_checkable
class SoftDefence(Defence, Protocol):
    """A defence that also says how likely each candidate of a word is."""

    def posteriors(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[Posterior]]:
        """Return the candidates of each word of sentences."""

    def posteriors_of_texts(
        self, texts: Sequence[str]
    ) -> Sequence[tuple[Sequence[tuple[int, int]], Sequence[Posterior]]]:
        """Return where the words of each text stand, in order and apart, and the candidates of each."""


@runtime_checkable
class FromTrainingText(Defence, Protocol):
    """A defence that may know the very texts that a system is trained on, better than any others."""

    def for_training(self) -> Defence:
        """Return it as it stands before texts that it does not know."""


@runtime_checkable
class Adaptive(Defence, Protocol):
    """A defence that adapts to all texts of one call, so that what it makes of a text depends on the others."""

    def settled(self, sentences: Sequence[Sequence[str]], texts: Sequence[str]) -> Defence:
        """Return it as it stands once it has read this file: what it makes of a sentence then depends on that sentence
        alone. The one that is asked stays as it was.
        """


@runtime_checkable
class Bounded(Defence, Protocol):
    """A defence that says all that it may make of the sentences or texts that differ in some of their words."""

    def choices(self, sentence: Sequence[Sequence[str]]) -> Sequence[Mapping[str, frozenset[str]]]:
        """Return all that `correct` may make of each form of each word, whichever forms the other words have.

        `sentence` holds the forms of each word, one or many. The sets may hold more than `correct` ever makes of a
        form, never less.
        """

    def choices_of_stretches(
        self, stretches: Sequence[Sequence[str]]
    ) -> Sequence[Mapping[str, Sequence[frozenset[str]]]]:
        """Return the same for `correct_texts` and a text, which may have several words between two white spaces.

        `stretches` holds the forms of each stretch without white space, none empty. A stretch becomes one choice of
        each of its parts, joined; the white space of the text stays.
        """


class System(ABC):
    """A system that is compared.

    `recipe` is the stable id of how its weights are made, which keys of stored results hold. Systems of one recipe
    share their training: a class with code of its own states another, and a change of what it computes a higher number.
    `pretraining` names the system that `pretrain` must have made the base for (None: any plain checkpoint), `any_type`
    that it takes other types than BERT's and RoBERTa's; `default_defence` (the kind of the one that it is put behind)
    and `augmentation` (the suite of its attacked copies, by default made for each epoch) say what defends it;
    `trained_behind` that it is trained behind its defence without copies too, since the model reads more than corrected
    text.
    """

    name: ClassVar[str]
    recipe: ClassVar[str]
    pretraining: ClassVar[str | None] = None
    any_type: ClassVar[bool] = False
    default_defence: ClassVar[str | None] = None
    augmentation: ClassVar[str | None] = None
    trained_behind: ClassVar[bool] = False

    def __init__(self, tokenizer: PreTrainedTokenizerBase, defence: Defence | None = None) -> None:
        self.tokenizer, self.defence = tokenizer, defence
        self.further: Further | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class that reads or builds in its own way under the recipe of another."""
        super().__init_subclass__(**options)
        own = (part for name, part in vars(cls).items() if name == "__init__" or not name.startswith("__"))
        if "recipe" not in vars(cls) and any(map(inspect.isroutine, own)):
            raise TypeError(f'{cls.__name__} has code of its own: state its `recipe`, such as "{cls.name}/1"')

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, *, words: bool, defence: Defence | None = None) -> Self:
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

    def gates(self, model: PreTrainedModel) -> dict[str, tuple[float, ...]] | None:
        """Return how far gates are open, 0 is shut: by what they let in, one number a layer; None without any."""
        return None

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
        room = max_length - int(self.tokenizer.num_special_tokens_to_add(pair=second is not None))
        if with_room := squeezed(self.tokenizer, columns, room):
            columns = _texts(with_room)
        if corrections := self._corrections(*columns):
            columns = _texts(corrections)
        encode = partial(encode_texts, self.tokenizer, max_length=max_length)
        for window in _in_chunks(encode, *columns, further=self.further):
            for made in (corrections, with_room):
                for number, texts in enumerate(made or ()):
                    window = _in_given_text(window, texts[window.row], window.texts == number)
            yield self.adapted(window)

    def word_windows(self, sentences: Sequence[Sequence[str]], *, max_length: int) -> Iterator[Window]:
        """Encode sentences given as words."""
        sentences = self._corrected(sentences)
        encode = partial(encode_words, self.tokenizer, max_length=max_length)
        return map(self.adapted, _in_chunks(encode, sentences, further=self.further))

    def context_windows(
        self, questions: Sequence[str], contexts: Sequence[str], *, max_length: int, stride: int, max_question: int
    ) -> Iterator[Window]:
        """Encode questions with overlapping windows over their contexts; offsets count in the contexts as given."""
        if with_room := squeezed(self.tokenizer, [questions], max_question):
            (questions,) = _texts(with_room)
        if corrections := self._corrections(questions, contexts):
            questions, contexts = _texts(corrections)
        sizes: dict[str, Any] = {"max_length": max_length, "stride": stride, "max_question": max_question}
        encode = partial(encode_contexts, self.tokenizer, **sizes)
        for window in _in_chunks(encode, questions, contexts, further=self.further):
            if corrections:
                window = _in_given_text(window, corrections[1][window.row], window.offsets[:, 0] >= 0)
            yield self.adapted(window)

    def _corrected(self, sentences: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Return sentences as the defence hands them on, as given without one."""
        if self.defence is None:
            return sentences
        return each_once(self.defence.correct, [tuple(words) for words in sentences])

    def _corrections(self, *columns: Sequence[str]) -> Sequence[Sequence[Correction]] | None:
        """Return the corrections of the texts of each column, None without a defence, which sees all in one call."""
        if self.defence is None:
            return None
        made = iter(each_once(self.defence.correct_texts, list(chain(*columns))))
        return [list(islice(made, len(texts))) for texts in columns]

    def adapted(self, window: Window) -> Window:
        """Return a window with the inputs that the model takes: by default, all of them."""
        return window


def labelled_config(base: Base, family: Family, labels: Sequence[str], *, layers: int | None) -> PreTrainedConfig:
    """Return a base's config, cut to its first `layers` layers, with the labels of a task; two for start and end."""
    config = load_config(base.folder, layers=layers)
    if family != "question_answering":
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    return config


def _in_chunks(
    encode: Callable[..., Iterator[Window]], *columns: Sequence[Any], further: Further | None
) -> Iterator[Window]:
    """Encode some rows at a time: what a tokenizer returns is many times larger than what is kept of it."""
    for start in range(0, len(columns[0]), _CHUNK):
        own = further and partial(_counted_from, start, further)
        for window in encode(*(column[start : start + _CHUNK] for column in columns), further=own):
            yield window._replace(row=start + window.row)


def _texts(corrections: Sequence[Sequence[Correction]]) -> list[Sequence[str]]:
    return [[one.text for one in texts] for texts in corrections]


def _counted_from(
    start: int, further: Further, encoding: Encoding, sources: Sequence[Any], row: int
) -> Mapping[str, InputArray]:
    return further(encoding, sources, start + row)


def _in_given_text(window: Window, correction: Correction, inside: NDArray[np.bool_]) -> Window:
    """Return a window over corrected text; offsets of the pieces `inside` [T] now count in the text as given."""
    offsets = np.array(window.offsets)
    starts, ends = correction.to_given(offsets[inside, 0], offsets[inside, 1])
    offsets[inside] = np.stack([starts, ends], axis=1)
    return window._replace(offsets=offsets)

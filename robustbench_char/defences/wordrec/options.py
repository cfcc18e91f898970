"""The options of training a word recogniser, and the settings that its record stores.

Quick to import: commands are described by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from pydantic import BeforeValidator, Field

from robustbench_char.common.errors import InputError
from robustbench_char.common.options import Called, Option, Options, options_of
from robustbench_char.common.seeds import SEEDS, as_whole, seed_of

if TYPE_CHECKING:
    from robustbench_char.attacks.suites import Suite
    from robustbench_char.tasks.base import Task

__all__ = [
    "AnswerOptions", "BackOff", "RecogniserKeywords", "RecogniserOptions", "RecogniserSettings", "check_words",
    "resolve_recogniser",
]  # fmt: skip

_TEXT = "text"
"""The task that suites are resolved for where training reads plain text."""


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


BackOff = Literal["pass_through", "neutral", "background"]
"""What stands for a word that the recogniser does not know: itself, `a`, or what a second recogniser says."""


class RecogniserOptions(Options):
    """Options of training; None for `epochs` is resolved by `train.enough_epochs`."""

    suite: str = Field(
        "mixed", description="Word recogniser: attack suite to train against, drawn again in each epoch."
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="Word recogniser: passes over the text (default: until 1.8 million words are seen, 6 to 100).",
    )
    steps: int | None = Field(None, ge=1, description="Word recogniser: stop after this many steps.")
    limit: int | None = Field(None, ge=1, description="Word recogniser: read the first words of the text only.")
    vocabulary: int = Field(10_000, ge=1, description="Word recogniser: known words: the most frequent of the text.")
    characters: int = Field(256, ge=1, description="Word recogniser: known characters: the most frequent of the text.")
    hidden_size: int = Field(50, ge=1, description="Word recogniser: hidden units per direction.")
    learning_rate: Annotated[float, Called(flag="--lr")] = Field(
        1e-3, gt=0, lt=1, description="Word recogniser: learning rate of Adam."
    )
    batch_words: int = Field(512, ge=1, description="Word recogniser: batch size in words.")
    max_words: int = Field(
        50, ge=1, description="Word recogniser: longer sentences are split into parts of this many words."
    )
    splitter: str = Field("treebank", description="Word recogniser: word splitter for texts.")
    lower: Annotated[bool, Called(flag="--ignore-case/--see-case")] = Field(
        True, description="Word recogniser: whether the input ignores case."
    )


class AnswerOptions(Options):
    """How the answers of a recogniser are written, and the seed of its training."""

    seed: Annotated[int, BeforeValidator(as_whole)] = Field(
        0, ge=0, le=SEEDS, description="Word recogniser: random seed of training and of its attack."
    )
    back_off: BackOff = Field(
        "pass_through",
        description="Word recogniser, for unknown words: the word as given, `a`, or a second recogniser's answer.",
    )
    background: Annotated[str | None, BeforeValidator(_text)] = Field(
        None, description="Word recogniser: the second recogniser, of `--back-off background`."
    )
    keep_case: Annotated[bool, Called(flag="--keep-case/--lower-case")] = Field(
        True, description="Word recogniser: write answers in the given word's pattern of capitals."
    )
    leave_numbers_and_punctuation: Annotated[bool, Called(flag="--leave-numbers-and-punctuation/--correct-all")] = (
        Field(True, description="Word recogniser: leave words without a letter as they are.")
    )


class RecogniserKeywords(TypedDict, total=False):
    """The keywords of `RecogniserOptions`, which says what they mean; None stands for the default."""

    suite: str | None
    epochs: int | None
    steps: int | None
    limit: int | None
    vocabulary: int | None
    characters: int | None
    hidden_size: int | None
    learning_rate: float | None
    batch_words: int | None
    max_words: int | None
    splitter: str | None
    lower: bool | None


class RecogniserSettings(RecogniserOptions):
    """All that decides the outcome besides the text, as stored in `recogniser.json`."""

    seed: int = 0


def resolve_recogniser(
    options: RecogniserKeywords, *, seed: int = 0, task: Task | None = None
) -> tuple[RecogniserSettings, Suite]:
    """Return the settings of a training and its attack. Raises InputError for an option that no training could use."""
    from robustbench_char.attacks.suites import check_keeps_words, load_suites
    from robustbench_char.text.words import SPLITTERS

    (chosen,) = options_of(options, RecogniserOptions)
    seed = seed_of(seed)
    SPLITTERS.get(chosen.splitter, place=Option("splitter"))
    suites = load_suites(chosen.suite, task=task.name if task else _TEXT, place=Option("suite"))
    if len(suites) != 1:
        raise InputError(Option("suite"), found=f"{len(suites)} strengths in {chosen.suite}", expected="one suite",
                         fix="Choose one strength, for example mixed@0.5.")  # fmt: skip
    check_keeps_words(suites[0], "a recogniser reads as many words as it writes", place=Option("suite"))
    return RecogniserSettings(seed=seed, **chosen.model_dump()), suites[0]


def check_words(texts: Sequence[Path], task: object | None) -> None:
    """Raise InputError unless words come from plain text, or from a task's data."""
    if bool(texts) == (task is not None):
        raise InputError(Option("text"), found="both plain text and a task" if texts else "neither text nor a task",
                         expected="one source of words",
                         fix="Give `text=` files, or `task=` with a file of its data.")  # fmt: skip

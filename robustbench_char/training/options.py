"""The options of fine-tuning as a user may choose them, and the settings that they are resolved to.

Quick to import: commands are described by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from pydantic import BeforeValidator, Field

from robustbench_char.common.errors import InputError
from robustbench_char.common.extras import installed
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.options import Called, Option, Options, within
from robustbench_char.common.seeds import SEEDS, as_whole, seed_of

if TYPE_CHECKING:
    from robustbench_char.models.bases import Limits
    from robustbench_char.tasks.base import Family

__all__ = [
    "AugmentOptions",
    "FinetuneKeywords",
    "FinetuneOptions",
    "Reading",
    "bf16_helps",
    "reading_of",
    "resolve_settings",
]

_SPECIAL_PIECES = 4  # RoBERTa's <s> question </s></s> context </s>; BERT has three

Precision = Literal["auto", "bf16", "fp32"]


class FinetuneOptions(Options):
    """Options of fine-tuning; None is resolved by `resolve_settings`. Lengths count sub-words with special ones."""

    epochs: float = Field(
        3.0, ge=0, le=1e6, description="Passes over the training data; 0 keeps all weights, a head that fits included."
    )
    learning_rate: Annotated[float, Called(flag="--lr")] = Field(
        1e-4, gt=0, le=1, description="Peak learning rate; 1e-4 suits MiniLM, 2e-5 to 5e-5 larger encoders."
    )
    new_learning_rate: Annotated[float | None, Called(flag="--new-lr")] = Field(
        None, gt=0, le=1, description="Learning rate for newly initialised parameters (default: --lr)."
    )
    batch_size: int = Field(16, ge=1, description="Batch size.")
    max_length: int | None = Field(
        None, ge=8, description="Maximum sequence length in tokens (default: 128, or 384 for question answering)."
    )
    doc_stride: int = Field(
        128, ge=0, description="Tokens shared by neighbouring windows over a context (question answering)."
    )
    warmup: float = Field(0.1, ge=0, le=0.99, description="Share of the steps over which the learning rate rises.")
    weight_decay: float = Field(0.01, ge=0, le=1e6, description="Weight decay; none for biases and norms.")
    layers: int | None = Field(None, ge=1, description="Keep only the first layers of the base.")
    limit: int | None = Field(None, ge=1, description="Train on the first examples only.")
    precision: Precision = Field("auto", description="auto: bf16 where the hardware computes it, else fp32.")


class AugmentOptions(Options):
    """Attacked copies of training examples."""

    suite: Annotated[str | None, Called("augment")] = Field(
        None, description="Train on attacked copies too: a suite, also as NAME@STRENGTH; for any system."
    )
    share: Annotated[float, Called("augment_share")] = Field(
        1.0, gt=0, le=1, description="Share of the examples that get an attacked copy."
    )
    seed: Annotated[int | None, BeforeValidator(as_whole), Called("augment_seed")] = Field(
        None, ge=0, le=SEEDS, description="Seed of that attack, refused in evaluations of the system (default: 1000)."
    )
    without: Annotated[tuple[str, ...], Called("augment_without")] = Field(
        (), description="Leave this operator out of the suite; may be repeated."
    )
    fresh: Annotated[bool | None, Called("fresh_copies")] = Field(
        None, description="Attack again in every epoch, each with the next seed (default: for bert_aug)."
    )
    consistency: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="Weight of the divergence between predictions in clean and attacked copy (not in question"
        " answering).",
    )

    def decides(self, own: str | None) -> dict[str, Any]:
        """Return what decides the copies of a system whose own suite is `own`, as keys of stored results hold it."""
        later = {"fresh": self.is_fresh(own), "consistency": self.consistency}
        return self.model_dump(mode="json", exclude={*later}) | {name: value for name, value in later.items() if value}

    def is_fresh(self, own: str | None) -> bool:
        """Return whether copies are made for every epoch: as asked, else for systems with a suite of their own."""
        return own is not None if self.fresh is None else self.fresh


class FinetuneKeywords(TypedDict, total=False):
    """The keywords of `FinetuneOptions` and `AugmentOptions`, which say what they mean; None stands for the default."""

    epochs: float | None
    learning_rate: float | None
    new_learning_rate: float | None
    batch_size: int | None
    max_length: int | None
    doc_stride: int | None
    warmup: float | None
    weight_decay: float | None
    layers: int | None
    limit: int | None
    precision: Precision | None
    augment: str | None
    augment_share: float | None
    augment_seed: int | None
    augment_without: Sequence[str] | None
    fresh_copies: bool | None
    consistency: float | None


class Reading(Frozen):
    """How much a model that was fine-tuned elsewhere reads at once; see `Settings`."""

    max_length: int
    doc_stride: int = 128
    max_question: int = 64
    max_answer: int = 30
    n_best: int = 20


def reading_of(family: Family, limits: Limits) -> Reading:
    """Return how much is read at once: all that the model takes; of contexts, windows of the usual length."""
    usual = 384 * limits.scale if family == "question_answering" else limits.longest
    length = min(usual, limits.longest)
    question = min(64 * limits.scale, length // 3)
    stride = min(128, (length - question - _SPECIAL_PIECES) // 2)
    return Reading(max_length=length, doc_stride=stride, max_question=question, max_answer=30 * limits.scale)


class Settings(Frozen):
    """All that decides the outcome besides data, base and system, as stored in `system.json`.

    `new_learning_rate` is that of the head and of what a plain encoder lacks (None: as the rest). `warmup` is the share
    of steps over which the learning rate rises (it then falls linearly to 0). `doc_stride` is what neighbouring windows
    over a context share; a question is cut to `max_question`; an answer has at most `max_answer`. `limit` keeps the
    first examples.
    """

    seed: int
    epochs: float
    learning_rate: float
    batch_size: int
    max_length: int
    warmup: float
    weight_decay: float
    bf16: bool
    layers: int | None
    limit: int | None
    new_learning_rate: float | None = None
    doc_stride: int = 128
    max_question: int = 64
    max_answer: int = 30
    n_best: int = 20


def resolve_settings(
    options: FinetuneOptions, *, seed: int, family: Family, positions: int, scale: int = 1
) -> Settings:
    """Return the settings of a run. Raises InputError for a length that the base does not read.

    `positions` is the longest input that the encoder takes; default lengths are `scale` times those of sub-words.
    """
    seed, length = seed_of(seed), options.max_length
    if length is None:
        length = min(scale * (384 if family == "question_answering" else 128), positions)
    within("max_length", length, 8, positions)
    question = min(64 * scale, length // 3)
    room = length - question - _SPECIAL_PIECES
    if family == "question_answering" and options.doc_stride >= room:
        found, expected = str(options.doc_stride), f"a number from 0 to {room - 1}"
        fix = "Windows must move on: lower `doc_stride=` or raise `max_length=`."
        raise InputError(Option("doc_stride"), found=found, expected=expected, fix=fix)
    chosen = options.model_dump(exclude={"precision", "max_length"})
    lengths = {"max_length": length, "max_question": question, "max_answer": 30 * scale}
    return Settings(seed=seed, bf16=bf16_of(options.precision), **lengths, **chosen)


def bf16_of(precision: Precision) -> bool:
    """Return whether training computes in bfloat16."""
    return bf16_helps() if precision == "auto" else precision == "bf16"


def bf16_helps() -> bool:
    """Return whether bfloat16 is computed in hardware here: on a GPU that says so, or a CPU with avx512_bf16 or AMX."""
    if installed("torch"):
        import torch

        if torch.cuda.is_available():
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        if torch.accelerator.is_available():
            return False
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags

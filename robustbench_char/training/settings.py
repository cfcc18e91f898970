"""The settings of fine-tuning, resolved and checked; what a family needs of them at prediction time too."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, TypedDict

import torch

from robustbench_char.common import InputError
from robustbench_char.common.frozen import Frozen
from robustbench_char.tasks.base import Family

__all__ = ["Options", "Settings", "bf16_helps", "resolve_settings", "within"]

_SPECIAL_PIECES = 4  # RoBERTa's <s> question </s></s> context </s>; BERT has three


class Settings(Frozen):
    """All that decides the outcome besides data, base and system. Lengths count sub-words with special ones.

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


class Options(TypedDict, total=False):
    """The settings that a user may choose; what is left out (or None) is resolved by `resolve_settings`.

    `max_length` is 128 sub-words by default, 384 for question answering; four times that many characters or bytes.
    `bf16` is by default what `bf16_helps` says.
    """

    seed: int
    epochs: float
    learning_rate: float
    new_learning_rate: float | None
    batch_size: int
    max_length: int | None
    doc_stride: int
    warmup: float
    weight_decay: float
    bf16: Literal["auto"] | bool
    layers: int | None
    limit: int | None


def resolve_settings(options: Options, *, family: Family, positions: int, scale: int = 1) -> Settings:
    """Return the settings of a run. Raises InputError for the first one out of range.

    `positions` is the longest input that the encoder takes; default lengths are `scale` times those of sub-words.
    """
    length = options.get("max_length")
    if length is None:
        length = min(scale * (384 if family == "question_answering" else 128), positions)
    bf16 = options.get("bf16", "auto")
    settings = Settings(
        seed=options.get("seed", 0),
        epochs=float(options.get("epochs", 3.0)),
        learning_rate=options.get("learning_rate", 1e-4),
        new_learning_rate=options.get("new_learning_rate"),
        batch_size=options.get("batch_size", 16),
        max_length=length,
        warmup=options.get("warmup", 0.1),
        weight_decay=options.get("weight_decay", 0.01),
        bf16=bf16_helps() if bf16 == "auto" else bf16,
        layers=options.get("layers"),
        limit=options.get("limit"),
        doc_stride=options.get("doc_stride", 128),
        max_question=min(64 * scale, length // 3),
        max_answer=30 * scale,
    )
    _check(settings, family, positions)
    return settings


def _check(settings: Settings, family: Family, positions: int) -> None:
    within("--epochs", settings.epochs, 0.0, 1e6, above=True)
    within("--lr", settings.learning_rate, 0.0, 1.0, above=True)
    if settings.new_learning_rate is not None:
        within("--new-lr", settings.new_learning_rate, 0.0, 1.0, above=True)
    within("--batch-size", settings.batch_size, 1)
    within("--max-length", settings.max_length, 8, positions)
    within("--warmup", settings.warmup, 0.0, 0.99)
    within("--weight-decay", settings.weight_decay, 0.0)
    within("--seed", settings.seed, 0, 2**32 - 1)
    if settings.limit is not None:
        within("--limit", settings.limit, 1)
    room = settings.max_length - settings.max_question - _SPECIAL_PIECES
    if family == "question_answering" and not 0 <= settings.doc_stride < room:
        raise InputError(
            "--doc-stride",
            found=str(settings.doc_stride),
            expected=f"a number from 0 to {room - 1}",
            fix="Windows must move on: lower --doc-stride or raise --max-length.",
        )


def within(option: str, value: float, low: float, high: float = math.inf, *, above: bool = False) -> None:
    """Raise InputError unless `low` <= `value` <= `high` (which refuses NaN too); `above` leaves `low` out."""
    if not low <= value <= high or (above and value == low):
        least = f"more than {low}" if above else f"at least {low}"
        expected = least if high == math.inf else f"{least} and at most {high}"
        raise InputError(option, found=str(value), expected=expected, fix="Correct the number.")


def bf16_helps() -> bool:
    """Return whether bfloat16 is computed in hardware here: on a GPU that says so, or a CPU with avx512_bf16 or AMX."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.accelerator.is_available():
        return False
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags

"""The settings of pre-training, resolved and checked."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypedDict

from robustbench_char.attacks.suites import Strength, Suite, load_suites
from robustbench_char.common import InputError, nearest
from robustbench_char.common.frozen import Frozen
from robustbench_char.training.settings import bf16_helps, within

__all__ = [
    "PRETRAINED",
    "NoisedWords",
    "PretrainOptions",
    "PretrainSettings",
    "UnknownTerms",
    "Vocabularies",
    "check_system",
    "resolve_pretraining",
]

PRETRAINED = ("bert_mlm", "advbert", "charbert")
"""The systems that are pre-trained; the others start from any base."""

UnknownTerms = Literal["ignore", "class"]
NoisedWords = Literal["predict", "context"]
CharacterCase = Literal["lower", "surface"]


class PretrainSettings(Frozen):
    """All that decides the outcome besides texts, base and system; what a system has no use for is None.

    `noise`: share of the suite's eligible words that are noised; `mask`: share of the pieces that are masked.
    `batch_size`: blocks a step and process; `block_size`: sub-words a block, with the two special ones. `warmup`: share
    of the steps. `heldout_blocks`: how many blocks of held-out text are scored every `evaluate_every` steps.
    """

    suite: str | None
    suite_sha256: str | None
    noise: float | None
    mask: float
    steps: int
    batch_size: int
    block_size: int
    learning_rate: float
    new_learning_rate: float
    warmup: float
    weight_decay: float
    seed: int
    bf16: bool
    layers: int | None
    evaluate_every: int
    heldout_blocks: int
    noised_words: NoisedWords | None = None
    term_vocab_size: int | None = None
    unknown_terms: UnknownTerms | None = None
    char_vocab_size: int | None = None
    character_case: CharacterCase | None = None
    interaction: bool | None = None


class PretrainOptions(TypedDict, total=False):
    """The settings that a user may choose; what is left out, or None, is resolved by `resolve_pretraining`.

    `term_vocab_size` (30,000), `unknown_terms` (ignore), `char_vocab_size` (1000), `character_case` (lower on an
    uncased base) and `interaction` (yes) come from the base where `pretrain` wrote it. `block_size` is 128 by default,
    or what the base holds; `evaluate_every` is a tenth of the steps.
    """

    suite: str
    noise: float
    mask: float
    steps: int
    batch_size: int
    block_size: int | None
    learning_rate: float
    new_learning_rate: float
    warmup: float
    weight_decay: float
    seed: int
    bf16: Literal["auto"] | bool
    layers: int | None
    evaluate_every: int | None
    heldout_blocks: int
    noised_words: NoisedWords
    term_vocab_size: int | None
    unknown_terms: UnknownTerms | None
    char_vocab_size: int | None
    character_case: CharacterCase | None
    interaction: bool | None


class Vocabularies(NamedTuple):
    """What a base that `pretrain` wrote for CharBERT fixes: sizes, the rule for unknown terms, case, interaction."""

    term_vocab_size: int
    unknown_terms: UnknownTerms
    char_vocab_size: int
    character_case: CharacterCase
    interaction: bool


def resolve_pretraining(
    system: str, options: PretrainOptions, *, positions: int, lower: bool, fixed: Vocabularies | None = None
) -> tuple[PretrainSettings, Suite | None]:
    """Return the settings of a run and its noise (None for clean text).

    `positions`: the longest input of the base; `lower`: whether it is uncased. Raises InputError for an unknown system
    or suite, the first setting out of range, and one that contradicts `fixed`.
    """
    check_system(system)
    suite = None if system == "bert_mlm" else _noise(options.get("suite", "charbert_nlm_2020"), options)
    steps = options.get("steps", 1000)
    every, block_size = options.get("evaluate_every"), options.get("block_size")
    bf16 = options.get("bf16", "auto")
    settings = PretrainSettings(
        suite=suite.name if suite else None,
        suite_sha256=suite.sha256 if suite else None,
        noise=suite.strength.rate if suite else None,
        mask=options.get("mask", 0.10),
        steps=steps,
        batch_size=options.get("batch_size", 16),
        block_size=min(128, positions) if block_size is None else block_size,
        learning_rate=options.get("learning_rate", 1e-4),
        new_learning_rate=options.get("new_learning_rate", 1e-3),
        warmup=options.get("warmup", 0.1),
        weight_decay=options.get("weight_decay", 0.01),
        seed=options.get("seed", 0),
        bf16=bf16_helps() if bf16 == "auto" else bf16,
        layers=options.get("layers"),
        evaluate_every=max(1, steps // 10) if every is None else every,
        heldout_blocks=options.get("heldout_blocks", 128),
        noised_words=options.get("noised_words", "predict") if system == "advbert" else None,
        **(_vocabularies(options, lower, fixed) if system == "charbert" else {}),
    )
    _check(settings, positions)
    return settings, suite


def check_system(system: str) -> None:
    """Raise InputError for a system that is not pre-trained."""
    if system not in PRETRAINED:
        raise InputError(
            "SYSTEM",
            found=repr(system),
            expected=f"one of {', '.join(PRETRAINED)}",
            fix=f"The other systems start from any base checkpoint.{nearest(system, PRETRAINED)}",
        )


def _noise(name: str, options: PretrainOptions) -> Suite:
    """Return the suite with the share of words that is asked for. Raises InputError for a sweep."""
    suites = load_suites(name, task="pretrain")
    path = name.endswith((".yaml", ".yml"))  # the name of a folder may hold an @
    share = float(options.get("noise", 0.15))
    within("--noise", share, 0.0, 1.0)
    if len(suites) > 1 or ("@" in name and not path):
        raise InputError(
            "--suite",
            found=f"{name!r}, which sets strengths",
            expected="a suite without a strength",
            fix="--noise sets the share of words; name the plain suite.",
        )
    return suites[0].model_copy(update={"strength": Strength(rate=share)})


def _vocabularies(options: PretrainOptions, lower: bool, fixed: Vocabularies | None) -> dict[str, Any]:
    """Return CharBERT's own settings: those of the base, where it has them. Raises InputError where they differ."""
    plain = Vocabularies(30_000, "ignore", 1000, "lower" if lower else "surface", True)._asdict()
    asked = {name: value for name in plain if (value := options.get(name)) is not None}
    if fixed is None:
        return plain | asked
    for name, value in asked.items():
        if value != getattr(fixed, name):
            raise InputError(
                f"--{name.replace('_', '-')}",
                found=str(value),
                expected=f"{getattr(fixed, name)}, as the base was pre-trained",
                fix="Leave the option out to go on from this base, or start from a plain one.",
            )
    return fixed._asdict()


def _check(settings: PretrainSettings, positions: int) -> None:
    within("--mask", settings.mask, 0.0, 0.9, above=True)
    within("--steps", settings.steps, 1)
    within("--batch-size", settings.batch_size, 1)
    within("--block-size", settings.block_size, 8, positions)
    within("--lr", settings.learning_rate, 0.0, 1.0, above=True)
    within("--new-lr", settings.new_learning_rate, 0.0, 1.0, above=True)
    within("--warmup", settings.warmup, 0.0, 0.99)
    within("--weight-decay", settings.weight_decay, 0.0, 1e6)
    within("--seed", settings.seed, 0, 2**32 - 1)
    within("--evaluate-every", settings.evaluate_every, 1)
    within("--heldout-blocks", settings.heldout_blocks, 1)
    if settings.term_vocab_size is not None:
        within("--term-vocab-size", settings.term_vocab_size, 1, 10**7)
    if settings.char_vocab_size is not None:
        within("--char-vocab-size", settings.char_vocab_size, 1, 10**5)

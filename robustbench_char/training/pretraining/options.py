"""The options of pre-training as a user may choose them, and the settings that they are resolved to.

Quick to import: commands are described by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict, cast

from pydantic import Field

from robustbench_char.common.errors import InputError, nearest
from robustbench_char.common.frozen import Frozen
from robustbench_char.common.options import Called, Option, Options, fields_of, within
from robustbench_char.common.seeds import seed_of
from robustbench_char.training.options import Precision, bf16_of

if TYPE_CHECKING:
    from robustbench_char.attacks.suites import Suite

__all__ = ["PretrainOptions", "resolve_pretraining"]

PRETRAINED = ("bert_mlm", "advbert", "charbert", "characters")
"""What is pre-trained: three systems, the others start from any base; and the characters of `charbert` alone."""

UnknownTerms = Literal["ignore", "class"]
NoisedWords = Literal["predict", "context"]
CharacterCase = Literal["lower", "surface"]
CharacterUnit = Literal["word", "piece"]
Interaction = Literal["residual", "released", "none"]


class PretrainOptions(Options):
    """Options of pre-training; None is resolved by `resolve_pretraining` (vocabularies by a base that has them)."""

    suite: str | None = Field(
        None, description="Attack suite that noises words (default: charbert_nlm_2020; characters: wide)."
    )
    noise: float | None = Field(
        None, ge=0, le=1, description="Share of the eligible words that are noised (default: 0.15; characters: 0.75)."
    )
    mask: float = Field(0.10, gt=0, le=0.9, description="Share of the tokens that are masked, in whole words.")
    steps: int | None = Field(
        None, ge=0, description="Training steps (default: 1000; characters: 3000); 0: heads and vocabularies alone."
    )
    batch_size: int | None = Field(
        None, ge=1, description="Batch size of each process, in blocks (default: 16), or words (characters: 384)."
    )
    block_size: int | None = Field(
        None, ge=8, description="Block length in tokens (default: 128, or what the base holds)."
    )
    learning_rate: Annotated[float, Called(flag="--lr")] = Field(
        1e-4, gt=0, le=1, description="Peak learning rate for parameters of the base."
    )
    new_learning_rate: Annotated[float | None, Called(flag="--new-lr")] = Field(
        None, gt=0, le=1, description="Peak learning rate for new parameters (default: 0.001; characters: 0.002)."
    )
    warmup: float = Field(0.1, ge=0, le=0.99, description="Share of the steps over which the learning rates rise.")
    weight_decay: float = Field(0.01, ge=0, le=1e6, description="Weight decay; none for biases and norms.")
    noised_words: NoisedWords = Field(
        "predict", description="advbert: predict the clean word's tokens at noised ones, or only read them."
    )
    term_vocab_size: int | None = Field(
        None, ge=1, le=10**7, description="charbert: words that can be named (default: 30000)."
    )
    unknown_terms: UnknownTerms | None = Field(
        None, description="charbert: ignore other words (default), or a class of their own."
    )
    char_vocab_size: int | None = Field(
        None, ge=1, le=10**5, description="charbert: characters that are told apart (default: 1000)."
    )
    character_case: CharacterCase | None = Field(
        None, description="charbert: case of characters (default: lower on an uncased base, else surface)."
    )
    interaction: Interaction | None = Field(
        None,
        description="charbert: how streams are mixed: gated residual (default), as released in 2020, or not at all.",
    )
    character_unit: CharacterUnit | None = Field(
        None,
        description="charbert: read the characters of each word (default), or of each sub-word as released in 2020.",
    )
    character_positions: bool | None = Field(
        None,
        description="charbert: give characters the base's positions and norm (default: yes, unless mixed as released).",
    )
    layers: int | None = Field(None, ge=1, description="Keep only the first layers of the base.")
    precision: Precision = Field("auto", description="auto: bf16 where the hardware computes it, else fp32.")
    evaluate_every: int | None = Field(
        None, ge=1, description="Steps between scores on held-out text (default: a tenth of --steps)."
    )
    heldout_blocks: int = Field(128, ge=1, description="Blocks of held-out text that are scored.")


class PretrainKeywords(TypedDict, total=False):
    """The keywords of `PretrainOptions`, which says what they mean; None stands for the default."""

    suite: str | None
    noise: float | None
    mask: float | None
    steps: int | None
    batch_size: int | None
    block_size: int | None
    learning_rate: float | None
    new_learning_rate: float | None
    warmup: float | None
    weight_decay: float | None
    noised_words: NoisedWords | None
    term_vocab_size: int | None
    unknown_terms: UnknownTerms | None
    char_vocab_size: int | None
    character_case: CharacterCase | None
    interaction: Interaction | None
    character_unit: CharacterUnit | None
    character_positions: bool | None
    layers: int | None
    precision: Precision | None
    evaluate_every: int | None
    heldout_blocks: int | None


class PretrainSettings(Frozen):
    """All that decides the outcome besides texts, base and system, as stored; what a system has no use for is None.

    `noise`: share of the suite's eligible words that are noised; `mask`: share of the pieces that are masked.
    `batch_size`: blocks per step and process; `block_size`: sub-words per block, with the two special ones. `warmup`:
    share of the steps. `heldout_blocks`: how many blocks of held-out text are scored every `evaluate_every` steps.
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
    interaction: Interaction | bool | None = None
    character_unit: CharacterUnit | None = None
    character_positions: bool | None = None


class CharacterSettings(Frozen):
    """All that decides trained characters besides word lists, texts, base and system, as stored.

    `noise`: share of the words that are noised by the suite; `batch_size`: words per step.
    """

    suite: str
    suite_sha256: str
    noise: float
    steps: int
    batch_size: int
    new_learning_rate: float
    seed: int
    term_vocab_size: int | None
    char_vocab_size: int
    character_case: CharacterCase


_OF_CHARACTERS = frozenset(CharacterSettings.model_fields)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "characters": {"suite": "wide", "noise": 0.75, "steps": 3000, "batch_size": 384, "new_learning_rate": 2e-3}
}
_USUAL = {"suite": "charbert_nlm_2020", "noise": 0.15, "steps": 1000, "batch_size": 16, "new_learning_rate": 1e-3}


def defaults_of(system: str, options: PretrainOptions) -> PretrainOptions:
    """Return the options with what is left to the system filled in. Raises InputError for an unknown system."""
    check_system(system)
    usual = {**_USUAL, **_DEFAULTS.get(system, {})}
    return options.model_copy(update={name: value for name, value in usual.items() if getattr(options, name) is None})


def resolve_characters(
    options: PretrainOptions, *, seed: int, lower: bool, text: bool
) -> tuple[CharacterSettings, Suite]:
    """Return the settings of training characters, and its noise. `lower`: the base is uncased; `text`: there is one.

    Raises InputError for a suite that cannot be used, and for an option that training characters does not have.
    """
    seed = seed_of(seed)
    for field in fields_of(PretrainOptions):
        value = getattr(options, field.name)
        if field.name not in _OF_CHARACTERS and value != field.info.default:
            expected, fix = "no such option for characters, which are trained alone", "Leave it out."
            raise InputError(Option(field.keyword), found=str(value), expected=expected, fix=fix)
    filled = defaults_of("characters", options)
    suite = _noise(filled)
    plain: dict[str, Any] = {"char_vocab_size": 1000, "character_case": "lower" if lower else "surface"}
    asked = filled.model_dump(include=set(_OF_CHARACTERS), exclude_none=True)
    terms = (filled.term_vocab_size or 30_000) if text else None
    named = {"suite": suite.name, "suite_sha256": suite.sha256, "seed": seed, "term_vocab_size": terms}
    return CharacterSettings(**{**plain, **asked, **named}), suite


class Vocabularies(NamedTuple):
    """What a base of CharBERT fixes: vocabularies, and how characters are read and mixed in; None: it does not.

    One that `pretrain characters` wrote fixes the characters alone.
    """

    term_vocab_size: int | None
    unknown_terms: UnknownTerms | None
    char_vocab_size: int
    character_case: CharacterCase
    interaction: Interaction | None
    character_unit: CharacterUnit
    character_positions: bool | None


def resolve_pretraining(
    system: str, options: PretrainOptions, *, seed: int, positions: int, lower: bool, fixed: Vocabularies | None = None
) -> tuple[PretrainSettings, Suite | None]:
    """Return the settings of a run and its noise (None for clean text).

    `positions`: the longest input of the base; `lower`: whether it is uncased. Raises InputError for an unknown system
    or suite, a block that the base does not hold, and an option that contradicts `fixed`.
    """
    options, seed = defaults_of(system, options), seed_of(seed)
    suite = None if system == "bert_mlm" else _noise(options)
    block_size = min(128, positions) if options.block_size is None else options.block_size
    within("block_size", block_size, 8, positions)
    own = {"precision", "suite", "noise", "block_size", "evaluate_every", "noised_words", *Vocabularies._fields}
    settings = PretrainSettings(
        suite=suite.name if suite else None,
        suite_sha256=suite.sha256 if suite else None,
        noise=suite.strength.rate if suite else None,
        block_size=block_size,
        seed=seed,
        bf16=bf16_of(options.precision),
        evaluate_every=options.evaluate_every or max(1, cast(int, options.steps) // 10),
        noised_words=options.noised_words if system == "advbert" else None,
        **options.model_dump(exclude=own),
        **(_vocabularies(options, lower, fixed) if system == "charbert" else {}),
    )
    return settings, suite


def check_system(system: str) -> None:
    """Raise InputError for a system that is not pre-trained."""
    if system not in PRETRAINED:
        fix = f"The other systems start from any base checkpoint.{nearest(system, PRETRAINED)}"
        raise InputError("SYSTEM", found=repr(system), expected=f"one of {', '.join(PRETRAINED)}", fix=fix)


def _noise(options: PretrainOptions) -> Suite:
    """Return the suite with the share of words that is asked for. Raises InputError for a sweep."""
    from robustbench_char.attacks.suites import Strength, check_keeps_words, load_suites

    name = cast(str, options.suite)
    suites = load_suites(name, task="pretrain", place=Option("suite"))
    path = name.endswith((".yaml", ".yml"))  # the name of a folder may hold an @
    if len(suites) > 1 or ("@" in name and not path):
        found, expected = f"{name!r}, which sets strengths", "a suite without a strength"
        fix = "`noise=` sets the share of words; name the plain suite."
        raise InputError(Option("suite"), found=found, expected=expected, fix=fix)
    check_keeps_words(suites[0], "pre-training recovers the clean word of each", place=Option("suite"))
    return suites[0].model_copy(update={"strength": Strength(rate=options.noise)})


def _vocabularies(options: PretrainOptions, lower: bool, fixed: Vocabularies | None) -> dict[str, Any]:
    """Return CharBERT's own settings: those of the base, where it has them. Raises InputError where they differ."""
    mixed, released = options.interaction or "residual", options.interaction == "released"
    case: CharacterCase = "lower" if lower else "surface"
    unit: CharacterUnit = "piece" if released else "word"
    plain = Vocabularies(30_000, "ignore", 1000, case, mixed, unit, not released)._asdict()
    asked = {name: value for name in plain if (value := getattr(options, name)) is not None}
    known = {} if fixed is None else {name: value for name, value in fixed._asdict().items() if value is not None}
    for name, value in asked.items():
        if value != known.get(name, value):
            expected = f"{known[name]}, as the base was pre-trained"
            fix = "Leave the option out to go on from this base, or start from a plain one."
            raise InputError(Option(name), found=str(value), expected=expected, fix=fix)
    return plain | asked | known

"""CharBERT in pre-training: its vocabularies from the text, its model from the base, the characters of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from robustbench_char.common import InputError
from robustbench_char.models.charbert.characters import CharacterVocabulary, lay_out
from robustbench_char.models.charbert.configuration import CharBertConfig
from robustbench_char.models.charbert.modeling import CharBertForMaskedLM
from robustbench_char.models.charbert.processor import CharBertProcessor
from robustbench_char.models.checkpoints import Base, load_config
from robustbench_char.models.inputs import IntArray
from robustbench_char.training.pretraining.models import Built, load_masked_lm
from robustbench_char.training.pretraining.options import PretrainSettings, Vocabularies
from robustbench_char.training.pretraining.terms import TERMS, TermVocabulary

__all__ = ["PieceCharacters", "build_charbert", "fixed_vocabularies"]


@dataclass(frozen=True)
class PieceCharacters:
    """Character inputs of a block, whose pieces come from several texts.

    Masked pieces expose none, whatever the model reads in their place: else a kept piece would give its word away.
    """

    processor: CharBertProcessor

    def __call__(self, surfaces: Sequence[str], masked: Sequence[bool]) -> dict[str, IntArray]:
        """Return `char_input_ids` [C], `start_ids` and `end_ids` [T] from the text of each piece."""
        ids = self.processor.vocabulary.ids
        hidden = (ids.mask, ids.separator)
        spelling = self.processor.spelling
        return lay_out(
            [hidden if mask else spelling(surface.strip()) for surface, mask in zip(surfaces, masked, strict=True)]
        )


def fixed_vocabularies(base: Base) -> tuple[Vocabularies, TermVocabulary, CharacterVocabulary] | None:
    """Return the vocabularies of a base that is a CharBERT (None for a plain one).

    Raises InputError where one is missing, or does not match the model.
    """
    config = load_config(base.folder)
    if config.model_type != CharBertConfig.model_type:
        return None
    terms, characters = TermVocabulary.load(base.folder), CharacterVocabulary.load(base.folder)
    _must_match(base.folder / TERMS, terms.classes, config.term_vocab_size, "terms")
    _must_match(base.folder, len(characters), config.char_vocab_size, "characters")
    size = len(characters.characters)
    return (
        Vocabularies(len(terms.terms), terms.unknown, size, config.character_case, config.interaction),
        terms,
        characters,
    )


def _must_match(place: Path, found: int, expected: int | None, what: str) -> None:
    if found != expected:
        raise InputError(
            place,
            found=f"a vocabulary of {found} {what}",
            expected=f"{expected}, as the model in the same folder has",
            fix="Copy the whole folder that `pretrain` wrote, or start from a plain base.",
        )


def build_charbert(
    base: Base, settings: PretrainSettings, terms: TermVocabulary, characters: CharacterVocabulary
) -> Built:
    """Return CharBERT with both heads on a base; what the base lacks is drawn from the seed."""
    config = CharBertConfig.from_base(
        load_config(base.folder, layers=settings.layers),
        char_vocab_size=len(characters),
        term_vocab_size=terms.classes,
        character_case=settings.character_case,
        interaction=settings.interaction,
        sparse_prediction=True,
    )
    return load_masked_lm(CharBertForMaskedLM, base.folder, config, settings.seed)

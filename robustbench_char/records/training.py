"""What records say of a system's training: how its base was pre-trained, and which attacked copies it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.frozen import Frozen

if TYPE_CHECKING:
    from robustbench_char.attack_sets.manifest import Manifest

__all__ = ["AugmentInfo", "PretrainingInfo", "TrainedAttackInfo"]


class TrainedAttackInfo(Frozen):
    """The attack that a training file itself had gone through. `operators` are those that made edits in it.

    `clean_sha256` is the hash of the file before the attack.
    """

    suite: str
    suite_sha256: str
    seed: int
    operators: tuple[str, ...]
    clean_sha256: str

    @classmethod
    def of(cls, manifest: Manifest) -> TrainedAttackInfo:
        """Return what records say of the attack that a manifest stands for."""
        return cls(
            suite=manifest.suite.name,
            suite_sha256=manifest.suite_sha256,
            seed=manifest.seed,
            operators=tuple(name for name, number in manifest.counts.by_operator.items() if number),
            clean_sha256=manifest.input.sha256,
        )


class PretrainingInfo(Frozen):
    """How the base was pre-trained from plain text. `noise` names the suite or recipe, None for clean text.

    `tokens` are the sub-words that training saw, special ones included; `noise_share` is the share of eligible words
    that were noised (0: clean text, whatever `noise` names). Characters were trained alone under `character_noise`.
    `attacks` are those that the text itself, also that of an earlier pre-training, had gone through.
    """

    system: str
    base: str
    steps: int
    tokens: int
    tokens_per_second: float | None = None
    wall_seconds: float | None = None
    text: tuple[str, ...] = ()
    text_sha256: str | None = None
    noise: str | None = None
    noise_share: float | None = None
    character_noise: str | None = None
    character_operators: tuple[str, ...] = ()
    attacks: tuple[TrainedAttackInfo, ...] = ()


class AugmentInfo(Frozen):
    """The attacked copies that fine-tuning saw. `operators` are those that were used; `without` were left out.

    `fresh` copies are made for each epoch, with the next of `seeds` seeds from `seed` on. `consistency` is the weight
    of the divergence between predictions in clean and attacked copy.
    """

    suite: str
    suite_sha256: str
    operators: tuple[str, ...]
    without: tuple[str, ...] = ()
    share: float
    seed: int
    fresh: bool = False
    seeds: int = 1
    consistency: float = 0.0

"""Attacked data sets: writing, verifying and showing the attacked file, its edit ledger and its manifest."""

from __future__ import annotations

from robustbench_char.attack_sets.aligned import aligned_words
from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attack_sets.in_memory import attack
from robustbench_char.attack_sets.manifest import Manifest, is_set, read_manifest, sets_below
from robustbench_char.attack_sets.show import shown_examples
from robustbench_char.attack_sets.verify import verify

__all__ = [
    "Manifest", "aligned_words", "attack", "attack_file", "is_set", "read_manifest", "sets_below", "shown_examples",
    "verify",
]  # fmt: skip

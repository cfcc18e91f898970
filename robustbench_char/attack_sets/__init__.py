"""Attacked data sets: writing, verifying and showing the attacked file, its edit ledger and its manifest."""

from __future__ import annotations

from robustbench_char.attack_sets.attack import attack, attack_file, attack_with_ledger
from robustbench_char.attack_sets.manifest import Manifest, read_manifest, sets_below
from robustbench_char.attack_sets.show import shown_examples
from robustbench_char.attack_sets.verify import verify

__all__ = [
    "Manifest", "attack", "attack_file", "attack_with_ledger", "read_manifest", "sets_below", "shown_examples",
    "verify",
]  # fmt: skip

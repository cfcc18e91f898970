"""Character attacks: operators, eligibility of words, the engine that edits a column of texts, the edit ledger.

To add an operator: write it in its own file as an `Operator` (see operators.py) and register it in
`operators.OPERATORS`; the property tests run over all registered names. To add a suite: a YAML file in the top-level
folder `attacks/`.
"""

from __future__ import annotations

from robustbench_char.attacks.engine import Batch, Outcome, attack_batch
from robustbench_char.attacks.suites import Suite, load_suites, suite_names

__all__ = ["Batch", "Outcome", "Suite", "attack_batch", "load_suites", "suite_names"]

"""robustbench-char: how much does an NLP model break when people mistype, and which defence helps?

Importing this package imports neither torch nor anything that reaches the network.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

__all__ = ["__version__", "attack"]


def __getattr__(name: str) -> object:
    """Load the public functions when first used, so that the import stays quick."""
    if name == "attack":
        return importlib.import_module("robustbench_char.attack_sets.attack").attack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

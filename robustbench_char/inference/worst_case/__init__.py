"""The worst case of a model: which edits within a suite hurt it most, each example by itself.

`_units` lists what may be done to the examples of a file, `_judge` asks the model (through its defence) how well it
does on candidates, `_pool` lets the searches of many examples share its batches, `run` writes what they found as an
attack set with a record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.inference.worst_case.run import WorstCase, worst_case

__all__ = ["WorstCase", "worst_case"]

__getattr__ = lazy_names(__name__, run="WorstCase worst_case")

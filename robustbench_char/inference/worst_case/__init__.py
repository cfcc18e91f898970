"""The worst case of a model: which edits within a suite hurt it most, each example by itself.

`_units` lists what may be done to the examples of a file, `_judge` asks the model (through its defence) how well it
does on candidates, `_pool` lets the searches of many examples share its batches, `_parts` searches a part of the
examples, `run` writes what they found as an attack set with a record. All names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robustbench_char.common.registry import lazy_names

if TYPE_CHECKING:
    from robustbench_char.inference.worst_case._parts import Part, Request, read_part, search_part, write_part
    from robustbench_char.inference.worst_case._plan import Plan, plan_of
    from robustbench_char.inference.worst_case.options import SearchKeywords, SearchOptions
    from robustbench_char.inference.worst_case.run import WorstCase, worst_case, write_parts

__all__ = [
    "Part", "Plan", "Request", "SearchKeywords", "SearchOptions", "WorstCase", "plan_of", "read_part", "search_part",
    "worst_case", "write_part", "write_parts",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    _parts="Part Request read_part search_part write_part",
    _plan="Plan plan_of",
    options="SearchKeywords SearchOptions",
    run="WorstCase worst_case write_parts",
)

"""From records to statistics: pairs of results, seeds, intervals and tests, breakdowns, profiles, two runs compared.

Reads records and their counts, never a model; never imports torch. `metrics` defines scores; this room
defines comparisons of them (see docs/metrics.md). To add a number to tables, add its function to `CHANGES` in `pairs`
(of a clean and an attacked score), or a method to `Statistics` (with an interval).
"""

from __future__ import annotations

from robustbench_char.analysis.breakdowns import breakdown_frame, cell_statistics
from robustbench_char.analysis.compare_runs import SetComparison, compare
from robustbench_char.analysis.pairs import Pair, comparison_table, pair_records, seed_frame
from robustbench_char.analysis.profiles import profile_frame
from robustbench_char.analysis.statistics import Statistics, statistics_of

__all__ = [
    "Pair", "SetComparison", "Statistics", "breakdown_frame", "cell_statistics", "compare", "comparison_table",
    "pair_records", "profile_frame", "seed_frame", "statistics_of",
]  # fmt: skip

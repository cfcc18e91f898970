"""Stored results: evaluation, counts, sensitivity, costs; each typed and with its provenance.

`find_records` and its like read the folder of a run and a published set (see `published`) alike. Never imports torch.
"""

from __future__ import annotations

from robustbench_char.records.counts import cell_counts, count_table, write_counts
from robustbench_char.records.defence_price import PriceRecord, WordErrors, find_prices
from robustbench_char.records.evaluation import (
    AttackInfo,
    DataInfo,
    DefenceInfo,
    PredictorInfo,
    Record,
    SystemInfo,
    find_records,
    read_counts,
    read_predictions,
    read_record,
    result_part,
    write_predictions,
    write_record,
)
from robustbench_char.records.published import find_files, publish
from robustbench_char.records.sensitivity import (
    FragilityRecord,
    SensitivityRecord,
    find_fragility,
    find_sensitivities,
    read_profiles,
    read_words,
    summary_of,
    write_sensitivity,
)
from robustbench_char.records.training import AugmentInfo, PretrainingInfo
from robustbench_char.records.worst_case import WorstCaseRecord, WorstCases, find_worst_cases

__all__ = [
    "AttackInfo", "AugmentInfo", "DataInfo", "DefenceInfo", "FragilityRecord", "PredictorInfo", "PretrainingInfo",
    "PriceRecord", "Record", "SensitivityRecord", "SystemInfo", "WordErrors", "WorstCaseRecord", "WorstCases",
    "cell_counts", "count_table", "find_files", "find_fragility", "find_prices", "find_records", "find_sensitivities",
    "find_worst_cases", "publish", "read_counts", "read_predictions", "read_profiles", "read_record", "read_words",
    "result_part", "summary_of", "write_counts", "write_predictions", "write_record", "write_sensitivity",
]  # fmt: skip

"""Reports: tables, figures and the HTML page, made from records and their predictions, never from a model.

To add a section, see `robustbench_char.reports.sections`.
"""

from __future__ import annotations

from robustbench_char.reports.evidence import report_frame
from robustbench_char.reports.figures._bars import score_figure
from robustbench_char.reports.page import report_figures, report_tables, write_report
from robustbench_char.reports.reference import load_reference, reference_frame

__all__ = [
    "load_reference",
    "reference_frame",
    "report_figures",
    "report_frame",
    "report_tables",
    "score_figure",
    "write_report",
]

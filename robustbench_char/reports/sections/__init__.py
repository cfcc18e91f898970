"""The sections of a report, in the order they are printed.

To add one, write a file here with a function `sections(evidence) -> list[Section]` and register it below by one line.
"""

from __future__ import annotations

from collections.abc import Callable

from robustbench_char.common import Registry
from robustbench_char.reports.blocks import Section
from robustbench_char.reports.evidence import Evidence

__all__ = ["SECTIONS"]

SectionMaker = Callable[[Evidence], list[Section]]

SECTIONS: Registry[SectionMaker] = Registry("report section")
SECTIONS.register("summary", "robustbench_char.reports.sections.summary:sections")
SECTIONS.register("tasks", "robustbench_char.reports.sections.tasks:sections")
SECTIONS.register("defences", "robustbench_char.reports.sections.defences:sections")
SECTIONS.register("scores", "robustbench_char.reports.sections.scores:sections")
SECTIONS.register("examples", "robustbench_char.reports.examples:sections")
SECTIONS.register("operators", "robustbench_char.reports.sections.attacks:operators")
SECTIONS.register("strength", "robustbench_char.reports.sections.attacks:strength")
SECTIONS.register("worst_case", "robustbench_char.reports.sections.worst_case:sections")
SECTIONS.register("breakdowns", "robustbench_char.reports.sections.breakdowns:sections")
SECTIONS.register("sensitivity", "robustbench_char.reports.sections.sensitivity:sections")
SECTIONS.register("fragility", "robustbench_char.reports.sections.words:fragility")
SECTIONS.register("chat", "robustbench_char.reports.sections.chat:sections")
SECTIONS.register("published", "robustbench_char.reports.sections.published:sections")
SECTIONS.register("systems", "robustbench_char.reports.sections.systems:sections")
SECTIONS.register("details", "robustbench_char.reports.sections.details:sections")

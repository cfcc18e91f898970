"""The tables and figures of a report for a notebook, by name: frames of pandas, figures of matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustbench_char.reports.blocks import Block, Picture, Table
from robustbench_char.reports.evidence import read_evidence
from robustbench_char.reports.sections import SECTIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["report_figures", "report_tables"]


def report_tables(folders: list[Path]) -> dict[str, pd.DataFrame]:
    """Return every table that a report on these folders has, unrounded, by the name of its file.

    Raises InputError as `write_report` does.
    """
    return {block.name: block.frame for block in _blocks(folders) if isinstance(block, Table)}


def report_figures(folders: list[Path]) -> dict[str, Figure]:
    """Return every figure that a report on these folders has, by the name of its file.

    Raises InputError as `write_report` does.
    """
    return {block.name: block.figure for block in _blocks(folders) if isinstance(block, Picture)}


def _blocks(folders: list[Path]) -> list[Block]:
    evidence = read_evidence(folders, examples=False)
    return [block for name in SECTIONS for section in SECTIONS.get(name)(evidence) for block in section.blocks]

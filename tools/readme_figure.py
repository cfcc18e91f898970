"""Draw the README's figure from the published results: `python tools/readme_figure.py`."""

from __future__ import annotations

from pathlib import Path

import robustbench_char as rbc
from robustbench_char.reports.figures.style import to_svg

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = ("bert", "bert_mlm", "advbert", "charbert", "bert_wordrec", "bert_aug")
"""Those that every task has; the set holds variants of CharBERT too."""
FIGURE = ROOT / "docs" / "figures" / "before_after.svg"


def drawn() -> str:
    """Return the figure as SVG; the same records give the same text."""
    records = ROOT / "reports" / "results" / "six_systems_gpu" / "records"
    return to_svg(rbc.load_results(*(records / name for name in SYSTEMS)).figure("before_after"), "before_after")


if __name__ == "__main__":
    FIGURE.parent.mkdir(exist_ok=True)
    FIGURE.write_text(drawn(), encoding="utf-8")

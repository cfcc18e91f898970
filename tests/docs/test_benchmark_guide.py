"""The tables of docs/benchmarks.md agree with the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_the_layout_is_that_of_the_code() -> None:
    from robustbench_char.experiments._resolve import LAYOUT

    for train, test in (LAYOUT[task] for task in ("squad_v1", "squad_v2", "cola", "mrpc", "conll2003", "ptb_pos")):
        assert f"`{train}`, `{test}`" in GUIDE


def test_what_is_volatile_is_listed() -> None:
    from robustbench_char.records.evaluation import VOLATILE

    assert "| records | " + ", ".join(f"`{name}`" for name in VOLATILE) + " |" in GUIDE


def test_shipped_benchmarks_are_listed() -> None:
    from robustbench_char.common.files import shipped
    from robustbench_char.experiments.spec import SPECS

    table = GUIDE.partition("| benchmark | what | needs |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == set(shipped(SPECS))


def test_volatile_columns_are_listed(load_module: Callable[[Path], ModuleType]) -> None:
    times = load_module(ROOT / "tests" / "experiments" / "outcomes.py").TIMES
    said = "; ".join(f"`{table}`: " + ", ".join(f"`{name}`" for name in columns) for table, columns in times.items())
    assert f"| tables of the report | {said} |" in GUIDE

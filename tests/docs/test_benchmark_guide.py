"""The tutorial of docs/benchmarks.md works as it stands; its tables agree with the code."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.M | re.S)


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robustbench_char.cli.main import app

    monkeypatch.chdir(tmp_path)
    (spec,) = blocks("yaml")
    Path("tutorial.yaml").write_text(spec, encoding="utf-8")
    said = {}
    for line in blocks("console")[0].splitlines():
        program, *arguments = shlex.split(line)
        assert program == "robustbench-char"
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, (line, result.output)
        said[line] = result.output
    records = [json.loads(path.read_text()) for path in Path("first/records").rglob("record.json")]
    assert {record["system"]["name"] for record in records} == {"bert", "bert_aug"}
    assert len(records) == 2 * (1 + 2 * 2)
    plan, first, again = (text for line, text in said.items() if " run " in line)
    assert "jobs to do" in plan
    assert "report/index.html" in first
    assert "done" in again
    assert Path("first-report/index.html").is_file()


def test_the_layout_is_that_of_the_code() -> None:
    from robustbench_char.experiments._resolve import LAYOUT

    for train, test in (LAYOUT[task] for task in ("squad_v1", "squad_v2", "cola", "mrpc", "conll2003", "ptb_pos")):
        assert f"`{train}`, `{test}`" in GUIDE


def test_every_key_of_a_spec_is_explained() -> None:
    from robustbench_char.experiments.spec import Benchmark, SystemSpec, TaskSpec

    for model in (Benchmark, SystemSpec, TaskSpec):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}" in GUIDE, name


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

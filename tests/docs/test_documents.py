"""The examples in the documents run, and their links lead somewhere."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import get_task

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*/README.md")),
    *sorted(ROOT.glob("reports/*/README.md")),
    *sorted(ROOT.glob("reports/results/*/README.md")),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


TRAINS = {ROOT / "docs" / "api.md"}
"""Pages whose examples train a model."""


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] if page in TRAINS else []) for page in PAGES],
    ids=lambda page: page.name,
)  # fmt: skip
def test_python_examples_run(page: Path, tmp_path: Path) -> None:
    """Each runs in an empty folder, in which `reports` leads to the published results."""
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    for code in blocks(page, "python"):
        if code.startswith(">>>"):
            assert doctest.testmod(types.ModuleType("page", code)).failed == 0
            continue
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)  # code has brackets too
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_task_of_the_guide_reads_a_file(tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "docs" / "tasks.md", "yaml")
    (tmp_path / "rte.yaml").write_text(text, encoding="utf-8")
    data = tmp_path / "dev.tsv"
    data.write_text(
        "index\tsentence1\tsentence2\tlabel\n0\tIt rained all day.\tIt was dry.\tnot_entailment\n", encoding="utf-8"
    )
    (example,) = open_native(get_task(str(tmp_path / "rte.yaml")), data).examples()
    assert (example.id, example.label) == ("0", "not_entailment")


def test_commands_named_in_the_readme_exist() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    helped = subprocess.run(
        [Path(sys.executable).with_name("robustbench-char"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in set(re.findall(r"(?:^|`)robustbench-char ([a-z]+)\b", text, re.M)):
        assert re.search(rf"^\s+{command}\b", helped, re.M), command

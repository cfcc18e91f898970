"""Links of the documents lead somewhere, and names, files and commands that they mention exist."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import robustbench_char as rbc

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*/README.md")),
    *sorted(ROOT.glob("reports/*/README.md")),
    *sorted(ROOT.glob("reports/results/*/README.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)  # code has brackets too
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text):
        if not target.startswith("http"):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the names under which a page's headings can be linked to."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_commands_named_in_the_readme_exist() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    helped = subprocess.run(
        [Path(sys.executable).with_name("robustbench-char"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    for command in set(re.findall(r"(?:^|`)robustbench-char ([a-z]+)\b", text, re.M)):
        assert re.search(rf"^\s+{command}\b", helped, re.M), command


@pytest.mark.models
def test_names_of_the_package_exist() -> None:
    """Dotted ones, those that are imported from a module, and those of the public API."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    imported = re.findall(r"from (robustbench_char[\w.]*) import (?:\(\s*)?([\w, ]+)", text)
    named = {f"{module}.{name.strip()}" for module, names in imported for name in names.split(",")}
    made_by_the_guide = ("robustbench_char.attacks.double", "robustbench_char.models.lookalike")
    made_by_the_guide += ("robustbench_char.defences.calm",)
    made_by_the_guide += ("robustbench_char.metrics.sentences", "robustbench_char.reports.sections.worst")
    for name in sorted(
        named | set(re.findall(r"\brobustbench_char(?:\.\w+)+", text)) - {"robustbench_char.predictors"}
    ):
        if not name.startswith(made_by_the_guide):
            assert exists(name), name
    assert {name for name in re.findall(r"\brbc\.(\w+)", text) if not hasattr(rbc, name)} == set()


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute) or bool(importlib.import_module(name))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_files_of_the_package_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for path in re.findall(r"\brobustbench_char/[\w./-]*\w/?", text):
        assert (ROOT / path).exists(), path

"""Files and functions that fit on a screen, a package that does not grow, and no circle of files."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "robustbench_char"
FOLDERS = [path for name in ("robustbench_char", "tests", "benchmarks", "tools") if (path := ROOT / name).is_dir()]

FUNCTION, FILE = 40, 400
"""Lines at most."""
COMMANDS = "robustbench_char/cli/"
"""Where signatures declare the options of a command: of these functions the body counts."""
LONGER = {"robustbench_char/models/charbert/modeling.py": 600}
"""A model is one file, as in the libraries that readers compare it to."""
PACKAGE_FILES, PACKAGE_LINES = 300, 45_500


def files(*folders: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of every Python file."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def long_functions(name: str, text: str) -> Iterator[str]:
    """Yield the functions that are too long; of a command the body counts."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = node.body[0].lineno if name.startswith(COMMANDS) else node.lineno
            lines = (node.end_lineno or start) - start + 1
            if lines > FUNCTION:
                yield f"{name}:{node.lineno} {node.name}: {lines} lines"


def test_no_long_file() -> None:
    lines = {name: len(text.splitlines()) for name, text in files(*FOLDERS)}
    assert {name: count for name, count in lines.items() if count > LONGER.get(name, FILE)} == {}


def test_no_long_function() -> None:
    assert [line for name, text in files(*FOLDERS) for line in long_functions(name, text)] == []


def test_long_functions_are_seen() -> None:
    body = "    a()\n" * FUNCTION
    text = f"def f(\n    a,\n):\n{body}"
    assert list(long_functions("x.py", text)) == [f"x.py:1 f: {FUNCTION + 3} lines"]
    assert list(long_functions(f"{COMMANDS}x.py", text)) == []
    assert list(long_functions(f"{COMMANDS}x.py", f"{text}    a()\n")) != []


def test_the_package_does_not_grow() -> None:
    lines = [len(text.splitlines()) for _, text in files(PACKAGE)]
    assert len(lines) <= PACKAGE_FILES
    assert sum(lines) <= PACKAGE_LINES


def test_no_circle_of_files() -> None:
    """Imports inside functions count: a file that needs another one to work is not read without it."""
    grimp = pytest.importorskip("grimp", reason="import-linter of the extra `dev` is not installed")
    graph = grimp.build_graph("robustbench_char", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    tuple(graphlib.TopologicalSorter(imports).static_order())

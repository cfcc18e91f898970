"""Mutants of code are made as promised, and the tests of a room notice one (the whole: `tools.hardness.mutants`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.hardness._mutations import mutants

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("a = b < 3", ["a = (b <= 3)", "a = b < (4)"]),
        ("a = b + c", ["a = (b - c)"]),
        ("a = not b and -c", ["a = (not b or -c)", "a = (b) and -c", "a = not b and (c)"]),
        ("a = b if c else d", ["a = (d if c else b)"]),
        ("a = ['x', True, b'y']", ["a = [('xX'), True, b'y']", "a = ['x', (False), b'y']", "a = ['x', True, (b'yX')]"]),
        ("if a:\n    b()", ["if (not a):\n    b()", "if a:\n    pass"]),
        ("for a in b:\n    continue", ["for a in b:\n    break"]),
        (
            "def f(é=1):\n    é += 2",
            ["def f(é=(2)):\n    é += 2", "def f(é=1):\n    é -= 2", "def f(é=1):\n    é += (3)"],
        ),
        ("def f():\n    return 'two words'", ["def f():\n    return None"]),
        ("def f(a: 'x') -> 'y':\n    'doc'\n    raise E('z')", ["def f(a: 'x') -> 'y':\n    'doc'\n    pass"]),
        ("__all__ = ['x']\nfrom a import b", []),
    ],
)
def test_mutants(code: str, changed: list[str], tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(code, encoding="utf-8")
    made = [mutant.apply(code.encode()).decode() for mutant in mutants(tmp_path, "code.py")]
    assert sorted(made) == sorted(changed)


@pytest.mark.slow
def test_the_tests_notice_mutants(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tools.hardness.mutants",
        "--room",
        "attack_sets",
        "--count",
        "2",
        "--output",
        tmp_path,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [row["result"] for row in rows] == ["killed", "killed"]
    assert done.stdout.splitlines()[-1].split() == ["all", "2", "2", "100.0%"]

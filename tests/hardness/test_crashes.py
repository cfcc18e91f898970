"""Kills and failing disks at some of the calls (short; the whole: `python -m tools.hardness.crashes`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.hardness.crashes import chosen

ROOT = Path(__file__).parents[2]
CAN = sys.platform == "linux" and (shutil.which("gcc") or shutil.which("cc"))
NEEDS_GCC = pytest.mark.skipif(not CAN, reason="faults are injected by a C library: needs Linux and gcc")


def crashes(*options: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tools.hardness.crashes", *options]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
@NEEDS_GCC
@pytest.mark.parametrize(
    "options",
    [
        ("attack again", "--faults=kill,full,error,dead,unreadable", "--step=6"),
        ("run", "--faults=kill,full", "--step=120"),
        ("run", "--kills=5"),
    ],
)
def test_a_stopped_command_ends_like_a_whole_one(options: tuple[str, ...]) -> None:
    done = crashes(*options)
    assert done.returncode == 0, done.stdout + done.stderr
    points, failures = done.stdout.splitlines()[-1].split(", ")
    assert int(points.split()[0]) >= 4
    assert failures == "0 failures"


@pytest.mark.slow
@NEEDS_GCC
def test_what_stays_is_seen(tmp_path: Path) -> None:
    """The same, with a package that moves its outputs to their place in parts: the script fails."""
    for name in ("robustbench_char", "tools", "attacks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    code = tmp_path / "robustbench_char" / "common" / "files.py"
    in_parts = "    __import__('shutil').copytree(scratch, target, dirs_exist_ok=True)"
    code.write_text(code.read_text().replace("    move_to(target, scratch)", in_parts))
    line = [sys.executable, "-m", "tools.hardness.crashes", "mini", "--faults=kill"]
    where = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}}
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300, **where)
    assert done.returncode == 1
    assert "half written: data" in done.stdout


def test_calls_of_one_kind_are_tried_twice_and_at_last() -> None:
    calls = [f"{number} write /box/out/.a.unfinished-{number:08}/x" for number in range(1, 9)]
    calls += ["9 rename /box/out/a", "10 write /box/out/tables/b.csv", "11 write /box/out/tables/c.csv"]
    assert chosen(calls, Path("/box"), every=False) == [1, 2, 8, 9, 10, 11]
    assert chosen(calls, Path("/box"), every=True) == list(range(1, 12))

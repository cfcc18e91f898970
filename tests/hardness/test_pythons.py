"""Attacks under other Pythons than this one, where some are found; what the comparison says."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.hardness import pythons

NEEDED = "import numpy, pandas, pyarrow, pydantic, yaml, typer, nlpaug, filelock, platformdirs"
"""What the package needs to attack a file."""


def others() -> list[str]:
    """Return other Pythons on the path that have what the package needs."""
    named = (shutil.which(f"python3.{minor}") for minor in (11, 12, 13, 14) if minor != sys.version_info.minor)
    found = [path for path in named if path]
    return [path for path in found if subprocess.run([path, "-c", NEEDED], capture_output=True).returncode == 0]


@pytest.mark.slow
def test_other_pythons_make_the_same() -> None:
    if not (found := others()):
        pytest.skip("no other Python with the package's dependencies is here")
    assert pythons.main(["--python", *found, "--count", "1", "--only", "mini cola / mi"]) == 0


@pytest.mark.slow
def test_another_process_makes_the_same() -> None:
    """Classes of characters, files and ledgers do not depend on the process (which draws its own seed of hashes)."""
    here = pythons.attacked(range(1), None, "mini cola / mi")
    assert pythons.under(sys.executable, ["--count=1", "--only=mini cola / mi"]) == here
    made = [name for name, value in here.items() if not value.startswith("refused")]
    assert len(made) > 4
    assert {"mini cola / mixed / 0", "mini cola / mixed / 0, ledger", "classes", "scripts"} <= set(made)


def test_what_differs_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = {sys.executable: {"classes": "1", "mini": "2"}, "other": {"classes": "1", "mini": "3", "more": "refused: x"}}
    monkeypatch.setattr(pythons, "under", lambda python, options: made[python])
    assert pythons.main(["--python", "other"]) == 1
    told = capsys.readouterr().out
    assert "differs: mini\n  differs: more\n2 differ" in told
    assert "2 hashes, 1 refused  other" in told


def test_every_character_is_tried(tmp_path: Path) -> None:
    text = pythons.characters(tmp_path / "all.tsv").read_text(encoding="utf-8")
    assert {"word\U00011f04s", "wordés", "word日s"} <= set(text.split())
    assert hashlib.sha256(json.dumps(text).encode()).hexdigest()[:8] == "84474d98"

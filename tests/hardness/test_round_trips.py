"""Generated files of each format come back as they were (short; the whole: `python -m tools.hardness.round_trips`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.hardness import round_trips
from tools.hardness._files import FORMATS


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_round_trips(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = round_trips.main(["--count", "200", "--attacked", "20", "--formats", kind, "--keep", str(tmp_path / "k")])
    assert failed == 0, capsys.readouterr().out


def test_a_failing_case_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_trips, "written", lambda *_: b"other")
    arguments = ["--count", "1", "--attacked", "0", "--formats", "ptb", "--keep", str(tmp_path / "kept")]
    assert round_trips.main(arguments) == 1
    assert {path.name for path in (tmp_path / "kept/ptb-0-0").iterdir()} == {"data.txt", "why.txt"}

"""A short run of the metrics against their oracles, and a difference is seen."""

from __future__ import annotations

from random import Random

import pytest

from tools.hardness import metrics
from tools.hardness._scores import Found


@pytest.mark.slow
@pytest.mark.parametrize("name", list(metrics.CHECKS))
def test_two_oracles_agree(name: str) -> None:
    assert list(metrics.differences(name, max(2, 60 // metrics.CHECKS[name].every), 17)) == []


def test_a_difference_is_seen_and_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(random: Random) -> list[Found]:
        value = random.random()
        return [Found("a score", {"f1": value}, {"f1": value + 1e-6}), Found("a count", 1, 1)]

    monkeypatch.setattr(metrics, "CHECKS", {"made_up": metrics.Check(wrong, "one; another")})  # type: ignore[arg-type]
    assert metrics.main(["--count", "3", "--seed", "5"]) == 1
    assert "made_up" in (told := capsys.readouterr().out)
    assert "3 differ" in told
    assert "a count" not in told


@pytest.mark.parametrize(
    ("ours", "other", "equal"),
    [
        (1.0, 1.0 + 1e-12, True), (1e6, 1e6 + 1e-4, True), (1.0, 1.0 + 1e-7, False), (float("nan"), 1.0, False),
        ([1.0], [1.0, 2.0], False), ({"a": 1}, {"b": 1}, False), (None, 0.0, False), (1, 1, True),
    ],
)  # fmt: skip
def test_what_is_equal(ours: object, other: object, equal: bool) -> None:
    assert metrics.same(ours, other) == equal

"""Seeds on the command line, and in the manifests that commands read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.attacked import spoil_json

Run = Callable[..., tuple[int, str, str]]
SOURCE = ("--data", "mini", "--split", "dev")


@pytest.mark.parametrize("seed", ["-1", "4294967296", "12345678901234567890123"])
def test_a_seed_out_of_bounds_is_refused_and_nothing_written(run: Run, seed: str) -> None:
    for command in (
        ("attack", "cola", *SOURCE, "--suite", "drop", "--output", "set", f"--seed={seed}"),
        ("fragility", "minilm", *SOURCE, "--output", "set", f"--seed={seed}"),
    ):
        code, _, message = run(*command)
        assert (code, Path("set").exists()) == (2, False)
        assert message.startswith(f"error: --seed: found {seed}; expected a whole number from 0 to 4294967295. Give ")


def test_a_seed_that_no_table_holds_is_refused_in_a_manifest(run: Run) -> None:
    run("attack", "cola", *SOURCE, "--suite", "drop", "--output", "set", "--seed", 4294967295)
    assert run("verify", "set", *SOURCE)[0] == 0
    for wrong in (10**22, "1", 1.5, True):
        spoil_json(Path("set/manifest.json"), {"seed": wrong})
        code, _, message = run("verify", "set", *SOURCE)
        assert (code, message.startswith("error: set/manifest.json: seed: found ")) == (2, True)

"""Profiles of one sentence: several systems side by side, and measurements that cannot stand there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from robustbench_char.analysis.profiles import profile_frame
from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.records.evaluation import AttackInfo, SystemInfo
from robustbench_char.records.sensitivity import (
    ModelInfo,
    Profile,
    ProfileWord,
    SensitivityRecord,
    find_sensitivities,
    write_sensitivity,
)

WORDS = (("I", "I", 0.1), ("think", "thnik", 0.7), ("so", "so", None))


def write(folder: Path, words: Any = WORDS, *, name: str = "minilm", seed: int | None = None, **changes: Any) -> None:
    """Write a measurement with one profile; with a seed it is that of a saved system."""
    attack = AttackInfo(
        suite="mixed", suite_sha256="s", seed=1, clean_sha256="c", requested_strength=1.0, effective_strength=1.0,
        eligible_words=1, edits=1, words=3, no_op_share=0.0, counts_by_operator={},
    )  # fmt: skip
    system = None if seed is None else SystemInfo(
        name=name, base="minilm", parameters=1, training_seed=seed, training_sha256="t", settings={}, weights_sha256="w"
    )  # fmt: skip
    values: dict[str, Any] = {
        "task": "conll2003", "layer": -1, "pooling": "mean", "stream": "subword", "max_length": 32, "examples": 1,
        "clean_sha256": "c", "attacked_sha256": "a", "attack": attack, "summary": (), "words_sha256": "w",
        "wall_seconds": 1.0, "device": "cpu", "created": "2026-01-01T00:00:00+00:00", "provenance": provenance(),
        "system": system, "model": ModelInfo(name=name, weights_sha256="w") if system is None else None,
    }  # fmt: skip
    folder.mkdir()
    held = tuple(ProfileWord(word=old, attacked=new, distance=distance) for old, new, distance in words)
    write_sensitivity(folder, SensitivityRecord(**values | changes), (Profile(id="7", row=7, words=held),))


def test_systems_stand_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "a", name="bert", seed=0)
    write(tmp_path / "b", [(old, new, 0.5) for old, new, _ in WORDS], name="bert", seed=1)
    write(tmp_path / "c")
    found = profile_frame(find_sensitivities([tmp_path]), "7")
    assert list(dict.fromkeys(found["system"])) == ["bert, seed 0", "bert, seed 1", "minilm"]
    one = found[found["system"] == "bert, seed 0"]
    assert one["number"].tolist() == [0, 1, 2]
    assert list(zip(one["word"], one["attacked"], strict=True)) == [(old, new) for old, new, _ in WORDS]
    assert one["changed"].tolist() == [False, True, False]
    assert one["distance"].tolist()[:2] == [0.1, 0.7]
    assert one["distance"].isna().tolist() == [False, False, True]
    assert profile_frame([], "7").empty


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"name": "other", "attacked_sha256": "b"}, r"b: found another text than in .*a; expected measurements of one"),
        ({"name": "other", "words": WORDS[:2]}, r"b: found another text than in"),
        ({"name": "minilm"}, r"b: found a second measurement of minilm"),
    ],
)
def test_measurements_that_do_not_stand_side_by_side(tmp_path: Path, second: dict[str, Any], message: str) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", **second)
    with pytest.raises(InputError, match=message):
        profile_frame(find_sensitivities([tmp_path]), "7")


def test_an_example_that_was_not_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "a")
    with pytest.raises(InputError, match=r"profile\.json: found no example 8; .*`--profile 8`"):
        profile_frame(find_sensitivities([tmp_path]), "8")

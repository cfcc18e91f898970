"""Profiles of one sentence: how far each of its words moves, several systems side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robustbench_char.common import InputError
from robustbench_char.records.sensitivity import PROFILE, ProfileWord, SensitivityRecord, read_profiles, side_by_side

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["profile_frame"]


def profile_frame(measured: Sequence[tuple[Path, SensitivityRecord]], id: str) -> pd.DataFrame:
    """Return the words of one example as each measured system sees them (see `side_by_side`).

    `measured` is what `find_sensitivities` gives: systems under one attack on one file. Raises InputError where a
    folder lacks the example, and for measurements of different texts or of one system.
    """
    times = Counter(record.shown for _, record in measured)
    systems: dict[str, tuple[ProfileWord, ...]] = {}
    texts = set()
    for folder, record in measured:
        name = record.shown
        if times[name] > 1 and record.system:
            name += f", seed {record.system.training_seed}"
        words = next((profile.words for profile in read_profiles(folder) if profile.id == id), None)
        if words is None:
            raise InputError(
                folder / PROFILE,
                found=f"no example {id}",
                expected="its words",
                fix=f"Run `robustbench-char sensitivity` with `--profile {id}` again.",
            )
        if name in systems:
            found = f"a second measurement of {name}"
            raise InputError(folder, found=found, expected="one per system", fix="Leave one out.")
        texts.add((record.clean_sha256, record.attacked_sha256, *((word.word, word.attacked) for word in words)))
        if len(texts) > 1:
            raise InputError(
                folder,
                found=f"another text than in {measured[0][0]}",
                expected="measurements of one attack on one file",
                fix="Measure all systems with the same --input and --attacked.",
            )
        systems[name] = words
    return side_by_side(systems)

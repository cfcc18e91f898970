"""Scores over all seeds: one row a task, system and suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robustbench_char.evaluation.comparison import Pair, drop, relative_drop, retention
from robustbench_char.reports.figures import strongest, system_labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAIN_SUITE", "add_operators", "main_suite", "mean_scores", "suites_of"]

MAIN_SUITE = "charbert_2020"
"""The suite that systems and tasks are compared under where it was run: the paper's."""

_KEYS = ["task", "label", "suite"]


def mean_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Return means over training and attack seeds of the rows of `comparison_table` that have a clean score.

    Columns: task, label (of the system), suite, metric, runs, examples (of one run), clean, attacked, drop,
    relative_drop, retention (these three of the mean scores), gain, gain_clean, effective_strength, saw_attack, and
    `operators` where the frame has them. A clean result counts once for each training seed.
    """
    import pandas as pd

    known = frame.dropna(subset=["clean"])
    known = known.assign(label=system_labels(known))
    first = {name: (name, "first") for name in ("metric", "examples", "operators") if name in known}
    groups = known.groupby(_KEYS, sort=False)
    means = groups.agg(
        **first,
        runs=("attacked", "size"),
        attacked=("attacked", "mean"),
        gain=("gain", "mean"),
        effective_strength=("effective_strength", "mean"),
        saw_attack=("saw_attack", strongest),
    )
    clean = known.drop_duplicates([*_KEYS, "training_seed", "clean"]).groupby(_KEYS, sort=False)
    means = means.join(clean.agg(clean=("clean", "mean"), gain_clean=("gain_clean", "mean"))).reset_index()
    sides = list(zip(means["clean"], means["attacked"], strict=True))
    for function in (drop, relative_drop, retention):
        means[function.__name__] = pd.Series([function(*side) for side in sides], dtype="float64")
    return means


def add_operators(frame: pd.DataFrame, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return the frame, whose row i is pair i, with the names of the operators that made an edit (joined by +)."""
    import pandas as pd

    attacks = [pair.attacked.data.attack for pair in pairs]
    used = [
        sorted(name for name, number in attack.counts_by_operator.items() if number) for attack in attacks if attack
    ]
    return frame.assign(operators=pd.Series(["+".join(names) for names in used], dtype="str"))


def suites_of(frame: pd.DataFrame) -> list[str]:
    """Return the suites of a frame, that of the paper first."""
    suites = list(dict.fromkeys(frame["suite"]))
    return sorted(suites, key=lambda suite: (suite != MAIN_SUITE, suites.index(suite)))


def main_suite(means: pd.DataFrame) -> str:
    """Return the suite that tasks and systems are compared under: the paper's, or the one with the most results."""
    suites = suites_of(means)
    return suites[0] if suites[0] == MAIN_SUITE else str(means["suite"].value_counts()[suites].idxmax())

"""Scores over all seeds with their intervals: one row a task, system and suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import CHANGES, REFERENCE, Pair, root_of
from robustbench_char.analysis.statistics import CLEAN, Statistics, System, interval_columns
from robustbench_char.metrics.bootstrap import Interval
from robustbench_char.reports.figures.bars import strongest, system_labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAIN_SUITE", "about_best", "about_intervals", "main_suite", "mean_scores", "suites_of"]

MAIN_SUITE = "charbert_2020"
"""The suite that systems and tasks are compared under where it was run: the paper's."""

_KEYS = ["task", "label", "suite"]


def mean_scores(frame: pd.DataFrame, pairs: Sequence[Pair], statistics: Statistics) -> pd.DataFrame:
    """Return means over training and attack seeds of the rows of `comparison_table` that have a clean score.

    Columns: task, label (as shown), name and base (of the system), suite, operators (that made edits, joined by +),
    metric, runs, examples (of one run), effective_strength, saw_attack; clean, attacked, drop, relative_drop,
    retention, gain_clean, gain, each with `_low`, `_high` and `_note` (why there is no interval); `clean_best`,
    `attacked_best`. A clean result counts once for each training seed.
    """
    import pandas as pd

    known = _with_attacks(frame, pairs).dropna(subset=["clean"])
    known = known.assign(name=known["label"], label=system_labels(known))
    means = pd.DataFrame([_row(part, statistics) for _, part in known.groupby(_KEYS, sort=False)])
    return means if means.empty else _with_best(means, statistics)


def _with_attacks(frame: pd.DataFrame, pairs: Sequence[Pair]) -> pd.DataFrame:
    """Add the operators that made edits, and the base that gains are measured on."""
    records = [pair.attacked for pair in pairs]
    counts = [record.data.attack.counts_by_operator if record.data.attack else {} for record in records]
    used = ["+".join(sorted(name for name, number in one.items() if number)) for one in counts]
    return frame.assign(operators=used, root=[root_of(record) for record in records])


def _row(part: pd.DataFrame, statistics: Statistics) -> dict[str, Any]:
    first = {str(key): value for key, value in part.iloc[0].items()}
    clean = part.drop_duplicates(["training_seed", "clean"])
    sides = float(part["clean"].mean()), float(part["attacked"].mean())
    values: dict[str, float | None] = {
        "clean": clean["clean"].mean(),
        "attacked": sides[1],
        "gain_clean": clean["gain_clean"].mean(),
        "gain": part["gain"].mean(),
        **{name: of(*sides) for name, of in CHANGES.items()},
    }
    found = _intervals(first, statistics)
    row = {key: first[key] for key in (*_KEYS, "name", "base", "operators", "metric")}
    row |= {"runs": len(part), "examples": int(first["examples"]), "saw_attack": strongest(part["saw_attack"])}
    row["effective_strength"] = part["effective_strength"].mean()
    for name, value in values.items():
        row |= interval_columns(name, found.get(name)) | {name: value}
    return row


def _intervals(row: Mapping[str, Any], statistics: Statistics) -> dict[str, Interval | None]:
    task, system, suite = row["task"], (row["name"], row["base"]), row["suite"]
    found = {"clean": statistics.score(task, system, CLEAN), "attacked": statistics.score(task, system, suite)}
    found |= {name: statistics.change(task, system, suite, of) for name, of in CHANGES.items()}
    if row["name"] != REFERENCE:
        reference = _reference(statistics.systems(task, suite), row["root"])
        found["gain"] = statistics.difference(task, system, reference, suite)
        found["gain_clean"] = statistics.difference(task, system, reference, suite, clean=True)
    return found


def _reference(systems: Sequence[System], root: str) -> System:
    """Return the `bert` that gains are measured against: of several the one on the same base."""
    known = [system for system in systems if system[0] == REFERENCE]
    return known[0] if len(known) == 1 else (REFERENCE, root)


def _with_best(means: pd.DataFrame, statistics: Statistics) -> pd.DataFrame:
    """Mark the best of each task under each suite, and what is not told apart from it (see `Statistics.best`).

    Where results have no counts, the highest score alone is marked; of one system alone nothing is.
    """
    marks = {name: [False] * len(means) for name in ("clean", "attacked")}
    best: dict[tuple[str, str], set[System]] = {}
    for (task, suite), part in means.groupby(["task", "suite"], sort=False):
        for name, condition in (("clean", CLEAN), ("attacked", str(suite))):
            key = str(task), condition
            tied = best[key] = best[key] if key in best else _tied(part, name, statistics, *key)
            for place, row in zip(part.index, part.itertuples(), strict=True):
                marks[name][int(place)] = (row.name, row.base) in tied
    return means.assign(clean_best=marks["clean"], attacked_best=marks["attacked"])


def _tied(part: pd.DataFrame, name: str, statistics: Statistics, task: str, condition: str) -> set[System]:
    systems = list(zip(part["name"], part["base"], strict=True))
    if len(systems) < 2:
        return set()
    if set(systems) <= set(statistics.systems(task, condition)):
        return statistics.best(task, condition)
    highest = part[name] == part[name].max()
    return {system for system, best in zip(systems, highest, strict=True) if best}


def about_intervals(means: pd.DataFrame) -> str:
    """Say what intervals in brackets are, where there are any."""
    known = "attacked_low" in means and means["attacked_low"].notna().any()
    return "In square brackets 95% intervals over examples (paired bootstrap). " if known else ""


def about_best(means: pd.DataFrame) -> str:
    """Say what bold means, where anything is bold."""
    if not (means["clean_best"].any() or means["attacked_best"].any()):
        return ""
    if means["attacked_low"].isna().any():
        return "Bold: the highest score (without counts of each example, ties are not tested). "
    return "Bold: the best of all systems, and those not told apart from it (permutation test, Holm, p ≥ 0.05). "


def suites_of(frame: pd.DataFrame) -> list[str]:
    """Return the suites of a frame, that of the paper first."""
    suites = list(dict.fromkeys(frame["suite"]))
    return sorted(suites, key=lambda suite: (suite != MAIN_SUITE, suites.index(suite)))


def main_suite(means: pd.DataFrame) -> str:
    """Return the suite that tasks and systems are compared under: the paper's, or the one with the most results."""
    suites = suites_of(means)
    return suites[0] if suites[0] == MAIN_SUITE else str(means["suite"].value_counts()[suites].idxmax())

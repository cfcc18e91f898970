"""The scores that tables show: of each run, over all seeds, and by family of tasks, with intervals and gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from robustbench_char.analysis.learning import Learning, learning
from robustbench_char.analysis.pairs import CHANGES, Pair, is_reference
from robustbench_char.analysis.statistics import CLEAN, Statistics, System, interval_columns
from robustbench_char.metrics.bootstrap import Interval

__all__ = [
    "error_reduction",
    "family_gains",
    "main_suite",
    "mean_scores",
    "run_scores",
    "single_operators",
    "strength_sweeps",
    "strongest",
    "suites_of",
    "system_labels",
    "ties_tested",
]

MAIN_SUITE = "charbert_2020"
"""The suite that systems and tasks are compared under where it was run: the paper's."""

_KEYS = ["task", "label", "suite"]
_OF_RUNS = ("clean", "attacked", "drop", "retention")
_SHARES = ("relative_drop", "retention")
"""What is a share of the clean score, and means nothing where that is not above a constant answer's."""
_ENDS = ("low", "high")


def system_labels(frame: pd.DataFrame) -> pd.Series[str]:
    """Return what each row's system is called, with its base where one label stands for several bases."""
    labels = frame["label"] if "label" in frame else frame["system"]
    bases = frame.groupby(labels)["base"].transform("nunique")
    return labels.where(bases == 1, labels + " (" + frame["base"] + ")")


def strongest(saw: pd.Series[str]) -> str | None:
    """Return what was seen of the attack in any of several runs: the suite before operators, these before edits."""
    return max(saw.dropna(), default=None)  # in the order of the alphabet


def suites_of(frame: pd.DataFrame) -> list[str]:
    """Return the suites of a frame, that of the paper first."""
    suites = list(dict.fromkeys(frame["suite"]))
    return sorted(suites, key=lambda suite: (suite != MAIN_SUITE, suites.index(suite)))


def main_suite(means: pd.DataFrame) -> str:
    """Return the suite that tasks and systems are compared under: the paper's, or the one with the most results."""
    suites = suites_of(means)
    return suites[0] if suites[0] == MAIN_SUITE else str(means["suite"].value_counts()[suites].idxmax())


def run_scores(frame: pd.DataFrame, pairs: Sequence[Pair], statistics: Statistics) -> pd.DataFrame:
    """Return the comparison table with `_low` and `_high` of clean, attacked, drop and retention, and `interval`.

    `interval` names the method: `bootstrap` where there are counts, `wilson` (of the clean and attacked score alone)
    for an accuracy without them, or missing; `learnt` is false for systems that have not learnt, which have no
    retention. Row i is pair i.
    """
    columns = [f"{name}_{end}" for name in _OF_RUNS for end in _ENDS]
    counted = {_run_key(row): row | {"interval": "bootstrap"} for row in statistics.run_frame().to_dict("records")}
    keys = [_run_key(row) for row in frame.to_dict("records")]
    limits = [
        counted[key] if key in counted and keys.count(key) == 1 else _wilson_limits(pair)
        for key, pair in zip(keys, pairs, strict=True)
    ]
    intervals = pd.DataFrame(limits, columns=[*columns, "interval"], index=frame.index)
    runs = pd.concat([frame, intervals.astype(dict.fromkeys(columns, "float64"))], axis=1)
    known = learning(pairs, statistics)
    systems = zip(runs["task"], zip(runs["label"], runs["base"], strict=True), strict=True)
    learnt = pd.Series([known.get(system, (None, True))[1] for system in systems], runs.index, dtype=bool)
    shares = [*_SHARES, *(f"retention_{end}" for end in _ENDS)]
    return runs.assign(learnt=learnt, **{name: runs[name].where(learnt) for name in shares})


def _run_key(row: Mapping[Any, Any]) -> tuple[object, ...]:
    seeds = (None if pd.isna(row[name]) else int(row[name]) for name in ("training_seed", "attack_seed"))
    return (*(row[name] for name in ("task", "label", "base", "suite")), *seeds)


def _wilson_limits(pair: Pair) -> dict[Any, Any]:
    """Return the limits in percent of scores that are shares of independent examples, or nothing."""
    limits: dict[Any, Any] = {}
    for name, record in (("clean", pair.clean), ("attacked", pair.attacked)):
        if record and record.headline == "accuracy" and "correct" in record.counts:
            low, high = wilson(record.counts["correct"] / record.counts["examples"], record.counts["examples"])
            limits |= {f"{name}_low": 100 * low, f"{name}_high": 100 * high, "interval": "wilson"}
    return limits


def wilson(share: float, trials: int) -> tuple[float, float]:
    """Return the 95% interval of a proportion over independent trials, as shares (Wilson 1927, score interval)."""
    z = 1.959963984540054
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mean_scores(frame: pd.DataFrame, pairs: Sequence[Pair], statistics: Statistics) -> pd.DataFrame:
    """Return means over training and attack seeds of the rows of `comparison_table` that have a clean score.

    One row per task, system and suite. Columns: task, label (as shown), name and base (of the system), suite, operators
    (that made edits, joined by +), metric, runs, examples (of one run), effective_strength, mistyped (the share of all
    words that was edited), saw_attack, constant and learnt (see `learning`); clean, attacked, drop, relative_drop,
    retention, gain_clean, gain, each with `_low`, `_high` and `_note` (why there is no interval); `clean_best`,
    `attacked_best`. A clean result counts once for each training seed; systems that have not learnt are not the best.
    """
    records = [pair.attacked for pair in pairs]
    counts = [record.data.attack.counts_by_operator if record.data.attack else {} for record in records]
    used = ["+".join(sorted(name for name, number in edits.items() if number)) for edits in counts]
    rows = frame.assign(operators=used, record=pd.Series(records, frame.index, dtype=object)).dropna(subset=["clean"])
    rows = rows.assign(name=rows["label"], label=system_labels(rows))
    rows = rows.assign(mistyped=rows["effective_strength"] * rows["eligible_words"] / rows["words"])
    known = learning(pairs, statistics)
    means = pd.DataFrame([_mean_row(part, statistics, known) for _, part in rows.groupby(_KEYS, sort=False)])
    return means if means.empty else _with_best(means, statistics)


def _mean_row(part: pd.DataFrame, statistics: Statistics, known: Learning) -> dict[str, Any]:
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
    intervals = _intervals(first, statistics)
    row = {key: first[key] for key in (*_KEYS, "name", "base", "operators", "metric")}
    row |= {"runs": len(part), "examples": int(first["examples"]), "saw_attack": strongest(part["saw_attack"])}
    row |= {name: part[name].mean() for name in ("effective_strength", "mistyped")}
    row["constant"], row["learnt"] = known[first["task"], (first["name"], first["base"])]
    if not row["learnt"]:
        values |= dict.fromkeys(_SHARES)
        intervals |= dict.fromkeys(_SHARES, Interval(None, note="not learnt"))
    for name, value in values.items():
        row |= interval_columns(name, intervals.get(name)) | {name: value}
    return row


def _intervals(row: Mapping[str, Any], statistics: Statistics) -> dict[str, Interval | None]:
    task, system, suite = row["task"], (row["name"], row["base"]), row["suite"]
    intervals = {"clean": statistics.score(task, system, CLEAN), "attacked": statistics.score(task, system, suite)}
    intervals |= {name: statistics.change(task, system, suite, of) for name, of in CHANGES.items()}
    if not is_reference(row["record"]) and (reference := statistics.reference(row["record"], suite)):
        intervals["gain"] = statistics.difference(task, system, reference, suite)
        intervals["gain_clean"] = statistics.difference(task, system, reference, suite, clean=True)
    return intervals


def _with_best(means: pd.DataFrame, statistics: Statistics) -> pd.DataFrame:
    """Mark the best of each task under each suite, and what is not told apart from it (see `Statistics.best`)."""
    marks = {name: [False] * len(means) for name in ("clean", "attacked")}
    best: dict[tuple[str, str], set[System]] = {}
    for (task, suite), part in means.groupby(["task", "suite"], sort=False):
        for name, condition in (("clean", CLEAN), ("attacked", str(suite))):
            key = str(task), condition
            tied = best[key] = best[key] if key in best else _tied(part, name, statistics, *key)
            for index, row in zip(part.index, part.itertuples(), strict=True):
                marks[name][int(index)] = (row.name, row.base) in tied
    return means.assign(clean_best=marks["clean"], attacked_best=marks["attacked"])


def _tied(part: pd.DataFrame, name: str, statistics: Statistics, task: str, condition: str) -> set[System]:
    """Return the best systems; where results have no counts, the highest score alone; none of one system alone."""
    part = part[part["learnt"]]
    systems = list(zip(part["name"], part["base"], strict=True))
    if len(systems) < 2:
        return set()
    if set(systems) <= set(statistics.systems(task, condition)):
        return statistics.best(task, condition, systems)
    highest = part[name] == part[name].max()
    return {system for system, best in zip(systems, highest, strict=True) if best}


def ties_tested(means: pd.DataFrame) -> pd.Series[bool]:
    """Return for each task and suite with a best whether ties with it were tested: whether all systems have counts.

    Counts without an interval (of one example, say) have a note that says why.
    """
    cells = [means["task"], means["suite"]]
    counted = means["attacked_low"].notna() | means["attacked_note"].ne("")
    best = means["clean_best"] | means["attacked_best"]
    return counted.groupby(cells, sort=False).all()[best.groupby(cells, sort=False).any()]


def single_operators(means: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose suite made edits by one operator alone; of several such suites the strongest.

    The strongest is that with the highest effective strength, so that a sweep counts by its end.
    """
    single = means[(means["operators"] != "") & ~means["operators"].str.contains("+", regex=False)]
    strengths = single["effective_strength"].fillna(0.0)
    groups = strengths.groupby([single["task"], single["label"], single["operators"]], sort=False)
    return single[strengths == groups.transform("max")].drop_duplicates(["task", "label", "operators"])


def strength_sweeps(means: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of suites that a system met at two or more effective strengths, from weak to strong.

    The column `sweep` names the suite without its strength.
    """
    means = means.dropna(subset=["effective_strength"])
    if means.empty:
        return means
    means = means.assign(sweep=means["suite"].str.partition("@")[0])
    groups = means.groupby(["task", "label", "sweep"], sort=False)
    several = means.assign(group=groups.ngroup())[groups["effective_strength"].transform("nunique") > 1]
    return several.sort_values(["group", "effective_strength"], kind="stable").drop(columns="group")


def error_reduction(score: float, gain: float) -> float | None:
    """Return the share of the reference's errors that are gone, (e_ref − e) / e_ref with e = 100 − score.

    None (not defined) where the reference makes none.
    """
    errors = 100.0 - (score - gain)
    return gain / errors if errors > 0 else None


def family_gains(means: pd.DataFrame, families: Mapping[str, str], suite: str) -> pd.DataFrame:
    """Return a row per family of tasks and system: its gains as means over the tasks that both were evaluated on.

    `gain_clean` and `gain` are in points, `error_reduction_clean` and `error_reduction` shares.
    """
    part = means[(means["suite"] == suite) & means["gain"].notna()]
    part = part.assign(family=part["task"].map(dict(families)))
    for side, end in (("clean", "_clean"), ("attacked", "")):
        shares = list(map(error_reduction, part[side], part[f"gain{end}"]))
        part = part.assign(**{f"error_reduction{end}": pd.Series(shares, part.index, "float64")})
    values = ["gain_clean", "error_reduction_clean", "gain", "error_reduction"]
    groups = part.groupby(["family", "label"], sort=False)
    return groups.agg(tasks=("task", ", ".join), **{name: (name, "mean") for name in values}).reset_index()

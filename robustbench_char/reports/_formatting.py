"""Numbers and names as they are printed. Rounding happens here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from robustbench_char.analysis.scores import ties_tested

__all__ = []  # fmt: skip

DASH = "–"
_MARKS = {"edits": "†", "operators": "†", "suite": "‡"}
_ABOUT_MARKS = {
    "operators": "† The system saw operators of this attack in training, or its defence knows them.",
    "edits": "† The system's defence allows for as many edits of a word as this attack makes.",
    "suite": "‡ The system was trained under this very suite.",
}

_NAMES = {
    "f1": "F1",
    "exact": "exact match",
    "em": "exact match",
    "matthews": "Matthews correlation",
    "matthews_correlation": "Matthews correlation",
}


def is_missing(value: Any) -> bool:
    """Return whether a cell of a frame holds nothing (None, NaN or NA)."""
    return value is None or bool(pd.isna(value))


def score(value: Any) -> str:
    """Print a score in percent with one decimal."""
    return DASH if is_missing(value) else _signed(f"{float(value):.1f}")


def percent(fraction: Any, *, missing: str = DASH) -> str:
    """Print a share (1.0 is all) in percent with one decimal."""
    return missing if is_missing(fraction) else _signed(f"{100 * float(fraction):.1f}%")


def share(fraction: Any) -> str:
    """Print a share as sentences say it: `10%`, `9.7%`."""
    return percent(fraction).replace(".0%", "%")


def gain(value: Any) -> str:
    """Print a difference of scores in points, with its sign."""
    return DASH if is_missing(value) else ("" if float(f"{value:.1f}") < 0 else "+") + score(value)


def change(points: Any, share: Any) -> str:
    """Print a drop in points, and in brackets the share of the score that it is, where that is defined."""
    return score(points) + ("" if is_missing(share) else f" ({percent(share)})")


def points(value: Any) -> str:
    """Print a difference of scores in points with two decimals, and its sign."""
    return DASH if is_missing(value) else f"{float(value):+.2f}".replace("-", "−")


def distance(value: Any) -> str:
    """Print a cosine distance with four decimals."""
    return DASH if is_missing(value) else f"{float(value):.4f}"


def layer(number: int) -> str:
    """Name hidden states by their number, counted from the embeddings (0) or from the end (-1)."""
    return "last layer" if number == -1 else f"layer {number}"


def limits(row: Mapping[str, Any], name: str, show: Callable[[Any], str] = score) -> str:
    """Print the interval of a value on a line of its own, or nothing where it has none."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if is_missing(low) or is_missing(high) else f"\n[{show(low)}, {show(high)}]"


def with_limits(row: Mapping[str, Any], name: str, show: Callable[[Any], str] = score, mark: str = "") -> str:
    """Print a value, its mark and its interval in one line."""
    return show(row[name]) + mark + limits(row, name, show).replace("\n", " ")


def mark(saw: Any) -> str:
    """Return the mark of a score under an attack that the system saw in training (`Record.saw_attack`)."""
    return "" if is_missing(saw) else _MARKS[saw]


def about_marks(saw: pd.Series[Any]) -> list[str]:
    """Return what the marks of some scores mean (see `mark`), as one text, or nothing where there is none."""
    said = " ".join(text for name, text in _ABOUT_MARKS.items() if name in set(saw.dropna()))
    return [said] if said else []


def count(value: Any) -> str:
    """Print a whole number with thousands separated."""
    return DASH if is_missing(value) else f"{int(value):,}"


def plain(value: Any) -> str:
    """Print a seed: a whole number without separators."""
    return DASH if is_missing(value) else str(int(value))


def seconds(value: float) -> str:
    """Print a duration in the unit that suits its size."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def short_hash(value: Any) -> str:
    """Print the first 12 digits of a hash."""
    return DASH if is_missing(value) else str(value)[:12]


def score_name(name: str) -> str:
    """Return how the key of a score reads inside a sentence: `f1` as `F1`."""
    return _NAMES.get(name, name.replace("_", " "))


def score_title(name: str) -> str:
    """Return how the key of a score reads at the head of an axis or a column."""
    text = score_name(name)
    return text[:1].upper() + text[1:]


def plural(number: int, noun: str) -> str:
    """Return `1 example`, `1,365 examples`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def join(values: list[str]) -> str:
    """Return names in one line, each once, in order; a dash for none."""
    return ", ".join(dict.fromkeys(value for value in values if value)) or DASH


def about_intervals(means: pd.DataFrame) -> str:
    """Return what intervals in brackets are, where there are any."""
    known = "attacked_low" in means and means["attacked_low"].notna().any()
    return "In square brackets 95% intervals over examples (paired bootstrap). " if known else ""


def about_lines(means: pd.DataFrame) -> str:
    """Return what the lines of a figure are, where there are any."""
    return " Lines are 95% intervals over examples." if means["attacked_low"].notna().any() else ""


def not_learnt(rows: Iterable[Mapping[Any, Any]]) -> str:
    """Name systems that have not learnt their task, each once, with their clean scores and the best constant's.

    A row has task, label, metric, constant, clean and its limits.
    """
    said = (
        f"{row['label']} on {row['task']}, {score_name(row['metric'])} {with_limits(row, 'clean')}"
        + ("" if is_missing(row["constant"]) else f", best constant {score(row['constant'])}")
        for row in rows
    )
    return (
        f"{'; '.join(dict.fromkeys(said))}. Not learnt: the clean score is not above that of the best constant answer "
        "(one for all examples), by its interval; more test examples narrow it."
    )


def about_best(means: pd.DataFrame) -> str:
    """Return what bold means, where anything is bold: ties are tested where all systems have counts."""
    tested = ties_tested(means)
    if tested.empty:
        return ""
    if not tested.any():
        return "Bold: the highest score (ties are tested only where all systems have counts of each example). "
    best = "Bold: the best of all systems, and those not significantly different from it"
    best += " (permutation test, Holm, p ≥ 0.05)"
    if tested.all():
        return f"{best}. "
    untested = join([f"{task} under {suite}" for task, suite in tested.index[~tested]])
    return f"{best}; of {untested}, where not all systems have counts of each example, the highest score alone. "


def _signed(text: str) -> str:
    """Return a number with a true minus sign, or without one where it is rounded to 0."""
    return "0.0" + text[4:] if text.startswith("-0.0") and not text.strip("-0.%") else text.replace("-", "−")

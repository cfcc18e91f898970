"""The systems side by side: a row a system, its scores on clean data and under each suite, the gains over bert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import REFERENCE
from robustbench_char.analysis.statistics import CLEAN
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Note, Table
from robustbench_char.reports.means import about_best, about_intervals

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["footnote", "overview"]

_CLEAN = {"": "clean", "_low": "clean_low", "_high": "clean_high", "_gain": "gain_clean",
          "_gain_low": "gain_clean_low", "_gain_high": "gain_clean_high", "_best": "clean_best"}  # fmt: skip
_ATTACKED = {"": "attacked", "_low": "attacked_low", "_high": "attacked_high", "_gain": "gain", "_gain_low": "gain_low",
             "_gain_high": "gain_high", "_best": "attacked_best", "_retention": "retention",
             "_effective_strength": "effective_strength", "_saw_attack": "saw_attack"}  # fmt: skip


def overview(means: pd.DataFrame, task: str) -> list[Table]:
    """Return the table of one task, or none where there is one system; `means` are those of the task.

    Scores are means over training and attack seeds; `_gain` columns are in points, `_retention` shares.
    """
    import pandas as pd

    groups = means.groupby("label", sort=False)
    if len(groups) < 2:
        return []
    suites = list(dict.fromkeys(means["suite"]))
    wide = pd.DataFrame([_row(str(label), part) for label, part in groups])
    best = [f"{name}_best" for name in (CLEAN, *suites)]
    wide = wide.assign(**{name: wide[name].eq(True) for name in best})
    columns = (
        Column("System", lambda row: str(row["system"]), "left"),
        *(Column(name, _cell(name), best=f"{name}_best") for name in (CLEAN, *suites)),
    )
    gains = f"In round brackets the gain over {REFERENCE} on the same data, in points. " if _any(means["gain"]) else ""
    metric = formatting.score_name(str(means["metric"].iloc[0]))
    caption = (
        f"{task}: {metric} of all systems, clean and under each suite. {about_intervals(means)}{gains}"
        f"{about_best(means)}{_strengths(means)}"
    )
    return [Table(f"overview_{task}", caption, wide, columns)]


def footnote(frame: pd.DataFrame) -> list[Note]:
    """Return what the marks mean, where the table has one."""
    return [Note(formatting.SAW_ATTACK)] if _any(frame["saw_attack"]) else []


def _any(column: pd.Series[Any]) -> bool:
    return bool(column.notna().any())


def _strengths(means: pd.DataFrame) -> str:
    strengths = means.groupby("suite", sort=False)["effective_strength"].mean()
    shares = ", ".join(f"{suite} {formatting.percent(value)}" for suite, value in strengths.items())
    return f"Effective strength, of eligible words: {shares}."


def _row(label: str, part: pd.DataFrame) -> dict[str, Any]:
    rows = part.to_dict("records")
    row: dict[str, Any] = {"system": label, **{f"{CLEAN}{end}": rows[0][name] for end, name in _CLEAN.items()}}
    for one in rows:
        row |= {f"{one['suite']}{end}": one[name] for end, name in _ATTACKED.items()}
    return row


def _cell(name: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        gain = row.get(f"{name}_gain")
        below = "" if formatting.is_missing(gain) else f"\n({formatting.gain(gain)})"
        return (
            formatting.score(row.get(name))
            + formatting.mark(row.get(f"{name}_saw_attack"))
            + formatting.limits(row, name)
            + below
        )

    return cell

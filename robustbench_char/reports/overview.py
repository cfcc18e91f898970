"""The systems side by side: a row a system, its scores on clean data and under each suite, the gains over bert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.evaluation.comparison import REFERENCE
from robustbench_char.reports import show
from robustbench_char.reports.blocks import Column, Note, Table
from robustbench_char.reports.figures import strongest, system_labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["footnote", "overview"]


def overview(frame: pd.DataFrame, task: str) -> list[Table]:
    """Return the table of one task, or none where there is one system; `frame` holds the rows of the task.

    Scores are means over training and attack seeds; `_gain` columns are in points, `_retention` shares.
    """
    import pandas as pd

    groups = frame.assign(label=system_labels(frame)).groupby("label", sort=False)
    if len(groups) < 2:
        return []
    suites = list(dict.fromkeys(frame["suite"]))
    wide = pd.DataFrame([_row(str(label), part) for label, part in groups])
    columns = (
        Column("System", lambda row: str(row["system"]), "left"),
        Column("clean", _cell("clean")),
        *(Column(suite, _cell(suite)) for suite in suites),
    )
    gains = (
        f" In brackets the gain over {REFERENCE} on the same data, in points." if frame["gain"].notna().any() else ""
    )
    metric = show.score_name(str(frame["metric"].iloc[0]))
    caption = f"{task}: {metric} of all systems, clean and under each suite.{gains}"
    return [Table(f"overview_{task}", caption, wide, columns)]


def footnote(frame: pd.DataFrame) -> list[Note]:
    """Return what the marks mean, where the table has one."""
    return [Note(show.SAW_ATTACK)] if frame["saw_attack"].notna().any() else []


def _row(label: str, part: pd.DataFrame) -> dict[str, Any]:
    clean = part.drop_duplicates(["training_seed", "clean"])
    row: dict[str, Any] = {"system": label, "clean": clean["clean"].mean(), "clean_gain": clean["gain_clean"].mean()}
    for suite, group in part.groupby("suite", sort=False):
        row[str(suite)] = group["attacked"].mean()
        row[f"{suite}_gain"] = group["gain"].mean()
        row[f"{suite}_retention"] = group["retention"].mean()
        row[f"{suite}_saw_attack"] = strongest(group["saw_attack"])
    return row


def _cell(name: str) -> Callable[[Mapping[str, Any]], str]:
    def cell(row: Mapping[str, Any]) -> str:
        gain = row.get(f"{name}_gain")
        below = "" if show.is_missing(gain) else f"\n({show.gain(gain)})"
        return show.score(row.get(name)) + show.mark(row.get(f"{name}_saw_attack")) + below

    return cell

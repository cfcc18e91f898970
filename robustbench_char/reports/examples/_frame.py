"""Examples that attacks changed as a table for notebooks: texts and predictions before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_char.analysis.pairs import Pair
from robustbench_char.common import InputError, nearest
from robustbench_char.records.evaluation import Record, read_predictions
from robustbench_char.records.readable import readable
from robustbench_char.reports.examples._choice import OUTCOMES, changed_examples

__all__ = ["EXAMPLE_COLUMNS"]

EXAMPLE_COLUMNS = (
    "task", "system", "training_seed", "suite", "attack_seed", "row", "id", "outcome", "lost", "edits", "text",
    "attacked_text", "gold", "prediction", "attacked_prediction",
)  # fmt: skip
"""Columns of `example_frame`: `lost` is what the attack cost of the example's own score (0 to 1); `edits` are words
before and after; the others are as in `readable`, on clean and on attacked text."""


def example_frame(pairs: Sequence[Pair], outcome: str | None, most: int | None) -> pd.DataFrame:
    """Return the examples with one outcome (None: any), at most `most` of each pair, those first that lost most.

    Raises InputError for an unknown outcome, and where no pair has predictions on both sides.
    """
    if outcome not in (None, *OUTCOMES):
        raise InputError("outcome", found=repr(outcome), expected=f"one of {', '.join(OUTCOMES)}, or None for all",
                         fix=f"Correct the name.{nearest(str(outcome), OUTCOMES)}")  # fmt: skip
    tables = list(_tables(pairs, outcome, most))
    if not tables:
        raise InputError("examples", found="no predictions on both clean and attacked data",
                         expected="folders that `evaluate`, `check` or `run` wrote",
                         fix="Published results hold numbers alone; evaluate on both.")  # fmt: skip
    whole = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return whole.reindex(columns=list(EXAMPLE_COLUMNS)).astype({"training_seed": "Int64", "attack_seed": "Int64"})


def _tables(pairs: Sequence[Pair], outcome: str | None, most: int | None) -> Iterator[pd.DataFrame]:
    for pair, table in changed_examples(pairs):
        clean, attacked = _read(pair.clean_folder, pair.clean), _read(pair.attacked_folder, pair.attacked)
        chosen = (table if outcome is None else table[table["outcome"] == outcome]).set_index("row")[["outcome"]]
        chosen = chosen.assign(lost=(clean["score"] - attacked["score"]).reindex(chosen.index))
        chosen = chosen.sort_values("lost", ascending=False, kind="stable").head(len(chosen) if most is None else most)
        before, after = (readable(side.loc[chosen.index].reset_index()).set_index("row") for side in (clean, attacked))
        told = after.rename(columns={"text": "attacked_text", "prediction": "attacked_prediction"})
        told = told.drop(columns=["score", "error", "gold"]).join(before[["text", "gold", "prediction"]])
        yield chosen.join(told).reset_index().assign(**_about(pair.attacked))


def _read(folder: Path | None, record: Record | None) -> pd.DataFrame:
    table = None if folder is None else read_predictions(folder, record)
    if table is None:
        raise ValueError(f"no predictions in {folder}")
    return table.set_index("row")


def _about(record: Record) -> dict[str, Any]:
    attack = record.data.attack
    return {
        "task": record.task,
        "system": record.system.shown,
        "training_seed": record.system.training_seed,
        "suite": record.condition,
        "attack_seed": attack.seed if attack else None,
    }

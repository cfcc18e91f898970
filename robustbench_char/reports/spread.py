"""What seeds change, apart from the intervals over examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import seed_frame
from robustbench_char.reports import formatting
from robustbench_char.reports.blocks import Column, Table
from robustbench_char.reports.figures.bars import system_labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["seed_table"]


def seed_table(frame: pd.DataFrame, task: str) -> list[Table]:
    """Return the spread over seeds of the rows of one task, or none where each system has one seed of either kind."""
    seeds = seed_frame(frame)
    seeds = seeds[(seeds["training_seeds"] > 1) | (seeds["attack_seeds"] > 1)].reset_index(drop=True)
    if seeds.empty:
        return []
    seeds.insert(0, "system", system_labels(seeds))
    columns = (
        Column("System", lambda row: str(row["system"]), "left"),
        Column("Suite", lambda row: str(row["suite"]), "left"),
        Column("Training seeds", lambda row: formatting.count(row["training_seeds"])),
        Column("Attack seeds", lambda row: formatting.count(row["attack_seeds"])),
        Column("Clean mean", _score("clean_mean")),
        Column("spread", _score("clean_spread")),
        Column("Attacked mean", _score("mean")),
        Column("spread of training", _score("training_spread")),
        Column("spread of attack", _score("attack_spread")),
        Column("worst run", _score("worst")),
    )
    caption = (
        f"{task}: what seeds change. Spread is the standard deviation (n − 1) over training seeds, and over attack "
        "seeds within a training seed; examples are the same throughout."
    )
    return [Table(f"seeds_{task}", caption, seeds, columns, folded=True)]


def _score(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: formatting.score(row[name])

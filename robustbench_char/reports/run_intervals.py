"""The interval of each single result: the bootstrap where counts are there, else Wilson's for an accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robustbench_char.analysis.pairs import Pair
from robustbench_char.analysis.statistics import Statistics
from robustbench_char.records.evaluation import Record
from robustbench_char.reports import formatting

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["with_intervals"]

_VALUES = ("clean", "attacked", "drop", "retention")


def with_intervals(frame: pd.DataFrame, pairs: Sequence[Pair], statistics: Statistics) -> pd.DataFrame:
    """Return the comparison table with `_low` and `_high` of clean, attacked, drop and retention, and `interval`.

    `interval` says by which method: `bootstrap`, `wilson` (of clean and attacked alone), or missing. Row i is pair i.
    """
    import pandas as pd

    known = {_key(row): row for row in statistics.run_frame().to_dict("records")}
    keys = [_key(row) for row in frame.to_dict("records")]
    found = [
        _bootstrap(known[key]) if key in known and keys.count(key) == 1 else _wilson(pair)
        for key, pair in zip(keys, pairs, strict=True)
    ]
    columns = [*(f"{name}_{end}" for name in _VALUES for end in ("low", "high")), "interval"]
    limits = pd.DataFrame(found, columns=columns, index=frame.index)
    return pd.concat([frame, limits.astype(dict.fromkeys(columns[:-1], "float64"))], axis=1)


def _key(row: dict[Any, Any]) -> tuple[object, ...]:
    seeds = (row["training_seed"], row["attack_seed"])
    numbers = (None if formatting.is_missing(seed) else int(seed) for seed in seeds)
    return (*(row[name] for name in ("task", "label", "base", "suite")), *numbers)


def _bootstrap(row: dict[Any, Any]) -> dict[str, Any]:
    ends = {f"{name}_{end}": row[f"{name}_{end}"] for name in _VALUES for end in ("low", "high")}
    return {**ends, "interval": "bootstrap"}


def _wilson(pair: Pair) -> dict[str, Any]:
    sides = {"clean": _limits(pair.clean), "attacked": _limits(pair.attacked)}
    ends = {f"{name}_{end}": value for name, both in sides.items() if both
            for end, value in zip(("low", "high"), both, strict=True)}  # fmt: skip
    return {**ends, "interval": "wilson"} if ends else {}


def _limits(record: Record | None) -> tuple[float, float] | None:
    """Return Wilson's interval in percent where the headline is a share of independent examples, else None."""
    if record is None or record.headline != "accuracy" or "correct" not in record.counts:
        return None
    low, high = formatting.wilson(record.counts["correct"] / record.counts["examples"], record.counts["examples"])
    return 100 * low, 100 * high

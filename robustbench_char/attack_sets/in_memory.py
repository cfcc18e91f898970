"""Attacking rows in memory, which gives rows of the same type with the ledger of their edits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from robustbench_char.attack_sets.stream import Attack, Tally, attack_blocks
from robustbench_char.attacks.ledger import ledger_schema
from robustbench_char.attacks.suites import Suite
from robustbench_char.common import InputError
from robustbench_char.common.process import cycles_kept
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.formats.memory import is_a, memory_table
from robustbench_char.tasks.registry import get_task

if TYPE_CHECKING:
    import datasets
    import pandas as pd

__all__ = ["attack"]

Data = TypeVar("Data", "datasets.Dataset", "datasets.DatasetDict", "pd.DataFrame", list[dict[str, Any]])


class AttackedList(list[Any]):
    """A list that can carry `ledger` and `strength`."""


def attack(
    data: Data,
    *,
    task: str | Path | Task,
    suite: str | Path | Suite,
    operations: str | Path | None = None,
    seed: int = 0,
    fields: Iterable[str] | None = None,
    workers: int = 1,
) -> Data:
    """Return what `data` is, its texts attacked and its labels still true: `datasets`, a data frame, a list of rows.

    `data` has the columns of the task on the hub, or those that the task names. `suite` is a name (`drop@0.3`), the
    path of a .yaml file, or a `Suite`; `operations` is a file of published edit operations, as in `attack_file`. The
    same suite, seed and text give the same edits as `attack_file` makes. Besides, what is returned has `ledger`, a data
    frame with a row per edit (LEDGER_COLUMNS), and `strength`, the share of eligible words that were edited (None where
    no word is eligible); of a `DatasetDict`, `ledger` is one per split. Raises InputError for bad input.

    >>> attacked = attack([{"sentence": "The harbour was quiet.", "label": 1}], task="cola", suite="drop", seed=1)
    >>> attacked[0]["sentence"], attacked.strength
    ('The harbor was quet.', 1.0)
    >>> attacked.ledger[["word_before", "word_after"]].values.tolist()
    [['harbour', 'harbor'], ['quiet', 'quet']]
    """
    request = Attack.of(get_task(task, place="task"), suite, seed, fields, operations, option="{}")
    split, tally = is_a(data, "datasets.DatasetDict"), Tally()
    if split and request.operations:
        raise InputError("data", found=f"the splits {', '.join(map(str, data))}", expected="one split with operations",
                         fix="Choose one, for example data['test'].")  # fmt: skip
    with cycles_kept():
        result: Data = (_attacked_splits if split else _attacked)(request, data, "data", tally, workers)
    return result


def _attacked_splits(request: Attack, data: Any, place: str, tally: Tally, workers: int) -> Any:
    done = {name: _attacked(request, split, f"{place}[{name!r}]", tally, workers) for name, split in data.items()}
    return _noted(type(data)(done), {name: split.ledger for name, split in done.items()}, tally)


def _attacked(request: Attack, data: Any, place: str, tally: Tally, workers: int) -> Any:
    import pyarrow as pa

    if isinstance(data, str | Path):
        fix = "Attack a file with attack_file, or read its rows first."
        raise InputError(place, found="a path", expected="rows in memory", fix=fix)
    own, parts, table = Tally(), [ledger_schema().empty_table()], memory_table(request.task, data, place)
    blocks = attack_blocks(request, table, own, parts.append, workers=workers, strength_only=True)
    result = table.attacked(blocks)
    tally.add(own)
    return _noted(result, pa.concat_tables(parts).to_pandas(), own)


def _noted(data: Any, ledger: Any, tally: Tally) -> Any:
    """Set the two attributes; pandas would warn that the frame in one of them is no new column."""
    edited, eligible = tally.numbers["edited_words"], tally.numbers["eligible_words"]
    data = AttackedList(data) if type(data) is list else data
    object.__setattr__(data, "ledger", ledger)
    object.__setattr__(data, "strength", edited / eligible if eligible else None)
    return data

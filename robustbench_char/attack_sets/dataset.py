"""Attacking a `datasets.Dataset` or `DatasetDict` from Python."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from robustbench_char.attack_sets.stream import Attack, Tally, attack_examples, chosen_fields
from robustbench_char.attacks.suites import Suite, load_suites
from robustbench_char.common import InputError
from robustbench_char.tasks.base import Task
from robustbench_char.tasks.formats.table import DatasetTable
from robustbench_char.tasks.registry import get_task

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

__all__ = ["attack", "attack_with_ledger"]

Data = TypeVar("Data", "datasets.Dataset", "datasets.DatasetDict")


def attack(
    dataset: Data,
    *,
    task: str | Task,
    suite: str | Suite,
    seed: int = 0,
    fields: Iterable[str] | None = None,
    workers: int = 1,
) -> Data:
    """Return a data set like `dataset`, its texts attacked and its labels still true.

    `dataset` has the columns of the task on the hub. `suite` is a name (`drop@0.3`), the path of a .yaml file, or a
    `Suite`. The same
    suite, seed and text give the same edits as the command line does. Raises InputError for bad input.
    """
    return attack_with_ledger(dataset, task=task, suite=suite, seed=seed, fields=fields, workers=workers)[0]


def attack_with_ledger(
    dataset: Data,
    *,
    task: str | Task,
    suite: str | Suite,
    seed: int = 0,
    fields: Iterable[str] | None = None,
    workers: int = 1,
) -> tuple[Data, dict[str, pa.Table]]:
    """Return the attacked data set and, by split (`data` for a single `Dataset`), the ledger of its edits.

    The ledger's columns are those of `robustbench_char.attacks.ledger.LEDGER_COLUMNS`.
    """
    import datasets

    record = get_task(task, place="task") if isinstance(task, str) else task
    chosen = suite if isinstance(suite, Suite) else _one_suite(suite, record.name)
    request = Attack(record, chosen, seed, chosen_fields(record, chosen, fields, place="fields"))
    if isinstance(dataset, datasets.DatasetDict):
        done = {name: _attack_one(request, split, name, workers) for name, split in dataset.items()}
        whole: Any = datasets.DatasetDict({name: attacked for name, (attacked, _) in done.items()})
        return whole, {name: ledger for name, (_, ledger) in done.items()}
    if not isinstance(dataset, datasets.Dataset):
        raise InputError(
            "dataset",
            found=f"a {type(dataset).__name__}",
            expected="a datasets.Dataset or DatasetDict",
            fix="Load it without streaming, or use the command line on a file.",
        )
    attacked, ledger = _attack_one(request, dataset, "data", workers)
    return attacked, {"data": ledger}


def _one_suite(name: str, task: str) -> Suite:
    suites = load_suites(name, task=task, place="suite")
    if len(suites) > 1:
        raise InputError(
            "suite",
            found=f"{name!r}, which has {len(suites)} strengths",
            expected="one of them",
            fix=f"Name one, for example {suites[0].name!r}.",
        )
    return suites[0]


def _attack_one(request: Attack, split: datasets.Dataset, name: str, workers: int) -> tuple[datasets.Dataset, pa.Table]:
    import pyarrow as pa

    from robustbench_char.attacks.ledger import ledger_schema

    table = DatasetTable(request.task, split, Path(name))
    parts: list[pa.Table] = []
    attacked = table.attacked(attack_examples(request, table, Tally(), parts.append, workers=workers))
    return attacked, pa.concat_tables([ledger_schema().empty_table(), *parts])

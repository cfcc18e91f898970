"""Which examples a report shows, and their predictions: a choice that is the same each time, balanced over tasks,
systems and suites."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from robustbench_char.analysis.pairs import Pair
from robustbench_char.common import InputError
from robustbench_char.records.evaluation import PREDICTION_COLUMNS, Record, read_predictions

__all__ = []  # fmt: skip

OUTCOMES = {
    "broken": "the attacked example scores lower than the clean one",
    "survived": "entirely right before and after",
    "repaired": "it scores higher after the attack",
    "wrong": "it scores the same before and after, and is not entirely right",
}
_SHARES = (("broken", 0.5), ("survived", 0.35), ("repaired", 0.15))

HOW_CHOSEN = (
    "Chosen by rule among the examples that the attack changed: of twenty, ten that it broke, then seven that survived "
    "it and three that it repaired; where there are too few of one, the others fill up, in this order. Tasks, suites "
    "and systems take turns, and within each the examples come in the order of the SHA-256 of suite and id."
)


class Changed(NamedTuple):
    """The examples that an attack changed, of one pair of evaluations."""

    pair: Pair
    table: pd.DataFrame
    """`row` and `outcome` of each, in the order of choice: by the SHA-256 of suite and id."""


class Row(NamedTuple):
    """One line of a predictions file, its JSON read; `prediction` is None where the system failed on the example."""

    id: str
    fields: dict[str, Any]
    gold: Any
    prediction: Any
    edits: list[dict[str, Any]]


Rows: TypeAlias = Mapping[Path | None, Mapping[int, Row]]
"""Lines of predictions files, by folder and number."""


class Choice(NamedTuple):
    """One example to show: the pair of evaluations, its row, and what the attack did to it."""

    pair: Pair
    row: int
    outcome: str


def changed_examples(pairs: Sequence[Pair]) -> list[Changed]:
    """Return what the attacks changed, of each pair that has predictions on both sides.

    Raises InputError for predictions that are not those of their record, or that hold other rows than the clean ones.
    """
    scores = _read_scores(pairs)
    return [Changed(pair, table) for pair in pairs if (table := _compare(pair, scores)) is not None]


def choose(changed: Sequence[Changed], number: int = 20) -> list[Choice]:
    """Return at most `number` of the examples, in the order of `OUTCOMES`."""
    tables = _in_turns(changed)
    queues = {outcome: _queue(tables, outcome, number) for outcome in OUTCOMES}
    chosen = {outcome: queues[outcome][: round(share * number)] for outcome, share in _SHARES}
    for outcome, queue in queues.items():
        taken = len(chosen.get(outcome, []))
        free = number - sum(map(len, chosen.values()))
        chosen[outcome] = queue[: taken + free]
    return [choice for outcome in OUTCOMES for choice in chosen[outcome]]


def _outcome(before: float, after: float) -> str:
    """Return what an attack did to an example, from its scores: one of OUTCOMES."""
    if after != before:
        return "broken" if after < before else "repaired"
    return "survived" if after == 1 else "wrong"


def _read_scores(pairs: Sequence[Pair]) -> dict[Path | None, pd.DataFrame | None]:
    """Read the predictions of every folder once: one clean evaluation serves many suites."""
    sources: dict[Path | None, Record] = {pair.attacked_folder: pair.attacked for pair in pairs}
    sources |= {pair.clean_folder: pair.clean for pair in pairs if pair.clean}
    columns = ("row", "id", "score", "edits")
    return {folder: read_predictions(folder, record, columns=columns) for folder, record in sources.items() if folder}


def _compare(pair: Pair, scores: dict[Path | None, pd.DataFrame | None]) -> pd.DataFrame | None:
    """Return row and outcome of each example that the attack changed, in order of choice; None without predictions."""
    clean, attacked = scores.get(pair.clean_folder), scores.get(pair.attacked_folder)
    if clean is None or attacked is None:
        return None
    if set(clean["row"]) != set(attacked["row"]):
        raise InputError(
            pair.attacked_folder,
            found=f"{len(attacked)} predictions with other rows than the {len(clean)} on clean data",
            expected="the same rows",
            fix="Evaluate both files whole.",
        )
    table = attacked.merge(clean[["row", "score"]], on="row", suffixes=("", "_clean"))
    table = table[table["edits"] != "[]"].copy()
    table["outcome"] = list(map(_outcome, table["score_clean"], table["score"]))
    suite = pair.attacked.condition
    table["rank"] = [_rank(suite, str(name)) for name in table["id"]]
    return table.sort_values(["rank", "row"])[["row", "outcome"]]


@lru_cache(maxsize=1 << 18)  # all systems have the same examples
def _rank(suite: str, name: str) -> str:
    return hashlib.sha256(f"{suite}\0{name}".encode()).hexdigest()


def _in_turns(changed: Sequence[Changed]) -> list[Changed]:
    """Order pairs so that the first few are spread over tasks, then over suites, with systems (and seeds) in turn."""
    records = [pair.attacked for pair, _ in changed]
    tasks, suites = _order([record.task for record in records]), _order([record.condition for record in records])
    cells: dict[tuple[int, int], list[Changed]] = {}
    for item, record in zip(changed, records, strict=True):
        cells.setdefault((suites[record.condition], tasks[record.task]), []).append(item)
    turns: list[tuple[int, int, int, Changed]] = []
    for (suite, task), cell in cells.items():
        turns += [((number + suite + task) % len(cell), suite, task, item) for number, item in enumerate(cell)]
    return [item for *_, item in sorted(turns, key=lambda turn: turn[:3])]


def _order(names: list[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(dict.fromkeys(names))}


def _queue(tables: list[Changed], outcome: str, number: int) -> list[Choice]:
    """Return the candidates with one outcome: the first of every pair, then the second of every pair, and so on."""
    columns = [(pair, table.loc[table["outcome"] == outcome, "row"].head(number).tolist()) for pair, table in tables]
    start = list(OUTCOMES).index(outcome)  # another pair leads for each outcome
    columns = columns[start:] + columns[:start]
    turns = ((turn, column) for turn in range(number) for column in columns)
    return [Choice(pair, int(rows[turn]), outcome) for turn, (pair, rows) in turns if turn < len(rows)]


def read_rows(wanted: Iterable[tuple[Pair, Iterable[int]]]) -> Rows:
    """Return the rows wanted of both sides of each pair, every folder read once.

    Raises InputError for predictions with malformed JSON.
    """
    folders: dict[Path, set[int]] = {}
    for pair, numbers in wanted:
        for folder in (pair.clean_folder, pair.attacked_folder):
            if folder is not None:
                folders.setdefault(folder, set()).update(numbers)
    return {folder: _read_rows(folder, numbers) for folder, numbers in folders.items()}


def _read_rows(folder: Path, numbers: Set[int]) -> dict[int, Row]:
    table = read_predictions(folder)
    if table is None:
        raise ValueError(f"no predictions in {folder}")
    table = table.loc[table["row"].isin(sorted(numbers)), list(PREDICTION_COLUMNS)]
    texts = ("fields", "gold", "prediction", "edits")
    try:
        return {
            int(row["row"]): Row(str(row["id"]), *(json.loads(row[name]) for name in texts))
            for row in table.to_dict("records")
        }
    except (TypeError, json.JSONDecodeError) as error:
        raise InputError(
            folder / "predictions.parquet",
            found=f"malformed JSON ({error})",
            expected="predictions written by `evaluate`",
            fix="Run `robustbench-char evaluate` again.",
        ) from None


def answers_of(gold: Any) -> list[str]:
    """Return the texts of gold answers, each once, whether they are texts or objects with one."""
    return list(dict.fromkeys(answer if isinstance(answer, str) else str(answer["text"]) for answer in gold))

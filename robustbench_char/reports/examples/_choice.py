"""Which examples a report shows, and their predictions: a choice that is the same each time."""

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
SHORT = 320
"""The most characters of an example that stands on the first screen, where there is one so short."""
HOW_CHOSEN = (
    "Of the short examples that the attack changed: the one that lost most (of equals, by the fewest edits), and the "
    "one with the most edits that is entirely right before and after."
)


class Changed(NamedTuple):
    """The examples that an attack changed, of one pair of evaluations."""

    pair: Pair
    table: pd.DataFrame
    """`row`, `outcome` and `lost` (of its score) of each, in the order of choice: by the SHA-256 of suite and id."""


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


def extremes(pair: Pair) -> list[Choice]:
    """Return of one pair the example that the attack cost most and the one that was kept best, by the rule HOW_CHOSEN.

    One that there is not is left out. Raises InputError as `changed_examples` and `read_rows` do.
    """
    return [choice for changed in changed_examples([pair]) for choice in _extremes(changed)]


def _extremes(changed: Changed) -> list[Choice]:
    rows = read_rows([(changed.pair, changed.table["row"])])[changed.pair.attacked_folder]
    edits = [len(rows[row].edits) for row in changed.table["row"]]
    length = [len(str(rows[row].fields)) for row in changed.table["row"]]
    table = changed.table.assign(edits=edits, length=length)
    orders = {"broken": [("lost", False), ("edits", True), ("length", True)], "survived": [("edits", False)]}
    chosen = []
    for outcome, order in orders.items():
        part = table[table["outcome"] == outcome]
        part = short if len(short := part[part["length"] <= SHORT]) else part
        names, rising = map(list, zip(*order, strict=True))
        first = part.sort_values(names, ascending=rising, kind="stable")["row"].head(1)
        chosen += [Choice(changed.pair, int(row), outcome) for row in first]
    return chosen


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
    attack = pair.attacked.data.attack
    fewer = attack is not None and attack.search is not None  # what was searched may be the first examples of a file
    if not fewer and set(clean["row"]) != set(attacked["row"]):
        raise InputError(
            pair.attacked_folder,
            found=f"{len(attacked)} predictions with other rows than the {len(clean)} on clean data",
            expected="the same rows",
            fix="Evaluate both files whole.",
        )
    table = attacked.merge(clean[["row", "score"]], on="row", suffixes=("", "_clean"))
    table = table[table["edits"] != "[]"].copy()
    table["outcome"] = list(map(_outcome, table["score_clean"], table["score"]))
    table["lost"] = table["score_clean"] - table["score"]
    suite = pair.attacked.condition
    table["rank"] = [_rank(suite, str(name)) for name in table["id"]]
    return table.sort_values(["rank", "row"])[["row", "outcome", "lost"]]


@lru_cache(maxsize=1 << 18)  # all systems have the same examples
def _rank(suite: str, name: str) -> str:
    return hashlib.sha256(f"{suite}\0{name}".encode()).hexdigest()


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

"""What an attack costs: drop, retention, and the table that sets each attacked result beside its clean one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from robustbench_char.common import InputError
from robustbench_char.evaluation.records import AttackInfo, Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Pair", "comparison_table", "drop", "pair_records", "relative_drop", "retention"]

_Key: TypeAlias = tuple[str | int | None, ...]

_TYPES = {
    "task": "str", "system": "str", "base": "str", "training_seed": "Int64", "suite": "str", "attack_seed": "Int64",
    "metric": "str", "clean": "float64", "attacked": "float64", "drop": "float64", "relative_drop": "float64",
    "retention": "float64", "examples": "Int64", "words": "Int64", "eligible_words": "Int64", "edits": "Int64",
    "effective_strength": "float64", "truncated_words_clean": "Int64", "truncated_words_attacked": "Int64",
    "clean_gold_attacked": "float64",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One attacked result and the clean one of the same system on the same data, with the folders they stand in."""

    attacked: Record
    attacked_folder: Path
    clean: Record | None = None
    clean_folder: Path | None = None


def drop(clean: float, attacked: float) -> float:
    """Return clean − attacked, in percentage points; negative where the attack helped."""
    return clean - attacked


def retention(clean: float, attacked: float) -> float | None:
    """Return attacked / clean, the share of the score that is left, or None (not defined) where clean is 0 or less."""
    return attacked / clean if clean > 0 else None


def relative_drop(clean: float, attacked: float) -> float | None:
    """Return 1 − retention, the share of the score that is lost, or None (not defined) where clean is 0 or less."""
    kept = retention(clean, attacked)
    return None if kept is None else 1 - kept


def pair_records(records: Sequence[tuple[Path, Record]]) -> list[Pair]:
    """Match each attacked record to the clean one of the same task, metric, system, weights and clean data.

    `records` are as `find_records` returns them; their order is kept. A result that was found twice counts once; an
    attacked one without clean partner stays. Raises InputError where two results of one thing have different scores.
    """
    kept: dict[_Key, tuple[Path, Record]] = {}
    for folder, record in records:
        first_folder, first = kept.setdefault(_key(record), (folder, record))
        if (first.scores, first.clean_gold_scores) != (record.scores, record.clean_gold_scores):
            raise InputError(
                f"{first_folder} and {folder}",
                found=f"different scores of {record.system.name} on {record.task}, {record.condition}",
                expected="one result for the same weights, data and attack",
                fix="Leave one of the two folders out.",
            )
    return [_pair(folder, record, kept) for folder, record in kept.values() if record.data.attack]


def comparison_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return one row a pair, with unrounded scores in percent; `metric` names the score, the record's headline.

    `drop` is in percentage points; `relative_drop`, `retention` and `effective_strength` are shares. What is undefined
    or unknown is missing (NaN or NA). `clean_gold_attacked` scores the attacked set against the clean answers
    (question answering alone).
    """
    import pandas as pd

    rows = pd.DataFrame([_row(pair) for pair in pairs], columns=list(_TYPES))
    return rows.astype(_TYPES)


def _key(record: Record, *, clean: bool = False) -> _Key:
    """Return what identifies a result, or with `clean` what identifies the result it is compared with."""
    attack = None if clean else record.data.attack
    data = record.data.attack.clean_sha256 if clean and record.data.attack else record.data.sha256
    condition = (attack.suite, attack.suite_sha256, attack.seed) if attack else ()
    return record.task, record.metric, record.system.name, record.system.weights_sha256, data, *condition


def _pair(folder: Path, record: Record, kept: dict[_Key, tuple[Path, Record]]) -> Pair:
    clean_folder, clean = kept.get(_key(record, clean=True), (None, None))
    return Pair(record, folder, clean, clean_folder)


def _row(pair: Pair) -> dict[str, str | float | None]:
    record, attack = pair.attacked, pair.attacked.data.attack
    if attack is None:
        raise ValueError("the first record of a pair must be an attacked one")
    gold = record.clean_gold_scores or {}
    return {
        "task": record.task,
        "system": record.system.name,
        "base": record.system.base,
        "training_seed": record.system.training_seed,
        "metric": record.headline,
        "examples": record.data.examples,
        "truncated_words_clean": pair.clean.counts.get("truncated_words") if pair.clean else None,
        "truncated_words_attacked": record.counts.get("truncated_words"),
        "clean_gold_attacked": gold.get(record.headline),
        **_attack(attack),
        **_change(pair),
    }


def _attack(attack: AttackInfo) -> dict[str, str | float | None]:
    return {
        "suite": attack.suite,
        "attack_seed": attack.seed,
        "words": attack.words,
        "eligible_words": attack.eligible_words,
        "edits": attack.edits,
        "effective_strength": attack.effective_strength,
    }


def _change(pair: Pair) -> dict[str, float | None]:
    name = pair.attacked.headline
    attacked = pair.attacked.scores[name]
    clean = pair.clean.scores.get(name) if pair.clean else None
    if clean is None:
        return {"attacked": attacked}
    return {
        "clean": clean,
        "attacked": attacked,
        "drop": drop(clean, attacked),
        "relative_drop": relative_drop(clean, attacked),
        "retention": retention(clean, attacked),
    }

"""What an attack costs: drop, retention, the table that sets each attacked result beside its clean one, seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias, TypeVar

import pandas as pd

from robustbench_char.analysis.variants import trained_with
from robustbench_char.common import InputError
from robustbench_char.records.evaluation import Record

__all__ = [
    "REFERENCE",
    "Pair",
    "alone",
    "check_together",
    "comparison_table",
    "distinct",
    "drawn_and_searched",
    "drop",
    "grouped",
    "is_reference",
    "pair_records",
    "reference_of",
    "relative_drop",
    "retention",
    "root_of",
    "seed_frame",
    "side_by_side",
]

K = TypeVar("K")
T = TypeVar("T")
_Key: TypeAlias = tuple[str | int | None, ...]

REFERENCE = "bert"
"""The system (as reports call it) that gains are measured against."""

_TYPES = {
    "task": "str", "system": "str", "label": "str", "base": "str", "training_seed": "Int64", "suite": "str",
    "attack_seed": "Int64", "metric": "str", "clean": "float64", "attacked": "float64", "drop": "float64",
    "relative_drop": "float64", "retention": "float64", "examples": "Int64", "words": "Int64",
    "eligible_words": "Int64", "edits": "Int64", "effective_strength": "float64", "truncated_words_clean": "Int64",
    "truncated_words_attacked": "Int64", "clean_gold_attacked": "float64", "gain_clean": "float64", "gain": "float64",
    "saw_attack": "str",
}  # fmt: skip

SEED_COLUMNS = (
    "task", "label", "base", "suite", "training_seeds", "attack_seeds", "mean", "training_spread", "training_worst",
    "attack_spread", "worst", "clean_mean", "clean_spread",
)  # fmt: skip


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


CHANGES: Mapping[str, Callable[[float, float], float | None]] = {
    "drop": drop,
    "relative_drop": relative_drop,
    "retention": retention,
}
"""What is computed of the clean and the attacked score, by its name in tables."""


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items of each key, both in order of first appearance."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def pair_records(records: Sequence[tuple[Path, Record]]) -> list[Pair]:
    """Match each attacked record to the clean one of the same task, metric, system, weights and clean data.

    `records` are as `find_records` returns them; their order is kept. A result that occurs twice counts once; an
    attacked one without clean partner stays. Raises InputError where two results of one thing have different scores.
    """
    kept = {_key(record): (folder, record) for folder, record in distinct(records)}
    pairs = []
    for folder, record in kept.values():
        if record.data.attack:
            clean_folder, clean = kept.get(_key(record, clean=True), (None, None))
            pairs.append(Pair(record, folder, clean, clean_folder))
    return pairs


def alone(records: Sequence[tuple[Path, Record]], pairs: Sequence[Pair]) -> list[Pair]:
    """Return the clean results that no attacked one of the pairs stands beside, each as a pair without a partner."""
    paired = {pair.clean_folder for pair in pairs}
    return [Pair(record, folder) for folder, record in records if not record.data.attack and folder not in paired]


def drawn_and_searched(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs whose attack strikes all systems alike, and those under the worst case of one system."""
    searched = [bool((attack := pair.attacked.data.attack) and attack.search) for pair in pairs]
    first, second = ([pair for pair, own in zip(pairs, searched, strict=True) if own is kind] for kind in (False, True))
    return first, second


def side_by_side(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs without those under a worst case that was searched on fewer examples than the clean result has.

    Each attack set of a search has a condition of its own (see `Record.condition`), so no table averages two of them.
    """
    _, searched = drawn_and_searched(pairs)
    fewer = [pair for pair in searched if pair.clean and pair.clean.data.examples != pair.attacked.data.examples]
    return [pair for pair in pairs if not any(pair is other for other in fewer)]


def distinct(records: Sequence[tuple[Path, Record]]) -> list[tuple[Path, Record]]:
    """Return the records with each result once, the first where there are several; their order is kept.

    One result is one set of weights (and recogniser) on one task's data, clean or under one attack, under one label.
    Raises InputError where two records of one result have different scores.
    """
    kept: dict[_Key, tuple[Path, Record]] = {}
    for folder, record in records:
        first_folder, first = kept.setdefault(_key(record), (folder, record))
        if (first.scores, first.clean_gold_scores) != (record.scores, record.clean_gold_scores):
            raise InputError(
                f"{first_folder} and {folder}",
                found=f"different scores of {record.system.shown} on {record.task}, {record.condition}",
                expected="one result for the same weights, data and attack",
                fix="Leave one of the two folders out.",
            )
    return list(kept.values())


def check_together(records: Sequence[tuple[Path, Record]]) -> None:
    """Raise InputError unless the records of each task can stand in one table.

    They must have one metric and headline, one set of clean data, for a name of a suite one suite on the same fields,
    and for a suite and seed one attack of it.
    """
    seen: dict[tuple[object, ...], tuple[object, Path]] = {}
    for folder, record in records:
        attack = record.data.attack
        facts: list[tuple[tuple[object, ...], object, str]] = [
            ((record.task,), (record.metric, record.headline), "scores of different metrics"),
            ((record.task, "clean"), record.clean_sha256, "results on different data"),
        ]
        if attack:
            key = (record.task, record.condition, attack.seed)
            facts.append((key, record.data.sha256, f"two attacks called {attack.suite}"))
            facts.append((key[:2], attack.suite_sha256, f"two suites called {attack.suite}"))
            if attack.constraints:  # older records do not tell
                other_words = f"two attacks called {attack.suite}, on other fields or words,"
                facts.append(((*key[:2], "constraints"), attack.constraints, other_words))
        for subject, fact, mistake in facts:
            first, first_folder = seen.setdefault(subject, (fact, folder))
            if first != fact:
                raise InputError(
                    f"{first_folder} and {folder}",
                    found=f"{mistake} of {record.task}",
                    expected="results that can stand in one table: the same metric, clean data and attacks",
                    fix="Make a report of each by itself, or evaluate again on the same files.",
                )


def comparison_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return one row per pair, with unrounded scores in percent; `metric` names the score, the record's headline.

    `drop` is in percentage points; `relative_drop`, `retention` and `effective_strength` are shares. What is undefined
    or unknown is missing (NaN or NA). `clean_gold_attacked` scores the attacked set against the clean answers
    (question answering alone). `gain` and `gain_clean` are in points over `bert` on the same data; `saw_attack` is
    `Record.saw_attack`.
    """
    references = [pair for pair in pairs if is_reference(pair.attacked)]
    rows = pd.DataFrame([_row(pair) | _gains(pair, references) for pair in pairs], columns=list(_TYPES))
    return rows.astype(_TYPES)


def _key(record: Record, *, clean: bool = False) -> _Key:
    """Return what identifies a result, or with `clean` what identifies the result it is compared with."""
    attack = None if clean else record.data.attack
    data = record.clean_sha256 if clean else record.data.sha256
    condition = (attack.suite, attack.suite_sha256, attack.seed) if attack else ()
    system = record.system
    return record.task, record.metric, system.name, system.shown, *system.all_weights, data, *condition


def _row(pair: Pair) -> dict[str, Any]:
    record, attack = pair.attacked, pair.attacked.data.attack
    if attack is None:
        raise ValueError("the first record of a pair must be an attacked one")
    clean = pair.clean.scores.get(record.headline) if pair.clean else None
    attacked = record.scores[record.headline]
    gold = record.clean_gold_scores or {}
    return {
        "task": record.task,
        "system": record.system.name,
        "label": record.system.shown,
        "base": record.system.base,
        "training_seed": record.system.training_seed,
        "metric": record.headline,
        "examples": record.data.examples,
        "truncated_words_clean": pair.clean.counts.get("truncated_words") if pair.clean else None,
        "truncated_words_attacked": record.counts.get("truncated_words"),
        "clean_gold_attacked": gold.get(record.headline),
        "saw_attack": record.saw_attack,
        "suite": record.condition,
        "attack_seed": attack.seed,
        **attack.model_dump(include={"words", "eligible_words", "edits", "effective_strength"}),
        "clean": clean,
        "attacked": attacked,
        **({} if clean is None else {name: of(clean, attacked) for name, of in CHANGES.items()}),
    }


def _gains(pair: Pair, references: Sequence[Pair]) -> dict[str, float]:
    """Return the gains over the mean of the reference (see `reference_of`) on the same data, where it was run."""
    if is_reference(pair.attacked):
        return {}
    data = _key(pair.attacked)
    peers = [other for other in references if (key := _key(other.attacked))[:2] == data[:2] and key[-4:] == data[-4:]]
    reference = reference_of(pair.attacked, [other.attacked for other in peers])
    peers = [other for other in peers if (other.attacked.system.shown, other.attacked.system.base) == reference]
    if not peers:
        return {}
    name = pair.attacked.headline
    gain = pair.attacked.scores[name] - fmean(other.attacked.scores[name] for other in peers)
    clean = [other.clean.scores[name] for other in peers if other.clean]
    return {"gain": gain} | ({"gain_clean": pair.clean.scores[name] - fmean(clean)} if clean and pair.clean else {})


def is_reference(record: Record) -> bool:
    """Return whether a result is one of REFERENCE, of which several may have been trained in different ways."""
    return record.system.called == REFERENCE


def reference_of(record: Record, references: Iterable[Record]) -> tuple[str, str] | None:
    """Return the system, by label and base, that a result's gains are over: of several, the one most like it.

    That is the one on the same base; of several still, the one that was trained alike. None where that leaves no one or
    several, since a gain over the mean of different systems means nothing.
    """
    known = {(other.system.shown, other.system.base): other for other in references if is_reference(other)}
    for like in (root_of, _training, lambda other: trained_with(other.system)):
        if len(known) > 1:
            known = {system: other for system, other in known.items() if like(other) == like(record)}
    return next(iter(known)) if len(known) == 1 else None


def _training(record: Record) -> dict[str, Any]:
    """Return what a system was fine-tuned with, whatever it was pre-trained with before."""
    return {**trained_with(record.system), "base hash": None}


def root_of(record: Record) -> str:
    """Return the base that a system started from: of a pre-trained one, the base of its pre-training."""
    return record.system.pretraining.base if record.system.pretraining else record.system.base


def seed_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row (SEED_COLUMNS) per task, system, base and suite of a `comparison_table`, scores in percent.

    `mean` is over training seeds of their means over attack seeds. `training_spread` is the standard deviation of
    those means (n - 1 below the fraction line), `training_worst` the lowest of them. `attack_spread` is the standard
    deviation over attack seeds within a training seed, as a mean over training seeds. Both spreads are missing where
    there is one seed. `worst` is the lowest attacked score of a run; `clean_*` are of the clean scores.
    """
    groups = frame.groupby(list(SEED_COLUMNS[:4]), sort=False)
    return pd.DataFrame([(*key, *_spreads(part)) for key, part in groups], columns=list(SEED_COLUMNS))


def _spreads(part: pd.DataFrame) -> tuple[float, ...]:
    by_training = part.groupby("training_seed", dropna=False)
    means, clean = by_training["attacked"].mean(), by_training["clean"].first()
    return (
        len(means),
        part["attack_seed"].nunique(dropna=False),
        means.mean(),
        means.std(ddof=1),
        means.min(),
        by_training["attacked"].std(ddof=1).mean(),
        part["attacked"].min(),
        clean.mean(),
        clean.std(ddof=1),
    )

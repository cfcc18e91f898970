"""Scoring what a system predicted: golds, scores, counts of each cell, and the record with its files."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_char.common import InputError
from robustbench_char.common.provenance import provenance
from robustbench_char.evaluation.count_table import count_table, write_counts
from robustbench_char.evaluation.counted import COUNTED
from robustbench_char.evaluation.metrics import Gold, Prediction, QaGold, QaPrediction, Scores, score
from robustbench_char.evaluation.records import PREDICTION_COLUMNS, DataInfo, Record, write_predictions, write_record
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.training.attack_sets import AttackSet
from robustbench_char.training.predict import Predictions, SystemParts
from robustbench_char.training.recipes import place_of
from robustbench_char.training.system_files import system_info
from robustbench_char.training.word_states import example_words

__all__ = ["UNKNOWN_TAGS", "Scored", "check_seed", "check_task", "golds_of", "prediction_json", "write_scored"]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
UNKNOWN_TAGS = 0.01
"""Largest share of words with a tag unseen in training (an error each); above it, the file is another task's."""


@dataclass(frozen=True)
class Scored:
    """What predictions are worth: scores, counts, the table of predictions, the counts of each cell."""

    scores: Scores
    clean_gold_scores: dict[str, float] | None
    counts: dict[str, int]
    seconds: float
    table: pd.DataFrame
    by_cell: pd.DataFrame

    @classmethod
    def of(
        cls,
        system: SystemParts,
        examples: Sequence[Example],
        golds: Sequence[Gold],
        predictions: Predictions,
        attack: AttackSet | None,
    ) -> Scored:
        """Score the predictions, against the clean answers too where an attack changed contexts."""
        task = system.file.task
        scores = score(task.metric, golds, predictions.values, labels=system.file.labels or None)
        clean = attack.clean_golds(examples) if attack and task.family == "question_answering" else None
        by_clean = score(task.metric, clean, predictions.values).scores if clean else None
        counts = {
            **scores.counts,
            "truncated_examples": predictions.truncated_examples,
            "pieces": predictions.pieces,
        }
        if task.family == "tagging":
            counts["unseen_tags"] = _unseen_tags(system, golds)
        edits = attack.edits(examples) if attack else [[] for _ in examples]
        table = _table(examples, golds, predictions, scores, edits)
        words = example_words(system.kind.tokenizer, examples, edits, attacked=attack is not None)
        labels = system.file.labels or None
        units = COUNTED.get(task.metric).units(golds, predictions.values, labels)
        by_cell = count_table(task.metric, [example.row for example in examples], units, words, labels)
        return cls(scores, by_clean, counts, predictions.seconds, table, by_cell)


def check_task(system: SystemParts, file: NativeFile, asked: Task | None, attack: AttackSet | None) -> None:
    name = system.file.task.name
    for found, place in ((asked and asked.name, "--task"), (attack and attack.manifest.task, file.path)):
        if found and found != name:
            raise InputError(
                place,
                found=f"data of the task {found}",
                expected=f"{name}, which the system was fine-tuned on",
                fix="Choose the system or the file of the same task.",
            )


def check_seed(system: SystemParts, file: NativeFile, attack: AttackSet | None) -> None:
    """Raise InputError where the attack has the seed of the attacked copies that the system was fine-tuned on."""
    augment = system.file.augment
    if attack and augment and attack.manifest.seed == augment.seed:
        raise InputError(
            file.path,
            found=f"an attack with seed {augment.seed}, which the system's training copies were attacked with",
            expected="another seed",
            fix="Attack the file again with another --seed.",
        )


def golds_of(system: SystemParts, file: NativeFile, examples: Sequence[Example]) -> list[Gold]:
    """Return what to score against. Raises InputError for an example without label, or with an unknown one."""
    golds = []
    for example in examples:
        gold = system.recipe.gold(example)
        if gold is None:
            raise InputError(
                f"{file.path}: {place_of(example)}",
                found="an example without label",
                expected="labelled examples to score",
                fix="Evaluate on the dev file; test files are often released without labels.",
            )
        if isinstance(gold, str) and gold not in system.file.labels:
            raise _unknown_label(system, file, example, gold)
        golds.append(gold)
    if not golds:
        raise InputError(file.path, found="no examples", expected="at least one example", fix="Check the file.")
    words = sum(len(gold) for gold in golds if isinstance(gold, tuple))
    if _unseen_tags(system, golds) > UNKNOWN_TAGS * words:
        known = set(system.file.labels)
        unseen = (
            (one, tag) for one, gold in zip(examples, golds, strict=True) if isinstance(gold, tuple) for tag in gold
        )
        raise _unknown_label(system, file, *next(pair for pair in unseen if pair[1] not in known))
    return golds


def _unknown_label(system: SystemParts, file: NativeFile, example: Example, label: str) -> InputError:
    return InputError(
        f"{file.path}: {place_of(example)}",
        found=f"the label {label!r}",
        expected=f"a label that the system was fine-tuned on: {', '.join(system.file.labels)}",
        fix="Choose the system or the file of the same task.",
    )


def _unseen_tags(system: SystemParts, golds: Sequence[Gold]) -> int:
    """Count the words whose tag did not occur in training, which no prediction can match."""
    known = set(system.file.labels)
    return sum(tag not in known for gold in golds if isinstance(gold, tuple) for tag in gold)


def write_scored(
    folder: Path, system: SystemParts, data: DataInfo, scored: Scored, *, device: str, wall_seconds: float
) -> Record:
    """Write predictions, counts and record into a folder that exists, and return the record.

    `wall_seconds` is what it took until now, predicting included.
    """
    task = system.file.task
    record = Record(
        task=task.name,
        family=task.family,
        metric=task.metric,
        headline=task.headline,
        system=system_info(system.file),
        data=data,
        scores=scored.scores.scores,
        clean_gold_scores=scored.clean_gold_scores,
        counts=scored.counts,
        task_note=task.note,
        predictions_sha256=write_predictions(folder, scored.table),
        counts_sha256=write_counts(folder, scored.by_cell),
        wall_seconds=wall_seconds,
        predict_seconds=scored.seconds,
        device=device,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )
    write_record(folder, record)
    return record


def _table(
    examples: Sequence[Example],
    golds: Sequence[Gold],
    predictions: Predictions,
    scores: Scores,
    edits: Sequence[list[dict[str, Any]]],
) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {
        "row": [example.row for example in examples],
        "id": [example.id for example in examples],
        "fields": [_json(dict(example.fields)) for example in examples],
        "gold": [_json(gold.answers if isinstance(gold, QaGold) else gold) for gold in golds],
        "prediction": [prediction_json(said) for said in predictions.values],
        "score": scores.per_example,
        "edits": [_json(entries) for entries in edits],
    }
    return pd.DataFrame(columns, columns=list(PREDICTION_COLUMNS))


def _json(value: object) -> str:
    """Return JSON in one line; characters stay as they are, but for lone surrogates, which Parquet cannot hold."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or not _LONE_SURROGATE.search(text) else json.dumps(value)


def prediction_json(said: Prediction) -> str:
    """Return a prediction as it stands in tables of predictions."""
    return _json(asdict(said) if isinstance(said, QaPrediction) else said)

"""Evaluating one system on one file: a prediction for every example, scores, and where they come from."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from robustbench_char.common import InputError
from robustbench_char.common.files import check_writable, output_folder, safe_name
from robustbench_char.common.provenance import provenance
from robustbench_char.evaluation.count_table import count_table, write_counts
from robustbench_char.evaluation.counted import COUNTED
from robustbench_char.evaluation.metrics import Gold, QaGold, QaPrediction, Scores, score
from robustbench_char.evaluation.records import (
    PREDICTION_COLUMNS,
    DataInfo,
    Record,
    SystemInfo,
    read_record,
    write_predictions,
    write_record,
)
from robustbench_char.tasks.attack_files import source_sha256
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.training.attack_sets import AttackSet, attack_set_of
from robustbench_char.training.predict import Predictions, System, device_name, load_system
from robustbench_char.training.recipes import place_of
from robustbench_char.training.word_states import example_words

__all__ = ["evaluate", "system_info"]

RECORD = "record.json"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
UNKNOWN_TAGS = 0.01
"""Largest share of words with a tag unseen in training (an error each); above it, the file is another task's."""


def evaluate(
    folder: Path,
    file: NativeFile,
    *,
    output: Path | None = None,
    task: Task | None = None,
    source: str | None = None,
    batch_size: int = 32,
    overwrite: bool = False,
    progress: bool = True,
) -> Record:
    """Score a fine-tuned system on a native file, write record, predictions and counts to `output`, return the record.

    `task` is what the user says the file holds, `source` how the record calls the file (default: its name). Where the
    file stands in the folder of an attack, the record tells which. Raises InputError for an unusable system folder, a
    task that is not the system's, examples without labels or with labels that the system does not know, and altered
    attack files.
    """
    started = time.monotonic()
    system = load_system(folder)
    sha256 = source_sha256(file.path)
    attack = attack_set_of(file.path, sha256)
    _check_task(system, file, task, attack)
    _check_seed(system, file, attack)
    examples = list(file.examples())
    golds = _golds(system, file, examples)
    name = source or safe_name(file.path.name)
    data = DataInfo(source=name, sha256=sha256, examples=len(examples), attack=attack.info() if attack else None)
    done_before = _done_before(output, system, data, overwrite)
    predictions = system.run(examples, batch_size=batch_size, progress=progress)
    scored = _Scored.of(system, examples, golds, predictions, attack)
    if output is None:
        with TemporaryDirectory() as scratch:
            return _write(Path(scratch), system, data, scored, started)
    inputs = (folder, file.path)
    with output_folder(output, overwrite=overwrite, volatile=(RECORD,) if done_before else (), inputs=inputs) as target:
        return _write(target, system, data, scored, started)


@dataclass(frozen=True)
class _Scored:
    scores: Scores
    clean_gold_scores: dict[str, float] | None
    counts: dict[str, int]
    seconds: float
    table: pd.DataFrame
    by_cell: pd.DataFrame

    @classmethod
    def of(
        cls,
        system: System,
        examples: Sequence[Example],
        golds: Sequence[Gold],
        predictions: Predictions,
        attack: AttackSet | None,
    ) -> _Scored:
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


def _check_task(system: System, file: NativeFile, asked: Task | None, attack: AttackSet | None) -> None:
    name = system.file.task.name
    for found, place in ((asked and asked.name, "--task"), (attack and attack.manifest.task, file.path)):
        if found and found != name:
            raise InputError(
                place,
                found=f"data of the task {found}",
                expected=f"{name}, which the system was fine-tuned on",
                fix="Choose the system or the file of the same task.",
            )


def _check_seed(system: System, file: NativeFile, attack: AttackSet | None) -> None:
    """Raise InputError where the attack has the seed of the attacked copies that the system was fine-tuned on."""
    augment = system.file.augment
    if attack and augment and attack.manifest.seed == augment.seed:
        raise InputError(
            file.path,
            found=f"an attack with seed {augment.seed}, which the system's training copies were attacked with",
            expected="another seed",
            fix="Attack the file again with another --seed.",
        )


def _golds(system: System, file: NativeFile, examples: Sequence[Example]) -> list[Gold]:
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


def _unknown_label(system: System, file: NativeFile, example: Example, label: str) -> InputError:
    return InputError(
        f"{file.path}: {place_of(example)}",
        found=f"the label {label!r}",
        expected=f"a label that the system was fine-tuned on: {', '.join(system.file.labels)}",
        fix="Choose the system or the file of the same task.",
    )


def _unseen_tags(system: System, golds: Sequence[Gold]) -> int:
    """Count the words whose tag did not occur in training, which no prediction can match."""
    known = set(system.file.labels)
    return sum(tag not in known for gold in golds if isinstance(gold, tuple) for tag in gold)


def _done_before(output: Path | None, system: System, data: DataInfo, overwrite: bool) -> bool:
    """Return whether `output` holds this system on these data. Raises InputError for other content."""
    if output is not None:
        check_writable(output)
    if output is None or not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    if (output / RECORD).is_file():
        old = read_record(output / RECORD)
        if (old.task, old.system, old.data) == (system.file.task.name, system_info(system), data):
            return True
    if not overwrite:
        raise InputError(
            output,
            found="an output folder with other content",
            expected="a new folder, or the record of this very evaluation",
            fix="Choose another --output, or add --overwrite to replace it.",
        )
    return False


def _write(folder: Path, system: System, data: DataInfo, scored: _Scored, started: float) -> Record:
    """Write predictions and record, and return the record."""
    task = system.file.task
    record = Record(
        task=task.name,
        family=task.family,
        metric=task.metric,
        headline=task.headline,
        system=system_info(system),
        data=data,
        scores=scored.scores.scores,
        clean_gold_scores=scored.clean_gold_scores,
        counts=scored.counts,
        task_note=task.note,
        predictions_sha256=write_predictions(folder, scored.table),
        counts_sha256=write_counts(folder, scored.by_cell),
        wall_seconds=time.monotonic() - started,
        predict_seconds=scored.seconds,
        device=device_name(system.device),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        provenance=provenance(),
    )
    write_record(folder, record)
    return record


def system_info(system: System) -> SystemInfo:
    """Return what records say about a system."""
    file = system.file
    return SystemInfo(
        name=file.system,
        base=file.pretraining.base if file.pretraining else file.base.name,
        parameters=file.parameters,
        training_seed=file.settings.seed,
        training_sha256=file.train.sha256,
        settings={**file.settings.model_dump(mode="json"), "training_examples": file.train.examples},
        weights_sha256=file.weights_sha256,
        label=file.label,
        extra_parameters=file.extra_parameters,
        pretraining=file.pretraining,
        augment=file.augment,
        recogniser=file.recogniser,
    )


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
        "prediction": [_json(asdict(said) if isinstance(said, QaPrediction) else said) for said in predictions.values],
        "score": scores.per_example,
        "edits": [_json(entries) for entries in edits],
    }
    return pd.DataFrame(columns, columns=list(PREDICTION_COLUMNS))


def _json(value: object) -> str:
    """Return JSON in one line; characters stay as they are, but for lone surrogates, which Parquet cannot hold."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or not _LONE_SURROGATE.search(text) else json.dumps(value)

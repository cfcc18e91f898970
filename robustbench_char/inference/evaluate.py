"""The one way from a source of predictions and a file to scores, counts and where they come from.

Whatever predicts is a `PredictionSource`. No model library is loaded here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from robustbench_char.attack_sets.attack import source_sha256
from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.common import InputError
from robustbench_char.common.files import safe_name
from robustbench_char.inference._attack_set import AttackSet, PieceCounter, attack_set_of, example_words
from robustbench_char.inference.results import (
    Evaluation,
    Predictions,
    check_result_folder,
    no_prediction,
    one_line,
    prediction_json,
)
from robustbench_char.metrics.base import METRICS, Gold, QaGold, Scores, score
from robustbench_char.records.counts import count_table
from robustbench_char.records.evaluation import ERROR, DataInfo, SystemInfo
from robustbench_char.tasks.base import Example, NativeFile, Task
from robustbench_char.tasks.labels import labelled, place_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Asking", "PredictionSource", "evaluate"]

_LOG = logging.getLogger(__name__)
UNKNOWN_TAGS = 0.01
"""Largest share of words with a tag that the source does not know (an error each); above it, the file is another
task's."""
_SAME_TASK = "Choose the system or the file of the same task."


class PredictionSource(Protocol):
    """Whatever can be evaluated: a saved system, a registered predictor, predictions that were stored before.

    To add one, write a class with these members and hand an instance to `evaluate`. `task` is what it predicts,
    `origin` says in messages how that is known; `info` is what records say of it. `classes` are the class names or tags
    that it knows (None: any), `pieces` counts the sub-words of words (None: it has none, and there is no breakdown by
    them). `inputs` are files and folders that no output may replace; `seconds` were spent on it before.
    """

    task: Task
    origin: str
    info: SystemInfo
    classes: tuple[str, ...] | None
    pieces: PieceCounter | None
    device: str
    inputs: tuple[Path, ...]
    seconds: float

    def check(self, file: NativeFile, sha256: str, attack: Manifest | None) -> None:
        """Raise InputError for a file, or an attack beside it, that this source must not be scored on."""

    def predict(self, examples: Sequence[Example], *, batch_size: int = 32, progress: bool = True) -> Predictions:
        """Return one prediction per example, in the order given. Labels are not looked at."""
        ...


@runtime_checkable
class Asking(Protocol):
    """A source that sends a request per example, which may be paid for."""

    def requests(self, examples: Sequence[Example]) -> int:
        """Return how many requests these examples need: those that are not answered yet."""
        ...

    def check_requests(self, examples: Sequence[Example], limit: int | None, more: int = 0) -> None:
        """Raise InputError where they, and as many `more`, are more than the user may expect."""


@runtime_checkable
class Trained(Protocol):
    """A source that knows which examples it was trained on."""

    def trained_on(self, file: NativeFile, sha256: str, attack: AttackSet | None, examples: Sequence[Example]) -> int:
        """Return how many of the first examples of a file it was trained on, as they are or before the attack."""
        ...


class Labelled(NamedTuple):
    """Examples to score, their gold labels, and the attack that their file went through.

    The source was trained on so many of them.
    """

    file: NativeFile
    sha256: str
    attack: AttackSet | None
    examples: list[Example]
    labels: list[Gold]
    trained_on: int

    def info(self, name: str | None, limit: int | None) -> DataInfo:
        """Return what a record says about these data. `name` is how it calls the file (default: its own name)."""
        return DataInfo(
            source=name or safe_name(self.file.path.name),
            sha256=self.sha256,
            examples=len(self.examples),
            attack=self.attack.info() if self.attack else None,
            limit=limit,
            trained_on=self.trained_on or None,
        )


def evaluate(
    source: PredictionSource,
    file: NativeFile,
    *,
    task: Task | None = None,
    name: str | None = None,
    limit: int | None = None,
    batch_size: int = 32,
    output: Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Evaluation:
    """Score a source of predictions on a native file; write record, predictions and counts to `output` if given.

    `task` is what the user says the file holds, `name` how the record calls the file (default: its own name), `limit`
    keeps the first examples. Where the file stands in the folder of an attack, the record tells which. Raises
    InputError for another task than the source's, for examples without labels or with labels that the source does not
    know, for altered attack files, for a source that fails on every example or would send more requests than may be
    expected, and for an `output` with other content.
    """
    started = time.monotonic()
    data = read_labelled(source, file, task=task, limit=limit)
    info = data.info(name, limit)
    if output is not None:
        check_result_folder(output, source.task.name, source.info, info, overwrite=overwrite)
    if isinstance(source, Asking):
        source.check_requests(data.examples, limit)
    predictions = source.predict(data.examples, batch_size=batch_size, progress=progress)
    _check_any(source, data, predictions)
    evaluation = _scored(source, data, info, predictions, started)
    if output is not None:
        evaluation.save(output, overwrite=overwrite)
    predictions.complete()
    return evaluation


def read_labelled(
    source: PredictionSource, file: NativeFile, *, task: Task | None = None, limit: int | None = None
) -> Labelled:
    """Read the first `limit` examples of a file and their labels, and the attack beside it, all checked for a source.

    Raises InputError as `evaluate` does.
    """
    sha256 = source_sha256(file.path)
    attack = attack_set_of(file.path, sha256)
    manifest = attack.manifest if attack else None
    for other, place in ((task and task.name, "--task"), (manifest and manifest.task, file.path)):
        if other and other != source.task.name:
            found, expected = f"data of the task {other}", f"{source.task.name}, {source.origin}"
            raise InputError(place, found=found, expected=expected, fix=_SAME_TASK)
    source.check(file, sha256, manifest)
    examples = list(islice(file.examples(), limit))
    labels = labelled(source.task, file, examples)
    _check_labels(source, file, examples, labels)
    seen = source.trained_on(file, sha256, attack, examples) if isinstance(source, Trained) else 0
    if seen:
        what = "%s was trained on %s of the %s examples of %s: these scores do not tell of texts that are new to it"
        _LOG.warning(what, source.info.shown, f"{seen:,}", f"{len(examples):,}", file.path.name)
    return Labelled(file, sha256, attack, examples, labels, seen)


def _check_labels(
    source: PredictionSource, file: NativeFile, examples: Sequence[Example], labels: Sequence[Gold]
) -> None:
    """Raise InputError for an unknown class, and for more than UNKNOWN_TAGS of all tags."""
    if source.classes is None:
        return
    tags = [(example, tag) for example, label in zip(examples, labels, strict=True) for tag in _names(label)]
    unknown = [(example, tag) for example, tag in tags if tag not in source.classes]
    words = sum(len(label) for label in labels if isinstance(label, tuple))
    if len(unknown) > UNKNOWN_TAGS * words:
        example, tag = unknown[0]
        expected = f"a label that the system knows: {', '.join(source.classes)}"
        place = place_of(example, file)
        raise InputError(place, found=f"the label {tag!r}", expected=expected, fix=_SAME_TASK)


def _names(label: Gold) -> tuple[str, ...]:
    """Return the class or the tags of an example; a question has none."""
    return (label,) if isinstance(label, str) else label if isinstance(label, tuple) else ()


def _check_any(source: PredictionSource, data: Labelled, predictions: Predictions) -> None:
    """Raise InputError, with the first reason, where there is no usable prediction at all: that is not a score of 0."""
    if any(value is not None for value in predictions.values):
        return
    reason = predictions.errors.get(0, "no prediction")
    raise no_prediction(source.info, data.examples[0], reason, len(data.examples))


def _scored(
    source: PredictionSource, data: Labelled, info: DataInfo, predictions: Predictions, started: float
) -> Evaluation:
    """Score, against the clean answers too where an attack changed contexts, and count what breakdowns need."""
    task, attack, values = source.task, data.attack, predictions.values
    metric = METRICS.get(task.metric)
    scores = score(task.metric, data.labels, values, labels=source.classes)
    clean = attack.clean_labels(data.examples) if attack and task.family == "question_answering" else None
    edits = attack.edits(data.examples) if attack else [[] for _ in data.examples]
    words = example_words(source.pieces, data.examples, edits, attacked=attack is not None)
    counts = count_table(task.metric, [example.row for example in data.examples], scores.units, words, source.classes)
    result = {
        "task": task.name,
        "family": task.family,
        "metric": task.metric,
        "headline": task.headline,
        "system": source.info,
        "data": info,
        "scores": _reachable(scores.scores, predictions),
        "clean_gold_scores": _reachable(score(task.metric, clean, values).scores, predictions) if clean else None,
        "constant_score": metric.best_constant(metric.constants(data.labels, source.classes), task.headline),
        "counts": {**scores.counts, **predictions.counts, **_unseen_tags(source, data.labels), **_failed(predictions)},
        "task_note": task.note,
        "wall_seconds": source.seconds + time.monotonic() - started,
        "predict_seconds": predictions.seconds,
        "cost": predictions.cost,
        "served": predictions.served,
        "device": source.device,
    }
    table = _table(data, predictions, scores, edits)
    return Evaluation.of(result, table, counts, (*source.inputs, data.file.path))


def _reachable(scores: dict[str, float], predictions: Predictions) -> dict[str, float]:
    """Leave out the best thresholds (`best_*` of SQuAD 2.0) where no no-answer scores were given to seek them over."""
    if predictions.no_answer_scores:
        return scores
    return {name: value for name, value in scores.items() if not name.startswith("best_")}


def _unseen_tags(source: PredictionSource, labels: Sequence[Gold]) -> dict[str, int]:
    """Count the words whose tag the source does not know, which no prediction can match."""
    if source.task.family != "tagging" or source.classes is None:
        return {}
    known = set(source.classes)
    return {"unseen_tags": sum(tag not in known for label in labels for tag in _names(label))}


def _failed(predictions: Predictions) -> dict[str, int]:
    failed = sum(value is None for value in predictions.values)
    return {"failed_examples": failed} if failed else {}


def _table(
    data: Labelled, predictions: Predictions, scores: Scores, edits: Sequence[list[dict[str, Any]]]
) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "row": [example.row for example in data.examples],
        "id": [example.id for example in data.examples],
        "fields": [one_line(dict(example.fields)) for example in data.examples],
        "gold": [one_line(label.answers if isinstance(label, QaGold) else label) for label in data.labels],
        "prediction": [prediction_json(prediction) for prediction in predictions.values],
        "score": scores.per_example,
        "edits": [one_line(entries) for entries in edits],
    }
    if predictions.errors:
        columns[ERROR] = [predictions.errors.get(position) for position in range(len(data.examples))]
    return pd.DataFrame(columns)

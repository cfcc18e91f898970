"""What predicts, and what it predicted: the one interface between `evaluate` and everything that can be evaluated."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from robustbench_char.attack_sets.manifest import Manifest
from robustbench_char.inference.attack_set import PieceCounter
from robustbench_char.metrics.base import Prediction, QaPrediction
from robustbench_char.records.evaluation import SystemInfo
from robustbench_char.tasks.base import Example, Family, NativeFile, Task

__all__ = ["PredictionSource", "Predictions", "one_line", "prediction_json", "prediction_of"]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Predictions:
    """One prediction per example, in the order given, and the seconds from text to predictions.

    `counts` are those of the source, such as `pieces` (sub-words read, special ones and overlapping windows included)
    and `truncated_examples`. `no_answer_scores`: every answer came with its no-answer score, over which the best
    threshold can be sought.
    """

    values: list[Prediction]
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    no_answer_scores: bool = True


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


def one_line(value: object) -> str:
    """Return JSON in one line; characters stay as they are, but for lone surrogates, which Parquet cannot hold."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or not _LONE_SURROGATE.search(text) else json.dumps(value)


def prediction_json(prediction: Prediction) -> str:
    """Return a prediction as it stands in tables of predictions."""
    return one_line(asdict(prediction) if isinstance(prediction, QaPrediction) else prediction)


def prediction_of(family: Family, text: str) -> Prediction:
    """Return what `prediction_json` wrote, of a task of this family."""
    value: Any = json.loads(text)
    if family == "question_answering":
        return QaPrediction(**value)
    return tuple(value) if family == "tagging" else str(value)

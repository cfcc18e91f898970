"""How predictions stand in tables: one line of JSON each."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from robustbench_char.metrics.metrics import Prediction, QaPrediction

__all__ = ["one_line", "prediction_json", "prediction_of"]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def one_line(value: object) -> str:
    """Return JSON in one line; characters stay as they are, but for lone surrogates, which Parquet cannot hold."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or not _LONE_SURROGATE.search(text) else json.dumps(value)


def prediction_json(said: Prediction) -> str:
    """Return a prediction as it stands in tables of predictions."""
    return one_line(asdict(said) if isinstance(said, QaPrediction) else said)


def prediction_of(family: str, text: str) -> Prediction:
    """Return what `prediction_json` wrote, of a task of this family."""
    value: Any = json.loads(text)
    if family == "question_answering":
        return QaPrediction(**value)
    return tuple(value) if family == "tagging" else str(value)

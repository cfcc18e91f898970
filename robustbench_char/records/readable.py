"""Records and predictions as people read them: a few lines, and tables without JSON.

The records themselves are not imported here: they print by these functions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robustbench_char.common.frozen import lines_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["READABLE_COLUMNS", "readable"]

READABLE_COLUMNS = ("row", "id", "text", "gold", "prediction", "score", "edits", "error")
"""Columns of `readable`. `text` holds the fields, by name where there are several; `gold` and `prediction` a class, a
list of tags, or answers (a list of texts, and a text: "" for no answer); `edits` are words before and after; `error`
says why there is no prediction."""


def readable(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return predictions (PREDICTION_COLUMNS) with the columns READABLE_COLUMNS, in the same order."""
    import pandas as pd

    read = {name: predictions[name].map(json.loads) for name in ("fields", "gold", "prediction", "edits")}
    columns = {
        "row": predictions["row"],
        "id": predictions["id"],
        "text": read["fields"].map(_text),
        "gold": read["gold"].map(_gold),
        "prediction": read["prediction"].map(lambda value: value["text"] if isinstance(value, dict) else value),
        "score": predictions["score"],
        "edits": read["edits"].map(_edits),
        "error": predictions.get("error", pd.Series(None, index=predictions.index, dtype=object)),
    }
    return pd.DataFrame(columns, columns=list(READABLE_COLUMNS))


def _text(fields: Mapping[str, Any]) -> str:
    texts = {name: value if isinstance(value, str) else " ".join(value) for name, value in fields.items()}
    return next(iter(texts.values())) if len(texts) == 1 else "\n".join(f"{name}: {texts[name]}" for name in texts)


def _gold(value: Any) -> Any:
    """Return a class, tags, or the texts of answers, whether they are texts or objects with one."""
    answers = isinstance(value, list) and all(isinstance(answer, dict) for answer in value)
    return [answer["text"] for answer in value] if answers else value


def _edits(edits: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{edit['word_before']} → {edit['word_after']}" for edit in edits)


def record_lines(record: Any) -> str:
    """Return a `Record` in a few lines."""
    data, scores = record.data, {record.headline: 0.0} | record.scores
    limited = f" (the first {data.limit:,} alone)" if data.limit else ""
    attack = f", {attack_line(data.attack)}" if data.attack else ", clean"
    failed = record.counts.get("failed_examples")
    return lines_of(
        f"Record of {record.system.shown} on {record.task}, {record.condition}",
        model=f"{record.system.name}, base {record.system.base}",
        data=f"{data.source}, {data.examples:,} examples{limited}{attack}",
        scores=", ".join(f"{name} {value:.2f}" for name, value in scores.items()),
        seen=f"{data.trained_on:,} of these examples in training" if data.trained_on else "",
        failed=f"{failed:,} examples without a prediction" if failed else "",
        made=_made(record, record.wall_seconds, record.device),
    )


def attack_line(attack: Any) -> str:
    """Return an `AttackInfo` in a few words."""
    share = "" if attack.effective_strength is None else f", {attack.effective_strength:.1%} of eligible words"
    rate = attack.character_error_rate
    share += "" if rate is None else f", character error rate {rate:.2%}"
    return f"attacked by {attack.suite} (seed {attack.seed}{share}, {attack.edits:,} edits)"


def sensitivity_lines(record: Any) -> str:
    """Return a `SensitivityRecord` in a few lines."""
    whole = record.group("all", "all")
    s = "none" if whole is None or whole.s is None else f"{whole.s:.4f} [{whole.low:.4f}, {whole.high:.4f}]"
    return lines_of(
        f"Sensitivity of {record.shown} on {record.task}, {record.attack.suite}",
        data=f"{record.examples:,} examples, {attack_line(record.attack)}",
        S=f"{s} over {whole.words if whole else 0:,} words",
        made=_made(record, record.wall_seconds, record.device),
    )


def fragility_lines(record: Any) -> str:
    """Return a `FragilityRecord` in a few lines."""
    shares = {"words": (record.split_words, record.words), "entities": (record.split_entities, record.entities)}
    said = [f"{share:.1%} of {number:,} {name}" for name, (share, number) in shares.items() if share is not None]
    return lines_of(
        f"Fragility of {record.tokenizer} on {record.task}",
        data=record.source,
        split=", ".join(said),
        made=_made(record),
    )


def price_lines(record: Any) -> str:
    """Return a `PriceRecord`, what a defence repairs and breaks, in a few lines."""
    errors = record.errors
    shares = {"before": errors.wer_before, "after": errors.wer_after, "of clean words changed": errors.clean_changed}
    return lines_of(
        f"Price of {record.defence.name} on {record.task}, {record.attack.suite}",
        data=f"{record.source}, {errors.examples:,} examples, {attack_line(record.attack)}",
        errors=", ".join(f"{share:.2f}% {name}" for name, share in shares.items() if share is not None),
        speed=f"{record.words_per_second:,.0f} words per second and core" if record.words_per_second else "",
        made=_made(record),
    )


def _made(record: Any, seconds: float = 0.0, device: str = "") -> str:
    took = f", {seconds:,.1f} s on {device}" if device else ""
    return f"{record.created}, robustbench-char {record.provenance.package_version}{took}"

"""Chosen examples as cards: attacked texts with their edits marked, gold and predicted labels before and after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_char.common import InputError
from robustbench_char.records.evaluation import PREDICTION_COLUMNS, read_predictions
from robustbench_char.reports.blocks import Card, Piece
from robustbench_char.reports.examples.choice import Choice
from robustbench_char.reports.examples.marks import Mark, excerpt, mark_text

__all__ = ["make_cards"]

CUT_OFF = "(cut off)"
NO_ANSWER = "(no answer)"
_LONGEST_CELL = 160
_MOST_EDITS = 10


class _Row(NamedTuple):
    """One line of a predictions file, its JSON read."""

    id: str
    fields: dict[str, Any]
    gold: Any
    prediction: Any
    edits: list[dict[str, Any]]


def make_cards(choices: Sequence[Choice]) -> list[Card]:
    """Return one card a choice, in the same order.

    Raises InputError for predictions that hold no valid JSON, or edits that are not in their text.
    """
    wanted: dict[Path, set[int]] = {}
    for choice in choices:
        for folder in (choice.pair.clean_folder, choice.pair.attacked_folder):
            wanted.setdefault(_known(folder), set()).add(choice.row)
    rows = {folder: _read(folder, numbers) for folder, numbers in wanted.items()}
    return [_card(choice, rows) for choice in choices]


def _known(folder: Path | None) -> Path:
    if folder is None:
        raise ValueError("an example needs its clean evaluation")
    return folder


def _read(folder: Path, numbers: set[int]) -> dict[int, _Row]:
    table = read_predictions(folder)
    if table is None:
        raise ValueError(f"no predictions in {folder}")
    table = table[table["row"].isin(sorted(numbers))]
    try:
        return {
            int(row["row"]): _Row(
                str(row["id"]), *(json.loads(row[name]) for name in ("fields", "gold", "prediction", "edits"))
            )
            for row in table[list(PREDICTION_COLUMNS)].to_dict("records")
        }
    except (TypeError, json.JSONDecodeError) as error:
        raise InputError(
            folder / "predictions.parquet",
            found=f"malformed JSON ({error})",
            expected="predictions written by `evaluate`",
            fix="Run `robustbench-char evaluate` again.",
        ) from None


def _card(choice: Choice, rows: dict[Path, dict[int, _Row]]) -> Card:
    record = choice.pair.attacked
    before, after = rows[_known(choice.pair.clean_folder)][choice.row], rows[choice.pair.attacked_folder][choice.row]
    header, body = _TABLES[record.family](before, after)
    try:
        fields = tuple((name, _marked(name, value, after)) for name, value in after.fields.items())
    except ValueError as error:
        raise InputError(
            f"{choice.pair.attacked_folder}: row {choice.row}",
            found=f"an edit that is not in the text ({error})",
            expected="edits that fit the texts",
            fix="Evaluate the attacked file again.",
        ) from None
    return Card(
        place=f"{record.task} · {record.system.shown} · {record.condition} · {after.id}",
        outcome=choice.outcome,
        fields=fields,
        edits=_edits(after.edits),
        header=header,
        rows=body,
        footnote="Listed are words of entities and words whose tag changed." if record.family == "tagging" else "",
    )


def _edits(edits: list[dict[str, Any]]) -> str:
    """Name the first edits; in a long text there may be hundreds."""
    named = [f"{edit['word_before']} → {edit['word_after']} ({edit['operator']})" for edit in edits[:_MOST_EDITS]]
    more = len(edits) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _marked(name: str, value: str | list[str], after: _Row) -> tuple[Piece, ...]:
    text = value if isinstance(value, str) else " ".join(value)
    marks = [
        Mark(edit["start_attacked"], edit["removed"], edit["inserted"]) for edit in after.edits if edit["field"] == name
    ]
    if not marks and len(text) > 240:
        text = excerpt(text, next(iter(_answers(after.gold)), "") if isinstance(after.gold, list) else "")
    return mark_text(text, marks)


def _classification(before: _Row, after: _Row) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    return ("gold", "before", "after"), ((str(before.gold), str(before.prediction), str(after.prediction)),)


def _question_answering(before: _Row, after: _Row) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    clean, attacked = _listed(before.gold), _listed(after.gold)
    gold = clean if clean == attacked else f"{clean} (attacked: {attacked})"
    return ("gold", "before", "after"), ((_clipped(gold), _said(before.prediction), _said(after.prediction)),)


def _tagging(before: _Row, after: _Row) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return one row a word of an entity, or tagged otherwise than before; where there is none, the edited words."""
    telling, edited = [], []
    words = zip_longest(_tokens(before), _tokens(after), before.gold, before.prediction or (), after.prediction or ())
    for clean, attacked, gold, old, new in words:
        word = clean if clean == attacked else f"{clean} → {attacked}"
        row = (str(word), str(gold), old or CUT_OFF, new or CUT_OFF)
        if old != new or str(gold).startswith(("B-", "I-")):
            telling.append(row)
        elif clean != attacked:
            edited.append(row)
    return ("word", "gold", "before", "after"), tuple(telling or edited)


_TABLES = {"classification": _classification, "question_answering": _question_answering, "tagging": _tagging}


def _tokens(row: _Row) -> list[str]:
    return next((value for value in row.fields.values() if isinstance(value, list)), [])


def _answers(gold: Any) -> list[str]:
    """Return the texts of gold answers, whether they are texts or objects with one."""
    return [answer if isinstance(answer, str) else str(answer["text"]) for answer in gold]


def _listed(gold: Any) -> str:
    return " | ".join(dict.fromkeys(_answers(gold))) or NO_ANSWER


def _said(prediction: Any) -> str:
    return _clipped(str(prediction["text"])) or NO_ANSWER


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL].rstrip() + " …"

"""Chosen examples as cards: attacked texts with their edits marked, gold and predicted labels before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, cycle, zip_longest
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from robustbench_char.common import InputError
from robustbench_char.reports._formatting import plural
from robustbench_char.reports.blocks import Card, Part, Piece
from robustbench_char.reports.examples._choice import Choice, Row, Rows, answers_of, read_rows
from robustbench_char.text.edits import Edit, unchanged

CUT_OFF = "(cut off)"
NO_ANSWER = "(no answer)"
FAILED = "(failed)"
CONTEXT = 70
"""Characters of unchanged text that are kept on either side of an attacked word."""
_LONGEST_CELL = 160
_MOST_EDITS = 10
_FEW_ROWS = 3
_SHORT = 120
_UNUSABLE = "UNUSABLE"
"""The tag, or the type in it, that predictions of chat models have where an answer could not be used."""
_SHOWN_FOR = {"broken": "Worst kept", "survived": "Best kept"}
_KINDS: tuple[Literal["same", "removed", "inserted"], ...] = ("same", "removed", "inserted")
_Predicted: TypeAlias = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""Header and rows of a card's table."""


class Mark(NamedTuple):
    """One edit in an attacked text: `inserted` stands at `start` where `removed` stood before."""

    start: int
    removed: str
    inserted: str


def make_cards(choices: Sequence[Choice]) -> list[Card]:
    """Return a card for each choice, in the same order.

    Raises InputError for predictions with malformed JSON, and for edits that are not in their text.
    """
    rows = read_rows((choice.pair, [choice.row]) for choice in choices)
    return [_card(choice, rows) for choice in choices]


def _card(choice: Choice, rows: Rows) -> Card:
    record = choice.pair.attacked
    before, after = (rows[folder][choice.row] for folder in (choice.pair.clean_folder, choice.pair.attacked_folder))
    header, body = _TABLES[record.family](before, after)
    try:
        fields = tuple((name, _marked(name, value, after)) for name, value in after.fields.items())
    except ValueError as error:
        raise edits_that_do_not_fit(f"{choice.pair.attacked_folder}: row {choice.row}", error) from None
    return Card(
        title=f"{record.task} · {record.system.shown} · {record.condition} · {after.id}",
        outcome=choice.outcome,
        fields=fields,
        edits=_edits(after.edits),
        header=header,
        rows=body,
        footnote="Listed are words of entities and words whose tag changed." if record.family == "tagging" else "",
    )


def short_card(card: Card) -> Card:
    """Return a card for the first screen: by what it shows and its id, the first rows, the edits in its texts alone."""
    _, system, _, name = card.title.rsplit(" · ", 3)
    title = f"{_SHOWN_FOR[card.outcome]} by {system}: example {name}"
    rest = len(card.rows) - _FEW_ROWS
    footnote = f"and {plural(rest, 'more word')} of entities, or with another tag" if rest > 0 else ""
    fields = tuple((field, _beginning(pieces)) for field, pieces in card.fields)
    return card._replace(title=title, fields=fields, edits="", rows=card.rows[:_FEW_ROWS], footnote=footnote)


def _beginning(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return the pieces of a text that fit into _SHORT characters."""
    kept: list[Piece] = []
    left = _SHORT
    for piece in pieces:
        text = "".join(part.text for part in piece.parts)
        if len(text) > left:
            cut = text[:left].rpartition(" ")[0]
            return (*kept, _plain(f"{'' if piece.word else cut} …"))
        kept.append(piece)
        left -= len(text)
    return tuple(kept)


def _edits(edits: list[dict[str, Any]]) -> str:
    """Name the first edits; in a long text there may be hundreds."""
    named = [f"{edit['word_before']} → {edit['word_after']} ({edit['operator']})" for edit in edits[:_MOST_EDITS]]
    more = len(edits) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _marked(name: str, value: str | list[str], after: Row) -> tuple[Piece, ...]:
    text = value if isinstance(value, str) else " ".join(value)
    marks = marks_of(after.edits, name)
    if not marks and len(text) > 240:
        text = excerpt(text, next(iter(answers_of(after.gold)), "") if isinstance(after.gold, list) else "")
    return mark_text(text, marks)


def _classification(before: Row, after: Row) -> _Predicted:
    old, new = (FAILED if row.prediction is None else str(row.prediction) for row in (before, after))
    return ("gold", "before", "after"), ((str(before.gold), old, new),)


def _question_answering(before: Row, after: Row) -> _Predicted:
    clean, attacked = (" | ".join(answers_of(row.gold)) or NO_ANSWER for row in (before, after))
    gold = clean if clean == attacked else f"{clean} (attacked: {attacked})"
    old, new = (
        FAILED if row.prediction is None else _clipped(str(row.prediction["text"])) or NO_ANSWER
        for row in (before, after)
    )
    return ("gold", "before", "after"), ((_clipped(gold), old, new),)


def _tagging(before: Row, after: Row) -> _Predicted:
    """Return a row per word of an entity, or tagged otherwise than before; where there is none, the edited words."""
    telling, edited = [], []
    cut = [FAILED if row.prediction is None else CUT_OFF for row in (before, after)]
    tokens = (next((value for value in row.fields.values() if isinstance(value, list)), []) for row in (before, after))
    words = zip_longest(*tokens, before.gold, before.prediction or (), after.prediction or ())
    for clean, attacked, gold, old, new in words:
        word = clean if clean == attacked else f"{clean} → {attacked}"
        row = (str(word), str(gold), shown_tag(old) or cut[0], shown_tag(new) or cut[1])
        if old != new or str(gold).startswith(("B-", "I-")):
            telling.append(row)
        elif clean != attacked:
            edited.append(row)
    return ("word", "gold", "before", "after"), tuple(telling or edited)


def shown_tag(tag: str | None) -> str | None:
    """Return a tag as it is shown: that of a word whose part of an answer could not be used says so."""
    return "(unusable)" if tag and tag.removeprefix("B-").removeprefix("I-") == _UNUSABLE else tag


_TABLES = {"classification": _classification, "question_answering": _question_answering, "tagging": _tagging}


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL].rstrip() + " …"


def marks_of(edits: Sequence[Mapping[str, Any]], field: str) -> list[Mark]:
    """Return the edits of one field from left to right."""
    of_field = (edit for edit in edits if edit["field"] == field)
    return _in_order(Mark(edit["start_attacked"], edit["removed"], edit["inserted"]) for edit in of_field)


def edits_that_do_not_fit(where: str | Path, error: ValueError) -> InputError:
    """Return the error for predictions whose edits are not in their texts."""
    return InputError(
        where,
        found=f"an edit that is not in the text ({error})",
        expected="edits that fit the texts",
        fix="Evaluate the attacked file again.",
    )


def mark_text(text: str, marks: Sequence[Mark]) -> tuple[Piece, ...]:
    """Return an attacked text in pieces: attacked words with removed and inserted characters, shortened text between.

    Offsets count code points. Raises ValueError where an edit is not in the text or overlaps the one before it.
    """
    marks = _in_order(marks)
    segments(text, marks)  # raises ValueError
    pieces: list[Piece] = []
    done = 0
    spans = _words(text, marks)
    for number, (start, end) in enumerate(spans):
        pieces += _between(text[done:start], first=number == 0, last=False)
        inside = [mark for mark in marks if start <= mark.start and mark.start + len(mark.inserted) <= end]
        parts = map(Part, cycle(_KINDS), segments(text[start:end], inside, start))
        pieces.append(Piece(True, tuple(part for part in parts if part.text)))
        done = end
    return (*pieces, *_between(text[done:], first=not spans, last=True))


def excerpt(text: str, focus: str = "", *, length: int = 240) -> str:
    """Return a text, or where it is long the stretch around the first `focus` in it (its beginning without one)."""
    if len(text) <= length:
        return text
    centre = max(0, text.find(focus)) if focus else 0
    start = max(0, min(centre - length // 2, len(text) - length))
    head, body = ("… ", text[start:].partition(" ")[2]) if start else ("", text)
    cut = body[:length]
    return head + (cut if cut == body else cut.rpartition(" ")[0] + " …")


def _in_order(marks: Iterable[Mark]) -> list[Mark]:
    return sorted(marks, key=lambda mark: (mark.start, len(mark.inserted)))


def segments(text: str, marks: Sequence[Mark], start: int = 0) -> list[str]:
    """Return a text that begins at `start`, parted at its edits (in order): text, removed, inserted, text, and so on.

    Raises ValueError for an edit that is not in the text, or overlaps the one before it.
    """
    first, *rest = unchanged(text, [Edit(mark.start - start, mark.inserted, mark.removed) for mark in marks])
    parts = ((mark.removed, mark.inserted, stretch) for mark, stretch in zip(marks, rest, strict=True))
    return [first, *chain.from_iterable(parts)]


def _words(text: str, marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """Return the spans between white space that hold the edits; edits of one word share a span."""
    spans: list[tuple[int, int]] = []
    for mark in marks:
        start, end = mark.start, mark.start + len(mark.inserted)
        while start > 0 and not text[start - 1].isspace():
            start -= 1
        while end < len(text) and not text[end].isspace():
            end += 1
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


def _between(text: str, *, first: bool, last: bool) -> list[Piece]:
    """Return the text between two attacked words, cut in its middle where it is long (outside, at either end)."""
    if not text:
        return []
    if first and last:
        return [_plain(excerpt(text))]
    if len(text) <= CONTEXT * (1 if first or last else 2) + 20:
        return [_plain(text)]
    # Cut at white space, where there is any.
    head = "" if first else (text[:CONTEXT].rsplit(maxsplit=1) or [""])[0]
    tail = "" if last else (text[-CONTEXT:].split(maxsplit=1) or [""])[-1]
    shown = f"{head} … {tail}"
    return [_plain(shown.lstrip() if first else shown.rstrip() if last else shown)]


def _plain(text: str) -> Piece:
    return Piece(False, (Part("same", text),))

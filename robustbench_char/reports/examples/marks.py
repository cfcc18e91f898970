"""Attacked texts with their edits marked: each attacked word in its parts, between shortened stretches of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from robustbench_char.reports.blocks import Part, Piece
from robustbench_char.text.edits import Edit, unchanged

__all__ = ["Mark", "excerpt", "mark_text"]

CONTEXT = 70
"""Characters of unchanged text that are kept on either side of an attacked word."""


class Mark(NamedTuple):
    """One edit in an attacked text: `inserted` stands at `start` where `removed` stood before."""

    start: int
    removed: str
    inserted: str


def mark_text(text: str, marks: Sequence[Mark]) -> tuple[Piece, ...]:
    """Return an attacked text in pieces: attacked words with removed and inserted characters, shortened text between.

    Offsets count code points. Raises ValueError where an edit is not in the text or overlaps the one before it.
    """
    marks = sorted(marks, key=lambda mark: (mark.start, len(mark.inserted)))
    unchanged(text, _undoing(marks))  # raises ValueError
    pieces: list[Piece] = []
    done = 0
    spans = _words(text, marks)
    for number, (start, end) in enumerate(spans):
        pieces += _between(text[done:start], first=number == 0, last=False)
        inside = [mark for mark in marks if start <= mark.start and mark.start + len(mark.inserted) <= end]
        pieces.append(Piece(True, tuple(_parts(text, start, end, inside))))
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


def _parts(text: str, start: int, end: int, marks: Sequence[Mark]) -> list[Part]:
    first, *rest = unchanged(text[start:end], _undoing(marks, start))
    parts = [Part("same", first)]
    for mark, stretch in zip(marks, rest, strict=True):
        parts += [Part("removed", mark.removed), Part("inserted", mark.inserted), Part("same", stretch)]
    return [part for part in parts if part.text]


def _undoing(marks: Sequence[Mark], start: int = 0) -> list[Edit]:
    """Return the edits that undo the marked ones, in a text that begins at `start`."""
    return [Edit(mark.start - start, mark.inserted, mark.removed) for mark in marks]


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

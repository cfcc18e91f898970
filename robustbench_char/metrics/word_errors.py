"""The share of words that differ between two versions of a text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Words", "word_errors"]

Words = Sequence[str]


def word_errors(right: Sequence[Words], said: Sequence[Words], *, cased: bool = False) -> float | None:
    """Return the share of words that differ, in percent, compared in lower case unless `cased`; None for no words."""
    words = wrong = 0
    for one, other in zip(right, said, strict=True):
        for a, b in zip(one, other, strict=True):
            words += 1
            wrong += a != b and (cased or a.lower() != b.lower())
    return 100 * wrong / words if words else None

"""The one error that bad input ends with: where it is, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = ["InputError", "MissingExtra", "Unfinished", "nearest", "visible"]

_HIDDEN = re.compile("[\0-\b\v-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return a text with escapes (`\\u001b`) for what would command a terminal or turn the order of what is read.

    These are control characters but for tabs and line feeds, marks of direction, and halves of characters.
    """
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class InputError(Exception):
    """Bad input from the user; the command line prints it without a traceback and exits with code 2.

    `place` is a file with line or field (`train.tsv:12`), an option (`--suite`) or a key of a YAML file.
    """

    exit_code = 2

    def __init__(self, place: object, *, found: str, expected: str, fix: str) -> None:
        self.place = place if isinstance(place, str) else str(place)  # a `common.options.Option` stays one
        self.found, self.expected, self.fix = _shortened(found), _shortened(expected), _shortened(fix)
        super().__init__(visible(f"{_shortened(str(place))}: found {self.found}; expected {self.expected}. {self.fix}"))

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a worker process (keyword-only arguments do not by themselves)."""
        return _rebuild, (type(self), self.place, self.found, self.expected, self.fix)


def _shortened(part: str) -> str:
    """Return a part of a message without the middle of lines that nobody reads to the end, as one of a megabyte."""
    return "\n".join(
        line if len(line) <= 2000 else f"{line[:400]} … ({len(line):,} characters) … {line[-100:]}"
        for line in part.split("\n")
    )


class MissingExtra(InputError):
    """A package that an extra brings is not installed."""


class Unfinished(InputError):
    """Work that something outside stopped in the middle: what is done is kept, and a rerun goes on (exit code 1)."""

    exit_code = 1


def _rebuild(kind: type[InputError], place: str, found: str, expected: str, fix: str) -> InputError:
    return kind(place, found=found, expected=expected, fix=fix)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known name most like `name`, whatever its case, or an empty string."""
    by_case = {one.casefold(): one for one in reversed(list(known))}
    match = difflib.get_close_matches(name.casefold(), list(by_case)[::-1], n=1, cutoff=0.5)
    return f" Did you mean {by_case[match[0]]!r}?" if match else ""

"""Edit operations that others published, read, checked and applied as an attack: noise of people and machines.

A file has one token per line, and a blank line between sentences: for each character of the clean token `-` (kept),
`s` (substituted) or `d` (deleted), with `i` where one is inserted, then a space and the characters of `s` and `i` in
order (the format of NAT, Namysl et al. 2021). The MD5 is that of the restored set: `noisy TAB clean TAB tag`, one
token per line, tags in BIO2, a blank line after each sentence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robustbench_char.attacks.engine import Batch, Edits, Outcome, apply_edits
from robustbench_char.attacks.operators import Written
from robustbench_char.attacks.suites import (
    OPERATIONS,
    OperationsFile,
    OperationsInfo,
    OperatorRule,
    Strength,
    Suite,
    WordRule,
    suite_names,
)
from robustbench_char.common import InputError
from robustbench_char.common.files import check_file, find_declaration, safe_name, sha256_file, shipped
from robustbench_char.common.lines import read_lines
from robustbench_char.common.yaml_model import load_yaml_model
from robustbench_char.tasks.base import Example
from robustbench_char.text.columns import Column
from robustbench_char.text.words import token_words

__all__ = ["Operations", "Restored", "apply_operations", "operations_suite", "read_operations"]

OPERATORS = {"s": "substitute", "d": "delete", "i": "insert"}
_FIX = "Give the file that the operations were made for, or other operations."


class TokenOperations(NamedTuple):
    """The operations of one token: the number of its line, one letter per operation, the characters they write."""

    line: int
    letters: str
    characters: str

    @property
    def length(self) -> int:
        """The length of the clean token."""
        return len(self.letters) - self.letters.count("i")

    def edits(self, token: str) -> list[tuple[int, int, str]]:
        """Return the operator's number, the position in the clean token and the character written ("" for none).

        Empty where the token comes out as it was.
        """
        edits: list[tuple[int, int, str]] = []
        at, written, restored = 0, iter(self.characters), ""
        for letter in self.letters:
            new = token[at] if letter == "-" else "" if letter == "d" else next(written)
            if letter in "id" or (letter == "s" and new != token[at]):
                edits.append(("sdi".index(letter), at, new))
            at, restored = at + (letter != "i"), restored + new
        return edits if restored != token else []


@dataclass(frozen=True)
class Operations:
    """A file of operations, by sentence and token. `md5`: that of the restored set, where a file beside it says so."""

    path: Path
    sha256: str
    sentences: tuple[tuple[TokenOperations, ...], ...]
    md5: str | None

    def of(self, example: Example) -> tuple[TokenOperations, ...]:
        """Return the operations of an example's tokens. Raises InputError where they do not fit it."""
        (tokens,) = example.fields.values()
        if example.row >= len(self.sentences):
            raise self._unfit(None, f"operations for {len(self.sentences)} sentences", "as many as the file has")
        own = self.sentences[example.row]
        for token, operations in zip(tokens, own, strict=False):
            if len(token) != operations.length:
                found, where = f"operations for {operations.length} characters", f"in sentence {example.row + 1}"
                raise self._unfit(operations.line, found, f"{len(token)}, those of the token {token!r} {where}")
        if len(tokens) != len(own):
            found = f"operations for {len(own)} tokens in sentence {example.row + 1}"
            raise self._unfit(own[0].line, found, f"{len(tokens)}, from {tokens[0]!r} to {tokens[-1]!r}")
        return own

    def check_end(self, examples: int) -> None:
        """Raise InputError where operations are left over."""
        if examples < len(self.sentences):
            line, found = self.sentences[examples][0].line, f"operations for {len(self.sentences)} sentences"
            raise self._unfit(line, found, f"{examples}, as the file has")

    def _unfit(self, line: int | None, found: str, expected: str) -> InputError:
        place = self.path if line is None else f"{self.path}:{line}"
        return InputError(place, found=found, expected=expected, fix=_FIX)


def read_operations(path: str | Path) -> Operations:
    """Read a file of operations, and the MD5 beside it where there is one (`test.md5` of `test_ops.txt`).

    Raises InputError that names the line of an unknown operation, of characters too many or too few, of a token that
    would be left empty, and of white space in one.
    """
    path = check_file(Path(path), option="--operations")
    sentences: list[tuple[TokenOperations, ...]] = []
    current: list[TokenOperations] = []
    for operations in _rows(path):
        if operations is not None:
            current.append(operations)
        elif current:
            sentences.append(tuple(current))
            current = []
    if not sentences:
        raise InputError(path, found="no operations", expected="one token per line", fix="Check the file.")
    return Operations(path, sha256_file(path), tuple(sentences), _md5_beside(path))


def _rows(path: Path) -> Iterator[TokenOperations | None]:
    """Yield the operations of each token, and None at the end of each sentence."""
    for line in read_lines(path):
        text = line.text.removeprefix("\ufeff") if line.number == 1 else line.text
        yield _token(path, line.number, text) if text.strip() else None
    yield None


def _token(path: Path, line: int, text: str) -> TokenOperations:
    letters, _, characters = text.partition(" ")
    wrong, writing = re.search("[^-sdi]", letters), letters.count("s") + letters.count("i")
    fix = "Give a file of edit operations: the letters of a token, a space, the characters of its s and i."
    if wrong:
        found, expected = f"the operation {wrong[0]!r}", "- (keep), s (substitute), d (delete) or i (insert)"
    elif len(characters) != writing:
        found, expected = f"{len(characters)} characters", f"{writing}, one for each s and i of {letters!r}"
    elif set(letters) <= {"d"}:
        found, expected = f"{letters!r}, which leaves nothing of the token", "operations that leave a character"
        fix = "Leave the token as it was (one - per character): its tag would have no token."
    elif any(map(str.isspace, characters)):
        found, expected = f"white space in {characters!r}", "characters that keep the token in one piece"
        fix = "Leave the token as it was (one - per character): its tag would have two tokens."
    else:
        return TokenOperations(line, letters, characters)
    raise InputError(f"{path}:{line}", found=found, expected=expected, fix=fix)


def _md5_beside(path: Path) -> str | None:
    stems = dict.fromkeys((path.stem, path.stem.removesuffix("_ops")))
    beside = next((file for stem in stems if (file := path.with_name(f"{stem}.md5")).is_file()), None)
    if beside is None or beside == path:
        return None
    digest = re.match(r"\s*([0-9a-fA-F]{32})\b", beside.read_text(encoding="utf-8", errors="replace"))
    if digest is None:
        raise InputError(beside, found="no MD5", expected="32 hexadecimal digits, as md5sum prints them",
                         fix="Correct the file, or move it elsewhere to import without a check.")  # fmt: skip
    return digest[1].lower()


def operations_suite(suite: str | Path | Suite, operations: Operations, *, place: str = "--suite") -> Suite:
    """Return the suite that published operations are: all tokens are eligible, those with an operation attempted.

    `suite` is the name of a declaration in `attacks/operations`, its path, or such a suite. Raises InputError for
    another one, and for a strength.
    """
    if isinstance(suite, Suite):
        if suite.operations is None or suite.operations.sha256 != operations.sha256:
            raise _other_suite(suite.name, place)
        return suite
    stem, file = _declared(str(suite), place)
    rows = [row for sentence in operations.sentences for row in sentence]
    touched = [len(row.letters) - row.letters.count("-") for row in rows if row.letters.strip("-")]
    md5 = file.md5 or ((operations.md5,) if operations.md5 else ())
    info = OperationsInfo(name=safe_name(operations.path.name), sha256=operations.sha256, source=file.source,
                          licence=file.licence, md5=md5)  # fmt: skip
    return Suite(
        name=stem, family=stem, words=WordRule(split="whitespace"),
        operators={operator: OperatorRule() for operator in OPERATORS.values()},
        strength=Strength(rate=len(touched) / len(rows)), edits_per_word=max(touched, default=1), positions="all",
        alphabet="english", layout="qwerty", case="keep", no_op="as_drawn", fields=None, operations=info,
    )  # fmt: skip


def _declared(name: str, place: str) -> tuple[str, OperationsFile]:
    """Return the name of a suite of operations, and its declaration."""
    is_path = name.endswith((".yaml", ".yml"))
    base, _, strength = (name, "", "") if is_path else name.partition("@")
    if strength:
        raise InputError(place, found=f"the strength {strength!r} with operations", expected="no strength",
                         fix=f"Write {base!r}: all operations are applied.")  # fmt: skip
    if base in suite_names():
        raise _other_suite(base, place)
    file = load_yaml_model(find_declaration(OPERATIONS, name, place=place), OperationsFile)
    return Path(name).stem if is_path else name, file


def _other_suite(name: str, place: str) -> InputError:
    expected = f"one of {', '.join(shipped(OPERATIONS))}, or the path of a .yaml file"
    return InputError(place, found=f"{name} with operations that are not its own", expected=expected,
                      fix="Name the suite of these operations, or leave them out.")  # fmt: skip


def apply_operations(batch: Batch, rows: Iterable[Sequence[TokenOperations]]) -> Outcome:
    """Apply operations to the tokens of a batch, whose texts they fit."""
    column, tokens = Column.of(batch.texts), [token for text in batch.texts if text for token in text.split(" ")]
    words = token_words(column)
    touched = [(at, own) for at, own in enumerate(own for row in rows for own in row) if own.letters.strip("-")]
    made = [(at, *edit) for at, own in touched for edit in own.edits(tokens[at])]
    word, operator, start = (np.array([edit[part] for edit in made], np.int64) for part in range(3))
    new = [edit[3] for edit in made]
    removed = np.array([operator != 2 for _, operator, *_ in made], np.int64)
    codes = np.array([[ord(char or "\0")] for char in new], np.uint32).reshape(-1, 1)
    edits = Edits(word, operator, start + words.starts[word], Written(removed, codes, np.array([*map(len, new)], int)))
    attacked, shift = apply_edits(column, edits)
    names = tuple(OPERATORS.values())
    return Outcome(column, attacked, words, edits, names, len(words.starts), len(touched), shift)


class Restored:
    """The MD5 of a set as its authors restore it, from clean and attacked examples in order."""

    def __init__(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)

    def add(self, clean: Example, attacked: Example) -> None:
        """Take in one sentence."""
        noisy, words = (next(iter(example.fields.values())) for example in (attacked, clean))
        lines = ("\t".join(row) + "\n" for row in zip(noisy, words, clean.label or repeat(""), strict=False))
        self._digest.update(("".join(lines) + "\n").encode())

    @property
    def md5(self) -> str:
        """The MD5 of the sentences so far, as 32 hexadecimal digits."""
        return self._digest.hexdigest()

    def check(self, operations: OperationsInfo, place: object) -> None:
        """Raise InputError where the MD5 is none of those that were published."""
        if operations.md5 and self.md5 not in operations.md5:
            expected = f"{' or '.join(operations.md5)}, as published"
            fix = "Give operations and file of the same set, words and tags as published."
            raise InputError(place, found=f"MD5 {self.md5} of the restored set", expected=expected, fix=fix)

"""Writing mini as files in the tasks' native formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from robustbench_char.common import InputError, nearest
from robustbench_char.tasks.mini import classification, squad, tagging
from robustbench_char.tasks.mini.classification import Row
from robustbench_char.tasks.mini.draw import SPLITS
from robustbench_char.tasks.mini.tokens import Phrase, chunks

__all__ = ["FILE_NAMES", "SIZES", "TASKS", "file_name", "split_bytes", "write_split"]

_ROWS = {"train": 2000, "dev": 300, "test": 300}
_QUESTIONS = {"train": 1200, "dev": 200, "test": 200}
SIZES = {
    "squad_v1": _QUESTIONS, "squad_v2": _QUESTIONS,
    "cola": {**_ROWS, "train": 3000}, "mrpc": _ROWS, "qqp": _ROWS, "qnli": _ROWS,
    "conll2003": _ROWS, "ptb_pos": _ROWS,
}  # fmt: skip
"""Examples of each split, by task: questions (a few more, as paragraphs have several), rows, or sentences."""
_DOCUMENT = 20  # sentences between two -DOCSTART- lines

_GLUE = {split: f"{split}.tsv" for split in SPLITS}
FILE_NAMES: dict[str, dict[str, str]] = {
    "squad_v1": {split: f"{split}-v1.1.json" for split in SPLITS},
    "squad_v2": {split: f"{split}-v2.0.json" for split in SPLITS},
    "cola": _GLUE, "mrpc": _GLUE, "qqp": _GLUE, "qnli": _GLUE,
    "conll2003": {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"},
    "ptb_pos": {split: f"{split}.txt" for split in SPLITS},
}  # fmt: skip
"""The native file name of each split, by task."""
TASKS = tuple(FILE_NAMES)


def file_name(task: str, split: str) -> str:
    """Return the native name of a file of mini. Raises InputError for an unknown task or split."""
    _known("task", task, TASKS)
    _known("split", split, SPLITS)
    return FILE_NAMES[task][split]


def write_split(task: str, split: str, path: Path) -> None:
    """Write one split of a task: the same bytes on every machine. Raises InputError for an unknown task or split."""
    path.write_bytes(split_bytes(task, split))


def split_bytes(task: str, split: str) -> bytes:
    """Return what `write_split` writes."""
    file_name(task, split)
    return _splits(task)[split].encode()


def _known(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InputError(f"mini {kind}", found=f"unknown {kind} {name!r}", expected=f"one of {', '.join(known)}",
                         fix=f"Correct the name.{nearest(name, known)}")  # fmt: skip


@cache
def _splits(task: str) -> dict[str, str]:
    """Make all splits of a task at once, for a later one repeats nothing of an earlier one."""
    if task in _CLASSIFICATION:
        rows = classification.examples(task, SIZES[task])
        return {split: _CLASSIFICATION[task](rows[split]) for split in SPLITS}
    if task in _TAGGING:
        sentences = tagging.examples(task, SIZES[task])
        return {split: _TAGGING[task](sentences[split]) for split in SPLITS}
    return {split: json.dumps(value) for split, value in squad.document(task, SIZES[task]).items()}


def _cola(rows: list[Row]) -> str:
    return _table([(row.source, str(int(row.positive)), "" if row.positive else "*", *row.texts) for row in rows])


def _mrpc(rows: list[Row]) -> str:
    table = [
        (str(int(row.positive)), str(1000001 + 2 * place), str(1000002 + 2 * place), *row.texts)
        for place, row in enumerate(rows)
    ]
    return "\ufeff" + _table([("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"), *table])


def _qqp(rows: list[Row]) -> str:
    table = [
        (str(place), str(2 * place + 1), str(2 * place + 2), *row.texts, str(int(row.positive)))
        for place, row in enumerate(rows)
    ]
    return _table([("id", "qid1", "qid2", "question1", "question2", "is_duplicate"), *table])


def _qnli(rows: list[Row]) -> str:
    table = [
        (str(place), *row.texts, "entailment" if row.positive else "not_entailment") for place, row in enumerate(rows)
    ]
    return _table([("index", "question", "sentence", "label"), *table])


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)


_BRACKETS = {"-LRB-": "(", "-RRB-": ")"}


def _conll2003(sentences: list[Phrase]) -> str:
    """Columns word, part of speech, chunk, entity; quotes and brackets are tagged as in CoNLL-2003, by themselves."""
    text = ""
    for place, tokens in enumerate(sentences):
        if place % _DOCUMENT == 0:
            text += "-DOCSTART- -X- -X- O\n\n"
        for token, chunk in zip(tokens, chunks(tokens), strict=True):
            quote = token.tag in {"``", "''"}
            word, tag = ('"', '"') if quote else (token.word, _BRACKETS.get(token.tag, token.tag))
            text += f"{word} {tag} {chunk} {token.entity}\n"
        text += "\n"
    return text


def _ptb_pos(sentences: list[Phrase]) -> str:
    return "".join("".join(f"{token.word}\t{token.tag}\n" for token in tokens) + "\n" for tokens in sentences)


_CLASSIFICATION: dict[str, Callable[[list[Row]], str]] = {"cola": _cola, "mrpc": _mrpc, "qqp": _qqp, "qnli": _qnli}
_TAGGING: dict[str, Callable[[list[Phrase]], str]] = {"conll2003": _conll2003, "ptb_pos": _ptb_pos}

"""mini as files in the tasks' native formats, and the running text of its training splits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from robustbench_char.tasks.sources import MINI_SPLITS, MINI_TASKS, mini_path
from tools.mini import classification, squad, tagging
from tools.mini.classification import Row
from tools.mini.tokens import Phrase, chunks

__all__ = ["split_bytes", "text_bytes", "write_all"]

_ROWS = {"train": 2000, "dev": 300, "test": 300}
_QUESTIONS = {"train": 1200, "dev": 200, "test": 200}
_SIZES = {
    "squad_v1": _QUESTIONS, "squad_v2": _QUESTIONS,
    "cola": {**_ROWS, "train": 3000}, "mrpc": _ROWS, "qqp": _ROWS, "qnli": _ROWS,
    "conll2003": _ROWS, "ptb_pos": _ROWS,
}  # fmt: skip
"""Examples of each split, by task: questions (a few more, as paragraphs have several), rows, or sentences."""
_DOCUMENT = 20  # sentences between two -DOCSTART- lines


def write_all(folder: Path) -> None:
    """Write all files of mini into a folder: `TASK/FILE`, and the text."""
    for task in MINI_TASKS:
        (folder / task).mkdir(parents=True, exist_ok=True)
        for split in MINI_SPLITS:
            (folder / task / mini_path(task, split).name).write_bytes(split_bytes(task, split))
    (folder / "text.txt").write_bytes(text_bytes())


def split_bytes(task: str, split: str) -> bytes:
    """Return one split of a task as its native file: the same bytes on every machine."""
    return _splits(task)[split].encode()


def text_bytes() -> bytes:
    """Return every text of the training splits once, one per line."""
    return ("\n".join(dict.fromkeys(_texts())) + "\n").encode()


def _texts() -> Iterator[str]:
    for article in json.loads(split_bytes("squad_v1", "train"))["data"]:
        for paragraph in article["paragraphs"]:
            yield paragraph["context"]
            yield from (question["question"] for question in paragraph["qas"])
    for task in _CLASSIFICATION:
        for row in _rows(task)["train"]:
            yield from row.texts


@cache
def _rows(task: str) -> dict[str, list[Row]]:
    return classification.examples(task, _SIZES[task])


@cache
def _splits(task: str) -> dict[str, str]:
    """Make all splits of a task at once, for a later one repeats nothing of an earlier one."""
    if task in _CLASSIFICATION:
        return {split: _CLASSIFICATION[task](_rows(task)[split]) for split in MINI_SPLITS}
    if task in _TAGGING:
        sentences = tagging.examples(task, _SIZES[task])
        return {split: _TAGGING[task](sentences[split]) for split in MINI_SPLITS}
    return {split: json.dumps(value) for split, value in squad.document(task, _SIZES[task]).items()}


def _cola(rows: list[Row]) -> str:
    return _table([(row.source, str(int(row.positive)), "" if row.positive else "*", *row.texts) for row in rows])


def _mrpc(rows: list[Row]) -> str:
    table = [
        (str(int(row.positive)), str(1000001 + 2 * index), str(1000002 + 2 * index), *row.texts)
        for index, row in enumerate(rows)
    ]
    return "\ufeff" + _table([("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"), *table])


def _qqp(rows: list[Row]) -> str:
    table = [
        (str(index), str(2 * index + 1), str(2 * index + 2), *row.texts, str(int(row.positive)))
        for index, row in enumerate(rows)
    ]
    return _table([("id", "qid1", "qid2", "question1", "question2", "is_duplicate"), *table])


def _qnli(rows: list[Row]) -> str:
    table = [
        (str(index), *row.texts, "entailment" if row.positive else "not_entailment") for index, row in enumerate(rows)
    ]
    return _table([("index", "question", "sentence", "label"), *table])


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)


_BRACKETS = {"-LRB-": "(", "-RRB-": ")"}


def _conll2003(sentences: list[Phrase]) -> str:
    """Columns word, part of speech, chunk, entity; quotes and brackets are tagged as in CoNLL-2003, by themselves."""
    text = ""
    for index, tokens in enumerate(sentences):
        if index % _DOCUMENT == 0:
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

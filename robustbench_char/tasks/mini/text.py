"""Running text: every text of the training splits of mini once, for pre-training in demonstrations and tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from robustbench_char.tasks.mini.files import split_bytes

__all__ = ["write_text"]


def write_text(path: Path) -> None:
    """Write the texts, a line each: the same bytes on every machine."""
    path.write_text("\n".join(dict.fromkeys(_lines())) + "\n", encoding="utf-8")


def _lines() -> Iterator[str]:
    for article in json.loads(split_bytes("squad_v1", "train"))["data"]:
        for paragraph in article["paragraphs"]:
            yield paragraph["context"]
            yield from (question["question"] for question in paragraph["qas"])
    for task, columns in (("cola", (3,)), ("mrpc", (3, 4)), ("qqp", (3, 4)), ("qnli", (1, 2))):
        rows = split_bytes(task, "train").decode().removeprefix("\ufeff").splitlines()
        for row in rows if task == "cola" else rows[1:]:
            cells = row.split("\t")
            yield from (cells[column] for column in columns)

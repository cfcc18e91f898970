"""Real files: read, counted, and written back byte for byte; edited everywhere and undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from robustbench_char.tasks import Edit, Example, get_task, open_native
from robustbench_char.tasks.base import token_text

pytestmark = pytest.mark.data

FILES = [
    ("cola", "glue/CoLA/train.tsv", 8551),
    ("cola", "glue/CoLA/dev.tsv", 1043),
    ("mrpc", "glue/MRPC/train.tsv", 3667),
    ("mrpc", "glue/MRPC/dev.tsv", 408),
    ("mrpc", "glue/MRPC/test.tsv", 1725),
    ("qnli", "glue/QNLI/train.tsv", 4098),
    ("qnli", "glue/QNLI/dev.tsv", 1365),
    pytest.param("conll2003", "conll2003/train.txt", 14041, marks=pytest.mark.slow),
    ("conll2003", "conll2003/valid.txt", 3250),
    ("conll2003", "conll2003/test.txt", 3453),
    ("squad_v1", "squad/train-v1.1.json", 925),
    ("squad_v1", "squad/dev-v1.1.json", 265),
    ("squad_v2", "squad/train-v2.0.json", 925),
    ("squad_v2", "squad/dev-v2.0.json", 265),
]


def letters_doubled(example: Example, field: str) -> list[Edit]:
    """Insert an é after every seventh character that is followed by another letter of the same word."""
    text = token_text(example.fields[field])
    inside = [at for at in range(1, len(text)) if text[at - 1].isalpha() and text[at].isalpha()]
    return [Edit(at, text[at], "é" + text[at]) for at in inside[::7]]


@pytest.mark.parametrize(("name", "file", "count"), FILES)
def test_same_bytes_back_and_after_undoing(shared_data: Path, kit: Any, name: str, file: str, count: int) -> None:
    task, path = get_task(name), shared_data / file
    clean = open_native(task, path)
    examples = list(clean.examples())
    assert len(examples) == count
    assert kit.rewritten(clean) == path.read_bytes()
    some = examples if task.family == "question_answering" else examples[::10]
    changes = {(one.row, field): letters_doubled(one, field) for one in some for field in task.fields}
    items = kit.attacked(task, examples, changes)
    attacked = kit.path(kit.rewritten(clean, items), path.name)
    read = list(open_native(task, attacked).examples())
    assert [(one.fields, one.label, one.answers) for one in read] == [
        (item.example.fields, item.example.label, item.example.answers) for item in items
    ]
    assert kit.undone(task, clean, attacked, items) == path.read_bytes()


@pytest.mark.slow
def test_treebank(shared_data: Path, kit: Any) -> None:
    trees = open_native(get_task("ptb_pos"), shared_data / "ptb")
    examples = list(trees.examples())
    assert len(examples) == 3914
    columns = kit.open("ptb_pos", kit.rewritten(trees))
    assert list(columns.examples()) == examples
    assert kit.rewritten(columns) == columns.path.read_bytes()

"""Attacks by the block against the same work done once more in plain Python, one example at a time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robustbench_char.attack_sets import attack_file
from robustbench_char.attacks.engine import Batch, attack_batch
from robustbench_char.attacks.keys import text_keys
from robustbench_char.attacks.suites import load_suites
from robustbench_char.tasks import base, get_task
from robustbench_char.tasks.formats import conll

WORD = st.text(st.characters(exclude_characters=" \t\n\r\ufeff", exclude_categories=("Cs",)), min_size=1, max_size=8)
ENTITY = st.sampled_from(["O", "I-PER", "I-LOC"])  # legal in IOB1 alone, as soon as there is one
SENTENCE = st.lists(st.tuples(WORD.filter(lambda word: word != "-DOCSTART-"), ENTITY), min_size=1, max_size=4)
CELL = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=("Cs",)), max_size=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


def attacked_by_file(folder: Path, task: str, data: str, *, block: int, size: int = 1 << 20) -> tuple[str, list[int]]:
    """Return attacked file and rows of the ledger, as made with blocks and pieces of other sizes."""
    (folder / "clean.txt").write_text(data, encoding="utf-8", newline="")
    pieces = mock.patch.object(conll, "read_text", lambda path: conll_pieces(path, size))
    with mock.patch.object(base, "BLOCK", block), pieces:
        made = attack_file(task, folder / "clean.txt", suite="mixed", seed=3, output=folder / "out", overwrite=True)
    text = (folder / "out" / made.output.name).read_bytes().decode()
    return text, pq.read_table(folder / "out" / "edits.parquet")["row"].to_pylist()


def conll_pieces(path: Path, size: int) -> Any:
    text = path.read_bytes().decode()
    return iter([*(text[at : at + size] for at in range(0, len(text), size)), ""])


def plain_attack(task: str, records: list[Any], fields: list[dict[str, str]], natives: list[str]) -> list[str]:
    """Attack the one text of each record alone, by the key that base.ContentKeys documents."""
    (suite,), seen, texts = load_suites("mixed", task=task), Counter[str](), []
    for record, field, native in zip(records, fields, natives, strict=True):
        written = json.dumps(record, sort_keys=True, separators=(",", ":"))
        name = f"{hashlib.sha256(written.encode()).hexdigest()}#{seen[native]}"
        seen[native] += 1
        ((field_name, text),) = field.items()
        keys = text_keys([f"{name}\x1f{field_name}"], seed=3, family=suite.family, task=task)
        texts += attack_batch(Batch([text], keys, tokens=get_task(task).family == "tagging"), suite).texts
    return texts


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from("01"), CELL), min_size=1, max_size=7), st.integers(1, 4), st.booleans())
def test_rows(folder: Path, rows: list[tuple[str, str]], block: int, twice: bool) -> None:
    rows = [("1", "Start."), *rows * (1 + twice)]
    lines = [f"src\t{label}\t\t{text}" for label, text in rows]
    names = {"0": "unacceptable", "1": "acceptable"}
    records = [{"fields": {"sentence": text}, "label": names[label]} for label, text in rows]
    texts = plain_attack("cola", records, [{"sentence": text} for _, text in rows], lines)
    expected = "\r\n".join(f"src\t{label}\t\t{text}" for (label, _), text in zip(rows, texts, strict=True))
    assert attacked_by_file(folder, "cola", "\r\n".join(lines), block=block)[0] == expected


@settings(max_examples=15)
@given(
    st.lists(SENTENCE, min_size=1, max_size=6), st.integers(1, 3), st.integers(1, 40),
    st.sampled_from([" ", "\t", " \t"]), st.sampled_from(["\n\n", "\r\n\r\n", "\n \n-DOCSTART- O\n\n"]),
)  # fmt: skip
def test_sentences(folder: Path, sentences: Any, block: int, size: int, gap: str, between: str) -> None:
    sentences = [[("start", "O"), *sentence] for sentence in [*sentences, *sentences[:1]]]
    tags = [[tag for _, tag in sentence] for sentence in sentences]
    bio2 = tags
    if any(tag[0] == "I" for row in tags for tag in row):
        bio2 = [
            [
                f"B{tag[1:]}" if tag != "O" and before != tag else tag
                for before, tag in zip(["O", *row], row, strict=False)
            ]
            for row in tags
        ]
    words = [[word for word, _ in sentence] for sentence in sentences]
    records = [{"fields": {"tokens": row}, "label": label} for row, label in zip(words, bio2, strict=True)]
    fields = [{"tokens": " ".join(row)} for row in words]
    texts = plain_attack("conll2003", records, fields, list(map(repr, sentences)))
    new = [text.split(" ") for text in texts]
    labelled = [zip(rows, tags, strict=True) for rows in (words, new)]
    written = [
        between.join("\n".join(map(gap.join, zip(*sentence, strict=True))) for sentence in file) for file in labelled
    ]
    text, edited = attacked_by_file(folder, "conll2003", written[0], block=block, size=size)
    assert text == written[1]
    assert set(edited) == {row for row, (old, after) in enumerate(zip(words, new, strict=True)) if old != after}


@given(st.lists(st.tuples(st.text(max_size=5), st.none() | st.text(max_size=3)), max_size=5))
def test_records_are_those_of_json(rows: list[tuple[str, str | None]]) -> None:
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    expected = [
        json.dumps({"fields": {"100%": text, "é": text}, "label": label}, sort_keys=True, separators=(",", ":"))
        for text, label in rows
    ]
    assert list(base.json_records({"é": texts, "100%": texts}, labels)) == expected

"""Files that are not what they seem: packed, other tables, other encodings, no files at all, misnamed columns."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import socket
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.common.file_kinds import kind_of
from robustbench_char.tasks import get_task, open_native

TEXT = b"src\t1\t\tThe cat slept.\nsrc\t0\t*\tSlept cat the.\n"


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, TEXT)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        info = tarfile.TarInfo("dev.tsv")
        info.size = len(TEXT)
        file.addfile(info, io.BytesIO(TEXT))
    return out.getvalue()


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"sentence": ["x"], "label": [1]}), out)
    return out.getvalue()


@pytest.mark.parametrize("name", ["data.tsv", "data.json", "data.jsonl", "data.csv", "data.parquet", "data.txt"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(TEXT, mtime=0), r"a gzip file; .*Unpack it first, for example with `gunzip -k FILE`"),
        (bz2.compress(TEXT), r"a bzip2 file"),
        (lzma.compress(TEXT), r"an xz file"),
        (zipped("dev.tsv"), r"a zip file; .*`unzip FILE`"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), r"an Excel workbook or another office file"),
        (tarred(), r"a tar file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"a file of Excel or Word"),
        (b"SQLite format 3\x00" + bytes(600), r"an SQLite database"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", r"a pointer of Git LFS; .*`git lfs pull`"),
        (b"\n <!DOCTYPE html>", r"an HTML page"),
        (TEXT.decode().encode("utf-16"), r"text in UTF-16; .*`iconv -f UTF-16 -t UTF-8 FILE > NEW`"),
        (TEXT.decode().encode("utf-16-le"), r"text in UTF-16LE"),
        ("Вчера никто\tO\nне пришёл\tO\n".encode("utf-16-be"), r"text in UTF-16BE"),
        (TEXT.decode().encode("utf-32-le"), r"text in UTF-32LE"),
    ],
)
def test_kinds_of_files(kit: Any, name: str, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: found {message}"):
        list(kit.open("squad_v1" if name == "data.json" else "cola", data, name).examples())


def test_a_parquet_table_by_another_name(kit: Any) -> None:
    with pytest.raises(InputError, match=r"data.tsv: found a Parquet table; .*Give the file the ending .parquet"):
        list(kit.open("cola", parquet(), "data.tsv").examples())
    assert [one.label for one in kit.open("cola", parquet(), "data.parquet").examples()] == ["acceptable"]


@pytest.mark.parametrize("text", ["a\0b\n", "\0", "ab", "", "日本語\t0\n", "naïve", "BZ\n", "PK\n", "%PDF\n", "<b>x"])
def test_text_is_text(text: str) -> None:
    assert kind_of(text.encode()) is None


@pytest.mark.parametrize("task", ["cola", "squad_v1", "conll2003", "ptb_pos"])
def test_what_is_no_file(tmp_path: Path, task: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    cases = {tmp_path / "pipe": "a pipe", tmp_path / "socket": "a socket", Path("/dev/null"): "a device",
             tmp_path / "link": "a link to nothing"}  # fmt: skip
    for path, found in cases.items():
        with pytest.raises(InputError, match=rf"{path}: found {found}; expected a file"):
            list(open_native(get_task(task), path).examples())


def test_blank_lines_of_json_lines_stay(kit: Any) -> None:
    data = '\ufeff{"sentence": "The \\u0063at slept.", "label": 1}\r\n\n \t\n{"sentence": "Cat.", "label": 0}\n\n'
    file = kit.open("cola", data, "data.jsonl")
    examples = list(file.examples())
    assert [one.label for one in examples] == ["acceptable", "unacceptable"]
    assert kit.rewritten(file) == data.encode()
    assert file.source(examples[0], "sentence", 4, 7) == "\\u0063at"
    assert file.source(examples[1], "sentence", 0, 3) is None
    with pytest.raises(InputError, match=r"data.jsonl:3: found malformed JSON"):
        list(kit.open("cola", '{"sentence": "x", "label": 1}\n\n{\n', "data.jsonl").examples())


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        (
            "cola",
            {"sentence": "x", "labels": 1},
            r"found the columns sentence, labels; .*'label'. Did you mean 'labels'",
        ),
        ("cola", {"sentence": "x", "Label": 1}, r"Did you mean 'Label'"),
        ("cola", {"sentence": "x", "lable": 1}, r"Did you mean 'lable'"),
        ("conll2003", {"tokens": ["x"], "ner_tag": [0]}, r"a column 'ner_tags'. Did you mean 'ner_tag'"),
        ("squad_v1", {"id": "q", "question": "?", "context": "x", "answer": {}}, r"'answers'. Did you mean 'answer'"),
    ],
)
def test_labels_by_nearly_their_name(kit: Any, task: str, row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"data.jsonl:1.*{message}"):
        list(kit.open(task, json.dumps(row) + "\n", "data.jsonl").examples())
    with pytest.raises(InputError, match=message):
        rbc.attack([row], task=task, suite="drop")


def test_labels_by_nearly_their_name_in_other_formats(kit: Any) -> None:
    import datasets

    with pytest.raises(InputError, match="Did you mean 'labels'"):
        rbc.attack(datasets.Dataset.from_dict({"sentence": ["x"], "labels": [1]}), task="cola", suite="drop")
    with pytest.raises(InputError, match=r"data.csv:2: .*Did you mean 'Label'"):
        list(kit.open("cola", "sentence,Label\nx,1\n", "data.csv").examples())
    with pytest.raises(InputError, match=r"data.tsv:1: .*Did you mean 'labels'"):
        list(kit.open("qnli", "index\tquestion\tsentence\tlabels\n0\ta\tb\tentailment\n", "data.tsv").examples())
    columns = {"tokens": ["x"], "pos_tags": ["NN"], "chunk_tags": ["O"]}
    (example,) = kit.open("conll2003", json.dumps(columns) + "\n", "data.jsonl").examples()
    assert example.label is None  # other columns of tags are no slip


def test_json_of_one_line_is_told_by_its_parts(kit: Any) -> None:
    question = {"id": "q7", "question": "?", "answers": []}
    paragraphs = [{"context": "Riga.", "qas": [question]}, {"context": "Oslo.", "qas": [question, question]}]
    for old, new, message in (
        (
            "question",
            "qestion",
            r"data.txt:1, article 1 'A', paragraph 2, question 2 'q7': found no 'question'; .*'qest",
        ),
        ("id", "ID", r"data.txt:1, article 1 'A', paragraph 2, question 2: found no 'id'; .*Did you mean 'ID'"),
        ("answers", "answer", r"paragraph 2, question 2 'q7': found the columns id, question, answer; .*mean 'answer'"),
    ):
        qas = [question, {new if key == old else key: value for key, value in question.items()}]
        data = {"data": [{"title": "A", "paragraphs": [paragraphs[0], paragraphs[1] | {"qas": qas}]}]}
        with pytest.raises(InputError, match=message):
            list(kit.open("squad_v1", json.dumps(data)).examples())
    text = json.dumps({"data": [{"title": "A", "paragraphs": paragraphs}]})
    with pytest.raises(InputError, match=r"data.txt:1: found malformed JSON \(.*, column \d+, after '.*\"Oslo"):
        list(kit.open("squad_v1", text.replace('Oslo."', 'Oslo.";')).examples())

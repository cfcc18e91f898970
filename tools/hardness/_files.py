"""Small valid files of every format, from a seeded generator: `make(FORMAT, rng)`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from tools.hardness import _odd

__all__ = ["FORMATS", "Made", "make"]

_CELL = "\t\n"
_CLASSES = {"cola": 1, "mrpc": 2, "qqp": 2, "qnli": 2}
_FIELDS = {
    "cola": ("sentence",), "mrpc": ("sentence1", "sentence2"), "qqp": ("question1", "question2"),
    "qnli": ("question", "sentence"),
}  # fmt: skip
_NAMES = {"qnli": ("entailment", "not_entailment")}
_TAGS = "CC CD DT EX FW IN JJ NN NNS VB VBD . , : `` '' -LRB-".split()  # noqa: SIM905


class Made(NamedTuple):
    """A file: the task whose data it holds, its name, and its bytes."""

    task: str
    name: str
    data: bytes


def make(kind: str, rng: Random) -> Made:
    """Return a new file of a format."""
    return FORMATS[kind](rng)


def _end(rng: Random) -> str:
    return "\r\n" if rng.random() < 0.25 else "\n"


def _whole(rng: Random, lines: Sequence[str], end: str) -> bytes:
    """Join lines; at times without the last line feed, at times behind a byte-order mark."""
    bom = "\ufeff" if rng.random() < 0.1 else ""
    text = end.join(lines)
    text = "x" + text[1:] if text.startswith("\ufeff") else text  # it is a mark there, no letter
    return (bom + text + (end if rng.random() < 0.8 else "")).encode()


def _tsv(rng: Random) -> Made:
    task = rng.choice(list(_CLASSES))
    rows = rng.choice((1, 1, 2, 3, 6))

    def cell() -> str:
        return _odd.text(rng, without=_CELL + "\r" * (rng.random() < 0.9)).removesuffix("\r") or "x"

    fields = _FIELDS[task]
    if task == "cola":
        lines = [f"{cell()}\t{rng.randrange(2)}\t{rng.choice(('', '*'))}\t{cell()}" for _ in range(rows)]
    else:
        label, columns = {
            "mrpc": ("Quality", ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]),
            "qqp": ("is_duplicate", ["id", "qid1", "qid2", *fields, "is_duplicate"]),
            "qnli": ("label", ["index", *fields, "label"]),
        }[task]
        lines = ["\t".join(columns)]
        for row in range(rows):
            known = {"id": str(row), "index": str(row), label: str(rng.choice(_NAMES.get(task, ("0", "1"))))}
            lines.append("\t".join(known.get(column) or cell() for column in columns))
    return Made(task, "data.tsv", _whole(rng, lines, _end(rng)))


def _csv(rng: Random) -> Made:
    task = rng.choice(list(_CLASSES))
    fields, end = _FIELDS[task], _end(rng)
    more = ["idx"] * (task in ("qqp", "qnli")) + ["note", "x,y"][: rng.choice((0, 0, 1, 2))]
    columns = [*fields, "label", *more]
    rng.shuffle(columns)

    def cell(value: str) -> str:
        needs = value.startswith('"') or any(mark in value for mark in ',\n"') or value.endswith("\r")
        return '"' + value.replace('"', '""') + '"' if needs or rng.random() < 0.2 else value

    lines = [",".join(map(cell, columns))]
    for row in range(rng.choice((1, 1, 2, 3, 6))):
        values = {"label": rng.choice(("0", "1")), "idx": str(row)}
        lines.append(",".join(cell(values.get(column) or _odd.text(rng) or "x") for column in columns))
        lines += [""] * (rng.random() < 0.05)
    return Made(task, "data.csv", _whole(rng, lines, end))


def _entities(rng: Random, length: int) -> list[str]:
    tags, before = list[str](), "O"
    for _ in range(length):
        kind = rng.choice(("PER", "LOC", "ORG", "MISC"))
        goes_on = before != "O" and rng.random() < 0.5
        before = f"I-{before[2:]}" if goes_on else rng.choice(("O", "O", f"B-{kind}"))
        tags.append(before)
    return tags


def _iob1(tags: Sequence[str]) -> list[str]:
    pairs = zip(["O", *tags], tags, strict=False)
    return [f"I-{tag[2:]}" if tag[0] == "B" and tag[2:] != before[2:] else tag for before, tag in pairs]


def _conll(rng: Random) -> Made:
    width, gaps = rng.choice((2, 3, 4)), rng.choice(([" "], ["\t"], [" ", "  ", "\t", " \t"]))
    lines, iob1 = ["-DOCSTART-" + " -X-" * (width - 2) + " O", ""] if rng.random() < 0.3 else [], rng.random() < 0.3
    start = len(lines)
    for _ in range(rng.choice((1, 1, 2, 4))):
        tags = _entities(rng, rng.choice((1, 2, 5, 9)))
        for tag in _iob1(tags) if iob1 else tags:
            token = _odd.token(rng)
            if len(lines) == start:  # where all have one, they are taken for numbers of words, and refused
                token = "".join(char for char in token if not char.isdecimal()) or "x"
            if len(gaps) > 1:  # where tabs and spaces are mixed, a line with # in front may be a comment
                token = token.lstrip("#") or "x"
            cells = [token, *(rng.choice(("NN", "VBD", "DT", "I-NP", "B-VP"))
                              for _ in range(width - 2)), tag]  # fmt: skip
            lines.append("".join(cell + rng.choice(gaps) for cell in cells).rstrip(" \t"))
        lines += [rng.choice(("", "", " "))] * rng.choice((1, 1, 2))
    return Made("conll2003", "data.txt", _whole(rng, lines, _end(rng)))


def _ptb(rng: Random) -> Made:
    lines = []
    for _ in range(rng.choice((1, 1, 2, 4))):
        lines += [f"{_odd.token(rng)}\t{rng.choice(_TAGS)}" for _ in range(rng.choice((1, 2, 5, 9)))]
        lines += [""] * rng.choice((1, 1, 2))
    return Made("ptb_pos", "data.txt", _whole(rng, lines, _end(rng)))


def _answers(rng: Random, context: str) -> list[dict[str, Any]]:
    answers = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        start = rng.randrange(len(context))
        answers.append({"answer_start": start, "text": context[start : start + rng.choice((1, 3, 8))]})
    return answers


def _context(rng: Random) -> str:
    return _odd.text(rng) or "Oslo"


def _squad(rng: Random) -> Made:
    second, number, json_of = rng.random() < 0.5, 0, _odd.Json(rng)
    contexts = [_context(rng) for _ in range(3)]
    paragraphs = []
    for _ in range(rng.choice((1, 2, 3))):
        context, questions = rng.choice(contexts), list[dict[str, Any]]()
        for _ in range(rng.choice((1, 1, 2, 3))):
            number += 1
            question: dict[str, Any] = {"id": f"q{number}", "question": _odd.text(rng), "answers": []}
            if not second or rng.random() < 0.6:
                question["answers"] = _answers(rng, context)
            elif rng.random() < 0.5:
                question["plausible_answers"] = _answers(rng, context)
            if second:
                question["is_impossible"] = not question["answers"]
            questions.append(question | ({"odd key": [None, 1.5e3, True, {}]} if rng.random() < 0.1 else {}))
        paragraphs.append({"context": context, "qas": questions})
    articles = [{"title": _odd.text(rng), "paragraphs": paragraphs}] + [{"paragraphs": []}] * rng.choice((0, 0, 1))
    whole = json_of.write({"version": "x", "data": articles})
    bom = "\ufeff" if rng.random() < 0.1 else ""
    return Made("squad_v2" if second else "squad_v1", "data.json", (bom + whole + _end(rng)).encode())


def _rows(rng: Random) -> tuple[str, list[dict[str, Any]]]:
    """Return rows in the layout of the hub, and their task."""
    task = rng.choice((*_CLASSES, "conll2003", "ptb_pos", "squad_v1", "squad_v2"))
    rows = []
    for number in range(rng.choice((1, 1, 2, 4))):
        row: dict[str, Any] = {"note": rng.choice((None, "x", _odd.text(rng)))} if rng.random() < 0.3 else {}
        if task in _CLASSES:
            row |= {name: _odd.text(rng) for name in _FIELDS[task]} | {"label": rng.randrange(2), "idx": number}
        elif task.startswith("squad"):
            context = _context(rng)
            answers = [] if task == "squad_v2" and rng.random() < 0.4 else _answers(rng, context)
            row |= {"id": f"q{number}", "title": "t", "context": context, "question": _odd.text(rng)}
            row["answers"] = {key: [answer[key] for answer in answers] for key in ("text", "answer_start")}
        else:
            length = rng.choice((1, 2, 5, 9))
            tokens = [_odd.token(rng) for _ in range(length)]
            tags = _entities(rng, length) if task == "conll2003" else rng.choices(_TAGS, k=length)
            row |= {"tokens": tokens, ("ner_tags" if task == "conll2003" else "pos_tags"): tags}
        rows.append(row)
    for row in rows:
        if "note" in rows[0]:
            row.setdefault("note", None)
        else:
            row.pop("note", None)
    return task, rows


def _json_lines(rng: Random) -> Made:
    (task, rows), json_of = _rows(rng), _odd.Json(rng, one_line=True)
    return Made(task, "data.jsonl", _whole(rng, [json_of.write(row) for row in rows], _end(rng)))


def _parquet(rng: Random) -> Made:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (task, rows), out = _rows(rng), io.BytesIO()
    if any(row.get("answers", {}).get("text") == [] for row in rows):
        strings, numbers = pa.list_(pa.string()), pa.list_(pa.int32())
        columns = {name: pa.string() for name in rows[0]} | {
            "answers": pa.struct([("text", strings), ("answer_start", numbers)])
        }
        table = pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))
    else:
        table = pa.Table.from_pylist(rows)
    if rng.random() < 0.2:
        table = table.replace_schema_metadata({"made by": json.dumps({"x": 1})})
    pq.write_table(table, out, row_group_size=rng.choice((1, 2, 100)),
                   compression=rng.choice(("none", "snappy", "zstd", "gzip")))  # fmt: skip
    return Made(task, "data.parquet", out.getvalue())


FORMATS: dict[str, Callable[[Random], Made]] = {
    "tsv": _tsv, "csv": _csv, "conll": _conll, "ptb": _ptb, "squad": _squad, "jsonl": _json_lines, "parquet": _parquet,
}  # fmt: skip
"""What makes a file, by the name of its format."""

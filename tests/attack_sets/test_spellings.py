"""One text may be spelled in several ways in a JSON file: undoing an attack gives each its own spelling back."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.attacked import spoil_json

from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attack_sets.manifest import MANIFEST, SPELLINGS
from robustbench_char.attack_sets.verify import verify
from robustbench_char.common import InputError
from robustbench_char.common.files import sha256_file

CONTEXT = 'A naïve "café" smiled 😀 at Ömer\'s and/or behind\\beyond.'


def _spelled(text: str, draws: random.Random) -> str:
    """Spell a text as a JSON literal, each character raw or in one of its escapes."""
    letters = []
    for letter in text:
        units = letter.encode("utf-16-be")
        pairs = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
        escape = "".join(map(draws.choice(["\\u{:04x}", "\\u{:04X}"]).format, pairs))
        letters.append(draws.choice([json.dumps(letter, ensure_ascii=False)[1:-1], escape]))
    return f'"{"".join(letters)}"'


def _question(number: int, draws: random.Random) -> dict[str, str]:
    """Return the literals of a question on CONTEXT whose answer is spelled as it likes."""
    start = draws.randrange(len(CONTEXT) - 12)
    answer = _spelled(CONTEXT[start : start + draws.randint(1, 12)], draws)
    return {"id": f'"{number}"', "question": _spelled("Wer lächelt?", draws), "context": _spelled(CONTEXT, draws),
            "text": answer, "start": str(start)}  # fmt: skip


def _squad(questions: list[dict[str, str]]) -> str:
    paragraphs = ", ".join(
        '{{"context": {context}, "qas": [{{"id": {id}, "question": {question}, '
        '"answers": [{{"text": {text}, "answer_start": {start}}}]}}]}}'.format(**question)
        for question in questions
    )
    return f'{{"version": "1.1", "data": [{{"title": "1 2", "paragraphs": [{paragraphs}]}}]}}'


def _lines(questions: list[dict[str, str]]) -> str:
    line = (
        '{{"id": {id}, "context": {context}, "question": {question}, '
        '"answers": {{"text": [{text}], "answer_start": [{start}]}}}}\n'
    )
    return "".join(line.format(**question) for question in questions)


@pytest.mark.parametrize(("name", "write"), [("train.json", _squad), ("train.jsonl", _lines)])
def test_every_spelling_comes_back(tmp_path: Path, name: str, write) -> None:  # type: ignore[no-untyped-def]
    clean, kept = tmp_path / name, 0
    for seed, suite in enumerate(["drop", "mixed", "ocr", "insert_space", "join_words", "two_edits"]):
        draws = random.Random(seed)
        clean.write_text(write([_question(number, draws) for number in range(4)]), encoding="utf-8")
        made = attack_file("squad_v1", clean, suite=suite, seed=seed, output=tmp_path / suite)
        assert verify(tmp_path / suite, clean) == made
        kept += made.spellings is not None
    assert kept > 3


def test_a_file_of_one_spelling_has_no_table_of_them(tmp_path: Path) -> None:
    question = _question(0, random.Random(1)) | {"text": '"A"', "start": "0"}
    clean = tmp_path / "train.json"
    clean.write_text(_squad([question, question | {"id": '"1"'}]), encoding="utf-8")
    assert attack_file("squad_v1", clean, suite="mixed", output=tmp_path / "set").spellings is None
    assert not (tmp_path / "set" / SPELLINGS).exists()
    assert verify(tmp_path / "set", clean)


def test_two_contexts_that_an_attack_makes_equal(tmp_path: Path) -> None:
    """Edits are undone by the clean context that they were made for, not by what it became."""
    contexts = [f"The {word} is up." for word in ("stattion", "staation")]
    questions = [
        {"context": json.dumps(context), "id": f'"{at}"', "question": '"Who?"', "text": '"The"', "start": "0"}
        for at, context in enumerate(contexts)
    ]
    clean, equal = tmp_path / "train.json", 0
    clean.write_text(_squad(questions), encoding="utf-8")
    for seed in range(40):
        attack_file("squad_v1", clean, suite="drop", seed=seed, output=tmp_path / str(seed))
        verify(tmp_path / str(seed), clean)
        data = json.loads((tmp_path / str(seed) / clean.name).read_text())["data"]
        equal += len({paragraph["context"] for paragraph in data[0]["paragraphs"]}) == 1
    assert equal


def test_a_spelling_of_another_text_is_refused(tmp_path: Path) -> None:
    draws = random.Random(0)
    clean, folder = tmp_path / "train.json", tmp_path / "set"
    clean.write_text(_squad([_question(number, draws) for number in range(4)]), encoding="utf-8")
    attack_file("squad_v1", clean, suite="mixed", output=folder)
    table = pq.read_table(folder / SPELLINGS).to_pylist()
    for wrong in ('"another"', "no literal"):
        rows = pa.Table.from_pylist([{**table[0], "spelling": wrong}, *table[1:]])
        pq.write_table(rows, folder / SPELLINGS)
        value = json.loads((folder / MANIFEST).read_text())["spellings"]
        spoil_json(folder / MANIFEST, {"spellings": {**value, "sha256": sha256_file(folder / SPELLINGS)}})
        with pytest.raises(InputError, match=rf"spellings\.parquet: found .*{wrong}.* as literal .*a spelling of"):
            verify(folder, clean)

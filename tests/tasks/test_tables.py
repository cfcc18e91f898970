"""Tables in the hub's layout: the same examples and keys as the native files, and rewriting them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robustbench_char.common import InputError
from robustbench_char.tasks import Answer, Edit, get_task, open_native
from robustbench_char.tasks.formats._pairing import attacked_blocks
from robustbench_char.tasks.formats.memory import DatasetTable
from robustbench_char.tasks.formats.table import normalise, write_table

COLA = "src\t1\t\tThe cat slept.\nsrc\t0\t*\tSlept cat the.\nsrc\t1\t\tNA\n"
COLA_ROWS = [
    {"sentence": "The cat slept.", "label": 1, "idx": 0},
    {"sentence": "Slept cat the.", "label": 0, "idx": 1},
    {"sentence": "NA", "label": 1, "idx": 2},
]
MRPC = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tOne .\tUno .\n0\t7\t9\tOne .\tTwo .\n"
MRPC_ROWS = [
    {"sentence1": "One .", "sentence2": "Uno .", "label": 1, "idx": 0},
    {"sentence1": "One .", "sentence2": "Two .", "label": 0, "idx": 1},
]
NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
CONLL = "Anna B-PER\nsings O\n\nRiga B-LOC\n\nAnna B-PER\nsings O\n"
CONLL_ROWS = [
    {"id": "0", "tokens": ["Anna", "sings"], "ner_tags": [1, 0]},
    {"id": "1", "tokens": ["Riga"], "ner_tags": [5]},
    {"id": "2", "tokens": ["Anna", "sings"], "ner_tags": [1, 0]},
]
SQUAD_ROW = {
    "id": "q1", "title": "t", "context": "Anna sang in Ríga.", "question": "Where?",
    "answers": {"text": ["Ríga", "in Ríga"], "answer_start": [13, 10]},
}  # fmt: skip
NO_ANSWER = SQUAD_ROW | {"id": "q2", "answers": {"text": [], "answer_start": []}}


def parquet(kit: Any, rows: list[dict[str, Any]]) -> Path:
    path: Path = kit.path("", "rows.parquet")
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def jsonl(rows: list[dict[str, Any]], **options: Any) -> str:
    return "".join(json.dumps(row, **options) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("task", "native", "rows"),
    [("cola", COLA, COLA_ROWS), ("mrpc", MRPC, MRPC_ROWS), ("conll2003", CONLL, CONLL_ROWS)],
)
def test_hub_rows_are_the_examples_of_the_file(kit: Any, task: str, native: str, rows: list[dict[str, Any]]) -> None:
    expected = list(kit.open(task, native).examples())
    assert list(open_native(get_task(task), parquet(kit, rows)).examples()) == expected
    assert list(kit.open(task, jsonl(rows), "rows.jsonl").examples()) == expected


def test_a_context_has_one_key_in_json_and_in_rows(kit: Any) -> None:
    native = {"data": [{"paragraphs": [{"context": SQUAD_ROW["context"], "qas": [
        {"id": "q1", "question": "Where?",
         "answers": [{"answer_start": 13, "text": "Ríga"}, {"answer_start": 10, "text": "in Ríga"}]},
        {"id": "q2", "question": "Where?", "answers": [], "is_impossible": True}]}]}]}  # fmt: skip
    expected = list(kit.open("squad_v2", json.dumps(native)).examples())
    assert expected[0].answers == (Answer(13, "Ríga"), Answer(10, "in Ríga"))
    assert list(open_native(get_task("squad_v2"), parquet(kit, [SQUAD_ROW, NO_ANSWER])).examples()) == expected
    assert list(kit.open("squad_v2", jsonl([SQUAD_ROW, NO_ANSWER]), "a.jsonl").examples()) == expected


def test_ids_take_their_names_from_the_features(kit: Any) -> None:
    """The order of the file's own class names wins over the task's."""
    features = datasets.Features(
        {"question": datasets.Value("string"), "sentence": datasets.Value("string"),
         "label": datasets.ClassLabel(names=["not_entailment", "entailment"]), "idx": datasets.Value("int32")}
    )  # fmt: skip
    rows = {"question": ["a?", "b?"], "sentence": ["A.", "B."], "label": [0, -1], "idx": [7, 9]}
    data = datasets.Dataset.from_dict(rows, features=features)
    path = kit.path("", "qnli.parquet")
    data.to_parquet(path)
    for table in (open_native(get_task("qnli"), path), DatasetTable(get_task("qnli"), data)):
        first, second = table.examples()
        assert (first.id, first.key, first.label) == ("7", "7", "not_entailment")
        assert second.label is None


def test_iob1_tags_in_rows(kit: Any) -> None:
    rows = [{"tokens": ["Oslo", "Riga"], "ner_tags": ["I-LOC", "B-LOC"]}]
    (example,) = kit.open("conll2003", jsonl(rows), "a.jsonl").examples()
    assert example.label == ("B-LOC", "B-LOC")


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("cola", [{"sentnce": "x", "label": 0}],
         r"a.jsonl:1: found the columns sentnce, label; expected a column 'sentence'.*'sentnce'"),
        ("cola", [{"sentence": "x", "label": 2}], r"a.jsonl:1: label: found 2; expected a name, or an id below 2"),
        ("cola", [{"sentence": "x", "label": "odd"}], r"a.jsonl:1: label: found the label 'odd'; expected one of 0,"),
        ("cola", [{"sentence": 3, "label": 0}], r"a.jsonl:1: sentence: found 3; expected a text"),
        ("conll2003", [{"tokens": ["a", "b"], "ner_tags": [0]}], r"ner_tags: found \['O'\]; expected 2 tags"),
        ("conll2003", [{"tokens": ["a b"], "ner_tags": [0]}], r"tokens: found \['a b'\]; expected tokens, none empty"),
        ("conll2003", [{"tokens": ["a", "b"], "ner_tags": ["I-LOC", "B-PER"]}], r"expected tags that are legal in"),
        ("conll2003", [{"tokens": ["a"], "ner_tags": [77]}], r"ner_tags: found 77"),
        ("ptb_pos", [{"tokens": ["a"], "tags": [3]}], r"tags: found 3; expected a name, not an id"),
        ("squad_v1", [SQUAD_ROW | {"answers": {"text": ["Riga"], "answer_start": [1]}}], r"question q1: found 'nna '"),
        ("squad_v1", [SQUAD_ROW | {"answers": "Riga"}], r"answers: found 'Riga'; expected lists"),
        ("cola", [{"sentence": "x", "label": True}], r"a.jsonl:1: label: found True; expected a name, or an id"),
        ("conll2003", [{"tokens": ["a"], "ner_tags": [None]}], r"a.jsonl:1: ner_tags: found None"),
        ("conll2003", [{"tokens": ["a"], "ner_tags": [True]}], r"a.jsonl:1: ner_tags: found True"),
        ("conll2003", [{"tokens": ["a"], "ner_tags": 0}], r"a.jsonl:1: ner_tags: found 0; expected a list of tags"),
        ("conll2003", [{"tokens": ["a", None], "ner_tags": [0, 0]}], r"a.jsonl:1: tokens: found \['a', None\]"),
        ("squad_v2", [SQUAD_ROW | {"is_impossible": 0}], r"a.jsonl:1.*is_impossible: found 0; expected true or false"),
        ("squad_v2", [SQUAD_ROW | {"is_impossible": "no"}], r"is_impossible: found 'no'; expected true or false"),
        ("cola", [["x", 0]], r"a.jsonl:1: found a line that is not a JSON object"),
    ],
)  # fmt: skip
def test_bad_rows(kit: Any, task: str, rows: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(kit.open(task, jsonl(rows), "a.jsonl").examples())


@pytest.mark.parametrize(
    ("texts", "starts"),
    [
        (["Anna"], []),
        ("A", [0]),
        (["A"], 0),
        ([None], [0]),
        (["A"], [None]),
        (["n"], [True]),
        (["A"], ["0"]),
        (None, None),
    ],
)
def test_bad_answers(kit: Any, texts: Any, starts: Any) -> None:
    row = SQUAD_ROW | {"answers": {"text": texts, "answer_start": starts}}
    with pytest.raises(InputError, match=r"a.jsonl:1: question q1: answers: found .*; expected lists of one length"):
        list(kit.open("squad_v1", jsonl([row]), "a.jsonl").examples())


def test_lone_surrogates_in_json_lines(kit: Any) -> None:
    rows = jsonl([{"sentence": "\U0001f600", "label": 1}])
    assert [one.fields["sentence"] for one in kit.open("cola", rows, "a.jsonl").examples()] == ["\U0001f600"]
    with pytest.raises(InputError, match=r"a.jsonl:2: found malformed JSON \(the lone surrogate \\ude00, column 15\)"):
        list(kit.open("cola", rows + rows.replace("\\ud83d", ""), "a.jsonl").examples())


def test_columns_of_one_name(kit: Any) -> None:
    path = kit.path("", "rows.parquet")
    pq.write_table(pa.table([["x"], ["y"], [0]], names=["sentence", "sentence", "label"]), path)
    with pytest.raises(InputError, match=r"rows.parquet: found the column 'sentence' twice"):
        list(open_native(get_task("cola"), path).examples())


def test_a_damaged_page_is_the_fault_of_the_file_read(kit: Any) -> None:
    path = kit.path("", "rows.parquet")
    rows = [{"sentence": f"sentence {number}", "label": number % 2} for number in range(500)]
    pq.write_table(pa.Table.from_pylist(rows), path, use_dictionary=False)
    file = open_native(get_task("cola"), path)
    items = kit.attacked(get_task("cola"), file.examples(), {})
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    broken = open_native(get_task("cola"), kit.path(bytes(data), "broken.parquet"))
    with pytest.raises(InputError, match=r"broken.parquet: found an unreadable Parquet file"):
        list(broken.examples())
    with pytest.raises(InputError, match=r"broken.parquet: found an unreadable Parquet file"):
        kit.rewritten(broken, items)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("task", ["squad_v1", "squad_v2"])
def test_unknown_answers_stay_unknown(kit: Any, task: str, suffix: str) -> None:
    unlabelled = {key: value for key, value in SQUAD_ROW.items() if key != "answers"}
    examples = list(kit.open(task, jsonl([unlabelled, SQUAD_ROW | {"id": "q2"}]), "a.jsonl").examples())
    assert [example.answerable for example in examples] == [None, True]
    path = kit.path("", f"out{suffix}")
    write_table(get_task(task), path, examples)
    file = open_native(get_task(task), path)
    assert list(file.examples()) == examples
    items = kit.attacked(get_task(task), examples, {(0, "context"): [Edit(0, "A", "")]})
    attacked = open_native(get_task(task), kit.path(kit.rewritten(file, items), f"attacked{suffix}"))
    assert [example.answerable for example in attacked.examples()] == [None, True]


def test_bad_table_files(kit: Any) -> None:
    with pytest.raises(InputError, match=r"a.jsonl:2: found malformed JSON \(the file ends early, column 10\)"):
        list(kit.open("cola", jsonl(COLA_ROWS[:1]) + '{"label":', "a.jsonl").examples())
    with pytest.raises(InputError, match=r"a.parquet: found an unreadable Parquet file"):
        list(kit.open("cola", "PAR1 nonsense", "a.parquet").examples())
    with pytest.raises(InputError, match=r"a.parquet: found an HTML page"):
        list(kit.open("cola", "<html>", "a.parquet").examples())


@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_lines_are_patched_in_place(kit: Any, ascii_only: bool) -> None:
    data = jsonl([SQUAD_ROW, NO_ANSWER], ensure_ascii=ascii_only).replace(", ", " ,\t").replace("\n", "\r\n")
    task, file = get_task("squad_v2"), kit.open("squad_v2", data, "a.jsonl")
    assert kit.rewritten(file) == data.encode()
    context = [Edit(0, "Anna", "Ana"), Edit(13, "Rí", "íR")]
    items = kit.attacked(task, file.examples(), {(0, "context"): context, (1, "context"): context})
    attacked = kit.rewritten(file, items)
    first, second = kit.open("squad_v2", attacked, "a.jsonl").examples()
    assert first.answers == (Answer(12, "íRga"), Answer(9, "in íRga"))
    assert second.fields["context"] == "Ana sang in íRga."
    assert kit.undone(task, file, kit.path(attacked, "a.jsonl"), items) == data.encode()


def test_tokens_in_json_lines(kit: Any) -> None:
    data = '{"tokens": ["R\\u00edga", "o\\/s", "\\u00e9"], "ner_tags": ["B-LOC", "O", "O"], "more": [1.0]}\n'
    task, file = get_task("conll2003"), kit.open("conll2003", data, "a.jsonl")
    edits = [Edit(1, "íg", "gí"), Edit(7, "s", ""), Edit(9, "é", "é!")]
    items = kit.attacked(task, file.examples(), {(0, "tokens"): edits})
    attacked = kit.rewritten(file, items).decode()
    assert attacked == data.replace("\\u00edg", "g\\u00ed").replace("o\\/s", "o\\/").replace("\\u00e9", "\\u00e9!")
    assert kit.undone(task, file, kit.path(attacked, "a.jsonl"), items) == data.encode()


def test_parquet_keeps_schema_groups_and_other_columns(kit: Any) -> None:
    task, path = get_task("squad_v2"), kit.path("", "rows.parquet")
    clean = pa.Table.from_pylist([SQUAD_ROW, NO_ANSWER] * 3).replace_schema_metadata({"made": "here"})
    pq.write_table(clean, path, row_group_size=4, compression="zstd")
    file = open_native(task, path)
    assert kit.rewritten(file) == path.read_bytes()
    changes = {(0, "context"): [Edit(0, "A", "")], (5, "question"): [Edit(0, "W", "w")]}
    items = kit.attacked(task, file.examples(), changes)
    attacked = kit.path(kit.rewritten(file, items), "rows.parquet")
    table = pq.read_table(attacked)
    assert table.schema.equals(pq.read_table(path).schema, check_metadata=True)
    assert pq.ParquetFile(attacked).metadata.num_row_groups == 2
    assert table.column("title") == clean.column("title")
    assert table.column("answers")[0].as_py() == {"text": ["Ríga", "in Ríga"], "answer_start": [12, 9]}
    assert list(open_native(task, attacked).examples())[5].fields["question"] == "where?"
    assert pq.read_table(kit.path(kit.undone(task, file, attacked, items), "back.parquet")).equals(pq.read_table(path))


def test_a_normalised_parquet_file_comes_back_in_its_bytes(kit: Any) -> None:
    task, path, again = get_task("squad_v2"), kit.path("", "rows.parquet"), kit.path("", "rows.parquet")
    normalise(parquet(kit, [SQUAD_ROW, NO_ANSWER] * 3), path)
    normalise(path, again)
    assert again.read_bytes() == path.read_bytes()
    file = open_native(task, path)
    items = kit.attacked(task, file.examples(), {(0, "context"): [Edit(0, "A", "")]})
    assert kit.undone(task, file, kit.path(kit.rewritten(file, items), "a.parquet"), items) == path.read_bytes()


def test_a_dataset_in_memory(kit: Any) -> None:
    features = datasets.Features({
        "id": datasets.Value("string"), "tokens": datasets.List(datasets.Value("string")),
        "ner_tags": datasets.List(datasets.ClassLabel(names=NAMES)),
    })  # fmt: skip
    data = datasets.Dataset.from_list(CONLL_ROWS, features=features).select([2, 1])
    task = get_task("conll2003")
    table = DatasetTable(task, data)
    items = kit.attacked(task, table.examples(), {(1, "tokens"): [Edit(1, "ig", "gi")]})
    attacked = table.attacked(attacked_blocks(table.blocks(), items))
    assert attacked.features == features
    assert attacked.to_list() == [CONLL_ROWS[2], CONLL_ROWS[1] | {"tokens": ["Rgia"]}]
    assert data.to_list() == [CONLL_ROWS[2], CONLL_ROWS[1]]
    path = kit.path(b"", "a.parquet")
    attacked.to_parquet(path)
    assert [one._replace(key="") for one in open_native(task, path).examples()] == [
        item.example._replace(key="") for item in items
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("task", "native", "name"),
    [
        ("cola", COLA, "a.tsv"),
        ("qnli", "index\tquestion\tsentence\n5\ta?\tA.\n", "a.tsv"),
        ("conll2003", CONLL, "a.txt"),
        ("ptb_pos", "The\tDT\ndog\tNN\n\n", "a.txt"),
        ("squad_v2", jsonl([SQUAD_ROW, NO_ANSWER]), "a.jsonl"),
        ("squad_v1", jsonl([SQUAD_ROW]), "a.jsonl"),
    ],
)
def test_written_tables_hold_the_examples(kit: Any, task: str, native: str, name: str, suffix: str) -> None:
    examples = list(kit.open(task, native, name).examples())
    path = kit.path("", f"out{suffix}")
    write_table(get_task(task), path, examples)
    assert list(open_native(get_task(task), path).examples()) == examples

"""GLUE's TSV files: what is text stays text, and everything but the edited cells stays byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustbench_char.common import InputError
from robustbench_char.tasks import Edit, get_task

COLA = 'ab01\t1\t\tThe cat slept.\nab02\t0\t*\t"Slept the" cat, NA.\n'
MRPC = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said \" no .\t' No , ' he said .\n"
MRPC_TEST = "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\tOne .\tTwo .\n"
QQP = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n133273\t1\t2\tWhy?\tHow so?\t0\n"
QNLI = "index\tquestion\tsentence\tlabel\n5\tWho?\tAnna did.\tentailment\n9\tWhen?\tAnna did.\tnot_entailment\n"
QNLI_TEST = "index\tquestion\tsentence\n5\tWho?\tAnna did.\n"


def test_cola_has_no_header(kit: Any) -> None:
    first, second = kit.open("cola", COLA).examples()
    assert (first.row, first.id, first.fields, first.label) == (0, "0", {"sentence": "The cat slept."}, "acceptable")
    assert (second.fields["sentence"], second.label) == ('"Slept the" cat, NA.', "unacceptable")


def test_cola_test_file_has_a_header_and_no_label(kit: Any) -> None:
    (example,) = kit.open("cola", "index\tsentence\n0\tBill whistled.\n").examples()
    assert (example.id, example.fields["sentence"], example.label) == ("0", "Bill whistled.", None)


def test_mrpc_keeps_its_byte_order_mark(kit: Any) -> None:
    file = kit.open("mrpc", MRPC)
    (example,) = file.examples()
    assert example.fields == {"sentence1": 'He said " no .', "sentence2": "' No , ' he said ."}
    assert example.label == "equivalent"
    assert kit.rewritten(file) == MRPC.encode()


def test_ids(kit: Any) -> None:
    (qqp,) = kit.open("qqp", QQP).examples()
    assert (qqp.id, qqp.key, qqp.label) == ("133273", "133273", "not_duplicate")
    assert [(one.id, one.key, one.label) for one in kit.open("qnli", QNLI).examples()] == [
        ("5", "5", "entailment"),
        ("9", "9", "not_entailment"),
    ]
    (mrpc,) = kit.open("mrpc", MRPC_TEST).examples()
    assert (mrpc.id, mrpc.label) == ("0", None)
    assert mrpc.key.endswith("#0")
    (qnli,) = kit.open("qnli", QNLI_TEST).examples()
    assert (qnli.key, qnli.label) == ("5", None)


def test_labels_may_be_ids_or_names(kit: Any) -> None:
    ids = QNLI.replace("not_entailment", "1").replace("entailment", "0")
    assert list(kit.open("qnli", ids).examples()) == list(kit.open("qnli", QNLI).examples())
    (example,) = kit.open("mrpc", MRPC.replace("\n1\t", "\nequivalent\t")).examples()
    assert example.label == "equivalent"
    with pytest.raises(InputError, match=r"data.txt:2: found the label '2'; expected one of .*, or an id below 2"):
        list(kit.open("qnli", ids.replace("\t0\n", "\t2\n")).examples())


@pytest.mark.parametrize(
    ("task", "data"),
    [
        ("cola", COLA),
        ("cola", COLA.replace("\n", "\r\n")),
        ("cola", COLA.rstrip("\n")),
        ("cola", "\ufeff" + COLA),
        ("cola", "x\t1\t\tline\u2028separator, next\x85line, form\x0cfeed, carriage\rreturn\n"),
        ("mrpc", MRPC.replace("\n", "\r\n")),
        ("mrpc", MRPC_TEST),
        ("qqp", QQP),
        ("qnli", QNLI),
        ("qnli", QNLI_TEST.rstrip("\n")),
    ],
)
def test_read_and_write_returns_the_same_bytes(kit: Any, task: str, data: str) -> None:
    assert kit.rewritten(kit.open(task, data)) == data.encode("utf-8")


def test_only_a_line_feed_ends_a_row(kit: Any) -> None:
    (example,) = kit.open("cola", "x\t1\t\ta\u2028b\x85c\x0cd\r\n").examples()
    assert example.fields["sentence"] == "a\u2028b\x85c\x0cd"


def test_only_the_edited_cells_change(kit: Any) -> None:
    file, task = kit.open("mrpc", MRPC.replace("\n", "\r\n")), get_task("mrpc")
    items = kit.attacked(task, file.examples(), {(0, "sentence2"): [Edit(2, "No", "oN")]})
    expected = MRPC.replace("\n", "\r\n").replace("' No ,", "' oN ,").encode()
    assert kit.rewritten(file, items) == expected
    assert kit.undone(task, file, kit.path(expected), items) == file.path.read_bytes()


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        ("cola", COLA + "ab03\t1\tshort\n", r"data.txt:3: found 3 columns; expected 4 columns"),
        ("cola", "ab03\t1\tshort\n", r"data.txt:1: found 3 columns; expected 4"),
        ("qnli", QNLI + "7\ta\tb\tc\tentailment\n", r"data.txt:4: found 5 columns; expected 4"),
        ("qnli", QNLI + "\n", r"data.txt:4: found 1 columns; expected 4"),
        ("cola", "a\t2\t\tx\n", r"data.txt:1: found the label '2'; expected one of 0, 1"),
        ("qnli", QNLI.replace("not_ent", "not-ent"), r"data.txt:3: found the label 'not-entailment'.*'not_entailment'"),
        ("mrpc", MRPC.replace("#2 String", "#2 Sting"), r"data.txt:1: .*expected a column '#2 String'.*'#2 Sting'"),
        ("qnli", "question\tsentence\tlabel\n", r"data.txt:1: .*expected a column 'index'"),
        ("qnli", QNLI.split("\n")[0] + "\n", r"data.txt: found a header and no rows"),
        ("cola", b"a\t1\t\tcaf\xe9\n", r"data.txt:1: found byte 0xe9 at offset 8, which is not UTF-8"),
        ("cola", b"a\t1\t\tx\na\t1\t\tcaf\xe9\n", r"data.txt:2: found byte 0xe9 at offset 15"),
        ("cola", "", r"data.txt: found an empty file"),
        ("cola", "\n <!DOCTYPE html>\n<html>", r"data.txt: found an HTML page; expected a data file"),
        ("cola", "<html lang='en'>", r"found an HTML page"),
    ],
)
def test_bad_files(kit: Any, task: str, data: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(kit.open(task, data).examples())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"sentence1": "a", "sentence2": "a"}, "label": "y"},
         r"format_options.columns.sentence2: found column a, which is that of the field 'sentence1'"),
        ({"columns": {"sentence1": "a", "sentence2": 0}, "label": "y"}, r"columns.sentence2: found column 0"),
        ({"columns": {"sentence1": "a", "sentence2": "y"}, "label": 2},
         r"task mrpc: format_options.columns.sentence2: found column 2, which is that of the label"),
        ({"columns": {"sentence1": "a", "sentence2": "c"}, "test": {"columns": {"sentence1": "b", "sentence2": "b"}}},
         r"format_options.test.columns.sentence2: found column b"),
    ],
)  # fmt: skip
def test_every_field_has_a_column_of_its_own(kit: Any, options: dict[str, Any], message: str) -> None:
    task = get_task("mrpc").model_copy(update={"format_options": options})
    with pytest.raises(InputError, match=message):
        list(kit.open(task, "a\tb\ty\nA.\tB.\tequivalent\n").examples())


def test_a_test_file_with_the_columns_of_the_fields_alone(kit: Any) -> None:
    options = {"columns": {"sentence": "text"}, "label": "y", "test": {"columns": {"sentence": "s"}}}
    task = get_task("cola").model_copy(update={"format_options": options})
    assert [example.fields["sentence"] for example in kit.open(task, "s\nA.\n").examples()] == ["A."]


def test_attacked_texts_must_fit_and_follow(kit: Any) -> None:
    file = kit.open("cola", COLA)
    first, second = kit.attacked(get_task("cola"), file.examples(), {(0, "sentence"): [Edit(3, " ", "\t")]})
    with pytest.raises(ValueError, match="does not fit in one cell"):
        kit.rewritten(file, [first, second])
    with pytest.raises(ValueError, match="row 0: the attacked examples are not those of this file"):
        kit.rewritten(file, [second, second])
    clean = kit.attacked(get_task("cola"), file.examples(), {})
    with pytest.raises(ValueError, match="row 1"):
        kit.rewritten(file, clean[:1])
    with pytest.raises(ValueError, match="more attacked examples"):
        kit.rewritten(file, [*clean, *clean])


def test_keys_ignore_order_and_count_equals(kit: Any) -> None:
    rows = ["a\t1\t\tSame.", "b\t1\t\tSame.", "a\t1\t\tSame.", "a\t0\t*\tSame.", "c\t1\t\tOther."]
    forward = [example.key for example in kit.open("cola", "\n".join(rows)).examples()]
    backward = [example.key for example in kit.open("cola", "\n".join(rows[::-1])).examples()]
    assert sorted(forward) == sorted(backward)
    assert forward[0] == forward[1] != forward[2]  # alike but for the source; wholly alike
    assert [key.split("#")[1] for key in forward] == ["0", "0", "1", "0", "0"]
    assert len({key.split("#")[0] for key in forward}) == 3


CELL = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=("Cs",)), max_size=12)


@given(
    st.lists(st.tuples(CELL, st.sampled_from("01"), CELL, CELL), min_size=1, max_size=5),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_any_rows_come_back(kit: Any, rows: list[tuple[str, ...]], end: str, last: bool) -> None:
    data = "".join("\t".join(row) + end for row in [("src", "1", "", "Start."), *rows])
    data = data if last else data.removesuffix(end)
    file = kit.open("cola", data)
    assert [example.fields["sentence"] for example in file.examples()] == ["Start.", *(row[3] for row in rows)]
    assert kit.rewritten(file) == data.encode("utf-8")

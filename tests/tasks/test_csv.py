"""CSV files: quoting, line ends and all other bytes stay; the same examples as in TSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.tasks import Edit, get_task

REVIEWS = rbc.classification("title", ["bad", "good"])
DATA = (
    'note,title,label\r\n"a ""b""",Fine tools,1\r\n,"Bad, ""really"" bad",bad\r\n'
    '"two\r\nlines","needless",-1\r\n\r\n"",5" disk,\r\n'
)
TEXT = st.text(st.sampled_from("ab é,\"\n\r'\t;"), max_size=8)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_cells_labels_and_bytes(kit: Any, end: str, mark: str, last: bool) -> None:
    data = (mark + DATA.replace("\r\n", end)).removesuffix("" if last else end)
    file = kit.open(REVIEWS, data, "a.csv")
    read = [(example.row, example.fields["title"], example.label) for example in file.examples()]
    assert read == [
        (0, "Fine tools", "good"), (1, 'Bad, "really" bad', "bad"), (2, "needless", None), (3, '5" disk', None),
    ]  # fmt: skip
    assert kit.rewritten(file) == data.encode("utf-8")


def test_options_are_checked_before_a_row_is_read(kit: Any) -> None:
    task = REVIEWS.model_copy(update={"format_options": {"columns": {"body": "title"}, "label": "label"}})
    with pytest.raises(InputError, match=r"format_options.columns: found body; expected title\."):
        kit.open(task, "title,label\nA,1\n", "a.csv")


def test_a_long_row_may_end_in_a_quoted_cell(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not closed is told by the length of the cell, not of the row."""
    monkeypatch.setattr("robustbench_char.tasks.formats.csv_file.LONGEST", 20)
    (example,) = kit.open(REVIEWS, 'note,label,title\naaaaaaaaaaaaaaa,1,"b\nc"\n', "a.csv").examples()
    assert example.fields["title"] == "b\nc"


def test_a_byte_order_mark_stands_before_the_first_cell_alone(kit: Any) -> None:
    data = '\ufeff"title",label\n\ufeff"A",1\n'
    file = kit.open(REVIEWS, data, "a.csv")
    assert [example.fields["title"] for example in file.examples()] == ['\ufeff"A"']
    assert kit.rewritten(file) == data.encode("utf-8")


def test_columns_of_shipped_tasks_by_the_names_of_tables_or_of_their_files(kit: Any) -> None:
    tables = "question,sentence,label,idx\nWho?,Anna.,1,7\n"
    files = "index,question,sentence,label\n7,Who?,Anna.,not_entailment\n"
    lines = '{"question": "Who?", "sentence": "Anna.", "label": 1, "idx": 7}\n'
    expected = list(kit.open("qnli", lines, "a.jsonl").examples())
    assert list(kit.open("qnli", tables, "a.csv").examples()) == expected
    assert list(kit.open("qnli", files, "a.csv").examples()) == expected
    (example,) = kit.open("mrpc", "#1 String,#2 String,Quality\nOne.,Two.,0\n", "a.csv").examples()
    assert (example.fields["sentence2"], example.label) == ("Two.", "not_equivalent")
    (example,) = kit.open("cola", "sentence,label\nA.,1\n", "a.csv").examples()
    assert example.label == "acceptable"


def test_the_suffix_chooses_between_csv_and_tsv(kit: Any) -> None:
    own = rbc.classification(["a", "b"], {"yes": "x", "no": "y"}, label="c", columns={"a": "first"}, id="key")
    rows = [["key", "first", "b", "c"], ["k1", "A, a", "B", "no"]]
    tsv = kit.open(own, "".join("\t".join(row) + "\n" for row in rows), "a.tsv")
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    for name in ("a.csv", "a.txt"):
        assert list(kit.open(own, text.getvalue(), name).examples()) == list(tsv.examples())
    assert next(iter(tsv.examples())).label == "y"


def written(rows: list[list[str]], quoting: int) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


@given(
    st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["0", "1", "bad", "good", "-1", ""])), min_size=1, max_size=5),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.integers(0, 1 << 16),
)
def test_any_rows_are_read_as_the_csv_module_reads_them_and_come_back(
    kit: Any, rows: list[tuple[str, ...]], quoting: int, seed: int
) -> None:
    """Whatever edits do to commas and quotes, the attacked file can be read, and undoing them gives the bytes back."""
    data = written([["title", "note", "label"], *map(list, rows)], quoting)
    file = kit.open(REVIEWS, data, "a.csv")
    examples = list(file.examples())
    assert [example.fields["title"] for example in examples] == [row[0] for row in rows]
    assert kit.rewritten(file) == data.encode("utf-8")
    draw = random.Random(seed)
    changes = {}
    for example in examples:
        text = str(example.fields["title"])
        at = draw.randint(0, len(text))
        edit = Edit(at, text[at : at + draw.randint(0, 2)], draw.choice(["", ",", '"', "x", "\n", '",']))
        changes[example.row, "title"] = [edit]
    items = kit.attacked(REVIEWS, examples, changes)
    attacked = kit.path(kit.rewritten(file, items), "a.csv")
    expected = [str(item.example.fields["title"]) for item in items]
    assert [example.fields["title"] for example in rbc.load(attacked, task=REVIEWS).examples()] == expected
    if "\r" not in data:  # which ends a row for the module, in quotes or not
        with attacked.open(encoding="utf-8", newline="") as stream:
            assert list(csv.reader(stream))[1:] == [[new, *row[1:]] for new, row in zip(expected, rows, strict=True)]
    assert kit.undone(REVIEWS, file, attacked, items) == data.encode("utf-8")


def test_quotes_follow_those_of_the_cell(kit: Any) -> None:
    data = 'title,label\nplain,0\n"without need",0\n"a, b",1\n'
    file = kit.open(REVIEWS, data, "a.csv")
    changes = {
        (0, "title"): [Edit(0, "p", ",")], (1, "title"): [Edit(0, "w", '"')], (2, "title"): [Edit(1, ",", "")],
    }  # fmt: skip
    items = kit.attacked(REVIEWS, file.examples(), changes)
    attacked = kit.rewritten(file, items)
    assert attacked.decode() == 'title,label\n",lain",0\n"""ithout need",0\na b,1\n'
    assert kit.undone(REVIEWS, file, kit.path(attacked, "a.csv"), items) == data.encode()


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_an_attacked_set_is_verified_and_is_that_of_rows_in_memory(tmp_path: Path, quoting: int) -> None:
    rows = [{"title": f'Number {n}, the "harbour" was quiet', "label": n % 2} for n in range(40)]
    pd.DataFrame(rows).to_csv(tmp_path / "in.csv", index=False, quoting=quoting)  # type: ignore[arg-type]
    options: Any = {"suite": "mixed", "seed": 3}
    manifest = rbc.attack_file(REVIEWS, tmp_path / "in.csv", output=tmp_path / "out", **options)
    rbc.verify(tmp_path / "out", tmp_path / "in.csv")
    attacked = rbc.load(tmp_path / "out" / manifest.output.name, task=REVIEWS)
    assert manifest.output.name == "in.csv"
    in_memory = rbc.attack(rows, task=REVIEWS, **options)
    assert [example.fields["title"] for example in attacked.examples()] == [row["title"] for row in in_memory]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "in.jsonl").write_text(lines, encoding="utf-8")
    again = rbc.attack_file(REVIEWS, tmp_path / "in.jsonl", output=tmp_path / "again", **options)
    assert again.counts == manifest.counts


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        (REVIEWS, "title,label\na,b,0\n", r"a.csv:2: found 3 columns; expected 2 columns, separated by commas"),
        (REVIEWS, "title\n\na,0\n", r"a.csv:3: found 2 columns; expected 1"),
        (REVIEWS, "title,label\nx,0\ny,odd\n", r"a.csv:3: label: found the label 'odd'; expected one of bad, good, or"),
        (REVIEWS, 'title,label\n"two\nlines",0\ny,7\n', r"a.csv:4: label: found the label '7'"),
        (REVIEWS, "titel,label\nx,0\n", r"a.csv:1: found the columns titel, label; expected a column 'title'.*'titel'"),
        (REVIEWS, "title;label\nx;0\n", r"a.csv:1: .*Separate the columns by commas: here they are by ';'"),
        (REVIEWS, "title\tlabel\nx\t0\n", r"a.csv:1: .*by '\\t'. Give a file with tabs the ending .tsv"),
        (REVIEWS, "title,title,label\nx,y,0\n", r"a.csv:1: found the column 'title' twice"),
        (REVIEWS, "title,label\n", r"a.csv: found a header and no rows"),
        (REVIEWS, 'title,label\nx,0\n"a" b,0\n', r"a.csv:3, column 4: found ' b,0' behind a closing quote; expected a"),
        (REVIEWS, 'title,label\n"a\nb" c,0\n', r"a.csv:3, column 3: found ' c,0' behind a closing quote"),
        (REVIEWS, 'title,label\nx,"0\n', r"a.csv:2, column 3: found a quote that is not closed"),
        (REVIEWS, "", r"a.csv: found an empty file"),
        (REVIEWS, b"title,label\ncaf\xe9,0\n", r"a.csv:2: found byte 0xe9 at offset 15"),
        (get_task("qnli"), "question,label\nx,0\n", r"expected a column 'sentence'"),
    ],
)  # fmt: skip
def test_bad_files(kit: Any, task: Any, data: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(kit.open(task, data, "a.csv").examples())


def test_a_quote_that_is_never_closed_does_not_take_in_the_file(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustbench_char.tasks.formats.csv_file.LONGEST", 100)
    file = kit.open(REVIEWS, 'title,label\n"a,0\n' + "b,1\n" * 100, "a.csv")
    with pytest.raises(
        InputError, match=r"a.csv:2, column 1: found a quote that is not closed; expected .* within 100 c"
    ):
        list(file.examples())

"""CoNLL files of other layouts: numbered words, several columns of tags, comments, schemes with marks for ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import robustbench_char as rbc
from robustbench_char.tasks import Edit, Task, get_task
from robustbench_char.tasks.formats.conll import illegal
from robustbench_char.tasks.sources import as_read

NUMBERED = "1\tGreta\tB-PER\tO\n2\tLindholm\tI-PER\tO\n3\tleft\tO\tO\n\n1\tRiga\tB-LOC\tB-ORG\n2\t.\tO\tO\n"
CONLL_U = (
    "# newdoc id = a\n# sent_id = 1\n1-2\tGretas\t_\t_\n1\tGreta\tB-PER\tO\n"
    "2\tis\tO\tO\n2.1\tgone\t_\t_\n3\there\tO\tO\n\n"
    "#\thttp://a.example\n1\t#\tO\tO\n2\tRiga\tB-LOC\tO\n"
)
MARKED = "Greta B-PER\nAnna M-PER\nBerg E-PER\nsaw O\nRiga S-LOC\nOslo W-LOC\n"


def conll(**options: Any) -> Task:
    return as_read(get_task("conll2003"), options)


def read(file: Any) -> list[tuple[Any, Any]]:
    return [(example.fields["tokens"], example.label) for example in file.examples()]


def test_tags_of_any_kind_are_in_the_last_column_that_holds_no_tokens(kit: Any) -> None:
    task = rbc.tagging(entities=False)
    assert read(kit.open(task, "a X N\nb Y V\n")) == [(("a", "b"), ("N", "V"))]
    assert read(kit.open(as_read(task, {"token_column": -1}), "X N a\nY V b\n")) == [(("a", "b"), ("N", "V"))]


@pytest.mark.parametrize("columns", [{"token_column": 1, "tag_column": 2}, {"token_column": -3, "tag_column": -2}])
def test_columns_that_are_named(kit: Any, columns: dict[str, int]) -> None:
    task = conll(**columns)
    file = kit.open(task, NUMBERED)
    people = ("Greta", "Lindholm", "left"), ("B-PER", "I-PER", "O")
    assert read(file) == [people, (("Riga", "."), ("B-LOC", "O"))]
    assert kit.rewritten(file) == NUMBERED.encode()
    items = kit.attacked(task, file.examples(), {(0, "tokens"): [Edit(6, "L", "")], (1, "tokens"): [Edit(0, "", "X")]})
    attacked = NUMBERED.replace("Lindholm", "indholm").replace("Riga", "XRiga").encode()
    assert kit.rewritten(file, items) == attacked
    assert kit.undone(task, file, kit.path(attacked), items) == NUMBERED.encode()
    wide = "Anna 0 x y z B-PER\nsings 1 x y z O\n"
    assert read(kit.open(conll(tag_column=5), wide)) == [(("Anna", "sings"), ("B-PER", "O"))]
    assert read(kit.open(conll(token_column=-1, tag_column=0), "O a\nB-PER b\n")) == [(("a", "b"), ("O", "B-PER"))]


def test_the_one_column_of_entities_needs_no_name(kit: Any) -> None:
    nested = "Anna B-NP B-PER\nsings B-VP O\n. O O\n"
    assert kit.open("conll2003", nested).tag_column == 2
    assert kit.open("conll2003", nested.replace("B-PER", "O")).tag_column == 2
    assert kit.open(conll(token_column=1), NUMBERED.replace("\tB-ORG", "").replace("\tO\n", "\n")).tag_column == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token_column": 4}, r"data.txt: found 4 columns; expected a token column 4. Correct `token_column=`"),
        ({"token_column": -5}, r"data.txt: found 4 columns; expected a token column -5"),
        ({"token_column": 1, "tag_column": 4}, r"found 4 columns; expected a tag column 4"),
        ({"token_column": 1, "tag_column": 1}, r"found 4 columns, tokens in column 1; expected a tag column 1"),
        ({"token_column": 1}, r"found entity tags in the columns 2 and 3"),
        ({"tag_column": 2}, r"found numbers in the first column \(1, 2, 3\); expected words"),
    ],
)
def test_columns_that_are_not_there(kit: Any, options: dict[str, int], message: str) -> None:
    with pytest.raises(rbc.InputError, match=message):
        read(kit.open(conll(**options), NUMBERED))


def test_comments_and_lines_without_a_word(kit: Any) -> None:
    task = conll(token_column=1, tag_column=2)
    file = kit.open(task, CONLL_U)
    assert read(file) == [(("Greta", "is", "here"), ("B-PER", "O", "O")), (("#", "Riga"), ("O", "B-LOC"))]
    assert kit.rewritten(file) == CONLL_U.encode()
    items = kit.attacked(task, file.examples(), {(0, "tokens"): [Edit(9, "h", "")]})
    assert kit.rewritten(file, items) == CONLL_U.replace("here", "ere").encode()


@pytest.mark.parametrize(
    ("comment", "rows"),
    [
        ("# text = Anna sings .", "Anna B-PER\nsings O\n"),
        ("# Anna", "Anna B-PER\nsings O\n"),
        ("#Anna sings", "Anna B-PER\nsings O\n"),
        ("# a = b", "Anna NNP B-NP B-PER\nsings VBZ B-VP O\n"),
        ("# O", "Anna\tB-PER\nsings\tO\n"),
        ("#", "Anna B-PER\r\nsings O\r\n"),
    ],
)
def test_comments_before_a_sentence_stay(kit: Any, comment: str, rows: str) -> None:
    data = f"{comment}\n{comment}\n{rows}\n{comment}\n{rows}"
    file = kit.open("conll2003", data)
    assert read(file) == [(("Anna", "sings"), ("B-PER", "O"))] * 2
    assert kit.rewritten(file) == data.encode()


def test_an_entity_ends_with_its_sentence(kit: Any) -> None:
    """In IOB1, where the next sentence begins with another of the same type."""
    assert read(kit.open("conll2003", "x I-PER\n\ny I-PER\n\nz I-PER\n")) == [
        (("x",), ("B-PER",)), (("y",), ("B-PER",)), (("z",), ("B-PER",)),
    ]  # fmt: skip


def test_the_first_tag_that_goes_on_with_nothing_is_found() -> None:
    assert illegal(("B-PER", "I-PER", "O", "I-LOC", "B-LOC")) == (3, 0)


def test_separators_may_differ_from_line_to_line(kit: Any) -> None:
    data = "Anna \t B-PER\nBerg  I-PER\nsings\t\tO\n"
    assert read(kit.open("conll2003", data)) == [(("Anna", "Berg", "sings"), ("B-PER", "I-PER", "O"))]
    same = "Anna NNP\tB-PER\nsings VBZ\tO\n"
    assert read(kit.open("conll2003", same)) == [(("Anna", "sings"), ("B-PER", "O"))]
    odd = "Anna\tNNP\tB-PER\nsings VBZ\tO\n"
    assert read(kit.open("conll2003", odd)) == [(("Anna", "sings"), ("B-PER", "O"))]
    assert read(kit.open("conll2003", "1996 CD O\n")) == [(("1996",), ("O",))]


def test_marks_for_ends_are_read_as_bio2_and_stay(kit: Any) -> None:
    task = conll(convert_tags=True)
    file = kit.open(task, MARKED)
    assert [label for _, label in read(file)] == [("B-PER", "I-PER", "I-PER", "O", "B-LOC", "B-LOC")]
    items = kit.attacked(task, file.examples(), {(0, "tokens"): [Edit(0, "G", "")]})
    assert kit.rewritten(file, items) == MARKED.replace("Greta", "reta").encode()
    for plain in ("Anna I-PER\nOslo I-LOC\nRiga B-LOC\n", "Anna B-PER\nOslo B-LOC\nRiga B-LOC\n"):
        assert read(kit.open(task, plain)) == [(("Anna", "Oslo", "Riga"), ("B-PER", "B-LOC", "B-LOC"))]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("B-PER E-PER I-PER", r"data.txt:3: found the tag 'I-PER' after 'E-PER', which begins no entity"),
        ("S-PER E-PER O", r"data.txt:2: found the tag 'E-PER' after 'S-PER'"),
        (
            "O E-PER O",
            r"data.txt:2: found the tag 'E-PER' after 'O', which begins no entity; expected a tag that beg",
        ),
        ("U-PER X O", r"data.txt:2: found the tag 'X'"),
        ("B-PER L-LOC O", r"data.txt:2: found the tag 'L-LOC' after 'B-PER'"),
    ],
)
def test_entities_that_end_twice(kit: Any, tags: str, message: str) -> None:
    with pytest.raises(rbc.InputError, match=message):
        read(kit.open(conll(convert_tags=True), "".join(f"a {tag}\n" for tag in tags.split()) + "b O\nc O\n"))


MARKS = st.sampled_from(["BIES", "BILU", "BMEW"])
ENTITIES = st.lists(st.tuples(st.sampled_from(["PER", "LOC", "O"]), st.integers(1, 4)), min_size=1, max_size=8)


@given(MARKS, ENTITIES)
def test_every_scheme_has_the_entities_of_bio2(kit: Any, marks: str, entities: list[tuple[str, int]]) -> None:
    marked, bio2 = list[str](), list[str]()
    for kind, length in entities:
        inner = [marks[1]] * (length - 2)
        own = [marks[3]] if length == 1 else [marks[0], *inner, marks[2]]
        marked += ["O"] * length if kind == "O" else [f"{mark}-{kind}" for mark in own]
        bio2 += ["O"] * length if kind == "O" else [f"{mark}-{kind}" for mark in ["B", *"I" * (length - 1)]]
    task, rows = conll(convert_tags=True), [{"tokens": ["a"] * len(bio2), "ner_tags": marked}]
    file = kit.open(task, "".join(f"a {tag}\n" for tag in marked))
    (row,) = rbc.load(rows, task=task).examples()
    assert read(file) == [(("a",) * len(bio2), tuple(bio2))]
    assert row.label == tuple(bio2)


def test_an_attack_remembers_columns_and_tags(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text(NUMBERED.replace("B-PER", "S-PER").replace("I-PER", "S-PER"))
    with pytest.raises(rbc.InputError, match="numbers in the first column"):
        rbc.attack_file("conll2003", path, suite="drop", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    layout: dict[str, Any] = {"token_column": 1, "tag_column": 2, "convert_tags": True}
    for output_format in ("native", "jsonl"):
        folder = tmp_path / output_format
        made = rbc.attack_file("conll2003", path, suite="drop", output=folder, format=output_format, **layout)
        assert made.counts.edited_words == 4
        assert rbc.verify(folder, path) == rbc.verify(folder, path, **layout) == made
        with pytest.raises(rbc.InputError, match="a set that was attacked with other columns or tags"):
            rbc.verify(folder, path, tag_column=3)
        assert [shown.field for shown in rbc.shown_examples(folder, count=2)] == ["tokens", "tokens"]
    with pytest.raises(rbc.InputError, match=r"tag_column=: found 2 with the task cola; expected a task in CoNLL"):
        rbc.attack_file("cola", data="mini", suite="drop", output=tmp_path / "cola", tag_column=2)
    with pytest.raises(rbc.InputError, match=r"token_column=: found a number of a column for a table"):
        rbc.load([{"tokens": ["a"], "ner_tags": ["O"]}], task="conll2003", token_column=1)


def test_models_are_scored_on_the_sets_as_they_were_attacked(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text(NUMBERED)
    gold = {"Greta": "B-PER", "Lindholm": "I-PER", "Riga": "B-LOC"}
    known = rbc.predictor(
        lambda batch, task: [[gold.get(one, "O") for one in row["tokens"]] for row in batch], name="k"
    )
    layout: dict[str, Any] = {"token_column": 1, "tag_column": 2}
    assert rbc.evaluate(known, path, task="conll2003", **layout).scores["f1"] == 100.0
    rbc.attack_file("conll2003", path, suite="drop", output=tmp_path / "sets" / "drop", **layout)
    assert rbc.evaluate(known, tmp_path / "sets", task="conll2003").scores["f1"] == 0.0

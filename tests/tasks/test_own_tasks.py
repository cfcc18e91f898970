"""Tasks made in Python: their columns, their labels, and what does not fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import robustbench_char as rbc
from robustbench_char.tasks.base import Task


def labels(task: Task, rows: list[dict[str, Any]]) -> list[Any]:
    return [example.label for example in rbc.load(rows, task=task).examples()]


def test_a_task_by_name_path_and_itself(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "schema: 1\nname: own\ntitle: Own\nfamily: tagging\nfields: [tokens]\nmetric: entity_f1\nheadline: f1\n"
        "format: conll\ncolumns: {label: ner, tokens: words}\n"
    )
    own = rbc.task(path)
    assert rbc.task("cola").name == "cola"
    assert rbc.task(str(path)) == own == rbc.task(own)
    assert labels(own, [{"words": ["Oslo"], "ner": ["B-LOC"]}]) == [("B-LOC",)]
    with pytest.raises(rbc.InputError, match=r"task: found unknown task 'colla'.*Did you mean 'cola'"):
        rbc.task("colla")


def test_labels_by_name_by_id_and_as_they_are_spelled() -> None:
    plain = rbc.classification("title", ["bad", "good"])
    assert labels(plain, [{"title": "A", "label": value} for value in ("bad", 1, "1", None)]) == [
        "bad", "good", "good", None,
    ]  # fmt: skip
    stars = rbc.classification(["title"], {1: "bad", 2: "bad", 3: "good"}, label="stars", name="stars")
    assert (stars.labels, stars.name, stars.headline) == (("bad", "good"), "stars", "accuracy")
    assert labels(stars, [{"title": "A", "stars": value} for value in (1, "2", 3, "good")]) == [
        "bad", "bad", "good", "good",
    ]  # fmt: skip
    with pytest.raises(
        rbc.InputError, match=r"found the label '0'; expected one of 1, 2, 3, bad, good. Correct the la"
    ):
        labels(stars, [{"title": "A", "stars": "0"}])
    with pytest.raises(rbc.InputError, match=r"'bud'.*'bad'.*`labels: \{'bud': CLASS\}` below format_options in its"):
        labels(plain, [{"title": "A", "label": "bud"}])


def test_columns_of_other_names_and_ids() -> None:
    task = rbc.classification(["a", "b"], ["x", "y"], columns={"a": "first text"}, id="key", metric="matthews")
    (example,) = rbc.load([{"first text": "A", "b": "B", "label": 1, "key": 17}], task=task).examples()
    assert example.fields == {"a": "A", "b": "B"}
    assert (example.id, example.key, example.label) == ("17", "17", "y")


def test_tagging_and_question_answering() -> None:
    pos = rbc.tagging("words", "pos", entities=False, tags=["NOUN", "VERB"])
    assert labels(pos, [{"words": ["dogs", "run"], "pos": [0, 1]}]) == [("NOUN", "VERB")]
    assert rbc.tagging().headline == "f1"
    asked = rbc.question_answering(unanswerable=True, columns={"context": "page"})
    row = {"id": "q", "question": "Who?", "page": "Anna.", "answers": {"text": ["Anna"], "answer_start": [0]}}
    (example,) = rbc.load([row], task=asked).examples()
    assert example.answers == ((0, "Anna"),)
    assert (asked.metric, rbc.question_answering().metric) == ("squad_v2", "squad_v1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rbc.classification([], ["x"]), r"rbc.classification: fields: found none; expected at least one field"),
        (lambda: rbc.classification("a", []), r"rbc.classification: labels: found no labels; expected class names"),
        (lambda: rbc.classification("a", ["x"], name="cola"), r"rbc.classification: name: found 'cola'"),
        (lambda: rbc.classification("label", ["x"]), r"fields: found 'label'; expected fields of different"),
        (
            lambda: rbc.classification("a", ["x"], columns={"b": "c"}),
            r"columns: found 'b'; expected one of a, label, id",
        ),
        (
            lambda: rbc.classification(["a", "b"], ["x"], columns={"a": "b"}),
            r"columns.b: found 'b', which is that of 'a",
        ),
        (
            lambda: rbc.classification("a", ["x"], metric="acuracy"),
            r"classification: metric: .*Did you mean 'accuracy'",
        ),
        (lambda: rbc.classification("a", ["x", "x"]), r"rbc.classification: labels: found 'x' twice"),
        (lambda: rbc.classification("a", {1: "x", 2: "x"}), r"labels: found one label \(x\); expected at least two"),
        (lambda: rbc.tagging(name="a b"), r"rbc.tagging: name: found 'a b'"),
        (lambda: rbc.question_answering(columns={"contxt": "c"}), r"columns: found 'contxt'.*Did you mean 'context'"),
    ],
)
def test_parts_that_do_not_fit_together(make: Any, message: str) -> None:
    with pytest.raises(rbc.InputError, match=message):
        make()


def test_records_of_tasks_without_columns_stay_as_they_were() -> None:
    assert "columns" not in rbc.task("mrpc").model_dump(mode="json", by_alias=True)
    own = rbc.classification("a", ["x", "y"], label="z")
    assert Task.model_validate_json(own.model_dump_json(by_alias=True)) == own

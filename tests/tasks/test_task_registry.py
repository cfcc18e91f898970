"""The eight records, and tasks from a user's YAML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.tasks import TASKS, get_task, open_native

RTE = """\
schema: 1
name: rte
title: Does the first sentence entail the second?
family: classification
fields: [sentence1, sentence2]
labels: [entailment, not_entailment]
metric: accuracy
headline: accuracy
format: glue_tsv
format_options:
  columns: {sentence1: sentence1, sentence2: sentence2}
  label: label
  id: index
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_eight_tasks() -> None:
    assert list(TASKS) == ["squad_v1", "squad_v2", "cola", "mrpc", "qqp", "qnli", "conll2003", "ptb_pos"]


@pytest.mark.parametrize("name", TASKS)
def test_records_fit_together(name: str) -> None:
    task = get_task(name)
    assert task.name == name
    assert bool(task.labels) == (task.family == "classification")
    assert (task.hub is None) == (name == "ptb_pos")
    if task.hub:
        assert re.fullmatch("[0-9a-f]{40}", task.hub.revision)
        assert {"train", "dev"} <= set(task.hub.splits)


def test_class_ids_are_those_of_the_hub() -> None:
    assert get_task("cola").labels == ("unacceptable", "acceptable")
    assert get_task("mrpc").labels == ("not_equivalent", "equivalent")
    assert get_task("qqp").labels == ("not_duplicate", "duplicate")
    assert get_task("qnli").labels == ("entailment", "not_entailment")


def test_unknown_task_offers_the_nearest() -> None:
    with pytest.raises(InputError, match=r"TASK: found unknown task 'colla'.*Did you mean 'cola'"):
        get_task("colla")


def test_a_task_of_the_users_own(tmp_path: Path) -> None:
    task = get_task(write(tmp_path, RTE))
    assert (task.name, task.fields) == ("rte", ("sentence1", "sentence2"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title:", "titel:", r"mine.yaml: found 2 mistakes.*titel: found unknown key 'titel'.*Did you mean 'title'"),
        ("name: rte", "name: ../rte", r"mine.yaml: name: found '../rte'"),
        ("name: rte", "name: cola", r"name: found 'cola'; expected .*no shipped task's name"),
        ("format: glue_tsv", "format: glue_tvs", r"mine.yaml: format: found 'glue_tvs'.*Did you mean 'glue_tsv'"),
        (
            "format: glue_tsv",
            "format: conll",
            r"format: found 'conll'; expected glue_tsv or csv \(family classification\)",
        ),
        ("family: classification", "family: clasification", r"family: .*Did you mean 'classification'"),
        ("labels: [entailment, not_entailment]\n", "", r"labels: found no labels"),
        ("  id: index", "  idd: index", r"mine.yaml: format_options: idd: found unknown key 'idd'.*Did you mean 'id'"),
        ("sentence2: sentence2}", "sentence3: x}", r"mine.yaml: format_options.columns: found sentence1, sentence3"),
        ("  id: index", "  labels: {'0': entails}", r"format_options.labels.0: found 'entails'.*mean 'entailment'"),
        ("schema: 1\n", "", r"mine.yaml: schema: found no such key"),
    ],
)
def test_mistakes_in_a_task(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=re.compile(message, re.DOTALL)):
        get_task(write(tmp_path, RTE.replace(old, new)))


def test_no_such_task_file() -> None:
    with pytest.raises(InputError, match=r"--task: found no file nowhere.yaml"):
        get_task("nowhere.yaml", place="--task")


@pytest.mark.data
@pytest.mark.parametrize("split", ["train", "dev"])
def test_rte_as_a_users_task(tmp_path: Path, shared_data: Path, split: str, kit: Any) -> None:
    path = shared_data / "glue" / "RTE" / f"{split}.tsv"
    file = open_native(get_task(write(tmp_path, RTE)), path)
    examples = list(file.examples())
    assert len(examples) == {"train": 2490, "dev": 277}[split]
    assert {example.label for example in examples} == {"entailment", "not_entailment"}
    assert kit.rewritten(file) == path.read_bytes()

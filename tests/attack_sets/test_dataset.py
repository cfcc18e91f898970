"""Attacking `datasets` from Python: the same edits as on the native file, nothing else moved."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import datasets
import pytest

import robustbench_char
from robustbench_char.attack_sets.attack import attack_file
from robustbench_char.attacks.ledger import LEDGER_COLUMNS, edit_of
from robustbench_char.attacks.suites import load_suites
from robustbench_char.common import InputError
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.formats._rows import example_row
from robustbench_char.tasks.registry import get_task
from robustbench_char.tasks.sources import mini_path
from robustbench_char.text.edits import apply_edits


def mini_file(folder: Path, task: str) -> Path:
    return Path(shutil.copy(mini_path(task, "dev"), folder))


def mini_rows(folder: Path, task: str) -> datasets.Dataset:
    examples = open_native(get_task(task), mini_file(folder, task)).examples()
    return datasets.Dataset.from_list([example_row(get_task(task), example) for example in examples])


@pytest.mark.parametrize("task", ["squad_v1", "squad_v2", "qnli", "conll2003", "cola"])
def test_same_edits_as_on_the_native_file(tmp_path: Path, task: str) -> None:
    record, source = get_task(task), open_native(get_task(task), mini_file(tmp_path, task))
    (suite,) = load_suites("mixed", task=task)
    attack_file(record, source, suite=suite, seed=9, output=tmp_path / "out", fields=record.fields)
    native = open_native(record, tmp_path / "out" / mini_path(task, "dev").name).examples()
    rows = robustbench_char.attack(mini_rows(tmp_path, task), task=task, suite="mixed", seed=9, fields=record.fields)
    assert list(rows) == [example_row(record, example) for example in native]


def test_context_does_not_depend_on_order_or_neighbours(tmp_path: Path) -> None:
    clean = mini_rows(tmp_path, "squad_v1")
    options = {"task": "squad_v1", "suite": "mixed", "seed": 2, "fields": ["context"]}
    whole = {row["id"]: row["context"] for row in robustbench_char.attack(clean, **options)}
    order = list(range(len(clean)))
    random.Random(0).shuffle(order)
    some = robustbench_char.attack(clean.select(order[:30]), **options)
    assert {row["id"]: row["context"] for row in some} == {row["id"]: whole[row["id"]] for row in some}


def test_a_dict_of_splits_keeps_its_splits_features_and_other_columns() -> None:
    label = datasets.ClassLabel(names=["unacceptable", "acceptable"])
    columns = {"sentence": datasets.Value("string"), "label": label, "idx": datasets.Value("int32")}
    features = datasets.Features(columns)
    rows = {"sentence": ["The ferry left before sunrise.", "Him saw I."], "label": [1, 0], "idx": [7, 8]}
    split = datasets.Dataset.from_dict(rows, features=features)
    clean = datasets.DatasetDict({"train": split, "test": split})
    attacked = robustbench_char.attack(clean, task="cola", suite="drop", seed=1)
    ledgers = attacked.ledger
    assert list(attacked) == ["train", "test"] == list(ledgers)
    for name, changed in attacked.items():
        assert changed.features == features
        assert (changed["label"], changed["idx"]) == ([1, 0], [7, 8])
        assert ledgers[name].columns.tolist() == list(LEDGER_COLUMNS)
        edits = [row for row in ledgers[name].to_dict("records") if row["row"] == 0]
        done = apply_edits(rows["sentence"][0], list(map(edit_of, edits)))
        assert changed[0]["sentence"] == done != rows["sentence"][0]
    assert clean["train"][0]["sentence"] == rows["sentence"][0]


def test_bad_arguments() -> None:
    rows = datasets.Dataset.from_dict({"sentence": ["A ferry."], "label": [1]})
    with pytest.raises(InputError, match="6 strengths; expected one of them"):
        robustbench_char.attack(rows, task="cola", suite="mixed_sweep")
    with pytest.raises(InputError, match=r"found the type dict; expected .*a datasets\.Dataset, a pandas data frame"):
        robustbench_char.attack({"sentence": "x"}, task="cola", suite="drop")  # type: ignore[type-var]
    with pytest.raises(InputError, match=r"found a path.*Attack a file with attack_file"):
        robustbench_char.attack("dev.tsv", task="cola", suite="drop")  # type: ignore[type-var]
    with pytest.raises(InputError, match="Did you mean 'cola'"):
        robustbench_char.attack(rows, task="colla", suite="drop")
    with pytest.raises(InputError, match="unknown field 'text'"):
        robustbench_char.attack(rows, task="cola", suite="drop", fields=["text"])
    with pytest.raises(InputError, match="expected a column 'sentence'"):
        robustbench_char.attack(rows.rename_column("sentence", "text"), task="cola", suite="drop")

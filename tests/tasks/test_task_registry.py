"""The eight records, and tasks from a user's YAML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from robustbench_char.common import InputError
from robustbench_char.tasks import TASKS, get_task, open_native
from robustbench_char.tasks.formats._rows import names_of_ids

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
        assert task.hub.splits["train"] == "train"
        assert task.hub.splits["dev"].startswith("validation")


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
        (
            "  id: index",
            "  id: -1",
            r"format_options.columns: found the column -1; expected the number of a column, fro",
        ),
        (
            "  id: index",
            "  header: false",
            r"found the column 'label' without a header; expected the number of a column",
        ),
        (
            "sentence2: sentence2}",
            "sentence2: label}",
            r"columns.sentence2: found column label, which is that of the la",
        ),
        ("not_entailment]", "entailment]", r"mine.yaml: labels: found 'entailment' twice; expected each name once"),
        (
            "not_entailment]",
            "Entailment]",
            r"labels: found 'entailment' and 'Entailment'; expected names that differ in",
        ),
        (
            "not_entailment]",
            "'entailment ']",
            r"labels: found 'entailment '; expected names without white space around",
        ),
        (", not_entailment]", "]", r"labels: found one label \(entailment\); expected at least two"),
        ("not_entailment]", "no]", r"labels.1: found False; expected string. Put it in quotes, as in \"yes\""),
        (
            "metric: accuracy",
            "metric: acuracy",
            r"metric: found 'acuracy'; expected accuracy or .*Did you mean 'accuracy'",
        ),
        (
            "metric: accuracy",
            "metric: squad_v1",
            r"metric: found 'squad_v1'; expected accuracy or accuracy_f1 or matthe",
        ),
        (
            "not_entailment]\nmetric: accuracy",
            "b, c]\nmetric: accuracy_f1",
            r"metric: found accuracy_f1 with 3 labels; exp",
        ),
        (
            "headline: accuracy",
            "headline: f1",
            r"headline: found 'f1'; expected a score of the metric accuracy: accuracy",
        ),
        (
            "title:",
            "hub: {path: a/b, revision: c, splits: {valid: x}}\ntitle:",
            r"hub.splits: found 'valid'; expected some",
        ),
        (
            "title:",
            "hub: {path: a/b, revision: c, splits: {}, columns: {x: y}}\ntitle:",
            r"hub.columns: found 'x'; expect",
        ),
        (
            "fields: [sentence1, sentence2]",
            "fields: [sentence1, sentence1]",
            r"fields: found 'sentence1'; expected fields",
        ),
    ],
)
def test_mistakes_in_a_task(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=re.compile(message, re.DOTALL)):
        get_task(write(tmp_path, RTE.replace(old, new)))


@pytest.mark.parametrize(
    ("family", "parts", "message"),
    [
        ("tagging", "tokens entity_f1 f1 conll {tags: any}",
         r"metric: found entity_f1 with tags: any, whose tags mark no entities; expected tag_accuracy, or tags: bio"),
        ("tagging", "tokens entity_f1 f1 ptb {}", r"metric: found entity_f1 with the format ptb, .*expected tag_acc"),
        ("tagging", "tokens tag_accuracy f1 conll {}", r"headline: found 'f1'; expected a score of .*: accuracy"),
        ("tagging", "tokens accuracy accuracy conll {}", r"metric: found 'accuracy'; expected entity_f1 or tag"),
        ("tagging", "tokens entity_f1 f1 conll {tag_names: [O, PER]}", r"tag_names: found 'PER'; expected O, B-x or"),
        ("tagging", "tokens tag_accuracy accuracy conll {tags: any, tag_names: [N, N]}", r"tag_names: found 'N' twice"),
        ("tagging", "tokens tag_accuracy accuracy ptb {tags: any}", r"format_options: found .tags.; expected tag_n"),
        ("question_answering", "question,context squad_v1 f1 squad_json {unanswerable: true}",
         r"metric: found squad_v1 with unanswerable: true; expected squad_v2 with unanswerable: true, or"),
        ("question_answering", "question,context squad_v2 f1 squad_json {}", r"found squad_v2 with unanswerable: fal"),
        ("question_answering", "question,context squad_v1 em squad_json {}", r"headline: found 'em'; expected .*exact"),
    ],
)  # fmt: skip
def test_metrics_that_cannot_score_what_the_format_reads(tmp_path: Path, family: str, parts: str, message: str) -> None:
    fields, metric, headline, form, options = parts.split(" ", 4)
    text = f"schema: 1\nname: own\ntitle: t\nfamily: {family}\nfields: [{fields}]\nmetric: {metric}\n"
    with pytest.raises(InputError, match=f"mine.yaml: .*{message}"):
        get_task(write(tmp_path, f"{text}headline: {headline}\nformat: {form}\nformat_options: {options}\n"))


def test_trees_may_name_their_tags(tmp_path: Path) -> None:
    text = (
        "schema: 1\nname: own\ntitle: t\nfamily: tagging\nfields: [tokens]\nmetric: tag_accuracy\nheadline: accuracy\n"
    )
    task = get_task(write(tmp_path, f"{text}format: ptb\nformat_options: {{tag_names: [N, V]}}\n"))
    assert task.format_options["tag_names"] == ["N", "V"]


def test_names_of_classes_stand_in_features_of_any_form() -> None:
    names = {"names": ["no", "yes"], "_type": "ClassLabel"}
    features = {"plain": names, "list": [names], "sequence": {"feature": names}, "text": {"dtype": "string"}}
    assert names_of_ids(features) == {name: ["no", "yes"] for name in ("plain", "list", "sequence")}


def test_tags_may_differ_in_case_alone(tmp_path: Path) -> None:
    options = (
        "metric: tag_accuracy\nheadline: accuracy\nformat: conll\nformat_options: {tags: any, tag_names: [n, N]}\n"
    )
    text = f"schema: 1\nname: own\ntitle: t\nfamily: tagging\nfields: [tokens]\n{options}"
    assert get_task(write(tmp_path, text)).format_options["tag_names"] == ["n", "N"]


def test_spellings_of_labels_are_what_is_written(tmp_path: Path) -> None:
    options = "  labels: {yes: entailment, no: not_entailment}"
    task = get_task(write(tmp_path, RTE.replace("  id: index", options)))
    assert task.format_options["labels"] == {"yes": "entailment", "no": "not_entailment"}


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

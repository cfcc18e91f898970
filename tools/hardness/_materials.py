"""What is mutated besides data files: attacked sets, records, runs, models, defences; made once, small."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

__all__ = ["make_materials"]

RULE = """\
def predict(batch):
    return ["acceptable" if len(item["sentence"]) % 2 else "unacceptable" for item in batch]
"""
WORDS = [
    "a",
    "the",
    "of",
    "is",
    "was",
    "in",
    "and",
    "not",
    "film",
    "book",
    "good",
    "bad",
    "red",
    "blue",
    "anna",
    "paris",
    "went",
    "lives",
    "house",
    "boat",
    "door",
    "who",
    "what",
]
TEXT = "".join(
    f"The harbour of {name} was quiet, and nobody had seen the {one} for days.\n"
    for name in WORDS
    for one in ("boat", "film")
)
SUITE = """\
schema: 1
description: A suite of one's own.
source: nobody
words: {split: treebank, min_length: 4}
operators: {drop: {}, add: {weight: 2.0}, swap: {characters: letters, tries: 2}, keyboard: {stop_words: skip}}
strength: {rate: 0.5}
positions: interior
alphabet: english
layout: qwerty
case: lower
no_op: retry
tasks: {conll2003: {words: {digits: no_number}}, squad_v1: {fields: [question]}}
"""
TASK = """\
schema: 1
name: mine
title: A task of one's own
family: classification
fields: [text, other]
labels: [bad, good]
metric: accuracy
headline: accuracy
format: glue_tsv
format_options: {header: true, columns: {text: text, other: other}, label: stars, labels: {"1": bad, "2": good}}
columns: {label: stars}
"""
TASK_DATA = "text\tother\tstars\nThe quiet harbour\tseven boats\t1\nA good meal there\tnothing more\t2\n"
SPEC = """\
schema: 1
about: One predictor.
data: mini
systems: {rule: {model: "rule.py:predict", tasks: [cola]}}
suites: [drop, keyboard]
attack_seeds: [1, 2]
tasks: {cola: {test_limit: 12}, mrpc: {train_systems: false, test_limit: 8}}
"""


def make_materials(folder: Path) -> None:
    """Write all materials below a new folder."""
    import robustbench_char as rbc
    from robustbench_char.common.files import shipped

    folder.mkdir(parents=True)
    texts = {
        "rule.py": RULE,
        "suite.yaml": SUITE,
        "task.yaml": TASK,
        "data.tsv": TASK_DATA,
        "spec.yaml": SPEC,
        "plain.txt": TEXT,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, path in shipped("prompts").items():
        shutil.copyfile(path, folder / f"prompt-{name}.yaml")
    rule, files = (
        f"{folder}/rule.py:predict",
        {"cola": "dev.tsv", "squad_v2": "dev-v2.0.json", "conll2003": "valid.txt"},
    )
    for task in files:
        path = folder / f"clean-{task}"
        _excerpt(task, path)
        rbc.attack_file(task, next(path.iterdir()), suite="drop", seed=1, output=folder / f"set-{task}")
    lines = (folder / "clean-conll2003/valid.txt").read_text(encoding="utf-8").split("\n")
    letters = ["-" * len(line.split()[0]) if line.strip() else "" for line in lines]
    (folder / "operations.txt").write_text("\n".join(["s" + letters[0][1:] + " x", *letters[1:]]), encoding="utf-8")
    data = next((folder / "clean-cola").iterdir())
    rbc.evaluate(predictor=rule, input=data, task="cola", suites=["drop"], output=folder / "records", progress=False)
    rbc.check(
        rule, input=data, task="cola", suites=["drop"], output=folder / "run", store=folder / "store", executor="local"
    )
    _models(folder, data)


def _excerpt(task: str, folder: Path) -> None:
    """Write a few examples of mini."""
    import json

    from robustbench_char.tasks.sources import mini_path

    source = mini_path(task, "dev")
    folder.mkdir()
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".json":
        value = json.loads(text)
        value["data"] = value["data"][:1]
        value["data"][0]["paragraphs"] = value["data"][0]["paragraphs"][:2]
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = "".join(text.splitlines(keepends=True)[:12]) + "\n" * (task == "conll2003")
    (folder / source.name).write_text(text, encoding="utf-8")


def _models(folder: Path, data: Path) -> None:
    """Write a tiny model of Transformers, a base, a fine-tuned system of each, and two defences."""
    import robustbench_char as rbc

    _tiny(folder / "model", "BertForSequenceClassification", id2label={0: "unacceptable", 1: "acceptable"})
    _tiny(folder / "base", "BertModel")
    options: dict[str, Any] = {"data": "mini", "limit": 8, "max_length": 32, "progress": False, "store": folder / "s"}
    rbc.finetune("cola", base=str(folder / "base"), output=folder / "system", epochs=0, **options)
    rbc.train_defence("channel", text=[folder / "plain.txt"], dictionary=False, output=folder / "channel")
    rbc.train_defence("wordrec", text=[folder / "plain.txt"], epochs=1, output=folder / "wordrec")


def _tiny(folder: Path, kind: str, **labels: Any) -> None:
    import torch
    import transformers

    letters = [mark + letter for mark in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,?!'-"]
    tokens = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *WORDS]))
    config = transformers.BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, **labels,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        getattr(transformers, kind)(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab={token: at for at, token in enumerate(tokens)}).save_pretrained(folder)

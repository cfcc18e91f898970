"""Made-up evaluations for the tests of reports: records and predictions of our own sentences, without any model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustbench_char.common.provenance import Provenance
from robustbench_char.metrics.base import METRICS, QaGold, QaPrediction
from robustbench_char.metrics.breakdowns import ExampleWords, WordState
from robustbench_char.records.counts import cell_counts, count_table, write_counts
from robustbench_char.records.evaluation import (
    AttackInfo,
    DataInfo,
    DefenceInfo,
    Record,
    SystemInfo,
    read_record,
    write_predictions,
    write_record,
)
from robustbench_char.records.training import AugmentInfo, PretrainingInfo

FAMILIES = {
    "qnli": "classification",
    "cola": "classification",
    "conll2003": "tagging",
    "squad_v2": "question_answering",
}
SCORED = {
    "qnli": ("accuracy", "accuracy"),
    "cola": ("matthews", "matthews"),
    "conll2003": ("entity_f1", "f1"),
    "squad_v2": ("squad_v2", "f1"),
}
OPERATORS = ("drop", "add", "swap", "keyboard")
SUITES = ("charbert_2020", *OPERATORS, "pruthi_2019_random")
PEOPLE = ("Amara Lindqvist", "Teodor Vasile", "Noor Haddad", "Ines Carvalho", "Pavel Morozov")
PLACES = ("Lisbon", "Tromso", "Windhoek", "Valparaiso", "Gdansk")
WORKS = ("measures the tides", "repairs old clocks", "teaches geometry", "photographs coasts", "grows bitter oranges")
OTHER_LABEL = {"entailment": "not_entailment", "not_entailment": "entailment", "0": "1", "1": "0"}
PROVENANCE = Provenance(
    package_version="0.1.0",
    git_commit="0123456789abcdef0123456789abcdef01234567",
    git_dirty=False,
    python="3.11.9",
    unicode="14.0.0",
    platform="linux-x86_64",
    libraries={"numpy": "2.3.0", "torch": "2.13.0"},
)


def edit_word(word: str, operator: str, rng: np.random.Generator) -> tuple[int, str, str]:
    """Edit one word of at least 4 characters inside; return offset, removed and inserted."""
    place = int(rng.integers(1, len(word) - 2))
    if operator == "drop":
        return place, word[place], ""
    if operator == "add":
        return place, "", "x"
    if operator == "swap" and word[place] != word[place + 1]:
        return place, word[place : place + 2], word[place + 1] + word[place]
    return place, word[place], "w"


def attack_text(text: str, field: str, operator: str, rng: np.random.Generator) -> tuple[str, list[dict[str, Any]]]:
    """Edit up to two words of a text; return the attacked text and the edits as predictions hold them."""
    words = text.split(" ")
    starts = [sum(len(word) + 1 for word in words[:index]) for index in range(len(words))]
    long = [index for index, word in enumerate(words) if len(word) >= 4]
    attacked, shift, edits = text, 0, []
    for index in sorted(long[int(i)] for i in rng.permutation(len(long))[:2]):
        word = words[index]
        offset, removed, inserted = edit_word(word, operator, rng)
        place = starts[index] + offset + shift
        attacked = attacked[:place] + inserted + attacked[place + len(removed) :]
        after = word[:offset] + inserted + word[offset + len(removed) :]
        edit = {"field": field, "operator": operator, "start_clean": place - shift, "start_attacked": place}
        edits.append(
            edit | {"removed": removed, "inserted": inserted, "word_before": words[index], "word_after": after}
        )
        shift += len(inserted) - len(removed)
    return attacked, edits


def example(task: str, row: int) -> tuple[dict[str, Any], Any]:
    """Return fields and gold of one made-up example."""
    person, place, work = PEOPLE[row % 5], PLACES[(row // 5) % 5], WORKS[(row // 3) % 5]
    sentence = (
        f'Since the winter of {1950 + row} {person} {work} in {place} , where <b>nobody</b> & "few" | others would .'
    )
    if task == "qnli":
        return {"question": f"Where does {person} live ?", "sentence": sentence}, ["entailment", "not_entailment"][
            row % 2
        ]
    if task == "cola":
        return {"sentence": sentence}, str(row % 2)
    if task == "conll2003":
        names = {person.split()[0]: "B-PER", person.split()[1]: "I-PER", place: "B-LOC"}
        tokens = sentence.split(" ")
        return {"tokens": tokens}, [names.get(token, "O") for token in tokens]
    fields = {"question": f"Who {work} near {place} ?", "context": " ".join([sentence] * 5)}
    return fields, [person] if row % 3 else []


def predict(task: str, gold: Any, right: bool) -> tuple[Any, float]:
    """Return a made-up prediction and its score."""
    if FAMILIES[task] == "classification":
        return (gold, 1.0) if right else (OTHER_LABEL[gold], 0.0)
    if task == "conll2003":
        tags = [tag if right or tag != "B-LOC" else None for tag in gold]
        return tags, sum(a == b for a, b in zip(tags, gold, strict=True)) / len(tags)
    text = (gold[0] if gold else "") if right else "a clockmaker | <b>of sorts</b>"
    return {"text": text, "best_text": text or "others", "null_odds": 0.5}, float(right)


def predictions(task: str, count: int, suite: str | None, seed: int) -> pd.DataFrame:
    """Return made-up predictions of `count` examples; where a suite is given, six of seven are attacked."""
    rng = np.random.default_rng([seed, *(suite or "").encode()])
    rows = []
    for row in range(count):
        fields, gold = example(task, row)
        edits: list[dict[str, Any]] = []
        if suite is not None and row % 7:
            field, value = next(iter(fields.items()))
            operator = suite if suite in OPERATORS else OPERATORS[row % 4]
            text, edits = attack_text(value if isinstance(value, str) else " ".join(value), field, operator, rng)
            fields = {**fields, field: text if isinstance(value, str) else text.split(" ")}
        prediction, score = predict(task, gold, bool(rng.random() < (0.9 if suite is None else 0.6)))
        json_values = (json.dumps(value) for value in (fields, gold, prediction))
        rows.append((row, f"{task}-{row}", *json_values, score, json.dumps(edits)))
    return pd.DataFrame(rows, columns=["row", "id", "fields", "gold", "prediction", "score", "edits"])


def attack_info(task: str, suite: str, count: int, attack_seed: int) -> AttackInfo:
    """Return a made-up account of an attack."""
    return AttackInfo(
        suite=suite,
        suite_sha256="5" * 64,
        seed=attack_seed,
        clean_sha256=f"clean-{task}",
        requested_strength=0.5,
        effective_strength=0.4876,
        eligible_words=13 * count,
        edits=2 * count,
        words=20 * count,
        no_op_share=0.0124,
        counts_by_operator={suite: 2300} if suite in OPERATORS else dict.fromkeys(OPERATORS, 575),
    )


def pretraining(system: str, noise: str | None) -> PretrainingInfo:
    """Return a made-up account of pre-training."""
    return PretrainingInfo(
        system=system,
        base="minilm",
        steps=1200,
        tokens=2457600,
        tokens_per_second=1024.0,
        wall_seconds=2400.0,
        text=("train.txt",),
        text_sha256="8" * 64,
        noise=noise,
        noise_share=0.15 if noise else None,
    )


def augment(*without: str) -> AugmentInfo:
    """Return a made-up account of augmentation with the four operators but those left out."""
    seen = tuple(operator for operator in OPERATORS if operator not in without)
    return AugmentInfo(suite="charbert_2020", suite_sha256="5" * 64, operators=seen, without=without, share=0.5, seed=9)


RECOGNISER = DefenceInfo(
    kind="wordrec",
    name="wordrec",
    sha256="9" * 64,
    parameters=1234567,
    operators=OPERATORS,
    suites=("pruthi_2019_random",),
    settings={"vocabulary": 10000, "backoff": "pass-through"},
)
COMPARED: dict[str, dict[str, Any]] = {
    "bert": {"extra_parameters": 0},
    "bert_mlm": {"extra_parameters": 0, "pretraining": pretraining("bert_mlm", None)},
    "advbert": {"extra_parameters": 0, "pretraining": pretraining("advbert", "charbert_nlm_2020")},
    "bert_wordrec": {"extra_parameters": 0, "defence": RECOGNISER},
    "charbert": {"extra_parameters": 1500000, "pretraining": pretraining("charbert", "charbert_nlm_2020")},
    "bert_aug": {"extra_parameters": 0, "augment": augment()},
    "bert_aug without keyboard": {"name": "bert_aug", "extra_parameters": 0, "augment": augment("keyboard")},
}
"""The systems of a whole comparison by label, with the fields of `SystemInfo` that tell them apart."""


LABELS = {"qnli": ("entailment", "not_entailment"), "cola": ("0", "1")}


def counted(task: str, frame: pd.DataFrame, suite: str | None) -> pd.DataFrame:
    """Return the counts that go with made-up predictions: words of more than six letters are split."""
    golds: list[Any] = [json.loads(gold) for gold in frame["gold"]]
    said: list[Any] = [json.loads(prediction) for prediction in frame["prediction"]]
    if FAMILIES[task] == "tagging":
        golds, said = [tuple(gold) for gold in golds], [tuple(one) for one in said]
    if FAMILIES[task] == "question_answering":
        golds, said = [QaGold(tuple(gold)) for gold in golds], [QaPrediction(**one) for one in said]
    units = METRICS.get(SCORED[task][0]).units(golds, said, LABELS.get(task))
    words = [known_words(row, suite) for row in frame.to_dict("records")]
    return count_table(SCORED[task][0], list(frame["row"]), units, words, LABELS.get(task))


def known_words(row: dict[Any, Any], suite: str | None) -> ExampleWords:
    """Return the words of an example: all tokens, or those that the attack hit."""
    fields, edits = json.loads(row["fields"]), json.loads(row["edits"])
    hit = {edit["word_after"]: (edit["word_before"], edit["operator"]) for edit in edits}
    words = fields["tokens"] if "tokens" in fields else list(hit)
    pairs = [(word, *hit.get(word, (word, ""))) for word in words]
    states = [WordState(len(before), 1 + (len(before) > 6), 1 + bool(by), (by,) if by else ())
              for _, before, by in pairs]  # fmt: skip
    return ExampleWords(states, 20, suite is not None)


def system_info(system: str, task: str, seed: int) -> SystemInfo:
    return SystemInfo(
        name=system,
        base="minilm",
        parameters=22713216,
        training_seed=seed,
        training_sha256="7" * 64,
        settings={"epochs": 2, "learning_rate": 5e-5},
        weights_sha256=f"{system}-{task}-{seed}",
    )


def record(
    task: str, system: str, suite: str | None, frame: pd.DataFrame, *, seed: int, attack_seed: int, sha: str
) -> Record:
    """Return the record that goes with made-up predictions."""
    metric, headline = SCORED[task]
    value = 100 * float(frame["score"].mean())
    counts = {"examples": len(frame)}
    if FAMILIES[task] == "classification":
        counts["correct"] = int((frame["score"] == 1).sum())
    if FAMILIES[task] == "tagging":
        counts |= {"tokens": 20 * len(frame), "truncated_words": 7 if suite else 0}
    scores = {headline: value} | ({"exact": value - 3.25} if task == "squad_v2" else {})
    source = DataInfo(
        source=f"{task}-dev",
        sha256=f"{attack_seed}-{suite}-{task}" if suite else f"clean-{task}",
        examples=len(frame),
        attack=attack_info(task, suite, len(frame), attack_seed) if suite else None,
    )
    return Record(
        task=task,
        family=FAMILIES[task],
        metric=metric,
        headline=headline,
        system=system_info(system, task, seed),
        data=source,
        scores=scores,
        clean_gold_scores={name: score - 1.75 for name, score in scores.items()}
        if suite and task == "squad_v2"
        else None,
        counts=counts,
        predictions_sha256=sha,
        wall_seconds=12.5,
        device="cpu (2 cores)",
        created="2026-01-05T10:00:00+00:00",
        provenance=PROVENANCE,
    )


def write_run(
    root: Path,
    task: str,
    system: str,
    suite: str | None,
    count: int,
    *,
    seed: int = 0,
    attack_seed: int = 1,
    keep: bool = True,
    counts: bool = False,
) -> Path:
    """Write one made-up evaluation below `root`, with its predictions where `keep`, and its counts where `counts`.

    With counts the score is that of the counts. Returns the folder.
    """
    folder = root / f"{task}-{re.sub(r'[^a-z]', '_', system)}-{seed}-{suite or 'clean'}-{attack_seed}"
    folder.mkdir(parents=True)
    frame = predictions(task, count, suite, seed * 100 + attack_seed * 10 + len(system))
    sha = write_predictions(folder, frame)
    if not keep:
        (folder / "predictions.parquet").unlink()
    made = record(task, system, suite, frame, seed=seed, attack_seed=attack_seed, sha=sha)
    if counts:
        table = counted(task, frame, suite)
        whole = cell_counts(table, list(frame["row"]))
        score = float(METRICS.get(made.metric).score(whole.sum(0)))
        made = made.model_copy(
            update={"counts_sha256": write_counts(folder, table), "scores": {**made.scores, made.headline: score}}
        )
    write_record(folder, made)
    return folder


def write_compared(root: Path, task: str, system: str, suite: str | None, count: int, **options: Any) -> Path:
    """Write one made-up evaluation of a system of `COMPARED` as `write_run` does, with its parts and its cost."""
    parts = {"name": system, "label": system, **COMPARED[system]}
    folder = write_run(root, task, system, suite, count, **options)
    made = read_record(folder / "record.json")
    info = made.system.model_copy(update={**parts, "settings": {**made.system.settings, "training_examples": 925}})
    counts = {**made.counts, "pieces": 50 * count}
    timed = {"counts": counts, "predict_seconds": 0.001 * count * (1 + list(COMPARED).index(system))}
    write_record(folder, made.model_copy(update={"system": info, **timed}))
    return folder


@pytest.fixture
def make_runs(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes evaluations of every task, system and suite given, and returns their folder."""

    def make(
        tasks: Sequence[str] = ("qnli",),
        systems: Sequence[str] = ("bert",),
        suites: Sequence[str] = ("drop", "swap"),
        *,
        count: int = 120,
        **options: Any,
    ) -> Path:
        root = tmp_path / "runs"
        for task in tasks:
            for system in systems:
                for suite in (None, *suites):
                    write_run(root, task, system, suite, count, **options)
        return root

    return make


@pytest.fixture
def make_comparison(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a comparison of the systems named, and returns the folder of its runs."""

    def make(
        tasks: Sequence[str] = ("qnli",),
        systems: Sequence[str] = tuple(COMPARED),
        suites: Sequence[str] = ("charbert_2020", *OPERATORS),
        *,
        count: int = 120,
        **options: Any,
    ) -> Path:
        root = tmp_path / "compared"
        for number, system in enumerate(systems):
            for task in tasks:
                for suite in (None, *suites):
                    write_compared(root / f"{number}", task, system, suite, count, **options)
        return root

    return make


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """Return `write_run`, which writes one evaluation."""
    return write_run

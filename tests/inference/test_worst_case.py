"""The worst case of a model on native files: exact where it says so, the same however it was come by."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.inference.worst_case import _parts
from robustbench_char.inference.worst_case._judge import Judge
from robustbench_char.metrics.base import METRICS
from robustbench_char.records.counts import cell_counts
from robustbench_char.records.worst_case import read_worst_cases
from robustbench_char.tasks.base import Example

pytestmark = pytest.mark.models

TASKS = {"conll2003": "tagging", "cola": "classification", "squad_v2": "question_answering"}
BYTES = ("edits.parquet", "worst_case.parquet")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def native(task: str, examples: Sequence[Example]) -> str:
    if task == "conll2003":
        rows = (zip(one.fields["tokens"], one.label or (), strict=True) for one in examples)
        return "\n\n".join("\n".join(map(" ".join, own)) for own in rows) + "\n"
    if task == "cola":
        return "".join(f"x\t{int(one.label == 'yes')}\t\t{one.fields['sentence']}\n" for one in examples)
    paragraphs = [
        {"context": one.fields["context"], "qas": [
            {"id": f"{one.id}-{again}", "question": one.fields["question"], "is_impossible": not one.answers,
             "answers": [{"text": answer.text, "answer_start": answer.start} for answer in one.answers]}
            for again in range(2)
        ]} for one in examples
    ]  # fmt: skip
    return json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]})


@pytest.fixture
def trained(make_file: Any, tiny_base: str, tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Return a function from a task to a system that has learnt it, and the file that it was trained on."""

    def train(task: str, **options: Any) -> tuple[Path, Path]:
        path = tmp_path / f"{task}.{'json' if task == 'squad_v2' else 'tsv' if task == 'cola' else 'txt'}"
        path.write_text(native(task, make_file(TASKS[task], 16).held), encoding="utf-8")
        chosen: dict[str, Any] = {"epochs": 20, "learning_rate": 3e-3, "batch_size": 8, "max_length": 32}
        chosen |= {"base": tiny_base, "precision": "fp32", "progress": False, "store": tmp_path / "store"}
        chosen |= {"doc_stride": 4} if task == "squad_v2" else {}
        rbc.finetune(task, train=path, output=tmp_path / f"{task}-system", **(chosen | options))
        return tmp_path / f"{task}-system", path

    return train


def search(task: str, system: Any, path: Path, output: Path, **options: Any) -> Any:
    chosen = {"suite": "keyboard", "limit": 6, "progress": False, **options}
    return rbc.worst_case(task, path, model=system, output=output, **chosen)


@pytest.mark.parametrize("task", TASKS)
def test_the_attack_set_does_what_was_found(task: str, trained: Any, tmp_path: Path) -> None:
    system, path = trained(task)
    manifest, found = search(task, system, path, tmp_path / "worst", search="exhaustive")
    assert rbc.verify(tmp_path / "worst", path) == manifest
    assert manifest.suite.search == found.record.search
    assert manifest.suite.name == "worst_keyboard@1 of bert"
    assert (found.record.exact, found.record.search.guided_by) == (True, "scores")
    clean, worst = found.score(edits=0).value, found.score().value
    assert clean is not None
    assert worst is not None
    assert worst < clean
    after = rbc.evaluate(system, tmp_path / "worst" / manifest.output.name, limit=6, progress=False)
    assert after.scores[found.record.headline] == pytest.approx(worst)
    assert rbc.evaluate(system, path, limit=6, progress=False).scores[found.record.headline] == pytest.approx(clean)
    assert read_worst_cases(tmp_path / "worst").record == found.record


@pytest.mark.parametrize("task", TASKS)
def test_no_random_attack_is_worse_than_the_exact_worst_case(task: str, trained: Any, tmp_path: Path) -> None:
    system, path = trained(task)
    fields = ["question"] if task == "squad_v2" else None  # a context has words of its own
    suite = "pruthi_2019_random@1"
    found = search(task, system, path, tmp_path / "worst", suite="pruthi_2019", edits=1, search="exhaustive",
                   fields=fields, limit=None).found  # fmt: skip
    errors = [METRICS.get(found.record.metric).errors(row) for row in found.counts()]
    for seed in (1, 2, 3):
        made = rbc.attack_file(task, path, suite=suite, seed=seed, fields=fields, output=tmp_path / f"random-{seed}")
        result = rbc.evaluate(system, tmp_path / f"random-{seed}" / made.output.name, progress=False)
        counts = cell_counts(result.counts, found.rows)
        drawn = [METRICS.get(found.record.metric).errors(row) for row in counts]
        assert all(one <= most for one, most in zip(drawn, errors, strict=True))


@pytest.mark.parametrize("how", [{"search": "greedy"}, {"suite": "charmer_2024", "positions": 3}])
@pytest.mark.parametrize("task", TASKS)
def test_batches_and_stops_change_nothing(
    task: str, how: dict[str, Any], trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, path = trained(task)
    whole = search(task, system, path, tmp_path / "whole", limit=3, edits=2, **how)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    calls, make = [0], Judge._said

    def stopped(self: Judge, examples: Sequence[Example]) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return make(self, examples)

    with monkeypatch.context() as patch:
        patch.setattr(Judge, "_said", stopped)
        with pytest.raises(KeyboardInterrupt):
            search(task, system, path, tmp_path / "again", limit=3, edits=2, batch_size=3, **how)
    assert not (tmp_path / "again").exists()
    again = search(task, system, path, tmp_path / "again", limit=3, edits=2, batch_size=5, **how)
    assert again.found.record.queries.cached > 0
    assert again.found.record.queries.total == whole.found.record.queries.total
    for name in (*BYTES, again.manifest.output.name):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
def test_processes_change_nothing(trained: Any, tmp_path: Path) -> None:
    system, path = trained("conll2003")
    search("conll2003", system, path, tmp_path / "one")
    made = search("conll2003", system, path, tmp_path / "two", workers=2)
    for name in (*BYTES, made.manifest.output.name):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_questions_that_share_a_context_are_attacked_together(trained: Any, tmp_path: Path) -> None:
    system, path = trained("squad_v2")
    made = search("squad_v2", system, path, tmp_path / "worst", fields=["context"], limit=4)
    steps = made.found.steps
    assert steps.groupby("row")["options"].first().tolist()[:2] == [steps["options"][0]] * 2
    assert made.manifest.counts.edits <= 2  # two contexts, one edit each


def labels_alone(batch: Sequence[dict[str, Any]]) -> list[str]:
    return ["acceptable" if "good" in one["sentence"] else "unacceptable" for one in batch]


def test_a_model_that_gives_labels_alone(tmp_path: Path) -> None:
    rows = [{"sentence": "the film was good", "label": 1}, {"sentence": "the film was poor", "label": 1}]
    model = rbc.predictor(labels_alone, name="looks", version="1")
    made = rbc.worst_case("cola", rows, model=model, suite="drop", output=tmp_path / "w", progress=False)
    assert made.found.broken().value == 100.0
    assert made.found.edits_to_break().value == 1.0
    assert made.found.already_wrong() == 1
    assert made.found.record.search.guided_by == "labels"
    assert "good" not in (tmp_path / "w" / "data.jsonl").read_text()
    other = rbc.predictor(labels_alone, name="looks", version="2")
    with pytest.raises(InputError, match=r"found an attacked set with another suite"):
        rbc.worst_case("cola", rows, model=other, suite="drop", output=tmp_path / "w", progress=False)
    with pytest.raises(InputError, match=r"model looks: found labels alone; expected scores, which greedy goes by"):
        rbc.worst_case("cola", rows, model=model, suite="drop", search="greedy", output=tmp_path / "x", progress=False)
    assert not (tmp_path / "x").exists()


def test_a_budget_is_kept_and_said(tmp_path: Path) -> None:
    rows = [{"sentence": "the film was good and the walk was fine", "label": 1}]
    model = rbc.predictor(labels_alone, name="looks", version="1")
    made = rbc.worst_case("cola", rows, model=model, suite="keyboard", budget=3, output=tmp_path / "w", progress=False)
    assert not made.found.record.exact
    assert set(made.found.steps["questions"]) == {3}
    assert made.found.record.queries.total == 4  # the clean text is no attack


def test_a_defence_that_adapts_has_read_the_file_under_a_random_attack(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, path = trained("cola")
    read: list[Sequence[Example]] = []
    monkeypatch.setattr(_parts, "adapts", lambda source: True)
    monkeypatch.setattr(_parts, "settled", lambda source, examples: (read.append(examples), source)[1])
    search("cola", system, path, tmp_path / "worst", suite="pruthi_2019", edits=2, budget=1, limit=5, seed=3)
    rbc.attack_file("cola", path, suite="pruthi_2019@2", seed=3, output=tmp_path / "random")
    drawn = (tmp_path / "random" / path.name).read_text(encoding="utf-8").splitlines()
    assert [one.fields["sentence"] for one in read[0]] == [line.split("\t")[3] for line in drawn[:5]]


def test_where_a_predictor_fails_it_is_wrong_and_asked_again(tmp_path: Path) -> None:
    rows = [{"sentence": "good", "label": 1}, {"sentence": "a good one", "label": 1}]
    broken = [True]

    def fails(batch: Sequence[dict[str, Any]]) -> list[str]:
        if broken[0] and any(one["sentence"] == "god" for one in batch):
            raise RuntimeError("no connection")
        return ["acceptable"] * len(batch)

    how: dict[str, Any] = {"model": rbc.predictor(fails, name="fails", version="1"), "suite": "drop", "progress": False}
    found = rbc.worst_case("cola", rows, output=tmp_path / "failing", **how).found
    assert found.broken().value == 50.0
    broken[0] = False
    found = rbc.worst_case("cola", rows, output=tmp_path / "mended", **how).found
    assert found.broken().value == 0.0
    assert found.record.queries.cached == found.record.queries.distinct - 1


def test_an_endpoint_is_not_asked_more_often_than_agreed(tmp_path: Path) -> None:
    rows = [{"sentence": "the film was good and the walk was fine", "label": 1}] * 4
    how: dict[str, Any] = {"model": "openai:none", "endpoint": "http://127.0.0.1:9/v1", "suite": "pruthi_2019"}
    how |= {"search": "exhaustive", "progress": False, "output": tmp_path / "w"}
    for change in ({}, {"limit": 4}, {"edits": 2, "limit": 4}):
        with pytest.raises(InputError, match=r"found [\d,]+ requests planned; expected at most 2,000"):
            rbc.worst_case("cola", rows, **(how | change))
    for change in ({"yes": True}, {"limit": 4, "budget": 600}, {"budget": 10}):
        with pytest.raises(InputError, match=r"http://127.0.0.1:9/v1"):
            rbc.worst_case("cola", rows, retries=0, timeout=1.0, **(how | change))
    assert not (tmp_path / "w").exists()


def test_what_cannot_be_searched_is_refused(tmp_path: Path, trained: Any) -> None:
    rows = [{"sentence": "a b c", "label": 1}]
    model = rbc.predictor(labels_alone, name="looks", version="1")
    how: dict[str, Any] = {"model": model, "progress": False}
    for match, change in {
        r"suite drop: found no edit of any of 1 examples": {},
        r"search=: .*unknown search 'grid'": {"search": "grid"},
        r"positions=: found positions with the search greedy; expected charmer": {"search": "greedy", "positions": 2},
        r"budget=: found 0; expected at least 1": {"budget": 0},
        r"suite nlpaug_mixed: found the operator": {"suite": "nlpaug_mixed"},
        r"--workers: found 2 processes and a model made in Python": {"workers": 2},
    }.items():
        with pytest.raises(InputError, match=match):
            rbc.worst_case("cola", rows, output=tmp_path / "out", **({"suite": "drop"} | how | change))
    assert not (tmp_path / "out").exists()


def test_an_attacked_file_and_another_folder_are_refused(trained: Any, tmp_path: Path) -> None:
    system, path = trained("cola")
    made = search("cola", system, path, tmp_path / "worst")
    with pytest.raises(InputError, match=r"found an attacked file; expected the clean one"):
        search("cola", system, tmp_path / "worst" / made.manifest.output.name, tmp_path / "more")
    for change in ({"suite": "drop"}, {"search": "greedy", "edits": 2}, {"limit": 5}):
        with pytest.raises(InputError, match=r"found an attacked set with another suite"):
            search("cola", system, path, tmp_path / "worst", **change)


def test_scores_that_are_no_numbers_are_refused(trained: Any, tmp_path: Path) -> None:
    system, path = trained("cola")
    source: Any = rbc.load_model(system)
    next(source.model.classifier.parameters()).data.fill_(np.nan)
    with pytest.raises(InputError, match=r"model bert: found scores that are NaN on row 0"):
        search("cola", source, path, tmp_path / "worst")
    assert not (tmp_path / "worst").exists()

"""Predictors as sources of predictions: what they are given, what they may return, what fails, what is kept."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import robustbench_char as rbc
from robustbench_char.common import InputError
from robustbench_char.inference._answers import Answers
from robustbench_char.inference.evaluate import evaluate
from robustbench_char.inference.predictors import PredictorSource, predictor
from robustbench_char.inference.results import Predictions
from robustbench_char.metrics.base import QaPrediction
from robustbench_char.records.evaluation import PREDICTION_COLUMNS, read_predictions, read_record
from robustbench_char.tasks.base import Example, Task
from robustbench_char.tasks.formats import open_native
from robustbench_char.tasks.registry import TASKS
from robustbench_char.tasks.sources import open_source

Call = Callable[[list[dict[str, Any]]], Any]
COLA = TASKS.get("cola")
FIELDS: dict[str, dict[str, Any]] = {
    "cola": {"sentence": "A ship sailed."},
    "conll2003": {"tokens": ("Anna", "sailed")},
    "ptb_pos": {"tokens": ("Anna", "sailed")},
    "squad_v1": {"question": "Who sailed?", "context": "Anna sailed."},
    "squad_v2": {"question": "Who sailed?", "context": "Anna sailed."},
}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep answers in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def example(row: int = 0, **fields: Any) -> Example:
    return Example(row, f"x{row}", f"k{row}", fields, "label-that-no-predictor-sees")


def numbered(number: int) -> list[Example]:
    return [example(row, sentence=str(row)) for row in range(number)]


def predict(call: Call, task: Task, examples: list[Example], *, batch_size: int = 32) -> Predictions:
    source = PredictorSource(predictor(call, name="mine", version="1"), task)
    return source.predict(examples, batch_size=batch_size, progress=False)


def test_batches_hold_fields_and_nothing_else() -> None:
    seen: list[list[dict[str, Any]]] = []

    def call(batch: list[dict[str, Any]]) -> list[list[str]]:
        seen.append(deepcopy(batch))
        for one in batch:
            one["tokens"].append("changed")
        return [["O", "O"] for _ in batch]

    examples = [example(row, **FIELDS["conll2003"]) for row in range(5)]
    said = predict(call, TASKS.get("conll2003"), examples, batch_size=2)
    assert [len(batch) for batch in seen] == [2, 2, 1]
    assert seen[0][0] == {"tokens": ["Anna", "sailed"]}
    assert examples[0].fields["tokens"] == ("Anna", "sailed")
    assert said.values == [("O", "O")] * 5
    assert said.seconds > 0


def test_answers_with_and_without_scores() -> None:
    task = TASKS.get("squad_v2")
    examples = [example(row, **FIELDS["squad_v2"]) for row in range(3)]
    scored = predict(lambda batch: [("Anna", -1), ("Anna", 0.0), ("Anna", np.float32(2.5))], task, examples)
    assert scored.values == [
        QaPrediction("Anna", "Anna", -1.0),
        QaPrediction("Anna", "Anna", 0.0),
        QaPrediction("", "Anna", 2.5),
    ]
    assert scored.no_answer_scores
    plain = predict(lambda batch: ["Anna", "", ("Anna", 1)], task, examples)
    assert [one.text for one in plain.values if isinstance(one, QaPrediction)] == ["Anna", "", ""]
    assert not plain.no_answer_scores


@pytest.mark.parametrize(
    ("task", "value", "reason"),
    [
        ("cola", "accetable", "the label 'accetable', not one of the task's labels: unacceptable, acceptable. Did you "
                              "mean 'acceptable'?"),
        ("cola", 1, "a value of type int, not one of the task's labels: unacceptable, acceptable"),
        ("cola", None, "None, not one of the task's labels: unacceptable, acceptable"),
        ("conll2003", ["O"], "1 tags for 2 tokens, not one tag per token"),
        ("conll2003", "OO", "a value of type str, not a list of tags"),
        ("conll2003", ["O", 3], "a tag that is a value of type int, not a tag, or None for a token that it did not get "
                                "to"),
        ("conll2003", ["O", "PER"], "the tag 'PER', not O, B-TYPE or I-TYPE"),
        ("squad_v1", ("Anna", 0.5), "a value of type tuple, not the text of the answer"),
        ("squad_v2", ("Anna", float("nan")), "('Anna', nan), not the text of the answer, or (text, no-answer score) "
                                             "with a finite score"),
        ("squad_v2", ("Anna",), "('Anna',), not the text of the answer, or (text, no-answer score) with a finite "
                                "score"),
        ("squad_v2", None, "None, not the text of the answer, or (text, no-answer score) with a finite score"),
    ],
)  # fmt: skip
def test_an_odd_prediction_is_an_error_of_its_example(task: str, value: Any, reason: str) -> None:
    said = predict(lambda batch: [value], TASKS.get(task), [example(**FIELDS[task])])
    assert (said.values, said.errors) == ([None], {0: reason})


def test_ptb_tags_are_free_and_may_be_missing() -> None:
    said = predict(lambda batch: [["NNP", None]], TASKS.get("ptb_pos"), [example(**FIELDS["ptb_pos"])])
    assert said.values == [("NNP", None)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["acceptable"] * 3, "3 predictions for 1 examples, not one per example"),
        (("acceptable",), "a value of type tuple, not a list of predictions"),
        (None, "None, not a list of predictions"),
    ],
)
def test_a_batch_of_the_wrong_form_is_called_one_by_one(value: Any, reason: str) -> None:
    said = predict(lambda batch: value, COLA, numbered(2))
    assert said.errors == {0: reason, 1: reason}
    one_short = predict(lambda batch: ["acceptable"] * max(1, len(batch) - 1), COLA, numbered(3))
    assert (one_short.values, one_short.errors) == (["acceptable"] * 3, {})


def test_an_exception_is_an_error_of_its_example_and_the_log_has_the_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[list[str]] = []

    def call(batch: list[dict[str, Any]]) -> list[str]:
        calls.append([one["sentence"] for one in batch])
        if any(one["sentence"] in "13" for one in batch):
            raise ConnectionError("the service is down")
        return ["acceptable"] * len(batch)

    said = predict(call, COLA, numbered(6), batch_size=2)
    assert said.values == ["acceptable", None, "acceptable", None, "acceptable", "acceptable"]
    assert said.errors == dict.fromkeys((1, 3), "ConnectionError: the service is down")
    assert calls == [["0", "1"], ["0"], ["1"], ["2", "3"], ["2"], ["3"], ["4", "5"]]
    first, last = caplog.records  # each reason once
    assert first.getMessage() == "predictor mine, row 1 (id x1): ConnectionError: the service is down"
    assert first.exc_info is not None
    assert logging.Formatter().formatException(first.exc_info).count("inference/predictors.py") == 0
    assert last.getMessage() == "predictor mine: 2 of 6 examples failed and count as wrong"


def test_a_predictor_that_ends_the_program_fails() -> None:
    def call(batch: list[dict[str, Any]]) -> list[str]:
        return ["acceptable"] if batch[0]["sentence"] == "0" else sys.exit("bye")

    assert predict(call, COLA, numbered(2), batch_size=1).errors == {1: "SystemExit: bye"}


def test_a_predictor_that_fails_on_everything_is_one_error() -> None:
    source = PredictorSource(predictor(lambda batch: batch[0]["none"], name="mine", version="1"), COLA)
    expected = r"system mine: found no usable prediction for any of 5 examples; row 0 \(id .*\): KeyError: 'none'; exp"
    with pytest.raises(InputError, match=expected):
        evaluate(source, open_source(COLA, data="mini"), limit=5, progress=False)
    with pytest.raises(InputError, match="any of 32 examples"):  # of 300: no more are asked
        evaluate(source, open_source(COLA, data="mini"), progress=False)


def test_a_bad_beginning_alone_ends_nothing() -> None:
    def call(batch: list[dict[str, Any]]) -> list[str]:
        return [["late", "acceptable"][int(one["sentence"]) > 18] for one in batch]

    assert len(predict(call, COLA, numbered(40), batch_size=8).errors) == 19


def test_batches_need_a_size() -> None:
    with pytest.raises(InputError, match="--batch-size: found 0; expected at least 1"):
        predict(lambda batch: [], COLA, [], batch_size=0)


@settings(settings.get_profile("few"))
@given(st.lists(st.booleans(), min_size=1, max_size=9), st.integers(1, 4), st.data())
def test_only_what_failed_is_asked_again(
    tmp_path_factory: pytest.TempPathFactory, broken: list[bool], size: int, data: st.DataObject
) -> None:
    """Whatever fails, in whatever batches: the result is that of a run without failures, each answer asked for once."""
    folder, asked = tmp_path_factory.mktemp("answers"), list[str]()
    failing = {str(row) for row, one in enumerate(broken) if one}

    def call(batch: list[dict[str, Any]]) -> list[str]:
        if failing & {one["sentence"] for one in batch}:
            raise ValueError
        asked.extend(one["sentence"] for one in batch)
        return ["acceptable" if int(one["sentence"]) % 2 else "unacceptable" for one in batch]

    source = PredictorSource(predictor(call, name="mine", version="1"), COLA, Answers("mine", folder))
    first = source.predict(numbered(len(broken)), batch_size=size, progress=False)
    first.complete()
    assert set(first.errors) == {int(row) for row in failing}
    assert sorted(asked) == sorted({str(row) for row in range(len(broken))} - failing)
    expected = ["acceptable" if row % 2 else "unacceptable" for row in range(len(broken))]
    asked.clear()
    again, failing = set(failing), set()
    last = source.predict(numbered(len(broken)), batch_size=data.draw(st.integers(1, 4)), progress=False)
    assert (last.values, last.errors) == (expected, {})
    assert set(asked) == (again or set(asked))
    last.complete()
    asked.clear()
    source.predict(numbered(len(broken)), batch_size=size, progress=False)
    assert len(asked) == len(broken)  # nothing is kept of a complete evaluation


def test_kept_answers_are_the_same_predictions(tmp_path: Path) -> None:
    values = {"cola": "acceptable", "conll2003": ["B-PER", None], "squad_v2": ("Anna", 0.5)}
    for name, value in values.items():
        fails = [False]

        def call(batch: list[dict[str, Any]], value: Any = value, fails: list[bool] = fails) -> Any:
            return [value, "nonsense"] if fails[0] else [value] * len(batch)

        task, examples = (
            TASKS.get(name),
            [
                example(
                    row,
                    **FIELDS[name],
                )
                for row in range(1)
            ],
        )
        source = PredictorSource(predictor(call, name="mine", version="1"), task, Answers(name, tmp_path))
        first = source.predict(examples, progress=False)
        fails[0] = True
        second = source.predict(examples, progress=False)
        assert (second.values, second.seconds) == (first.values, first.seconds)
        assert second.no_answer_scores == first.no_answer_scores


MINE = """
import pathlib, time
ASKED = pathlib.Path(__file__).with_name("asked")

def predict(batch, task):
    for one in batch:
        if "BROKEN" in ASKED.with_name("state").read_text() and one["sentence"].startswith("The"):
            raise ValueError("broken")
        with ASKED.open("a") as file:
            file.write(one["sentence"] + "\\n")
        if "SLOW" in ASKED.with_name("state").read_text():
            time.sleep(0.05)
    return [task.labels[1]] * len(batch)
"""


class Site:
    """A folder with a predictor that notes what it is asked, and the command that evaluates it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "mine.py").write_text(MINE)
        self.state("")

    def state(self, text: str) -> None:
        (self.folder / "state").write_text(text)

    def asked(self) -> list[str]:
        lines = (self.folder / "asked").read_text().splitlines() if (self.folder / "asked").exists() else []
        (self.folder / "asked").unlink(missing_ok=True)
        return lines

    def command(self, *more: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "robustbench_char.cli.main", "evaluate", "--predictor", "mine.py:predict"]
        line += ["--task", "cola", "--data", "mini", "--batch-size", "4", "--output", "out", *more]
        return subprocess.Popen(
            line, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
        )

    def run(self, *more: str) -> tuple[int, str, str]:
        process = self.command(*more)
        out, err = process.communicate()
        return process.returncode, out, err


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    root = Path(rbc.__file__).resolve().parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))
    return Site(tmp_path)


def test_what_it_prints_is_no_result(site: Site) -> None:
    (site.folder / "mine.py").write_text("print(1)\ndef predict(batch, task):\n    print(2)\n" + "    return " +
                                         "[task.labels[1]] * len(batch)\n")  # fmt: skip
    code, out, err = site.run("--json", "--batch-size", "300")
    assert code == 0, err
    assert json.loads(out)["system"]["name"] == "mine.predict"
    assert err.startswith("1\n2\n")


def test_the_command_goes_on_from_failures(site: Site) -> None:
    site.state("BROKEN")
    code, _, err = site.run()
    assert code == 0, err
    assert err.count("ValueError: broken\n") == 2  # the reason, and the end of its traceback
    assert "examples failed and count as wrong; the same command asks for them again" in err
    record, table = read_record(site.folder / "out" / "record.json"), read_predictions(site.folder / "out")
    assert table is not None
    failed = record.counts["failed_examples"]
    assert list(table.columns) == [*PREDICTION_COLUMNS, "error"]
    assert table["error"].dropna().tolist() == ["ValueError: broken"] * failed
    assert set(table.loc[table["error"].notna(), "prediction"]) == {"null"}
    assert set(table.loc[table["error"].notna(), "score"]) == {0.0}
    assert len(site.asked()) > record.counts["examples"] - failed
    site.state("")
    assert site.run()[0] == 0
    assert len(site.asked()) == failed
    after = read_record(site.folder / "out" / "record.json")
    assert "failed_examples" not in after.counts
    assert after.system == record.system


def test_a_kill_loses_no_answer(site: Site) -> None:
    site.state("SLOW")
    process = site.command()
    while not (site.folder / "asked").exists() or (site.folder / "asked").read_text().count("\n") < 21:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = site.asked()
    site.state("")
    code, _, err = site.run()
    assert code == 0, err
    assert "answers are those of an earlier run, which was not complete" in err
    rest, total = site.asked(), read_record(site.folder / "out" / "record.json").counts["examples"]
    assert total <= len(before) + len(rest) <= total + 4  # at most the batch that it died in is asked again
    (site.folder / "mine.py").write_text(MINE.replace("labels[1]", "labels[0]"))
    assert "other content" in site.run()[2]  # an edited predictor is another system


def test_failures_in_the_report(tmp_path: Path) -> None:
    """Cards and explorer show them, whatever the family, and an older predictions file has no column for them."""
    for name in ("cola", "conll2003", "squad_v2"):
        task = TASKS.get(name)
        clean = open_source(task, data="mini", split="test")
        rbc.attack_file(name, clean, suite="mixed", seed=1, output=tmp_path / name)
        attacked = tmp_path / name / json.loads((tmp_path / name / "manifest.json").read_text())["output"]["name"]

        files = {"clean": clean, "attacked": open_native(task, attacked)}
        right = {
            " ".join(map(str, example.fields.values())): example.answers[0].text if example.answers else example.label
            for file in files.values()
            for example in file.examples()
        }

        def call(batch: list[dict[str, Any]], right: dict[str, Any] = right) -> list[Any]:
            """Answer as is right, where it does not fail."""
            asked = [right[" ".join(str(tuple(text) if isinstance(text, list) else text) for text in one.values())]
                     for one in batch]  # fmt: skip
            return [None if len(str(one)) % 3 == 0 else answer or "" for one, answer in zip(batch, asked, strict=True)]

        model = predictor(call, name="mine", version="1")
        for part, file in files.items():
            output = tmp_path / "scores" / name / part
            result = rbc.evaluate(model, task=name, input=file, output=output, progress=False)
            assert result.record.counts["failed_examples"] > 3
    page = rbc.report(tmp_path / "scores", tmp_path / "report").read_text(encoding="utf-8")
    assert "(failed)" in page
    counts = read_record(tmp_path / "scores" / "cola" / "clean" / "record.json").counts
    assert f"count as wrong: mine on {counts['failed_examples']} of 300 (clean); mine on" in page
    path = tmp_path / "scores" / "cola" / "clean" / "predictions.parquet"
    pd.read_parquet(path)[list(PREDICTION_COLUMNS)].to_parquet(path, index=False)
    older = read_predictions(path.parent)
    assert older is not None
    assert list(older.columns) == list(PREDICTION_COLUMNS)
